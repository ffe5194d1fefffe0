//! Runs of owned pages against a plain vector of bytes.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::sync::Arc;

use bytes::Bytes;
use fusesg_sg::{Endless, PAGE_SIZE, PackedList, PagePool, PageRun, Segment, SegmentList, gather};
use proptest::prelude::*;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from((n * 31 + n / 251) % 251).unwrap()).collect()
}

fn run(pool: &Arc<PagePool>, content: &[u8]) -> PageRun {
    let pages = content.chunks(PAGE_SIZE).map(|chunk| {
        let mut page = pool.take().unwrap();
        page[..chunk.len()].copy_from_slice(chunk);
        page
    });
    PageRun::new(pages, content.len()).unwrap()
}

fn joined(run: &PageRun) -> Vec<u8> {
    run.fragments().flatten().copied().collect()
}

proptest! {
    #[test]
    fn a_slice_is_the_slice_of_its_bytes(
        length in 0..20_000_usize,
        cuts in prop::collection::vec((0..22_000_usize, 0..22_000_usize), 1..4),
    ) {
        let pool = PagePool::new(PAGE_SIZE, 8);
        let mut content = bytes(length);
        let mut run = run(&pool, &content);
        for (start, size) in cuts {
            let start = start.min(content.len());
            content = content[start..].iter().take(size).copied().collect();
            run = run.slice(start, size);
            prop_assert_eq!(run.len(), content.len());
            prop_assert!(joined(&run) == content);
            prop_assert!(run.fragments().all(|fragment| !fragment.is_empty()));
        }
    }

    #[test]
    fn a_message_of_pages_is_their_bytes(start in 0..5000_u64, length in 0..40_000_usize) {
        let pages = PagePool::new(PAGE_SIZE, 16);
        let buffers = PagePool::new(1 << 16, 2);
        let content = bytes(length);
        let list: SegmentList = [
            Segment::Buffer(Bytes::from_static(b"before")),
            Segment::Pages(run(&pages, &content)),
            Segment::Zeros(3),
        ].into_iter().collect();
        let part = list.slice(start, length as u64);
        let expected: Vec<u8> = b"before".iter().chain(&content).chain(&[0; 3]).copied()
            .skip(usize::try_from(start).unwrap()).take(length).collect();
        let packed = PackedList::new(&part, &buffers, &Endless).unwrap();
        let sent: Vec<u8> = packed.iovecs(&[]).iter().flat_map(|slice| slice.to_vec()).collect();
        prop_assert!(sent == expected);
        let mut gathered = vec![0xAA; expected.len()];
        prop_assert_eq!(gather(&part, &mut gathered).unwrap(), expected.len());
        prop_assert!(gathered == expected);
        prop_assert!(packed.into_contiguous(&buffers).unwrap()[..expected.len()] == expected[..]);
    }
}

#[test]
fn whole_pages_are_sent_from_where_they_are() {
    let pages = PagePool::new(PAGE_SIZE, 64);
    let buffers = PagePool::new(1 << 20, 2);
    let content = bytes(32 * PAGE_SIZE + 100);
    let run = run(&pages, &content);
    let places: Vec<_> = run.fragments().map(<[u8]>::as_ptr).collect();
    let list: SegmentList = [Segment::Pages(run)].into_iter().collect();
    let packed = PackedList::new(&list, &buffers, &Endless).unwrap();
    let iovecs = packed.iovecs(&[]);
    assert_eq!(iovecs.len(), 33, "a page each, and the rest");
    for (iovec, place) in iovecs.iter().zip(&places).take(32) {
        assert_eq!(iovec.as_ptr(), *place);
    }
    assert_ne!(iovecs[32].as_ptr(), places[32], "too short for an iovec of its own");
}

#[test]
fn pages_go_back_with_their_last_run() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let run = run(&pool, &bytes(3 * PAGE_SIZE));
    let middle = run.slice(PAGE_SIZE, 10);
    drop(run);
    assert_eq!(pool.statistics().bytes_idle, 2 * PAGE_SIZE as u64, "the slice holds one page");
    assert_eq!(joined(&middle), &bytes(2 * PAGE_SIZE)[PAGE_SIZE..PAGE_SIZE + 10]);
    drop(middle);
    assert_eq!(pool.statistics().bytes_idle, 3 * PAGE_SIZE as u64);
}

#[test]
fn surplus_pages_go_back_at_once() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let run = PageRun::new((0..3).map(|_| pool.take().unwrap()), PAGE_SIZE + 1).unwrap();
    assert_eq!(run.len(), PAGE_SIZE + 1);
    drop(run);
    let statistics = pool.statistics();
    assert_eq!(statistics.bytes_idle, statistics.misses * PAGE_SIZE as u64);
}

#[test]
#[should_panic(expected = "a run longer than its pages")]
fn a_run_is_not_longer_than_its_pages() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let _ = PageRun::new([pool.take().unwrap()], PAGE_SIZE + 1);
}
