//! Segment lists against an oracle that is one plain vector of bytes.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use fusesg_sg::{Backing, Extent, Segment, SegmentList, gather};
use proptest::prelude::*;

const FILE_SIZE: u64 = 40_000;

/// A file whose byte at offset `i` is `pattern(i)`.
fn backing() -> Arc<Backing> {
    let mut file = tempfile::tempfile().unwrap();
    let content: Vec<u8> = (0..FILE_SIZE).map(pattern).collect();
    file.write_all(&content).unwrap();
    Arc::new(Backing::new(file.into(), false, false))
}

fn pattern(offset: u64) -> u8 {
    u8::try_from((offset * 31 + offset / 251) % 251).unwrap()
}

#[derive(Clone, Debug)]
enum Piece {
    Buffer(Vec<u8>),
    Extent { offset: u64, length: u64 },
    Zeros(u64),
}

impl Piece {
    fn segment(&self, backing: &Arc<Backing>) -> Segment {
        match self {
            Self::Buffer(bytes) => Segment::Buffer(Bytes::copy_from_slice(bytes)),
            Self::Extent { offset, length } => Segment::Extent(Extent {
                backing: Arc::clone(backing),
                offset: *offset,
                length: *length,
            }),
            Self::Zeros(length) => Segment::Zeros(*length),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Buffer(bytes) => bytes.clone(),
            Self::Extent { offset, length } => (*offset..offset + length).map(pattern).collect(),
            Self::Zeros(length) => vec![0; usize::try_from(*length).unwrap()],
        }
    }
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..600).prop_map(Piece::Buffer),
        (0..FILE_SIZE, 0..5000_u64).prop_map(|(offset, length)| Piece::Extent {
            offset,
            length: length.min(FILE_SIZE - offset)
        }),
        (0..5000_u64).prop_map(Piece::Zeros),
    ]
}

fn bytes_of(list: &SegmentList) -> Vec<u8> {
    let mut buffer = vec![0xAA; usize::try_from(list.len()).unwrap()];
    let filled = gather(list, &mut buffer).unwrap();
    assert_eq!(filled, buffer.len());
    buffer
}

proptest! {
    #[test]
    fn a_list_is_its_bytes(pieces in prop::collection::vec(piece(), 0..20)) {
        let backing = backing();
        let list: SegmentList = pieces.iter().map(|piece| piece.segment(&backing)).collect();
        let expected: Vec<u8> = pieces.iter().flat_map(Piece::bytes).collect();
        prop_assert_eq!(list.len(), expected.len() as u64);
        prop_assert!(list.segments().iter().all(|segment| !segment.is_empty()));
        prop_assert_eq!(bytes_of(&list), expected);
    }

    #[test]
    fn a_slice_is_the_slice_of_the_bytes(
        pieces in prop::collection::vec(piece(), 0..20),
        offset in 0..60_000_u64,
        size in prop_oneof![0..20_000_u64, Just(u64::MAX)],
    ) {
        let backing = backing();
        let list: SegmentList = pieces.iter().map(|piece| piece.segment(&backing)).collect();
        let all: Vec<u8> = pieces.iter().flat_map(Piece::bytes).collect();
        let start = usize::try_from(offset).unwrap().min(all.len());
        let end = usize::try_from(size).unwrap().saturating_add(start).min(all.len());
        prop_assert_eq!(bytes_of(&list.slice(offset, size)), &all[start..end]);
    }

    #[test]
    fn two_slices_joined_are_the_whole(
        pieces in prop::collection::vec(piece(), 0..20),
        cut in 0..60_000_u64,
    ) {
        let backing = backing();
        let list: SegmentList = pieces.iter().map(|piece| piece.segment(&backing)).collect();
        let mut joined = list.slice(0, cut);
        joined.extend(list.slice(cut, u64::MAX).segments().iter().cloned());
        prop_assert_eq!(bytes_of(&joined), bytes_of(&list));
    }
}

#[test]
fn a_short_extent_ends_the_answer() {
    let backing = backing();
    let list: SegmentList = [
        Segment::Buffer(Bytes::from_static(b"head")),
        Segment::Extent(Extent { backing, offset: FILE_SIZE - 10, length: 100 }),
        Segment::Buffer(Bytes::from_static(b"must not be shifted into the gap")),
    ]
    .into_iter()
    .collect();
    let mut buffer = vec![0; usize::try_from(list.len()).unwrap()];
    assert_eq!(gather(&list, &mut buffer).unwrap(), 14);
    assert_eq!(&buffer[..4], b"head");
    assert_eq!(buffer[4], pattern(FILE_SIZE - 10));
}

#[test]
fn an_error_after_some_bytes_keeps_the_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let unreadable = std::fs::File::open(directory.path()).unwrap();
    let unreadable = Arc::new(Backing::new(unreadable.into(), false, false));
    let bad = Segment::Extent(Extent { backing: unreadable, offset: 0, length: 8 });
    let mut buffer = [0; 16];

    let first: SegmentList = [bad.clone()].into_iter().collect();
    assert!(gather(&first, &mut buffer).is_err());

    let late: SegmentList =
        [Segment::Buffer(Bytes::from_static(b"12345678")), bad].into_iter().collect();
    assert_eq!(gather(&late, &mut buffer).unwrap(), 8);
}

#[test]
fn lengths_that_overflow_are_refused() {
    let mut list = SegmentList::new();
    assert!(list.try_push(Segment::Zeros(u64::MAX)));
    assert!(!list.try_push(Segment::Zeros(1)));
    assert_eq!(list.len(), u64::MAX);

    let extent = Extent { backing: backing(), offset: i64::MAX as u64, length: 1 };
    assert!(!SegmentList::new().try_push(Segment::Extent(extent)));
}
