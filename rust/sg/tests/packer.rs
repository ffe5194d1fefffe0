//! The packer and the page copier against an oracle that is one plain vector of bytes.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;

use bytes::Bytes;
use fusesg_sg::{
    Backing, Endless, Extent, LoadError, NotSpliced, PackedList, PagePool, PipePool, Segment,
    SegmentList, SplicedMessage,
};
use proptest::prelude::*;

/// The second file is shorter than extents of it may claim.
const FILE_SIZES: [u64; 2] = [300_000, 50_000];
const HEADER: &[u8; 16] = b"header of sixtee";

fn pattern(file: usize, offset: u64) -> u8 {
    u8::try_from((offset * 31 + offset / 251 + file as u64 * 97) % 251).unwrap()
}

fn files() -> [Arc<Backing>; 2] {
    [0, 1].map(|number| {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> =
            (0..FILE_SIZES[number]).map(|offset| pattern(number, offset)).collect();
        file.write_all(&content).unwrap();
        Arc::new(Backing::new(file.into(), false, false))
    })
}

#[derive(Clone, Debug)]
enum Piece {
    Buffer(Vec<u8>),
    Extent { file: usize, offset: u64, length: u64 },
    Zeros(usize),
}

impl Piece {
    fn segment(&self, files: &[Arc<Backing>; 2]) -> Segment {
        match self {
            Self::Buffer(bytes) => Segment::Buffer(Bytes::copy_from_slice(bytes)),
            Self::Extent { file, offset, length } => extent(&files[*file], *offset, *length),
            Self::Zeros(length) => Segment::Zeros(*length as u64),
        }
    }

    /// The bytes, and whether they are all there.
    fn bytes(&self) -> (Vec<u8>, bool) {
        match self {
            Self::Buffer(bytes) => (bytes.clone(), true),
            Self::Extent { file, offset, length } => {
                let end = (offset + length).min(FILE_SIZES[*file]);
                let there = (*offset..end).map(|offset| pattern(*file, offset)).collect();
                (there, end == offset + length)
            }
            Self::Zeros(length) => (vec![0; *length], true),
        }
    }
}

fn extent(backing: &Arc<Backing>, offset: u64, length: u64) -> Segment {
    Segment::Extent(Extent { backing: Arc::clone(backing), offset, length })
}

/// What a message of these pieces is: up to the first byte that is not there.
fn oracle(pieces: &[Piece]) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in pieces {
        let (bytes, whole) = piece.bytes();
        all.extend(bytes);
        if !whole {
            break;
        }
    }
    all
}

fn any_extent() -> impl Strategy<Value = Piece> {
    // offsets on few places, so that extents often continue each other
    (0..2_usize, 0..12_u64, 2..8_u64, any::<bool>()).prop_map(|(file, start, length, odd)| {
        let odd = u64::from(odd) * 100;
        Piece::Extent { file, offset: start * 4096 + odd, length: length * 4096 - odd }
    })
}

fn any_piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => any_extent(),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Piece::Buffer),
        1 => (0..20_000_usize, any::<u8>()).prop_map(|(n, byte)| Piece::Buffer(vec![byte; n])),
        1 => (0..200_000_usize).prop_map(Piece::Zeros),
    ]
}

fn list_of(pieces: &[Piece]) -> SegmentList {
    let files = files();
    pieces.iter().map(|piece| piece.segment(&files)).collect()
}

fn joined(packed: &PackedList<'_>) -> Vec<u8> {
    packed.iovecs(&[]).iter().flat_map(|slice| slice.to_vec()).collect()
}

/// Moves a list without streams into a pipe.
fn load(list: &SegmentList, pipes: &Arc<PipePool>) -> Result<SplicedMessage, NotSpliced> {
    match SplicedMessage::load(list, pipes, HEADER.len(), &Endless) {
        Ok(message) => Ok(message),
        Err(LoadError::NotSpliced(unspliced)) => Err(unspliced.reason()),
        Err(LoadError::Failed(error)) => panic!("{error}"),
    }
}

/// Sends the message to a file and returns what arrived.
fn through_a_pipe(list: &SegmentList, pipes: &Arc<PipePool>) -> Result<Vec<u8>, NotSpliced> {
    let mut message = load(list, pipes)?;
    let payload = message.payload();
    let mut file = tempfile::tempfile().unwrap();
    message.send(HEADER, file.as_fd(), false).unwrap();
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(&bytes[..HEADER.len()], HEADER);
    assert_eq!(bytes.len(), HEADER.len() + payload);
    Ok(bytes.split_off(HEADER.len()))
}

proptest! {
    #[test]
    fn a_packed_list_is_its_bytes(pieces in prop::collection::vec(any_piece(), 0..24)) {
        // some lists are larger than the pool's buffers
        let pool = PagePool::new(256 * 1024, 4);
        let list = list_of(&pieces);
        let expected = oracle(&pieces);
        let packed = PackedList::new(&list, &pool, &Endless).unwrap();
        prop_assert_eq!(packed.len(), expected.len());
        prop_assert!(packed.failure().is_none());
        prop_assert!(joined(&packed) == expected);
        if let Some(bytes) = packed.contiguous() {
            prop_assert!(bytes == expected.as_slice());
        }
        let contiguous = packed.into_contiguous(&pool).unwrap();
        prop_assert!(contiguous[..expected.len()] == expected[..]);
    }

    #[test]
    fn reads_are_as_few_as_there_are_chains(
        pieces in prop::collection::vec(any_piece(), 0..24),
    ) {
        let pool = PagePool::new(1 << 20, 4);
        let list = list_of(&pieces);
        let packed = PackedList::new(&list, &pool, &Endless).unwrap();
        // never more than one for each extent that does not directly continue its neighbour
        let mut neighbour = None;
        let mut starts = 0;
        // never fewer than places where a file's extents begin and no other one ends
        let (mut begins, mut ends) = (BTreeSet::new(), BTreeSet::new());
        for piece in &pieces {
            if let Piece::Extent { file, offset, length } = piece {
                starts += usize::from(neighbour != Some((*file, *offset)));
                neighbour = Some((*file, offset + length));
                begins.insert((*file, *offset));
                ends.insert((*file, offset + length));
            } else if list_length(piece) > 0 {
                neighbour = None;
            }
        }
        prop_assert!(packed.reads() <= starts);
        prop_assert!(packed.reads() >= begins.difference(&ends).count());
    }

    #[test]
    fn a_spliced_message_is_its_bytes(
        pieces in prop::collection::vec(any_extent(), 0..20),
        capacity in prop_oneof![Just(64_usize << 10), Just(1 << 20)],
    ) {
        let pipes = PipePool::new(capacity, 1);
        let list = list_of(&pieces);
        match through_a_pipe(&list, &pipes) {
            Ok(bytes) => prop_assert!(bytes == oracle(&pieces)),
            Err(reason) => {
                prop_assert_eq!(reason, NotSpliced::TooLong);
                prop_assert!(usize::try_from(list.len()).unwrap() + 4096 * (pieces.len() + 1) > capacity);
            }
        }
        // the books are right: the pipe is empty and used again
        prop_assert_eq!(pipes.statistics().idle, 1);
        let small = [Piece::Extent { file: 0, offset: 5000, length: 9000 }];
        let again = through_a_pipe(&list_of(&small), &pipes).unwrap();
        prop_assert!(again == oracle(&small));
        prop_assert_eq!((pipes.statistics().made, pipes.statistics().discarded), (1, 0));
    }
}

fn list_length(piece: &Piece) -> usize {
    piece.bytes().0.len()
}

#[test]
fn sixteen_adjacent_extents_are_one_read() {
    let [file, _] = files();
    let list: SegmentList = (0..16).map(|n| extent(&file, n * 4096, 4096)).collect();
    let pool = PagePool::new(1 << 20, 1);
    let packed = PackedList::new(&list, &pool, &Endless).unwrap();
    assert_eq!(packed.reads(), 1);
    assert_eq!(packed.iovecs(HEADER).len(), 2);
}

#[test]
fn sixteen_scattered_extents_are_one_message() {
    let files = files();
    // backwards, so that none continues another
    let pieces: Vec<Piece> = (0..16)
        .map(|n| Piece::Extent { file: 0, offset: (15 - n) * 16_384, length: 8192 })
        .collect();
    let list: SegmentList = pieces.iter().map(|piece| piece.segment(&files)).collect();
    let pool = PagePool::new(1 << 20, 1);
    let packed = PackedList::new(&list, &pool, &Endless).unwrap();
    // each at its own place of the file, all into one run of pages that nobody copies
    assert_eq!(packed.reads(), 16);
    assert_eq!(packed.iovecs(HEADER).len(), 2);
    assert!(packed.contiguous().unwrap() == oracle(&pieces));
}

#[test]
fn two_files_that_alternate_are_two_reads() {
    let files = files();
    let pieces: Vec<Piece> = (0..16)
        .map(|n| Piece::Extent { file: n % 2, offset: n as u64 / 2 * 4096, length: 4096 })
        .collect();
    let list: SegmentList = pieces.iter().map(|piece| piece.segment(&files)).collect();
    let pool = PagePool::new(1 << 20, 1);
    let packed = PackedList::new(&list, &pool, &Endless).unwrap();
    assert_eq!(packed.reads(), 2);
    assert!(packed.contiguous().unwrap() == oracle(&pieces));
}

#[test]
fn one_read_fills_no_more_places_than_the_kernel_takes() {
    let files = files();
    // one byte of the file between two pieces that stay where they are
    let pieces: Vec<Piece> = (0..2500_u64)
        .flat_map(|n| [Piece::Extent { file: 0, offset: n, length: 1 }, Piece::Buffer(vec![7; 8])])
        .collect();
    let list: SegmentList = pieces.iter().map(|piece| piece.segment(&files)).collect();
    let pool = PagePool::new(1 << 20, 1);
    let packed = PackedList::new(&list, &pool, &Endless).unwrap();
    assert_eq!(packed.reads(), 2500_usize.div_ceil(1024));
    assert!(packed.contiguous().unwrap() == oracle(&pieces));
}

#[test]
fn an_extent_that_goes_on_behind_other_pieces_is_the_same_read() {
    let [file, other] = files();
    let list: SegmentList = [
        extent(&file, 0, 5000),
        Segment::Buffer(Bytes::from(vec![1; 8192])),
        extent(&other, 7, 100),
        extent(&file, 5000, 5000),
        Segment::Zeros(100_000),
        extent(&other, 107, 100),
    ]
    .into_iter()
    .collect();
    let pool = PagePool::new(1 << 20, 1);
    let packed = PackedList::new(&list, &pool, &Endless).unwrap();
    assert_eq!(packed.reads(), 2);
    let expected: Vec<u8> = (0..5000)
        .map(|n| pattern(0, n))
        .chain([1; 8192])
        .chain((7..107).map(|n| pattern(1, n)))
        .chain((5000..10_000).map(|n| pattern(0, n)))
        .chain(vec![0; 100_000])
        .chain((107..207).map(|n| pattern(1, n)))
        .collect();
    assert!(joined(&packed) == expected);
}

#[test]
fn large_buffers_are_sent_from_where_they_are() {
    let buffers: Vec<Bytes> = (0..4).map(|n| Bytes::from(vec![n; 10_000])).collect();
    let list: SegmentList = buffers.iter().cloned().map(Segment::Buffer).collect();
    let pool = PagePool::new(1 << 20, 1);
    let packed = PackedList::new(&list, &pool, &Endless).unwrap();
    let sent: Vec<_> = packed.iovecs(&[]).iter().map(|slice| slice.as_ptr()).collect();
    assert_eq!(sent, buffers.iter().map(|bytes| bytes.as_ptr()).collect::<Vec<_>>());
    assert_eq!((pool.statistics().hits, pool.statistics().misses), (0, 0));
}

#[test]
fn more_pieces_than_the_kernel_takes_are_copied_into_one() {
    let pieces: Vec<Piece> =
        (0..3000_u32).map(|n| Piece::Buffer(vec![u8::try_from(n % 256).unwrap(); 4096])).collect();
    let pool = PagePool::new(1 << 20, 1);
    let list = list_of(&pieces);
    let packed = PackedList::new(&list, &pool, &Endless).unwrap();
    assert!(packed.iovecs(HEADER).len() <= 1024);
    assert!(joined(&packed) == oracle(&pieces));
}

#[test]
fn a_failed_read_ends_the_message_and_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let unreadable = File::open(directory.path()).unwrap();
    let unreadable = Arc::new(Backing::new(unreadable.into(), false, false));
    let list: SegmentList =
        [Segment::Buffer(Bytes::from(vec![7; 5000])), extent(&unreadable, 0, 100)]
            .into_iter()
            .collect();
    let pool = PagePool::new(1 << 20, 1);
    let packed = PackedList::new(&list, &pool, &Endless).unwrap();
    assert_eq!(packed.failure().unwrap().raw_os_error(), Some(libc::EISDIR));
    assert_eq!(joined(&packed), vec![7; 5000]);
}

#[test]
fn what_cannot_be_spliced_says_why() {
    let [file, _] = files();
    let pipes = PipePool::new(1 << 20, 1);
    let refused = |list: &[Segment], pipes: &Arc<PipePool>| {
        load(&list.iter().cloned().collect(), pipes).unwrap_err()
    };
    assert_eq!(refused(&[extent(&file, 0, 9000), Segment::Zeros(1)], &pipes), NotSpliced::InMemory);
    assert_eq!(refused(&[extent(&file, 0, 10), extent(&file, 20, 10)], &pipes), {
        NotSpliced::Scattered
    });
    let directory = tempfile::tempdir().unwrap();
    let unreadable = File::open(directory.path()).unwrap();
    let unreadable = Arc::new(Backing::new(unreadable.into(), false, false));
    assert_eq!(refused(&[extent(&unreadable, 0, 4096)], &pipes), NotSpliced::Source);
    // nothing of a refused message is left to begin the next one
    assert_eq!(pipes.statistics().idle, 0);
    assert!(pipes.statistics().discarded > 0);
    let small = PipePool::new(4096, 1);
    assert_eq!(refused(&[extent(&file, 0, 250_000)], &small), NotSpliced::TooLong);
}

#[test]
fn a_closed_pool_keeps_no_pipe() {
    let [file, _] = files();
    let list: SegmentList = [extent(&file, 0, 8192)].into_iter().collect();
    let pipes = PipePool::new(1 << 20, 4);
    let mut message = load(&list, &pipes).unwrap();
    through_a_pipe(&list, &pipes).unwrap();
    assert_eq!(pipes.statistics().idle, 1);
    pipes.close();
    assert_eq!(pipes.statistics().idle, 0);
    message.send(HEADER, tempfile::tempfile().unwrap().as_fd(), false).unwrap();
    assert_eq!(pipes.statistics().idle, 0);
}

#[test]
fn a_fork_between_loading_and_sending_changes_nothing() {
    let [file, _] = files();
    let list: SegmentList = [extent(&file, 0, 8192)].into_iter().collect();
    let pipes = PipePool::new(1 << 20, 1);
    for _ in 0..3 {
        let mut message = load(&list, &pipes).unwrap();
        // the child has a copy of this process while the header is written
        let (held, release) = std::io::pipe().unwrap();
        // SAFETY: the child makes async-signal-safe calls only.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut byte = 0_u8;
            // SAFETY: reads one byte into a live variable.
            unsafe { libc::read(held.as_raw_fd(), (&raw mut byte).cast(), 1) };
            // SAFETY: ends the child.
            unsafe { libc::_exit(0) };
        }
        assert!(child > 0);
        let mut sent = tempfile::tempfile().unwrap();
        message.send(HEADER, sent.as_fd(), false).unwrap();
        let mut bytes = Vec::new();
        sent.rewind().unwrap();
        sent.read_to_end(&mut bytes).unwrap();
        (&release).write_all(b"x").unwrap();
        // SAFETY: the child is ours and was not waited for; a null status is allowed.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        assert_eq!(&bytes[..HEADER.len()], HEADER);
    }
}

/// One list of a buffer, an extent long enough to be mapped, zeros, and one too short for it.
fn mixed_list(backing: &Arc<Backing>) -> SegmentList {
    let extent =
        |offset, length| Segment::Extent(Extent { backing: Arc::clone(backing), offset, length });
    let buffer = Segment::Buffer(Bytes::from_static(&[7; 5000]));
    [buffer, extent(100, 40_000), Segment::Zeros(6000), extent(50_000, 3000)].into_iter().collect()
}

#[test]
fn an_immutable_file_is_sent_from_where_it_is_mapped() {
    let pool = PagePool::new(1 << 20, 1);
    let file = files()[0].file().try_clone().unwrap();
    let plain = Arc::new(Backing::new(file.try_clone().unwrap().into(), false, false));
    let immutable = Arc::new(Backing::new(file.into(), false, true));
    let (copied, mapped) = (mixed_list(&plain), mixed_list(&immutable));
    let expected = PackedList::new(&copied, &pool, &Endless).unwrap();
    let packed = PackedList::new(&mapped, &pool, &Endless).unwrap();
    assert_eq!((expected.mapped(), expected.reads()), (0, 2));
    assert_eq!((packed.mapped(), packed.reads(), packed.copied()), (40_000, 1, 3000));
    assert!(!mapped.is_mapped() && !copied.is_mapped(), "the short extent is read");
    assert!(mapped.slice(0, 50_000).is_mapped() && !copied.slice(0, 50_000).is_mapped());
    let bytes = |packed: &PackedList<'_>| -> Vec<u8> {
        packed.iovecs(&[]).iter().flat_map(|piece| piece.to_vec()).collect()
    };
    assert_eq!(bytes(&packed), bytes(&expected));
    let length = packed.len();
    let joined = packed.into_contiguous(&pool).unwrap();
    assert_eq!(joined[..length], bytes(&expected));
}

#[test]
fn an_immutable_file_that_shrinks_is_an_error_and_no_signal() {
    let pool = PagePool::new(1 << 20, 1);
    let backing = files()[0].file().try_clone().unwrap();
    let immutable = Arc::new(Backing::new(backing.try_clone().unwrap().into(), false, true));
    let list = mixed_list(&immutable);
    let packed = PackedList::new(&list, &pool, &Endless).unwrap();
    backing.set_len(0).unwrap();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    let written = writer.write_vectored(&packed.iovecs(&[])).unwrap_or(0);
    assert!(written <= 5000, "not beyond the first byte that is gone: {written}");
    assert!(packed.into_contiguous(&pool).is_err());
}
