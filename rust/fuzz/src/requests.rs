//! Requests of the in-process client: iovecs and page spans.

use std::io;

use arbitrary::Arbitrary;
use fusesg_oracle as oracle;
use fusesg_sg::{DirectIo, IovecCursor, Packing, PageSpan, PageVector, RequestLimits, UserMemory};

use crate::decode;

/// Memory that need not be there.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    address: usize,
    length: usize,
}

impl UserMemory for Memory {
    fn address(&self) -> usize {
        self.address
    }

    fn len(&self) -> usize {
        self.length
    }

    fn split_to(&mut self, length: usize) -> Self {
        let taken = Self { length, ..*self };
        self.address += length;
        self.length -= length;
        taken
    }
}

/// Addresses and lengths of a few pages at most: the oracle goes byte by byte.
type Segments = Vec<(u16, u16)>;

fn sizes(segments: &Segments) -> Vec<(usize, usize)> {
    let few = segments.iter().take(12);
    few.map(|(address, length)| (usize::from(*address), usize::from(*length) % 9_000)).collect()
}

fn cursor(segments: &[(usize, usize)]) -> IovecCursor<Memory> {
    let memory =
        segments.iter().map(|(address, length)| Memory { address: *address, length: *length });
    IovecCursor::new(memory).expect("a few pages")
}

fn packed(vector: &PageVector<Memory>) -> oracle::iovec::Request {
    oracle::iovec::Request {
        fragments: vector.pages().iter().map(|page| (page.address, page.length)).collect(),
        descriptors: described(vector.descriptors().iter().copied()),
        bytes: vector.bytes(),
    }
}

fn described(descriptors: impl Iterator<Item = fusesg_sg::PageDescriptor>) -> Vec<(usize, usize)> {
    descriptors.map(|descriptor| (descriptor.start(), descriptor.len())).collect()
}

/// Packs a cursor into requests of changing limits.
pub fn iovec(input: &[u8]) {
    #[derive(Debug, Arbitrary)]
    struct Input {
        segments: Segments,
        /// Bytes and pages of each request.
        requests: Vec<(u16, u8)>,
    }
    let Some(input) = decode::<Input>(input) else { return };
    let segments = sizes(&input.segments);
    let mut cursor = cursor(&segments);
    let total: usize = segments.iter().map(|segment| segment.1).sum();
    let mut done = 0;
    for (want, max_pages) in input.requests.into_iter().take(16) {
        let (want, max_pages) = (usize::from(want), usize::from(max_pages));
        let expected = oracle::iovec::pack(&segments, done, want, max_pages);
        let pages = cursor.count_pages(want, max_pages);
        assert_eq!(pages, expected.fragments.len());
        let mut vector = PageVector::new(pages).expect("memory");
        assert_eq!(cursor.pack(want, &mut vector), expected.bytes);
        assert_eq!(packed(&vector), expected);
        done += expected.bytes;
        assert_eq!(cursor.remaining(), total - done);
    }
}

/// Transfers an I/O of which requests may be short or fail.
pub fn direct_io(input: &[u8]) {
    #[derive(Debug, Arbitrary)]
    struct Input {
        segments: Segments,
        max_pages: u8,
        max_bytes: u16,
        segment_by_segment: bool,
        outcomes: Vec<Result<u16, u8>>,
    }
    let Some(input) = decode::<Input>(input) else { return };
    let segments = sizes(&input.segments);
    let limits = RequestLimits::new(input.max_pages.into(), usize::from(input.max_bytes).max(256));
    let outcomes: Vec<Result<usize, i32>> = input
        .outcomes
        .iter()
        .map(|outcome| outcome.map(usize::from).map_err(i32::from))
        .chain([Ok(usize::MAX)])
        .collect();
    let expected = oracle::direct_io::requests(
        &segments,
        limits.max_pages(),
        limits.max_bytes(),
        input.segment_by_segment,
    );

    let packing = if input.segment_by_segment { Packing::Segment } else { Packing::Request };
    let io = DirectIo::new(cursor(&segments), 0, limits, packing).expect("a small offset");
    let mut number = 0;
    let result = io.transfer(
        |pages| Ok(PageVector::new(pages)?),
        |vector: PageVector<Memory>, range| {
            assert_eq!(packed(&vector), expected[number]);
            let outcome = outcomes[number.min(outcomes.len() - 1)];
            number += 1;
            match outcome {
                Ok(bytes) => Ok((range.end - range.start).min(bytes as u64)),
                Err(code) => Err(io::Error::from_raw_os_error(code)),
            }
        },
    );
    let expected = oracle::direct_io::result(&expected, &outcomes).map(|bytes| bytes as u64);
    assert_eq!(result.map_err(|error| error.raw_os_error().unwrap_or(-1)), expected);
}

/// Splits a span into requests, and into those that fill the gaps of a cache.
pub fn page_span(input: &[u8]) {
    #[derive(Debug, Arbitrary)]
    struct Input {
        offset: u16,
        length: u16,
        max_pages: u8,
        max_bytes: u16,
        cached: Vec<bool>,
        far: (u64, u64),
    }
    let Some(input) = decode::<Input>(input) else { return };
    let (offset, length) = (usize::from(input.offset), usize::from(input.length));
    let limits = RequestLimits::new(input.max_pages.into(), input.max_bytes.into());
    let whole = PageSpan::new(offset as u64, length as u64).expect("small numbers");
    assert_eq!(described(whole.descriptors()), oracle::page_span::descriptors(offset, length));

    let expected =
        oracle::page_span::requests(offset, length, limits.max_pages(), limits.max_bytes());
    let mut rest = whole;
    for (offset, length) in expected {
        let part = rest.split_to(limits);
        assert_eq!((part.offset(), part.len()), (offset as u64, length as u64));
    }
    assert!(rest.is_empty());

    let is_cached = |page: u64| {
        let page = usize::try_from(page).expect("a small number");
        input.cached.get(page).copied().unwrap_or(false)
    };
    let wanted: Vec<u64> = whole.pages().filter(|page| !is_cached(*page)).collect();
    let parts: Vec<_> = whole
        .readahead(limits, is_cached)
        .map(|part| (part.pages().start, part.pages().count()))
        .collect();
    let expected = oracle::page_span::readahead(&wanted, limits.max_pages(), limits.max_bytes());
    assert_eq!(parts, expected);

    // numbers that no file has
    let end = input.far.0.checked_add(input.far.1).and_then(|end| i64::try_from(end).ok());
    let span = PageSpan::new(input.far.0, input.far.1);
    assert_eq!(span.is_ok(), end.is_some());
    if let Ok(mut span) = span {
        let part = span.split_to(limits);
        assert_eq!(part.len() + span.len(), input.far.1);
        assert!(part.pages().count() <= limits.max_pages());
    }
}
