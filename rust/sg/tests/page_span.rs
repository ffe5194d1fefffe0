//! Page spans: the requests of I/O through a page cache.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use fusesg_oracle as oracle;
use fusesg_sg::{PAGE_SIZE, PageSize, PageSpan, RequestLimits, TooManyBytes};
use proptest::prelude::*;

const PAGE: u64 = PAGE_SIZE as u64;
const KERNEL: usize = 32;

fn span(offset: u64, length: u64) -> PageSpan {
    PageSpan::new(offset, length).unwrap()
}

fn pages(max_pages: usize) -> RequestLimits {
    RequestLimits::new(max_pages, usize::MAX)
}

fn described(span: PageSpan) -> Vec<(usize, usize)> {
    span.descriptors().map(|page| (page.start(), page.len())).collect()
}

fn requests(mut span: PageSpan, limits: RequestLimits) -> Vec<PageSpan> {
    std::iter::from_fn(|| (!span.is_empty()).then(|| span.split_to(limits))).collect()
}

#[test]
fn larger_pages_cut_a_span_in_other_places() {
    let page = PageSize::new(16384).unwrap();
    let mut rest = span(10_000, 60_000).with_page_size(page);
    assert_eq!(rest.pages(), 0..5);
    let first = rest.split_to(pages(2));
    assert_eq!(described(first), [(10_000, 6384), (0, 16384)]);
    assert_eq!(described(rest), [(0, 16384), (0, 16384), (0, 4464)]);
    let ahead: Vec<_> = rest.readahead(pages(2), |page| page == 4).collect();
    assert_eq!(ahead, [span(32768, 32768).with_page_size(page)]);
}

mod retrieve {
    use super::*;

    #[test]
    fn the_example() {
        let part = span(5000, 10_000).within(12_000).split_to(pages(KERNEL));
        assert_eq!((part.offset() % PAGE, part.len()), (904, 7000));
        assert_eq!(described(part), [(904, 3192), (0, 3808)]);
    }

    #[test]
    fn behind_the_end_of_the_file_there_are_no_pages() {
        // not even the one that an offset within a page suggests
        for offset in [12_000, 12_001, 50_000] {
            let part = span(offset, 10).within(12_000);
            assert!(part.is_empty() && part.pages().is_empty());
            assert_eq!(described(part), []);
        }
    }

    #[test]
    fn no_more_than_the_pages_hold() {
        let part = span(904, 1 << 20).within(u64::MAX).split_to(pages(4));
        assert_eq!((part.len(), described(part).len()), (4 * PAGE - 904, 4));
    }

    #[test]
    fn a_page_that_is_not_cached_ends_the_answer() {
        let all = span(5000, 10_000);
        assert_eq!(all.cached(|page| page < 3), span(5000, 3 * PAGE - 5000));
        assert_eq!(all.cached(|page| page != 1), span(5000, 0));
        assert_eq!(all.cached(|_| true), all);
    }
}

mod perform_write {
    use super::*;

    #[test]
    fn pages_touched() {
        let touched = |offset, length| {
            let whole = span(offset, length).pages().count();
            (whole, span(offset, length).split_to(pages(KERNEL)).pages().count())
        };
        assert_eq!(touched(4095, 2), (2, 2));
        assert_eq!(touched(0, 4096), (1, 1));
        assert_eq!(touched(100, 131_072), (33, 32));
        assert_eq!(touched(100, 8192), (3, 3));
        // nothing to write needs no page, on a page boundary and elsewhere
        assert_eq!(touched(4096, 0), (0, 0));
        assert_eq!(touched(100, 0), (0, 0));
    }

    #[test]
    fn what_the_first_request_leaves_is_the_second() {
        let parts = requests(span(100, 131_072), pages(KERNEL));
        assert_eq!(parts, [span(100, 131_072 - 100), span(131_072, 100)]);
        assert_eq!(described(parts[1]), [(0, 100)]);
    }
}

mod readahead {
    use super::*;

    #[test]
    fn seventy_pages_are_three_requests() {
        let all = span(0, 70 * PAGE);
        let sizes: Vec<_> =
            all.readahead(pages(KERNEL), |_| false).map(|part| part.pages().count()).collect();
        assert_eq!(sizes, [32, 32, 6]);
    }

    #[test]
    fn a_gap_ends_a_request() {
        // the series allocated for all five that remain; what the first carries is known
        let wanted = [0, 1, 2, 7, 8];
        let parts: Vec<_> = span(0, 9 * PAGE)
            .readahead(pages(KERNEL), |page| !wanted.contains(&page))
            .map(PageSpan::pages)
            .collect();
        assert_eq!(parts, [0..3, 7..9]);
    }

    #[test]
    fn no_request_asks_for_more_than_max_read() {
        let limits = RequestLimits::new(KERNEL, 3 * PAGE_SIZE - 1);
        let sizes: Vec<_> =
            span(0, 5 * PAGE).readahead(limits, |_| false).map(|part| part.len() / PAGE).collect();
        assert_eq!(sizes, [2, 2, 1]);
        // a page is the least
        let tiny = RequestLimits::new(KERNEL, 1);
        assert_eq!(span(0, 2 * PAGE).readahead(tiny, |_| false).count(), 2);
    }

    #[test]
    fn pages_are_read_whole() {
        let parts: Vec<_> = span(5000, 10).readahead(pages(KERNEL), |_| false).collect();
        assert_eq!(parts, [span(PAGE, PAGE)]);
        assert_eq!(described(parts[0]), [(0, PAGE_SIZE)]);
    }
}

#[test]
fn no_span_ends_past_the_largest_offset() {
    let last = i64::MAX.unsigned_abs();
    assert_eq!(PageSpan::new(last, 1), Err(TooManyBytes));
    assert_eq!(PageSpan::new(1, u64::MAX), Err(TooManyBytes));
    let end = span(last - 5000, 5000);
    assert_eq!(described(end), [(3191, 905), (0, 4095)]);
    assert_eq!(end.readahead(pages(1), |_| false).count(), 2);
    assert_eq!(span(last, 0).pages().count(), 0);
}

proptest! {
    #[test]
    fn requests_and_descriptors_are_the_oracles(
        offset in 0..20_000_usize,
        length in 0..40_000_usize,
        max_pages in 1..6_usize,
        max_bytes in prop_oneof![500..20_000_usize, Just(usize::MAX)],
    ) {
        let all = span(offset as u64, length as u64);
        prop_assert_eq!(described(all), oracle::page_span::descriptors(offset, length));
        let parts = requests(all, RequestLimits::new(max_pages, max_bytes));
        let parts: Vec<_> = parts
            .into_iter()
            .map(|part| [part.offset(), part.len()].map(|n| usize::try_from(n).unwrap()))
            .map(|[offset, length]| (offset, length))
            .collect();
        let expected = oracle::page_span::requests(offset, length, max_pages, max_bytes);
        prop_assert_eq!(parts, expected);
    }

    #[test]
    fn readahead_is_the_oracles(
        cached in prop::collection::vec(prop::bool::weighted(0.2), 1..80),
        max_pages in 1..20_usize,
        max_bytes in 1..20 * PAGE_SIZE,
    ) {
        let is_cached = |page: u64| cached[usize::try_from(page).unwrap()];
        let wanted: Vec<u64> = (0..cached.len() as u64).filter(|page| !is_cached(*page)).collect();
        let parts: Vec<_> = span(0, cached.len() as u64 * PAGE)
            .readahead(RequestLimits::new(max_pages, max_bytes), is_cached)
            .map(|part| (part.pages().start, part.pages().count()))
            .collect();
        prop_assert_eq!(parts, oracle::page_span::readahead(&wanted, max_pages, max_bytes));
    }
}
