//! The iovec packer and direct I/O: worked examples, traps, and the oracle.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::io;
use std::ops::Range;

use fusesg_oracle as oracle;
use fusesg_sg::{
    DirectIo, IovecCursor, PAGE_SIZE, Packing, PageSize, PageVector, Request, RequestAllocator,
    RequestLimits, TooManyBytes, UserMemory,
};
use proptest::prelude::*;

/// Memory that need not be there: the examples' addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory(usize, usize);

impl UserMemory for Memory {
    fn address(&self) -> usize {
        self.0
    }

    fn len(&self) -> usize {
        self.1
    }

    fn split_to(&mut self, length: usize) -> Self {
        let taken = Self(self.0, length);
        *self = Self(self.0.wrapping_add(length), self.1 - length);
        taken
    }
}

fn cursor(segments: &[(usize, usize)]) -> IovecCursor<Memory> {
    IovecCursor::new(segments.iter().map(|(address, length)| Memory(*address, *length))).unwrap()
}

fn described(vector: &PageVector<Memory>) -> Vec<(usize, usize)> {
    vector.descriptors().iter().map(|page| (page.start(), page.len())).collect()
}

/// A packed request, in the oracle's words.
fn packed(vector: &PageVector<Memory>) -> oracle::iovec::Request {
    oracle::iovec::Request {
        fragments: vector.pages().iter().map(|memory| (memory.0, memory.1)).collect(),
        descriptors: described(vector),
        bytes: vector.bytes(),
    }
}

/// Counts, allocates and packs once; returns {offset, length} of each page.
fn pack(cursor: &mut IovecCursor<Memory>, want: usize, max_pages: usize) -> Vec<(usize, usize)> {
    let mut vector = PageVector::new(cursor.count_pages(want, max_pages)).unwrap();
    let bytes = cursor.pack(want, &mut vector);
    assert_eq!(bytes, vector.bytes());
    assert_eq!(vector.room(), 0, "a page was allocated in vain");
    described(&vector)
}

const ALL: usize = usize::MAX;

mod worked_examples {
    use super::*;

    #[test]
    fn thirty_two_aligned_pages_are_one_request() {
        let segments: Vec<_> = (0..32).map(|n| (0x10_0000 + n * 0x3000, 4096)).collect();
        let mut cursor = cursor(&segments);
        assert_eq!(cursor.count_pages(ALL, 32), 32);
        assert_eq!(pack(&mut cursor, ALL, 32), [(0, 4096); 32]);
        assert_eq!(cursor.remaining(), 0);
    }

    const UNALIGNED: [(usize, usize); 3] = [(0x1F00, 0x300), (0x5000, 0x1800), (0x9FFF, 2)];

    #[test]
    fn unaligned_segments_are_split_at_pages() {
        let mut cursor = cursor(&UNALIGNED);
        assert_eq!(cursor.count_pages(ALL, 32), 6);
        let expected = [(0xF00, 0x100), (0, 0x200), (0, 0x1000), (0, 0x800), (0xFFF, 1), (0, 1)];
        assert_eq!(pack(&mut cursor, ALL, 32), expected);
        assert_eq!(expected.iter().map(|page| page.1).sum::<usize>(), 6914);
    }

    #[test]
    fn larger_pages_are_fewer() {
        let page = PageSize::new(0x4000).expect("a page size");
        let mut cursor = cursor(&UNALIGNED).with_page_size(page);
        // 9FFF and A000 are in one page of 16 KiB, as are 1F00 to 2200 and 5000 to 6800
        assert_eq!(cursor.count_pages(ALL, 32), 3);
        let expected = [(0x1F00, 0x300), (0x1000, 0x1800), (0x1FFF, 2)];
        assert_eq!(pack(&mut cursor, ALL, 32), expected);
    }

    #[test]
    fn only_page_sizes_of_kernels_are_page_sizes() {
        for bytes in [0, 1, 2048, 4095, 4097, 12288, 131_072, usize::MAX] {
            assert!(PageSize::new(bytes).is_none());
        }
        for bytes in [4096, 8192, 16384, 32768, 65536] {
            assert_eq!(PageSize::new(bytes).map(PageSize::bytes), Some(bytes));
        }
    }

    #[test]
    fn a_page_too_many_is_left_to_the_next_request() {
        let mut cursor = cursor(&UNALIGNED);
        let first = pack(&mut cursor, ALL, 5);
        assert_eq!(first.last(), Some(&(0xFFF, 1)));
        assert_eq!(first.iter().map(|page| page.1).sum::<usize>(), 6913);
        assert_eq!(cursor.remaining(), 1);
        assert_eq!(pack(&mut cursor, ALL, 5), [(0, 1)]);
    }

    #[test]
    fn an_unaligned_mebibyte_costs_a_second_request() {
        let mut cursor = cursor(&[(0x1010, 1 << 20)]);
        assert_eq!(cursor.count_pages(ALL, 1000), 257);
        let first = pack(&mut cursor, ALL, 256);
        assert_eq!(first.iter().map(|page| page.1).sum::<usize>(), 1_048_560);
        assert_eq!(pack(&mut cursor, ALL, 256), [(0, 16)]);
    }

    #[test]
    fn an_empty_aligned_segment_takes_no_place() {
        let mut cursor = cursor(&[(0x1000, 0), (0x3000, 100)]);
        assert_eq!(cursor.count_pages(ALL, 32), 1);
        assert_eq!(pack(&mut cursor, ALL, 1), [(0, 100)]);
    }

    #[test]
    fn the_current_segment_and_the_rest_are_counted_apart() {
        // what iov_iter_single_seg_count() tells
        let mut cursor = cursor(&[(0x1000, 5000), (0x8000, 100)]);
        assert_eq!((cursor.segment_remaining(), cursor.remaining()), (5000, 5100));
        pack(&mut cursor, 4999, 32);
        assert_eq!((cursor.segment_remaining(), cursor.remaining()), (1, 101));
        pack(&mut cursor, 1, 32);
        assert_eq!((cursor.segment_remaining(), cursor.remaining()), (100, 100));
        pack(&mut cursor, ALL, 32);
        assert_eq!((cursor.segment_remaining(), cursor.remaining()), (0, 0));
    }

    #[test]
    fn the_count_stops_at_the_cap() {
        let segments: Vec<_> = (0..100).map(|n| (n * PAGE_SIZE, 1)).collect();
        assert_eq!(cursor(&segments).count_pages(ALL, 32), 32);
        assert_eq!(cursor(&segments).count_pages(ALL, 1000), 100);
        // and at what max_read leaves of them
        assert_eq!(cursor(&segments).count_pages(7, 32), 7);
    }
}

mod limits {
    use super::*;

    #[test]
    fn no_segments_no_pages() {
        for segments in [&[][..], &[(0x1000, 0), (0x1234, 0)]] {
            let mut cursor = cursor(segments);
            assert_eq!((cursor.remaining(), cursor.segment_remaining()), (0, 0));
            assert_eq!(cursor.count_pages(ALL, 32), 0);
            assert_eq!(cursor.pack(ALL, &mut PageVector::new(4).unwrap()), 0);
        }
    }

    #[test]
    fn no_room_or_nothing_wanted_takes_nothing() {
        let mut cursor = cursor(&[(0x1001, 10)]);
        assert_eq!(cursor.pack(ALL, &mut PageVector::new(0).unwrap()), 0);
        assert_eq!(cursor.pack(0, &mut PageVector::new(4).unwrap()), 0);
        assert_eq!((cursor.count_pages(0, 32), cursor.count_pages(ALL, 0)), (0, 0));
        assert_eq!(cursor.remaining(), 10);
    }

    #[test]
    fn a_used_vector_gets_only_what_it_has_room_for() {
        let mut cursor = cursor(&[(0x1000, 3 * PAGE_SIZE)]);
        let mut vector = PageVector::new(2).unwrap();
        assert_eq!(cursor.pack(10, &mut vector), 10);
        assert_eq!(cursor.pack(ALL, &mut vector), PAGE_SIZE - 10);
        assert_eq!(described(&vector), [(0, 10), (10, PAGE_SIZE - 10)]);
    }

    #[test]
    fn lengths_that_no_memory_has_are_refused() {
        let refused = |segments: &[Memory]| IovecCursor::new(segments.iter().copied()).err();
        let half = usize::MAX / 2;
        assert_eq!(refused(&[Memory(0, usize::MAX)]), Some(TooManyBytes));
        assert_eq!(refused(&[Memory(0, half), Memory(0, 1)]), Some(TooManyBytes));
        assert_eq!(refused(&[Memory(0, half), Memory(0, half), Memory(0, 3)]), Some(TooManyBytes));
        assert_eq!(io::Error::from(TooManyBytes).raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn the_longest_memory_at_the_highest_address_is_counted() {
        let mut cursor = cursor(&[(usize::MAX, usize::MAX / 2)]);
        assert_eq!(cursor.count_pages(ALL, ALL), 1 + (usize::MAX / 2 - 1).div_ceil(PAGE_SIZE));
        assert_eq!(pack(&mut cursor, ALL, 2), [(4095, 1), (0, 4096)]);
    }
}

mod transfers {
    use super::*;

    fn io(segments: &[(usize, usize)], limits: RequestLimits) -> DirectIo<Memory> {
        DirectIo::new(cursor(segments), 1000, limits, Packing::Request).unwrap()
    }

    fn vector(pages: usize) -> io::Result<PageVector<Memory>> {
        Ok(PageVector::new(pages)?)
    }

    #[expect(clippy::unnecessary_wraps, reason = "what a transfer sends with")]
    fn whole(_: PageVector<Memory>, range: Range<u64>) -> io::Result<u64> {
        Ok(range.end - range.start)
    }

    const FOUR_PAGES: [(usize, usize); 1] = [(0x1000, 4 * PAGE_SIZE)];

    #[test]
    fn requests_follow_each_other_in_the_file() {
        let mut ranges = Vec::new();
        let limits = RequestLimits::new(32, 10_000);
        let total = io(&FOUR_PAGES, limits).transfer(vector, |pages, range| {
            ranges.push((range.clone(), pages.max_pages()));
            whole(pages, range)
        });
        assert_eq!(total.unwrap(), 16_384);
        // the second request begins in the middle of a page and is allocated for what is left
        assert_eq!(ranges, [(1000..11_000, 3), (11_000..17_384, 2)]);
    }

    #[test]
    fn a_short_transfer_is_the_last() {
        let mut calls = 0;
        let limits = RequestLimits::new(1, ALL);
        let total = io(&FOUR_PAGES, limits).transfer(vector, |_, _| {
            calls += 1;
            Ok(if calls < 2 { 4096 } else { 4095 })
        });
        assert_eq!((total.unwrap(), calls), (8191, 2));
    }

    #[test]
    fn nothing_transferred_is_the_end_of_the_file() {
        let limits = RequestLimits::new(1, ALL);
        assert_eq!(io(&FOUR_PAGES, limits).transfer(vector, |_, _| Ok(0)).unwrap(), 0);
    }

    #[test]
    fn bytes_win_over_a_later_error() {
        let limits = RequestLimits::new(1, ALL);
        let total = io(&FOUR_PAGES, limits).transfer(vector, |pages, range| {
            if range.start > 5096 {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            whole(pages, range)
        });
        assert_eq!(total.unwrap(), 8192);
    }

    #[test]
    fn the_first_error_is_told_if_there_are_no_bytes() {
        let limits = RequestLimits::new(1, ALL);
        let failed = io(&FOUR_PAGES, limits)
            .transfer(vector, |_, _| Err(io::Error::from_raw_os_error(libc::ENOSPC)));
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    }

    #[test]
    fn pages_that_cannot_be_had_lose_no_bytes_before_them() {
        let limits = RequestLimits::new(1, ALL);
        let out_of_memory = |allowed: u32| {
            let mut allocated = 0;
            io(&FOUR_PAGES, limits).transfer(
                |pages| {
                    allocated += 1;
                    if allocated > allowed {
                        return Err(io::Error::from_raw_os_error(libc::ENOMEM));
                    }
                    vector(pages)
                },
                whole,
            )
        };
        assert_eq!(out_of_memory(3).unwrap(), 3 * 4096);
        assert_eq!(out_of_memory(0).unwrap_err().raw_os_error(), Some(libc::ENOMEM));
    }

    #[test]
    fn a_request_without_room_ends_the_transfer() {
        let limits = RequestLimits::new(1, ALL);
        let failed = io(&FOUR_PAGES, limits).transfer(|_| vector(0), whole);
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::ENOMEM));
    }

    #[test]
    fn more_than_asked_for_is_an_error() {
        let limits = RequestLimits::new(1, ALL);
        let failed = io(&FOUR_PAGES, limits).transfer(vector, |_, _| Ok(4097));
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn limits_of_nothing_are_limits_of_one() {
        let limits = RequestLimits::new(0, 0);
        let mut requests = 0;
        let total = io(&[(0x1FFF, 3)], limits).transfer(vector, |pages, range| {
            requests += 1;
            whole(pages, range)
        });
        assert_eq!((total.unwrap(), requests), (3, 3));
    }

    #[test]
    fn no_transfer_ends_past_the_largest_offset() {
        let last = i64::MAX.unsigned_abs();
        let begin = |offset| {
            let limits = RequestLimits::new(1, ALL);
            DirectIo::new(cursor(&[(0x1000, 10)]), offset, limits, Packing::Request).err()
        };
        assert_eq!(begin(last - 10), None);
        assert_eq!(begin(last - 9), Some(TooManyBytes));
        assert_eq!(begin(u64::MAX), Some(TooManyBytes));
    }

    #[test]
    fn segments_one_by_one_are_as_many_requests() {
        let segments: Vec<_> = (0..32).map(|n| (0x10_0000 + n * 0x3000, 4096)).collect();
        let limits = RequestLimits::new(32, 128 * 1024);
        for (packing, expected) in [(Packing::Segment, 32), (Packing::Request, 1)] {
            let allocator = RequestAllocator::new(1);
            let io = DirectIo::new(cursor(&segments), 0, limits, packing).unwrap();
            let total = io.transfer(
                |pages| Ok(allocator.allocate(pages)?),
                |request: Request<Memory>, range| {
                    assert_eq!(request.pages.bytes() as u64, range.end - range.start);
                    Ok(range.end - range.start)
                },
            );
            assert_eq!(total.unwrap(), 131_072);
            // either way a page is allocated for each that is needed
            let counted = allocator.statistics();
            assert_eq!((counted.allocated, counted.outstanding), (expected, 0));
            assert_eq!((counted.pages_requested, counted.pages_used), (32, 32));
            assert_eq!(counted.inline, if packing == Packing::Segment { 32 } else { 0 });
        }
    }
}

/// Addresses near page boundaries, lengths that are often empty, small or whole pages.
fn any_segment() -> impl Strategy<Value = (usize, usize)> {
    let near = || prop_oneof![Just(0_usize), 1..20_usize, 4076..4096_usize, 0..4096_usize];
    let pages = || prop_oneof![3 => 0..2_usize, 1 => 0..5_usize];
    (pages(), near(), pages(), near()).prop_map(|(page, offset, pages, bytes)| {
        let length = if bytes % 5 == 0 { 0 } else { pages * PAGE_SIZE + bytes };
        ((page + 1) * PAGE_SIZE + offset, length)
    })
}

fn any_limit() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1_usize), 1..10_usize, 4000..20_000_usize, Just(ALL)]
}

proptest! {
    #[test]
    fn packing_is_what_the_oracle_says(
        segments in prop::collection::vec(any_segment(), 0..12),
        wants in prop::collection::vec((any_limit(), 1..9_usize), 1..40),
    ) {
        let mut cursor = cursor(&segments);
        let total: usize = segments.iter().map(|segment| segment.1).sum();
        let mut done = 0;
        for (want, max_pages) in wants {
            prop_assert_eq!(cursor.remaining(), total - done);
            let expected = oracle::iovec::pack(&segments, done, want, max_pages);
            prop_assert_eq!(cursor.count_pages(want, max_pages), expected.fragments.len());
            let mut vector = PageVector::new(max_pages).unwrap();
            prop_assert_eq!(cursor.pack(want, &mut vector), expected.bytes);
            prop_assert_eq!(packed(&vector), expected.clone());
            done += expected.bytes;
        }
    }

    #[test]
    fn a_transfer_sends_the_requests_of_the_oracle(
        segments in prop::collection::vec(any_segment(), 0..12),
        max_pages in 1..9_usize,
        max_bytes in 500..20_000_usize,
        packing in prop_oneof![Just(Packing::Segment), Just(Packing::Request)],
        outcomes in prop::collection::vec(
            prop_oneof![8 => Just(Ok(ALL)), 1 => (0..5000_usize).prop_map(Ok), 1 => Just(Err(5))],
            1..12,
        ),
    ) {
        let expected = oracle::direct_io::requests(
            &segments, max_pages, max_bytes, packing == Packing::Segment,
        );
        let limits = RequestLimits::new(max_pages, max_bytes);
        let io = DirectIo::new(cursor(&segments), 77, limits, packing).unwrap();
        let mut requests = Vec::new();
        let mut ends = 77;
        let result = io.transfer(
            |pages| Ok(PageVector::new(pages)?),
            |vector: PageVector<Memory>, range| {
                assert_eq!((range.start, vector.room()), (ends, 0));
                ends = range.end;
                requests.push(packed(&vector));
                match outcomes[(requests.len() - 1).min(outcomes.len() - 1)] {
                    Ok(bytes) => Ok((range.end - range.start).min(bytes as u64)),
                    Err(code) => Err(io::Error::from_raw_os_error(code)),
                }
            },
        );
        prop_assert_eq!(&requests[..], &expected[..requests.len()]);
        let wanted = oracle::direct_io::result(&expected, &outcomes);
        let result = result.map_err(|error| error.raw_os_error().unwrap());
        prop_assert_eq!(result.map(|bytes| usize::try_from(bytes).unwrap()), wanted);
    }

    #[test]
    fn bytes_land_where_an_ordinary_readv_puts_them(
        lengths in prop::collection::vec((0..9000_usize, 0..3000_usize), 0..8),
        max_pages in 1..9_usize,
        max_bytes in 500..20_000_usize,
        file_size in 0..40_000_usize,
    ) {
        let file: Vec<u8> = (0..file_size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        // buffers with gaps between them, in one piece of memory
        let mut memory = vec![0xEE_u8; lengths.iter().map(|(length, gap)| length + gap).sum()];
        let mut expected = memory.clone();
        let mut rest = expected.as_mut_slice();
        let mut left = file.as_slice();
        for (length, gap) in &lengths {
            let segment = rest.split_off_mut(..*length).unwrap();
            let there = left.split_to((*length).min(left.len()));
            segment[..there.len()].copy_from_slice(there);
            rest.split_off_mut(..*gap).unwrap();
        }
        let mut segments = Vec::new();
        let mut rest = memory.as_mut_slice();
        for (length, gap) in &lengths {
            segments.push(rest.split_off_mut(..*length).unwrap());
            rest.split_off_mut(..*gap).unwrap();
        }

        let limits = RequestLimits::new(max_pages, max_bytes);
        let cursor = IovecCursor::new(segments).unwrap();
        let total = DirectIo::new(cursor, 0, limits, Packing::Request).unwrap().transfer(
            |pages| Ok(PageVector::new(pages)?),
            |mut vector: PageVector<&mut [u8]>, range| {
                let mut answer = &file[usize::try_from(range.start).unwrap().min(file_size)..];
                let mut bytes = 0;
                for (page, descriptor) in vector.iter_mut() {
                    assert_eq!(page.len(), descriptor.len());
                    assert_eq!(page.as_ptr().addr() % PAGE_SIZE, descriptor.start());
                    let there = answer.split_to(page.len().min(answer.len()));
                    page[..there.len()].copy_from_slice(there);
                    bytes += there.len() as u64;
                }
                Ok(bytes)
            },
        );
        let asked: usize = lengths.iter().map(|(length, _)| length).sum();
        prop_assert_eq!(total.unwrap(), asked.min(file_size) as u64);
        prop_assert!(memory == expected);
    }
}
