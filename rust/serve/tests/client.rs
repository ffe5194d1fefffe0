//! The in-process client: what it counts, gives back, and does when things go wrong.

mod common;

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{HoldReads, Memory, PATIENCE, eventually, watchdog, zeros};
use fusesg_fs::passthrough::{Passthrough, PassthroughOptions};
use fusesg_fs::{Errno, OperationKind, RenameFlags, Reply};
use fusesg_serve::{Client, ClientConfig, Dispatch, Native};
use fusesg_sg::{NotMoved, PAGE_SIZE, Packing, PagePool, PageRun, Segment, SegmentList};

fn config() -> ClientConfig {
    ClientConfig { uid: 0, gid: 0, ..ClientConfig::default() }
}

fn client(dispatch: Arc<dyn Dispatch>, config: ClientConfig) -> Client {
    watchdog();
    Client::new(dispatch, config, None).expect("init succeeds")
}

fn memory(config: ClientConfig) -> (Client, Arc<Memory>) {
    let data: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
    let memory = Arc::new(Memory::new().with("file", &data));
    (client(Arc::new(Native::new(Arc::clone(&memory))), config), memory)
}

fn path(path: &str) -> &OsStr {
    OsStr::new(path)
}

fn count(client: &Client, kind: OperationKind) -> u64 {
    let statistics = client.statistics();
    statistics.served.operations.iter().find(|one| one.kind == kind).map_or(0, |one| one.count)
}

/// 32 segments of 4 KiB, each at the start of a page.
fn read_32_pages(client: &Client, file: i32) -> (u64, u64, u64) {
    let mut memory = vec![0_u8; 33 * 4096];
    let skip = memory.as_ptr().align_offset(4096);
    let before = client.statistics().requests;
    let reads = count(client, OperationKind::Read);
    let segments = memory[skip..skip + 32 * 4096].chunks_mut(4096);
    assert_eq!(client.preadv(file, segments, 0), Ok(32 * 4096));
    let expected: Vec<u8> = (0..32 * 4096).map(|i: u32| (i % 251) as u8).collect();
    assert!(memory[skip..skip + 32 * 4096] == expected);
    let after = client.statistics().requests;
    (
        count(client, OperationKind::Read) - reads,
        after.pages_requested - before.pages_requested,
        after.pages_used - before.pages_used,
    )
}

#[test]
fn thirty_two_segments_are_one_request_with_as_many_pages() {
    let (client, _memory) = memory(config());
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    assert_eq!(read_32_pages(&client, file), (1, 32, 32));
}

#[test]
fn without_packing_each_segment_is_a_request() {
    let (client, _memory) = memory(ClientConfig { packing: Packing::Segment, ..config() });
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    assert_eq!(read_32_pages(&client, file), (32, 32, 32));
}

#[test]
fn requests_of_one_io_may_be_at_work_at_the_same_time() {
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", &[1; 4 * 4096]));
    let config = ClientConfig { asynchronous: true, max_read: 4096, ..config() };
    let client = client(dispatch, config);
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut memory = vec![1_u8; 4 * 4096];
            client.preadv(file, [&mut *memory], 0).map(|read| (read, memory))
        });
        // all four are there before the first is answered; the second one ends early
        let mut reads: Vec<_> = (0..4).map(|_| held.next().1).collect();
        reads.sort_by_key(|responder| responder.unique().0);
        while let Some(responder) = reads.pop() {
            let length = if reads.len() == 1 { 1000 } else { 4096 };
            let _ = responder.answer(Ok(Reply::Data(zeros(length))));
        }
        let (read, memory) = reader.join().expect("no panic").expect("it is read");
        // which of the four was second in the file is not told by the order of arrival
        assert!([1000, 4096 + 1000, 2 * 4096 + 1000, 3 * 4096 + 1000].contains(&read), "{read}");
        assert!(memory[..usize::try_from(read).expect("small")].iter().all(|byte| *byte == 0));
    });
    assert_eq!(client.statistics().completions.parts, 4);
    assert_eq!(client.statistics().completions.ios, 1);
}

#[test]
fn requests_beyond_the_slots_wait_for_their_own_io() {
    let config = ClientConfig { asynchronous: true, max_read: 4096, max_requests: 1, ..config() };
    let (client, _memory) = memory(config);
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    let mut memory = vec![0_u8; 64 * 4096];
    assert_eq!(client.preadv(file, [&mut *memory], 0), Ok(64 * 4096));
    assert_eq!(client.pread(file, 1 << 20, 0).map(|read| read.len()), Ok(1 << 20));
    assert_eq!(client.statistics().requests.outstanding, 0);
}

#[test]
fn closing_needs_no_slot() {
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b""));
    let client = client(dispatch, ClientConfig { max_requests: 1, ..config() });
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    thread::scope(|scope| {
        let one = scope.spawn(|| client.pread(file, 10, 0).map(|read| read.len()));
        let (_, responder) = held.next();
        let other = scope.spawn(|| client.pread(file, 10, 0).map(|read| read.len()));
        eventually("a second read that waits", || client.statistics().requests.waits > 0);
        let before = client.statistics().requests.reserved_uses;
        // both reads are stuck; FLUSH gets through
        let second = client.statistics().open_files;
        assert_eq!((second, client.close_file(file)), (1, Ok(())));
        assert!(client.statistics().requests.reserved_uses > before);
        let _ = responder.answer(Ok(Reply::Data(zeros(3))));
        let _ = held.next().1.answer(Ok(Reply::Data(zeros(4))));
        assert_eq!(one.join().expect("no panic"), Ok(3));
        assert_eq!(other.join().expect("no panic"), Ok(4));
    });
    assert_eq!(client.statistics().requests.outstanding, 0);
}

#[test]
fn every_lookup_is_given_back() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir_all(directory.path().join("a/b")).expect("made");
    std::fs::write(directory.path().join("a/b/file"), b"text").expect("written");
    std::os::unix::fs::symlink("a/b", directory.path().join("link")).expect("linked");
    let passthrough = Passthrough::open(directory.path(), PassthroughOptions::default());
    let native = Native::new(Arc::new(passthrough.expect("opened")));
    let client = client(Arc::new(native), config());
    assert_eq!(client.attributes(path("/link/../b/file"), true).map(|found| found.size), Ok(4));
    assert_eq!(client.attributes(path("a/b/nothing"), true), Err(Errno::ENOENT));
    assert_eq!(client.attributes(path("a/b/file/x"), true), Err(Errno::ENOTDIR));
    assert_eq!(client.list(path("a/b")).map(|entries| entries.len()), Ok(1));
    client.rename(path("a/b/file"), path("moved"), RenameFlags::empty()).expect("renamed");
    let file = client.open(path("moved"), libc::O_RDONLY, 0).expect("it is there");
    assert_eq!(client.statistics().lookups, 1, "of the open file");
    client.close_file(file).expect("closed");
    assert_eq!(client.statistics().lookups, 0);
    let statistics = client.statistics();
    assert_eq!((statistics.requests.outstanding, statistics.served.in_flight), (0, 0));
    assert_eq!(statistics.pages.bytes_resident, statistics.pages.bytes_idle);
}

#[test]
fn a_deadline_ends_the_wait() {
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b""));
    let timeout = Some(Duration::from_millis(1));
    let client = client(dispatch, ClientConfig { request_timeout: timeout, ..config() });
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    assert_eq!(client.pread(file, 10, 0).map(drop), Err(Errno::ETIMEDOUT));
    let (_, late) = held.next();
    let _ = late.answer(Ok(Reply::Data(zeros(1))));
    held.cancelled.recv_timeout(PATIENCE).expect("the file system is told");
    assert_eq!(client.statistics().served.timed_out, 1);
}

#[test]
fn closing_the_client_ends_what_is_under_way() {
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b""));
    let grace = Duration::from_millis(1);
    let destroyed = Arc::clone(dispatch.native.file_system());
    let client = client(dispatch, ClientConfig { close_grace: grace, ..config() });
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    thread::scope(|scope| {
        let reader = scope.spawn(|| client.pread(file, 10, 0).map(drop));
        let (_, responder) = held.next();
        client.close();
        assert_eq!(reader.join().expect("no panic"), Err(Errno::ECONNABORTED));
        drop(responder);
    });
    assert_eq!(client.attributes(path("file"), true), Err(Errno::ENOTCONN));
    assert_eq!(destroyed.destroyed.load(Ordering::SeqCst), 1);
    assert_eq!(destroyed.released.load(Ordering::SeqCst), 1, "the open file");
    client.close();
    assert_eq!(destroyed.destroyed.load(Ordering::SeqCst), 1);
}

#[test]
fn a_callback_may_use_its_own_client() {
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b"").with("other", b"12345"));
    let weak = Arc::downgrade(&dispatch);
    let client = Arc::new(client(dispatch, config()));
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    let nested = Arc::clone(&client);
    let looked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&looked);
    weak.upgrade().expect("the client has it").on_read(move || {
        let size = nested.attributes(path("other"), true).map(|found| found.size);
        seen.store(size == Ok(5), Ordering::SeqCst);
    });
    thread::scope(|scope| {
        let reader = scope.spawn(|| client.pread(file, 10, 0).map(|read| read.len()));
        let _ = held.next().1.answer(Ok(Reply::Data(zeros(7))));
        assert_eq!(reader.join().expect("no panic"), Ok(7));
    });
    assert!(looked.load(Ordering::SeqCst));
}

#[test]
fn answers_that_are_wrong_are_errors_and_leave_nothing() {
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b""));
    let client = client(dispatch, config());
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    thread::scope(|scope| {
        let reader = scope.spawn(|| client.pread(file, 10, 0).map(drop));
        let _ = held.next().1.answer(Ok(Reply::Data(zeros(11))));
        assert_eq!(reader.join().expect("no panic"), Err(Errno::EIO));
        let reader = scope.spawn(|| client.pread(file, 10, 0).map(drop));
        drop(held.next().1);
        assert_eq!(reader.join().expect("no panic"), Err(Errno::EIO));
    });
    assert!(common::logged("11 bytes, 10 were asked for"));
    assert!(common::logged("was never answered"));
    let statistics = client.statistics();
    assert_eq!((statistics.requests.outstanding, statistics.served.in_flight), (0, 0));
    assert_eq!(statistics.pages.bytes_resident, statistics.pages.bytes_idle);
}

#[test]
fn descriptors_positions_and_lengths_are_checked() {
    let (client, _memory) = memory(config());
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    let root = client.open(path("/"), libc::O_RDONLY, 0).expect("the root opens");
    assert_eq!(client.pread(file + 5, 1, 0).map(drop), Err(Errno::EBADF));
    assert_eq!(client.pwrite(file, b"x", 0), Err(Errno::EBADF));
    assert_eq!(client.pread(root, 1, 0).map(drop), Err(Errno::EISDIR));
    assert_eq!(client.pread(file, 2, i64::MAX as u64).map(drop), Err(Errno::EINVAL));
    assert_eq!(client.pread(file, 2, u64::MAX).map(drop), Err(Errno::EINVAL));
    let mut two = [0; 2];
    assert_eq!(client.preadv(file, [&mut two[..]], i64::MAX as u64), Err(Errno::EINVAL));
    assert_eq!(client.preadv(file, [], 0), Ok(0));
    assert_eq!(client.preadv(file, [&mut two[..0]], 0), Ok(0));
    assert_eq!(client.pread(file, 0, 0).map(|read| read.len()), Ok(0));
    let many = vec![&b""[..]; 1025];
    let written = client.open(path("file"), libc::O_WRONLY, 0).expect("it is there");
    assert_eq!(client.pwritev(written, many, 0), Err(Errno::EINVAL));
    assert_eq!(client.seek(file, -1, libc::SEEK_SET), Err(Errno::EINVAL));
    assert_eq!(client.seek(file, -1, libc::SEEK_END), Ok((1 << 20) - 1));
    assert_eq!(client.seek(file, 0, libc::SEEK_HOLE), Ok(1 << 20), "all is data");
    assert_eq!(client.open(path("file/"), libc::O_RDONLY, 0), Err(Errno::ENOTDIR));
    assert_eq!(client.open(path("file"), libc::O_DIRECTORY, 0), Err(Errno::ENOTDIR));
    assert_eq!(client.open(path("/"), libc::O_WRONLY, 0), Err(Errno::EISDIR));
    assert_eq!(client.open(path("file"), libc::O_CREAT | libc::O_EXCL, 0), Err(Errno::EEXIST));
    assert_eq!(client.open(path(""), libc::O_RDONLY, 0), Err(Errno::ENOENT));
    assert_eq!(client.make_directory(path("d"), 0o755), Err(Errno::EPERM), "it has no mkdir");
}

#[test]
fn a_thousand_small_reads_take_one_page() {
    let (client, _memory) = memory(config());
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    for block in 0..1000 {
        assert_eq!(client.pread(file, 4096, block % 256 * 4096).map(|read| read.len()), Ok(4096));
    }
    let statistics = client.statistics();
    assert!(statistics.pages.hits >= 990, "{:?}", statistics.pages);
    assert_eq!(statistics.requests.pages_requested, statistics.requests.pages_used);
    assert_eq!(statistics.requests.heap, 0, "one page is part of the request");
}

#[test]
fn an_idle_client_gives_pages_back() {
    let (client, _memory) = memory(config());
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    assert_eq!(client.pread(file, 1 << 20, 0).map(|read| read.len()), Ok(1 << 20));
    let pages = client.statistics().pages;
    assert_eq!(pages.bytes_resident, 1 << 20);
    assert!(pages.bytes_low_water < 1 << 20);
    eventually("pages that are given back", || {
        let pages = client.statistics().pages;
        pages.bytes_resident == pages.bytes_low_water
    });
}

/// Pages of a pool, each with its number all over.
fn numbered_pages(pool: &Arc<PagePool>, count: u8) -> SegmentList {
    let mut pages = pool.take_many(count.into()).expect("memory");
    for (page, number) in pages.iter_mut().zip(1..) {
        page.fill(number);
    }
    let run = PageRun::new(pages, usize::from(count) * PAGE_SIZE).expect("memory");
    [Segment::Pages(run)].into_iter().collect()
}

#[test]
fn pages_that_nobody_else_has_change_hands() {
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b""));
    let client = client(dispatch, config());
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    let pool = PagePool::new(PAGE_SIZE, 16);
    let expected: Vec<u8> = (1..=4).flat_map(|number| [number; PAGE_SIZE]).collect();
    thread::scope(|scope| {
        let reader = scope.spawn(|| client.pread(file, 1 << 16, 0).map(|read| read.to_vec()));
        let _ = held.next().1.answer(Ok(Reply::Data(numbered_pages(&pool, 4))));
        assert_eq!(reader.join().expect("no panic").as_ref(), Ok(&expected));
        assert_eq!(client.statistics().copies.moved_pages, 4);

        // somebody else has them, too
        let kept = numbered_pages(&pool, 4);
        let reader = scope.spawn(|| client.pread(file, 1 << 16, 0).map(|read| read.to_vec()));
        let _ = held.next().1.answer(Ok(Reply::Data(kept.clone())));
        assert_eq!(reader.join().expect("no panic").as_ref(), Ok(&expected));
        let copies = client.statistics().copies;
        assert_eq!((copies.moved_pages, copies.copied_bytes), (4, 4 * PAGE_SIZE as u64));
        assert_eq!(copies.not_moved.get(NotMoved::Shared), 4);

        // the caller's memory stays where it is
        let reader = scope.spawn(|| {
            let mut memory = vec![0_u8; 4 * PAGE_SIZE];
            client.preadv(file, [&mut *memory], 0).map(|read| (read, memory))
        });
        let _ = held.next().1.answer(Ok(Reply::Data(numbered_pages(&pool, 4))));
        let (read, memory) = reader.join().expect("no panic").expect("it is read");
        assert_eq!((read, memory), (4 * PAGE_SIZE as u64, expected));
        assert_eq!(client.statistics().copies.moved_pages, 4);
    });
    // what was exchanged went to the other's pool: none was made and none is lost
    let (ours, theirs) = (client.statistics().pages, pool.statistics());
    assert_eq!(ours.bytes_resident, ours.bytes_idle);
    assert_eq!(theirs.bytes_resident, theirs.bytes_idle);
}

#[test]
fn a_caller_that_gives_up_leaves_nothing() {
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b""));
    let timeout = Some(Duration::from_millis(1));
    let client = client(dispatch, ClientConfig { request_timeout: timeout, ..config() });
    let file = client.open(path("file"), libc::O_RDONLY, 0).expect("it is there");
    for _ in 0..3 {
        assert_eq!(client.pread(file, 10, 0).map(drop), Err(Errno::ETIMEDOUT));
        let _ = held.next().1.answer(Ok(Reply::Data(zeros(10))));
    }
    let statistics = client.statistics();
    assert_eq!((statistics.requests.outstanding, statistics.served.in_flight), (0, 0));
    assert_eq!(statistics.pages.bytes_resident, statistics.pages.bytes_idle);
}
