//! The page copier against an oracle that goes byte by byte.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;
use fusesg_sg::{
    Backing, Copied, CopyOptions, CopyStatistics, Destination, Endless, Extent, NotMoved,
    PAGE_SIZE, Page, PageDescriptor, PagePool, PageRun, PageVector, Patience, Segment, SegmentList,
    Stream, copy,
};
use proptest::prelude::*;

const FILE_SIZE: usize = 60_000;
/// What the destination holds before; nothing that is copied contains it.
const UNTOUCHED: u8 = 0xEE;
const MOVE: CopyOptions = CopyOptions { zero_tail: true, offer_moves: true };
const KEEP: CopyOptions = CopyOptions { zero_tail: true, offer_moves: false };

/// Never zero and never [`UNTOUCHED`].
fn pattern(position: usize) -> u8 {
    u8::try_from((position * 31 + position / 251) % 199 + 1).unwrap()
}

fn patterned(start: usize, length: usize) -> Vec<u8> {
    (start..start + length).map(pattern).collect()
}

fn backing() -> Arc<Backing> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&patterned(0, FILE_SIZE)).unwrap();
    Arc::new(Backing::new(file.into(), false, false))
}

fn extent(backing: &Arc<Backing>, offset: usize, length: usize) -> Segment {
    let (offset, length) = (offset as u64, length as u64);
    Segment::Extent(Extent { backing: Arc::clone(backing), offset, length })
}

/// `content` in pages of the pool.
fn run(pool: &Arc<PagePool>, content: &[u8]) -> PageRun {
    let pages = content.chunks(PAGE_SIZE).map(|chunk| {
        let mut page = pool.take().unwrap();
        page[..chunk.len()].copy_from_slice(chunk);
        page
    });
    PageRun::new(pages, content.len()).unwrap()
}

fn descriptors(of: &[(usize, usize)]) -> Vec<PageDescriptor> {
    of.iter().map(|(offset, length)| PageDescriptor::new(*offset, *length).unwrap()).collect()
}

fn owned(pool: &Arc<PagePool>, descriptors: &[PageDescriptor]) -> PageVector<Option<Page>> {
    let mut pages = PageVector::new(descriptors.len()).unwrap();
    for descriptor in descriptors {
        let mut page = pool.take().unwrap();
        page.fill(UNTOUCHED);
        pages.push(Some(page), *descriptor).unwrap();
    }
    pages
}

/// Every byte of the pages, also those that no descriptor names.
fn contents(pages: &PageVector<Option<Page>>) -> Vec<u8> {
    pages.pages().iter().flat_map(|page| page.as_ref().unwrap().to_vec()).collect()
}

fn list(segments: impl IntoIterator<Item = Segment>) -> SegmentList {
    segments.into_iter().collect()
}

/// Copies into fragments of the caller's memory.
fn into_fragments<'m>(
    fragments: impl ExactSizeIterator<Item = (&'m mut [u8], PageDescriptor)>,
    list: SegmentList,
    options: CopyOptions,
) -> std::io::Result<Copied> {
    let mut pages = PageVector::new(fragments.len()).unwrap();
    for (fragment, descriptor) in fragments {
        pages.push(fragment, descriptor).unwrap();
    }
    copy(list, Destination::Borrowed(&mut pages), options, &Endless)
}

/// Pages and bytes of a pool that are lent and never came back: none, once all is dropped.
fn lost(pool: &PagePool) -> u64 {
    let statistics = pool.statistics();
    statistics.bytes_resident - statistics.bytes_idle
}

// The oracle

#[derive(Clone, Debug)]
enum Piece {
    Buffer(usize),
    Pages { start: usize, length: usize, shared: bool },
    Zeros(usize),
    Extent { offset: usize, length: usize },
}

impl Piece {
    fn length(&mut self) -> &mut usize {
        match self {
            Self::Buffer(length)
            | Self::Zeros(length)
            | Self::Pages { length, .. }
            | Self::Extent { length, .. } => length,
        }
    }

    fn segment(&self, pool: &Arc<PagePool>, file: &Arc<Backing>) -> Segment {
        match self {
            Self::Buffer(length) => Segment::Buffer(patterned(7, *length).into()),
            Self::Pages { start, length, .. } => {
                Segment::Pages(run(pool, &patterned(0, start + length)).slice(*start, *length))
            }
            Self::Zeros(length) => Segment::Zeros(*length as u64),
            Self::Extent { offset, length } => extent(file, *offset, *length),
        }
    }
}

/// One byte of data, and what could be done with the page it is in.
#[derive(Clone, Copy)]
struct Byte {
    value: u8,
    way: Way,
}

#[derive(Clone, Copy)]
enum Way {
    Copied,
    Filled,
    Spliced,
    /// In a page: where in it, how many of its bytes are data, whether it is shared.
    Page(usize, usize, bool),
}

/// The data up to the first byte that is not there.
fn bytes_of(pieces: &[Piece]) -> Vec<Byte> {
    let mut bytes = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Buffer(length) => {
                let copied = |value| Byte { value, way: Way::Copied };
                bytes.extend(patterned(7, *length).into_iter().map(copied));
            }
            Piece::Zeros(length) => {
                bytes.extend((0..*length).map(|_| Byte { value: 0, way: Way::Filled }));
            }
            Piece::Pages { start, length, shared } => {
                let end = start + length;
                bytes.extend((*start..end).map(|position| {
                    let page = position / PAGE_SIZE * PAGE_SIZE;
                    let data = end.min(page + PAGE_SIZE) - page.max(*start);
                    let way = Way::Page(position - page, data, *shared);
                    Byte { value: pattern(position), way }
                }));
            }
            Piece::Extent { offset, length } => {
                let end = offset + length;
                let there = *offset..end.min(FILE_SIZE);
                bytes.extend(there.map(|at| Byte { value: pattern(at), way: Way::Spliced }));
                if end > FILE_SIZE {
                    break;
                }
            }
        }
    }
    bytes
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    contents: Vec<u8>,
    numbers: [u64; 6],
    not_moved: [u64; NotMoved::ALL.len()],
}

fn oracle(
    bytes: &[Byte],
    descriptors: &[PageDescriptor],
    is_owned: bool,
    options: CopyOptions,
) -> Expected {
    let mut expected = Expected::default();
    let [total, zeroed, moved, spliced, copied, filled] = &mut expected.numbers;
    let mut bytes = bytes.iter();
    for descriptor in descriptors {
        let mut page = vec![UNTOUCHED; PAGE_SIZE];
        let mut moving = false;
        for place in 0..descriptor.len() {
            let target = &mut page[descriptor.start() + place];
            let Some(byte) = bytes.next() else {
                if options.zero_tail {
                    *target = 0;
                    *zeroed += 1;
                }
                continue;
            };
            *target = byte.value;
            *total += 1;
            if place == 0 {
                let whole = descriptor.start() == 0 && descriptor.len() == PAGE_SIZE;
                let obstacle = match byte.way {
                    _ if !is_owned => Some(NotMoved::DirectIo),
                    _ if !options.offer_moves => Some(NotMoved::NotOffered),
                    _ if !whole => Some(NotMoved::PartialPage),
                    Way::Page(1.., _, _) => Some(NotMoved::Misaligned),
                    Way::Page(0, data, _) if data < PAGE_SIZE => Some(NotMoved::Short),
                    Way::Page(0, _, true) => Some(NotMoved::Shared),
                    Way::Page(..) => None,
                    _ => Some(NotMoved::Unstealable),
                };
                moving = obstacle.is_none();
                *moved += u64::from(moving);
                if let Some(reason) = obstacle {
                    expected.not_moved[reason as usize] += 1;
                }
            }
            match byte.way {
                _ if moving => {}
                Way::Copied | Way::Page(..) => *copied += 1,
                Way::Filled => *filled += 1,
                Way::Spliced => *spliced += 1,
            }
        }
        expected.contents.extend(page);
    }
    expected
}

fn outcome(contents: Vec<u8>, copied: &Copied) -> Expected {
    let Copied { bytes, zeroed, moved_pages, spliced_bytes, copied_bytes, filled_bytes, .. } =
        copied;
    Expected {
        contents,
        numbers: [*bytes, *zeroed, *moved_pages, *spliced_bytes, *copied_bytes, *filled_bytes],
        not_moved: NotMoved::ALL.map(|reason| copied.not_moved.get(reason)),
    }
}

fn any_piece() -> impl Strategy<Value = Piece> {
    let page = PAGE_SIZE;
    prop_oneof![
        2 => (0..9000_usize).prop_map(Piece::Buffer),
        2 => (0..9000_usize).prop_map(Piece::Zeros),
        3 => (0..5_usize, any::<bool>()).prop_map(move |(pages, shared)| {
            Piece::Pages { start: 0, length: pages * page, shared }
        }),
        2 => (0..9000_usize, 0..13_000_usize, any::<bool>())
            .prop_map(|(start, length, shared)| Piece::Pages { start, length, shared }),
        2 => (0..14_usize, 0..3_usize)
            .prop_map(move |(at, pages)| Piece::Extent { offset: at * page, length: pages * page }),
        1 => (0..FILE_SIZE, 0..9000_usize)
            .prop_map(|(offset, length)| Piece::Extent { offset, length }),
    ]
}

fn any_descriptor() -> impl Strategy<Value = PageDescriptor> {
    let any = (0..PAGE_SIZE, 0..=PAGE_SIZE).prop_map(|(offset, length)| {
        PageDescriptor::new(offset, length.min(PAGE_SIZE - offset)).unwrap()
    });
    prop_oneof![4 => Just(PageDescriptor::new(0, PAGE_SIZE).unwrap()), 1 => any]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_list_in_any_pages_is_as_if_copied_byte_by_byte(
        mut pieces in prop::collection::vec(any_piece(), 0..10),
        descriptors in prop::collection::vec(any_descriptor(), 0..12),
        is_owned in prop::bool::weighted(0.8),
        offer_moves in prop::bool::weighted(0.8),
        zero_tail in any::<bool>(),
        cut in prop::bool::weighted(0.9),
    ) {
        let room: usize = descriptors.iter().map(|descriptor| descriptor.len()).sum();
        let mut left = room;
        for piece in &mut pieces {
            let length = piece.length();
            if cut {
                *length = (*length).min(left);
            }
            left = left.saturating_sub(*length);
        }
        let (pool, file) = (PagePool::new(PAGE_SIZE, 1000), backing());
        let options = CopyOptions { zero_tail, offer_moves };
        let list: SegmentList = pieces.iter().map(|piece| piece.segment(&pool, &file)).collect();
        let is_shared = |piece: &&Piece| matches!(piece, Piece::Pages { shared: true, .. });
        let sharers: Vec<Segment> = pieces.iter().zip(
            pieces.iter().scan(0, |end, piece| {
                let start = *end;
                *end += *piece.clone().length();
                Some(start)
            })
        ).filter(|(piece, _)| is_shared(piece)).flat_map(|(piece, start)| {
            list.slice(start as u64, *piece.clone().length() as u64).into_segments().collect::<Vec<_>>()
        }).collect();

        let too_long = list.len() > room as u64;
        let expected = oracle(&bytes_of(&pieces), &descriptors, is_owned, options);
        let (result, contents) = if is_owned {
            let mut pages = owned(&pool, &descriptors);
            let result = copy(list, Destination::Owned(&mut pages), options, &Endless);
            (result, contents(&pages))
        } else {
            let mut memory = vec![UNTOUCHED; descriptors.len() * PAGE_SIZE];
            let pages = memory.chunks_mut(PAGE_SIZE).zip(&descriptors);
            let fragments = pages.map(|(page, descriptor)| {
                (&mut page[descriptor.start()..][..descriptor.len()], *descriptor)
            });
            let result = into_fragments(fragments, list, options);
            (result, memory)
        };
        if too_long {
            prop_assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
            prop_assert!(contents.iter().all(|byte| *byte == UNTOUCHED));
        } else {
            let outcome = outcome(contents, &result.unwrap());
            prop_assert_eq!(&outcome.numbers, &expected.numbers);
            prop_assert_eq!(&outcome.not_moved, &expected.not_moved);
            prop_assert!(outcome.contents == expected.contents);
        }
        drop(sharers);
        prop_assert_eq!(lost(&pool), 0, "pages");
        prop_assert_eq!(Arc::strong_count(&file), 1, "descriptors");
    }
}

// The ladder, rung by rung

/// Copies one page of data into one whole page, and tells how that went.
fn into_one_page(pool: &Arc<PagePool>, segments: Vec<Segment>, options: CopyOptions) -> Copied {
    let mut pages = owned(pool, &descriptors(&[(0, PAGE_SIZE)]));
    copy(list(segments), Destination::Owned(&mut pages), options, &Endless).unwrap()
}

fn only(copied: &Copied) -> NotMoved {
    assert_eq!((copied.moved_pages, copied.not_moved.total()), (0, 1));
    copied.not_moved.iter().find(|(_, pages)| *pages == 1).unwrap().0
}

#[test]
fn a_move_is_an_exchange_of_the_pages_themselves() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let content = patterned(0, 2 * PAGE_SIZE);
    let run = run(&pool, &content);
    let sources: Vec<_> = run.fragments().map(<[u8]>::as_ptr).collect();
    let mut pages = owned(&pool, &descriptors(&[(0, PAGE_SIZE), (0, PAGE_SIZE)]));
    let copied =
        copy(list([Segment::Pages(run)]), Destination::Owned(&mut pages), MOVE, &Endless).unwrap();
    assert_eq!((copied.moved_pages, copied.copied_bytes, copied.bytes), (2, 0, 8192));
    for (page, source) in pages.pages().iter().zip(sources) {
        assert_eq!(page.as_ref().unwrap().as_ptr(), source, "the very page");
    }
    assert!(contents(&pages) == content);
    let idle = pool.statistics().bytes_idle;
    assert_eq!(idle, 2 * PAGE_SIZE as u64, "the old pages are back in the pool");
    drop(pages);
    assert_eq!(lost(&pool), 0);
}

#[test]
fn a_page_is_moved_only_where_moves_are_offered() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let page = || vec![Segment::Pages(run(&pool, &patterned(0, PAGE_SIZE)))];
    assert_eq!(into_one_page(&pool, page(), MOVE).moved_pages, 1);
    assert_eq!(only(&into_one_page(&pool, page(), KEEP)), NotMoved::NotOffered);
}

#[test]
fn a_short_page_is_copied() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let short = Segment::Pages(run(&pool, &patterned(0, PAGE_SIZE - 1)));
    let copied = into_one_page(&pool, vec![short], MOVE);
    assert_eq!(only(&copied), NotMoved::Short);
    assert_eq!((copied.copied_bytes, copied.zeroed), (4095, 1));
}

#[test]
fn a_shared_page_is_copied_and_its_other_owner_keeps_it() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let content = patterned(0, PAGE_SIZE);
    let run = run(&pool, &content);
    let kept = run.slice(10, 1);
    let copied = into_one_page(&pool, vec![Segment::Pages(run.clone())], MOVE);
    assert_eq!(only(&copied), NotMoved::Shared);
    assert_eq!(run.fragments().next().unwrap(), content);
    drop(run);
    assert_eq!(kept.fragments().next().unwrap(), &content[10..11]);
    drop(kept);
    assert_eq!(lost(&pool), 0);
}

#[test]
fn what_is_in_no_page_of_ours_cannot_be_stolen() {
    let (pool, file) = (PagePool::new(PAGE_SIZE, 8), backing());
    let spliced = into_one_page(&pool, vec![extent(&file, 0, PAGE_SIZE)], MOVE);
    assert_eq!(only(&spliced), NotMoved::Unstealable);
    assert_eq!((spliced.spliced_bytes, spliced.copied_bytes), (4096, 0));
    let buffer = Segment::Buffer(Bytes::from(patterned(0, PAGE_SIZE)));
    let copied = into_one_page(&pool, vec![buffer], MOVE);
    assert_eq!(only(&copied), NotMoved::Unstealable);
    assert_eq!((copied.spliced_bytes, copied.copied_bytes), (0, 4096));
    let filled = into_one_page(&pool, vec![Segment::Zeros(PAGE_SIZE as u64)], MOVE);
    assert_eq!(only(&filled), NotMoved::Unstealable);
    assert_eq!((filled.filled_bytes, filled.copied_bytes), (4096, 0));
}

#[test]
fn all_pages_behind_an_odd_sized_piece_are_misaligned() {
    let pool = PagePool::new(PAGE_SIZE, 16);
    let odd = Segment::Buffer(Bytes::from_static(b"odd"));
    let pages = Segment::Pages(run(&pool, &patterned(0, 3 * PAGE_SIZE)));
    let mut destination = owned(&pool, &descriptors(&[(0, PAGE_SIZE); 4]));
    let copied =
        copy(list([odd, pages]), Destination::Owned(&mut destination), MOVE, &Endless).unwrap();
    assert_eq!(copied.moved_pages, 0);
    assert_eq!(copied.not_moved.get(NotMoved::Unstealable), 1, "the one with the odd piece");
    assert_eq!(copied.not_moved.get(NotMoved::Misaligned), 3);
}

#[test]
fn pages_move_again_where_the_pieces_are_aligned_again() {
    let pool = PagePool::new(PAGE_SIZE, 16);
    let segments = [
        Segment::Buffer(Bytes::from(patterned(0, 1000))),
        Segment::Zeros(3096),
        Segment::Pages(run(&pool, &patterned(0, PAGE_SIZE))),
    ];
    let mut destination = owned(&pool, &descriptors(&[(0, PAGE_SIZE); 2]));
    let copied =
        copy(list(segments), Destination::Owned(&mut destination), MOVE, &Endless).unwrap();
    assert_eq!((copied.moved_pages, copied.not_moved.total()), (1, 1));
}

#[test]
fn a_page_of_which_only_part_belongs_to_the_request_is_not_exchanged() {
    let pool = PagePool::new(PAGE_SIZE, 16);
    for part in [(1, PAGE_SIZE - 1), (0, PAGE_SIZE - 1)] {
        let data = Segment::Pages(run(&pool, &patterned(0, PAGE_SIZE)));
        let mut destination = owned(&pool, &descriptors(&[part, (0, PAGE_SIZE)]));
        let copied =
            copy(list([data]), Destination::Owned(&mut destination), MOVE, &Endless).unwrap();
        assert_eq!(copied.moved_pages, 0);
        assert_eq!(copied.not_moved.get(NotMoved::PartialPage), 1);
        assert_eq!(copied.not_moved.get(NotMoved::Misaligned), 1, "its last byte");
    }
}

#[test]
fn a_page_of_another_size_is_not_exchanged() {
    let small = PagePool::new(PAGE_SIZE, 4);
    let large = PagePool::new(4 * PAGE_SIZE, 4);
    let content = patterned(0, PAGE_SIZE);
    let data = Segment::Pages(run(&small, &content));
    let mut destination = owned(&large, &descriptors(&[(0, PAGE_SIZE)]));
    let copied = copy(list([data]), Destination::Owned(&mut destination), MOVE, &Endless).unwrap();
    assert_eq!((copied.moved_pages, only(&copied)), (0, NotMoved::PartialPage));
    assert_eq!(contents(&destination)[..PAGE_SIZE], content);
    assert_eq!(contents(&destination).len(), 4 * PAGE_SIZE);
}

#[test]
fn the_callers_memory_is_never_exchanged() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let content = patterned(0, PAGE_SIZE);
    let data = Segment::Pages(run(&pool, &content));
    let mut memory = vec![UNTOUCHED; PAGE_SIZE];
    let whole = PageDescriptor::new(0, PAGE_SIZE).unwrap();
    let fragments = [(memory.as_mut_slice(), whole)].into_iter();
    let copied = into_fragments(fragments, list([data]), MOVE).unwrap();
    assert_eq!(only(&copied), NotMoved::DirectIo);
    assert_eq!(memory, content);
    assert_eq!(lost(&pool), 0);
}

// What the seeds got wrong, or what they left to chance

#[test]
fn a_tail_is_cleared_from_where_the_data_ends_and_not_the_whole_page() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let mut pages = owned(&pool, &descriptors(&[(1000, 2000), (0, 0), (500, 100)]));
    let data = Segment::Buffer(Bytes::from(patterned(0, 700)));
    let copied = copy(list([data]), Destination::Owned(&mut pages), KEEP, &Endless).unwrap();
    assert_eq!((copied.bytes, copied.zeroed), (700, 1400));
    let mut expected = vec![UNTOUCHED; 3 * PAGE_SIZE];
    expected[1000..1700].copy_from_slice(&patterned(0, 700));
    expected[1700..3000].fill(0);
    expected[2 * PAGE_SIZE + 500..2 * PAGE_SIZE + 600].fill(0);
    assert!(contents(&pages) == expected);
}

#[test]
fn without_zeroing_the_tail_is_left_as_it_was() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let mut pages = owned(&pool, &descriptors(&[(0, PAGE_SIZE)]));
    let data = Segment::Buffer(Bytes::from_static(b"data"));
    let copied =
        copy(list([data]), Destination::Owned(&mut pages), CopyOptions::default(), &Endless)
            .unwrap();
    assert_eq!(copied.zeroed, 0);
    assert!(contents(&pages)[4..].iter().all(|byte| *byte == UNTOUCHED));
}

#[test]
fn more_data_than_room_is_refused_before_anything_is_touched() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let mut pages = owned(&pool, &descriptors(&[(0, PAGE_SIZE)]));
    let data = Segment::Pages(run(&pool, &patterned(0, PAGE_SIZE + 1)));
    let error = copy(list([data]), Destination::Owned(&mut pages), MOVE, &Endless).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    assert!(contents(&pages).iter().all(|byte| *byte == UNTOUCHED));
    let mut no_pages = PageVector::new(0).unwrap();
    let error = copy_bytes(1, Destination::Owned(&mut no_pages)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
}

/// Copies that many bytes of a buffer.
fn copy_bytes(bytes: usize, destination: Destination<'_, '_>) -> std::io::Result<Copied> {
    copy(list([Segment::Buffer(patterned(0, bytes).into())]), destination, MOVE, &Endless)
}

#[test]
fn nothing_into_nothing_is_nothing() {
    let mut none = PageVector::new(0).unwrap();
    let copied = copy_bytes(0, Destination::Owned(&mut none)).unwrap();
    assert_eq!((copied.bytes, copied.zeroed, copied.reads), (0, 0, 0));
}

#[test]
fn a_page_that_is_missing_is_an_error() {
    let mut pages = PageVector::new(1).unwrap();
    pages.push(None, PageDescriptor::new(0, 1).unwrap()).unwrap();
    let error = copy_bytes(1, Destination::Owned(&mut pages)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
    let mut memory = [0; 4];
    let mut pages = PageVector::new(1).unwrap();
    pages.push(memory.as_mut_slice(), PageDescriptor::new(0, 5).unwrap()).unwrap();
    let error = copy_bytes(1, Destination::Borrowed(&mut pages)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
}

#[test]
fn a_file_that_ends_early_ends_the_data_there() {
    let (pool, file) = (PagePool::new(PAGE_SIZE, 8), backing());
    let mut pages = owned(&pool, &descriptors(&[(0, PAGE_SIZE); 2]));
    let segments = [extent(&file, FILE_SIZE - 100, 200), Segment::Zeros(5), extent(&file, 0, 50)];
    let copied = copy(list(segments), Destination::Owned(&mut pages), KEEP, &Endless).unwrap();
    assert_eq!((copied.bytes, copied.spliced_bytes, copied.zeroed), (100, 100, 8092));
    assert!(copied.failure.is_none());
    assert_eq!(contents(&pages)[..100], patterned(FILE_SIZE - 100, 100));
}

#[test]
fn an_error_after_some_bytes_is_told_and_the_bytes_count() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let named = tempfile::NamedTempFile::new().unwrap();
    let file: File = OpenOptions::new().write(true).open(named.path()).unwrap();
    let unreadable = Arc::new(Backing::new(file.into(), true, false));
    let mut pages = owned(&pool, &descriptors(&[(0, PAGE_SIZE)]));
    let late = list([Segment::Buffer(Bytes::from_static(b"data")), extent(&unreadable, 0, 9)]);
    let copied = copy(late, Destination::Owned(&mut pages), KEEP, &Endless).unwrap();
    assert_eq!((copied.bytes, copied.zeroed), (4, 4092));
    assert_eq!(copied.failure.unwrap().raw_os_error(), Some(libc::EBADF));
    let at_once = list([extent(&unreadable, 0, 9)]);
    let error = copy(at_once, Destination::Owned(&mut pages), KEEP, &Endless).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn extents_that_continue_each_other_are_one_read() {
    let (pool, file) = (PagePool::new(PAGE_SIZE, 32), backing());
    let mut pages = owned(&pool, &descriptors(&[(0, PAGE_SIZE); 14]));
    let adjacent = list((0..14).map(|n| extent(&file, n * PAGE_SIZE, PAGE_SIZE)));
    let copied = copy(adjacent, Destination::Owned(&mut pages), MOVE, &Endless).unwrap();
    assert_eq!((copied.reads, copied.bytes), (1, 14 * PAGE_SIZE as u64));
    let scattered = list((0..7).map(|n| extent(&file, n * 2 * PAGE_SIZE, PAGE_SIZE)));
    let copied = copy(scattered, Destination::Owned(&mut pages), MOVE, &Endless).unwrap();
    assert_eq!((copied.reads, copied.bytes), (7, 7 * PAGE_SIZE as u64));
}

#[test]
fn more_fragments_than_one_system_call_takes_are_several() {
    let file = backing();
    let count = 2500;
    let mut memory = vec![UNTOUCHED; count * 3];
    let descriptor = PageDescriptor::new(5, 3).unwrap();
    let mut copied = |list| {
        let fragments = memory.chunks_mut(3).map(|fragment| (fragment, descriptor));
        let copied = into_fragments(fragments, list, KEEP).unwrap();
        (copied, memory.clone())
    };
    let (copied_from_file, memory) = copied(list([extent(&file, 1, count * 3)]));
    assert_eq!((copied_from_file.reads, copied_from_file.bytes), (3, 7500));
    assert_eq!(copied_from_file.not_moved.get(NotMoved::DirectIo), 2500);
    assert!(memory == patterned(1, 7500));

    let buffer = list([Segment::Buffer(patterned(9, 7400).into()), Segment::Zeros(50)]);
    let (copied, memory) = copied(buffer);
    assert_eq!((copied.copied_bytes, copied.filled_bytes, copied.zeroed), (7400, 50, 50));
    assert!(memory[..7400] == patterned(9, 7400));
    assert!(memory[7400..] == [0; 100]);
}

#[test]
fn three_pipes_and_a_socket_go_straight_into_the_pages() {
    let pool = PagePool::new(PAGE_SIZE, 16);
    let mut segments = Vec::new();
    for number in 0..3_usize {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&patterned(number * 1000, 3000)).unwrap();
        let stream = Arc::new(Stream::pipe(reader.into()).unwrap());
        segments.push(Segment::Stream { stream, length: 3000 });
    }
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&patterned(3000, 3000)).unwrap();
    let stream = Arc::new(Stream::socket(ours.into()).unwrap());
    segments.push(Segment::Stream { stream, length: 3000 });
    let mut pages = owned(&pool, &descriptors(&[(0, PAGE_SIZE); 3]));
    let copied = copy(list(segments), Destination::Owned(&mut pages), MOVE, &Endless).unwrap();
    assert_eq!((copied.bytes, copied.spliced_bytes, copied.zeroed), (12_000, 12_000, 288));
    assert_eq!((copied.reads, copied.copied_bytes), (4, 0));
    let expected: Vec<u8> = (0..4).flat_map(|number| patterned(number * 1000, 3000)).collect();
    assert!(contents(&pages)[..12_000] == expected);
}

/// A pipe with `content` in it, and the end to write more.
fn pipe_with(content: &[u8]) -> (Arc<Stream>, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(content).unwrap();
    (Arc::new(Stream::pipe(reader.into()).unwrap()), writer)
}

#[test]
fn pipes_that_have_their_bytes_are_one_list() {
    let (one, _one_writer) = pipe_with(b"abcdef");
    let (two, two_writer) = pipe_with(b"123456");
    let piece =
        |stream: &Arc<Stream>, length| Segment::Stream { stream: Arc::clone(stream), length };
    let pool = PagePool::new(PAGE_SIZE, 4);
    let into = |segments: Vec<Segment>| {
        let mut pages = owned(&pool, &descriptors(&[(0, PAGE_SIZE)]));
        let destination = Destination::Owned(&mut pages);
        let copied = copy(list(segments), destination, CopyOptions::default(), &Endless).unwrap();
        let bytes = usize::try_from(copied.bytes).unwrap();
        (copied.pipe_lists, contents(&pages)[..bytes].to_vec())
    };
    assert_eq!(
        into(vec![piece(&one, 2), piece(&two, 3), piece(&one, 3)]),
        (1, b"ab123cde".to_vec()),
        "each piece takes its own length and leaves the rest"
    );
    assert_eq!(
        into(vec![piece(&one, 1), Segment::Zeros(1), piece(&two, 1)]),
        (0, b"f\x004".to_vec()),
        "with something else between them they are taken one by one"
    );
    drop(two_writer);
    assert_eq!(into(vec![piece(&two, 9)]), (0, b"56".to_vec()), "less than asked for is no list");
}

#[test]
fn behind_a_stream_that_ends_early_others_keep_what_they_have() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let streams = [b"short", b"kept!"].map(|content| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(content).unwrap();
        Arc::new(Stream::pipe(reader.into()).unwrap())
    });
    let segments =
        streams.each_ref().map(|stream| Segment::Stream { stream: Arc::clone(stream), length: 10 });
    let copied = into_one_page(&pool, segments.into(), MOVE);
    assert_eq!((copied.bytes, copied.zeroed), (5, 4091));
    assert!(copied.failure.is_none());
    let kept = Segment::Stream { stream: Arc::clone(&streams[1]), length: 5 };
    let mut pages = owned(&pool, &descriptors(&[(0, 5)]));
    copy(list([kept]), Destination::Owned(&mut pages), MOVE, &Endless).unwrap();
    assert_eq!(contents(&pages)[..5], *b"kept!");
}

/// Does not wait at all.
struct Impatient;

impl Patience for Impatient {
    fn keep_waiting(&self) -> std::io::Result<()> {
        Err(std::io::Error::from_raw_os_error(libc::ECANCELED))
    }
}

#[test]
fn the_end_of_patience_ends_the_data() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    let (reader, _writer) = std::io::pipe().unwrap();
    let stream = Arc::new(Stream::pipe(reader.into()).unwrap());
    let silent = || Segment::Stream { stream: Arc::clone(&stream), length: 10 };
    let mut pages = owned(&pool, &descriptors(&[(0, PAGE_SIZE)]));
    let late = list([Segment::Buffer(Bytes::from_static(b"data")), silent()]);
    let copied = copy(late, Destination::Owned(&mut pages), MOVE, &Impatient).unwrap();
    assert_eq!((copied.bytes, copied.zeroed), (4, 4092));
    assert_eq!(copied.failure.unwrap().raw_os_error(), Some(libc::ECANCELED));
    let error =
        copy(list([silent()]), Destination::Owned(&mut pages), MOVE, &Impatient).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
}

#[test]
fn statistics_are_the_sums_of_the_copies() {
    let (pool, file) = (PagePool::new(PAGE_SIZE, 8), backing());
    let statistics = CopyStatistics::default();
    let moved = Segment::Pages(run(&pool, &patterned(0, PAGE_SIZE)));
    for segments in [vec![moved], vec![extent(&file, 0, 100), Segment::Zeros(5)]] {
        statistics.add(&into_one_page(&pool, segments, MOVE));
    }
    let counts = statistics.counts();
    assert_eq!((counts.copies, counts.bytes, counts.zeroed), (2, 4201, 3991));
    assert_eq!((counts.moved_pages, counts.spliced_bytes, counts.filled_bytes), (1, 100, 5));
    assert_eq!((counts.reads, counts.copied_bytes), (1, 0));
    let reasons: Vec<_> = counts.not_moved.iter().filter(|(_, pages)| *pages > 0).collect();
    assert_eq!(reasons, [(NotMoved::Unstealable, 1)]);
}
