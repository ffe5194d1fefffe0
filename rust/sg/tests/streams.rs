//! Pipes and sockets in segment lists, packed and spliced, against plain vectors of bytes.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::cell::Cell;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use fusesg_sg::{
    Backing, Endless, Extent, LoadError, NotMoved, NotSpliced, PackedList, PagePool, Patience,
    PipePool, Segment, SegmentList, SplicedMessage, Stream, gather,
};
use proptest::prelude::*;

const HEADER: &[u8; 16] = b"header of sixtee";
const FILE_SIZE: usize = 60_000;

fn pattern(salt: usize, length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from((n * 31 + n / 251 + salt * 97) % 251).unwrap()).collect()
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Pipe,
    Fifo,
    Unix,
    Tcp { blocking: bool },
}

/// A stream with one end for the list, one for the test, and who writes into it.
struct Source {
    stream: Arc<Stream>,
    rest: Box<dyn Read>,
    writer: JoinHandle<()>,
}

impl Source {
    /// Writes `content` in pieces of `piece` bytes, from another thread, and closes.
    fn new(kind: Kind, content: Vec<u8>, piece: usize) -> Self {
        let (reader, writer): (OwnedFd, OwnedFd) = match kind {
            Kind::Pipe => {
                let (reader, writer) = io::pipe().unwrap();
                (reader.into(), writer.into())
            }
            Kind::Fifo => fifo(),
            Kind::Unix => {
                let (reader, writer) = UnixStream::pair().unwrap();
                (reader.into(), writer.into())
            }
            Kind::Tcp { blocking } => {
                let (reader, writer) = tcp();
                reader.set_nonblocking(!blocking).unwrap();
                (reader.into(), writer.into())
            }
        };
        let copy = reader.try_clone().unwrap();
        let stream = match kind {
            Kind::Pipe | Kind::Fifo => Stream::pipe(copy),
            Kind::Unix | Kind::Tcp { .. } => Stream::socket(copy),
        };
        if let Kind::Tcp { .. } = kind {
            // what the message left is read with blocking calls
            let again = TcpStream::from(reader.try_clone().unwrap());
            let rest = Box::new(BlockingTcp(again));
            return Self::start(stream.unwrap(), rest, writer, content, piece);
        }
        Self::start(stream.unwrap(), Box::new(File::from(reader)), writer, content, piece)
    }

    fn start(
        stream: Stream,
        rest: Box<dyn Read>,
        writer: OwnedFd,
        content: Vec<u8>,
        piece: usize,
    ) -> Self {
        let mut writer = File::from(writer);
        let writer = thread::spawn(move || {
            for piece in content.chunks(piece) {
                writer.write_all(piece).unwrap();
            }
        });
        Self { stream: Arc::new(stream), rest, writer }
    }

    fn segment(&self, length: usize) -> Segment {
        Segment::Stream { stream: Arc::clone(&self.stream), length: length as u64 }
    }

    /// What nobody has consumed.
    fn left(mut self) -> Vec<u8> {
        let mut left = Vec::new();
        self.rest.read_to_end(&mut left).unwrap();
        self.writer.join().unwrap();
        left
    }
}

/// Reads to the end whatever the descriptor's flags are, which the test looks at.
struct BlockingTcp(TcpStream);

impl Read for BlockingTcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.set_nonblocking(false)?;
        self.0.read(buffer)
    }
}

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, writer)
}

fn fifo() -> (OwnedFd, OwnedFd) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: the name is a live C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    // so that neither end waits for the other to be opened
    let both = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let reader = File::open(&path).unwrap();
    let writer = OpenOptions::new().write(true).open(&path).unwrap();
    drop(both);
    (reader.into(), writer.into())
}

fn file() -> Arc<Backing> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&pattern(99, FILE_SIZE)).unwrap();
    Arc::new(Backing::new(file.into(), false, false))
}

fn extent(backing: &Arc<Backing>, offset: usize, length: usize) -> Segment {
    let (offset, length) = (offset as u64, length as u64);
    Segment::Extent(Extent { backing: Arc::clone(backing), offset, length })
}

fn unreadable() -> Arc<Backing> {
    let directory = tempfile::tempdir().unwrap();
    Arc::new(Backing::new(File::open(directory.path()).unwrap().into(), false, false))
}

fn joined(packed: &PackedList<'_>) -> Vec<u8> {
    packed.iovecs(&[]).iter().flat_map(|slice| slice.to_vec()).collect()
}

/// The payload of a message that is sent to a file.
fn sent(mut message: SplicedMessage) -> Vec<u8> {
    let payload = message.payload();
    let mut file = tempfile::tempfile().unwrap();
    message.send(HEADER, file.as_fd(), false).unwrap();
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(&bytes[..HEADER.len()], HEADER);
    assert_eq!(bytes.len(), HEADER.len() + payload);
    bytes.split_off(HEADER.len())
}

/// The bytes of a list by way of a pipe, copied where that will not do, and why.
fn through_a_pipe(list: &SegmentList, pipes: &Arc<PipePool>) -> (Vec<u8>, Option<NotSpliced>) {
    let pool = PagePool::new(128 * 1024, 4);
    match SplicedMessage::load(list, pipes, HEADER.len(), &Endless) {
        Ok(message) => (sent(message), None),
        Err(LoadError::NotSpliced(unspliced)) => {
            let reason = unspliced.reason();
            let packed = unspliced.pack(list, &pool, &Endless).unwrap();
            assert!(packed.failure().is_none());
            (joined(&packed), Some(reason))
        }
        Err(LoadError::Failed(error)) => panic!("{error}"),
    }
}

#[derive(Clone, Debug)]
enum Piece {
    Buffer(usize),
    Zeros(usize),
    Extent {
        offset: usize,
        length: usize,
    },
    /// The next bytes of one of the streams.
    Stream {
        which: usize,
        length: usize,
    },
}

#[derive(Clone, Debug)]
struct Written {
    kind: Kind,
    length: usize,
    piece: usize,
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Pipe),
        2 => Just(Kind::Fifo),
        2 => Just(Kind::Unix),
        1 => any::<bool>().prop_map(|blocking| Kind::Tcp { blocking }),
    ]
}

fn any_written() -> impl Strategy<Value = Written> {
    (any_kind(), 0..120_000_usize, prop_oneof![100..3000_usize, Just(4096), Just(100_000)])
        .prop_map(|(kind, length, piece)| Written { kind, length, piece })
}

fn any_stream(streams: usize) -> impl Strategy<Value = Piece> {
    (0..streams, 0..40_000_usize).prop_map(|(which, length)| Piece::Stream { which, length })
}

fn any_extent() -> impl Strategy<Value = Piece> {
    // some end behind the file's end
    (0..FILE_SIZE, 0..8000_usize).prop_map(|(offset, length)| Piece::Extent { offset, length })
}

fn any_piece(streams: usize) -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => any_stream(streams),
        2 => any_extent(),
        1 => (0..9000_usize).prop_map(Piece::Buffer),
        1 => (0..70_000_usize).prop_map(Piece::Zeros),
    ]
}

/// What a message of these pieces is, up to the first byte that is not there, and how much of
/// each stream is consumed.
fn oracle(pieces: &[Piece], written: &[Written]) -> (Vec<u8>, Vec<usize>) {
    let contents: Vec<Vec<u8>> =
        written.iter().enumerate().map(|(which, w)| pattern(which, w.length)).collect();
    let file = pattern(99, FILE_SIZE);
    let mut consumed = vec![0; written.len()];
    let mut all = Vec::new();
    for piece in pieces {
        let (there, wanted) = match *piece {
            Piece::Buffer(length) => (pattern(50, length), length),
            Piece::Zeros(length) => (vec![0; length], length),
            Piece::Extent { offset, length } => {
                (file[offset..(offset + length).min(FILE_SIZE)].to_vec(), length)
            }
            Piece::Stream { which, length } => {
                let content = &contents[which];
                let start = consumed[which];
                let end = (start + length).min(content.len());
                consumed[which] = end;
                (content[start..end].to_vec(), length)
            }
        };
        all.extend(&there);
        if there.len() < wanted {
            break;
        }
    }
    (all, consumed)
}

fn list_of(pieces: &[Piece], sources: &[Source]) -> SegmentList {
    let backing = file();
    pieces
        .iter()
        .map(|piece| match *piece {
            Piece::Buffer(length) => Segment::Buffer(Bytes::from(pattern(50, length))),
            Piece::Zeros(length) => Segment::Zeros(length as u64),
            Piece::Extent { offset, length } => extent(&backing, offset, length),
            Piece::Stream { which, length } => sources[which].segment(length),
        })
        .collect()
}

fn sources_of(written: &[Written]) -> Vec<Source> {
    let source =
        |(which, w): (usize, &Written)| Source::new(w.kind, pattern(which, w.length), w.piece);
    written.iter().enumerate().map(source).collect()
}

/// Each stream has exactly what nobody was to consume.
fn check_rest(sources: Vec<Source>, consumed: &[usize]) {
    for (which, source) in sources.into_iter().enumerate() {
        let left = source.left();
        let whole = pattern(which, consumed[which] + left.len());
        assert!(left == whole[consumed[which]..], "stream {which} lost or kept bytes");
    }
}

const STREAMS: usize = 3;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_packed_list_consumes_what_it_sends(
        written in prop::collection::vec(any_written(), STREAMS),
        pieces in prop::collection::vec(any_piece(STREAMS), 0..12),
    ) {
        let (expected, consumed) = oracle(&pieces, &written);
        let sources = sources_of(&written);
        let list = list_of(&pieces, &sources);
        let pool = PagePool::new(256 * 1024, 4);
        let packed = PackedList::new(&list, &pool, &Endless).unwrap();
        prop_assert!(packed.failure().is_none());
        prop_assert!(joined(&packed) == expected);
        prop_assert!(packed.copied() <= packed.len());
        drop(packed);
        drop(list);
        check_rest(sources, &consumed);
    }

    #[test]
    fn gathering_consumes_the_same(
        written in prop::collection::vec(any_written(), STREAMS),
        pieces in prop::collection::vec(any_piece(STREAMS), 0..8),
    ) {
        let (expected, consumed) = oracle(&pieces, &written);
        let sources = sources_of(&written);
        let list = list_of(&pieces, &sources);
        let mut buffer = vec![0xAA; usize::try_from(list.len()).unwrap()];
        let length = gather(&list, &mut buffer).unwrap();
        prop_assert!(buffer[..length] == expected[..]);
        drop(list);
        check_rest(sources, &consumed);
    }

    #[test]
    fn a_message_of_a_pipe_consumes_the_same_whether_it_fits_or_not(
        written in prop::collection::vec(any_written(), STREAMS),
        pieces in prop::collection::vec(
            prop_oneof![2 => any_stream(STREAMS), 1 => any_extent()],
            0..8,
        ),
        capacity in prop_oneof![Just(32_usize << 10), Just(128 << 10), Just(1 << 20)],
    ) {
        let (expected, consumed) = oracle(&pieces, &written);
        let sources = sources_of(&written);
        let list = list_of(&pieces, &sources);
        let pipes = PipePool::new(capacity, 1);
        let (bytes, _) = through_a_pipe(&list, &pipes);
        prop_assert_eq!(bytes.len(), expected.len());
        prop_assert!(bytes == expected);
        // nothing of it is left to begin the next message
        let next = Source::new(Kind::Pipe, pattern(7, 5000), 5000);
        let again: SegmentList = [next.segment(5000)].into_iter().collect();
        prop_assert!(through_a_pipe(&again, &pipes).0 == pattern(7, 5000));
        drop(list);
        check_rest(sources, &consumed);
        next.left();
    }
}

#[test]
fn a_message_knows_which_of_its_pages_can_be_taken_over() {
    let file = file();
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&pattern(1, 4096)).unwrap();
    let pipe = Arc::new(Stream::pipe(reader.into()).unwrap());
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&pattern(2, 5000)).unwrap();
    let socket = Arc::new(Stream::socket(ours.into()).unwrap());
    let list: SegmentList = [
        extent(&file, 4096, 8192),
        Segment::Stream { stream: pipe, length: 4096 },
        Segment::Stream { stream: socket, length: 5000 },
        extent(&file, 0, 4096),
    ]
    .into_iter()
    .collect();
    let pipes = PipePool::new(1 << 20, 1);
    let message = SplicedMessage::load(&list, &pipes, HEADER.len(), &Endless).unwrap();
    let offer = message.move_offer();
    assert_eq!(offer.pages, 3, "of the file and of the pipe");
    assert_eq!(offer.not_moved.get(NotMoved::Unstealable), 2, "of the socket");
    assert_eq!(offer.not_moved.get(NotMoved::Misaligned), 1, "behind its odd end");
    assert_eq!(offer.not_moved.total(), 3);
    assert_eq!(sent(message).len(), 21_384);
}

#[test]
fn three_pipes_and_a_socket_are_one_message() {
    let kinds = [Kind::Pipe, Kind::Unix, Kind::Pipe, Kind::Pipe];
    let sources: Vec<Source> = kinds
        .iter()
        .enumerate()
        .map(|(which, kind)| Source::new(*kind, pattern(which, 32_768), 8192))
        .collect();
    let list: SegmentList = sources.iter().map(|source| source.segment(32_768)).collect();
    assert_eq!(list.sources(), 4);
    let pipes = PipePool::new(1 << 20, 1);
    let message = SplicedMessage::load(&list, &pipes, HEADER.len(), &Endless).unwrap();
    assert_eq!((message.sources(), message.payload()), (4, 131_072));
    let expected: Vec<u8> = (0..4).flat_map(|which| pattern(which, 32_768)).collect();
    assert!(sent(message) == expected);
    check_rest(sources, &[32_768; 4]);
}

#[test]
fn a_message_that_does_not_fit_its_pipe_loses_nothing() {
    // each piece is a fragment of its own, and the pipe has room for 8
    let source = Source::new(Kind::Unix, pattern(0, 20_000), 500);
    let backing = file();
    let list: SegmentList =
        [extent(&backing, 5000, 3000), source.segment(20_000), extent(&backing, 0, 100)]
            .into_iter()
            .collect();
    let pipes = PipePool::new(32 * 1024, 1);
    let pool = PagePool::new(128 * 1024, 4);
    let Err(LoadError::NotSpliced(unspliced)) =
        SplicedMessage::load(&list, &pipes, HEADER.len(), &Endless)
    else {
        panic!("40 fragments fit 8 slots");
    };
    assert_eq!(unspliced.reason(), NotSpliced::PipeFull);
    let packed = unspliced.pack(&list, &pool, &Endless).unwrap();
    let whole = pattern(99, FILE_SIZE);
    let expected = [&whole[5000..8000], &pattern(0, 20_000), &whole[..100]].concat();
    assert!(joined(&packed) == expected);
    assert_eq!(packed.copied(), expected.len());
    // the extent and the begun stream; the rest of the stream and the second extent
    assert_eq!(packed.calls(), 4);
    // what was taken out left the pipe fit for the next message
    assert_eq!((pipes.statistics().idle, pipes.statistics().discarded), (1, 0));
    source.left();
}

#[test]
fn a_refused_message_can_be_taken_back() {
    let source = Source::new(Kind::Pipe, pattern(0, 50_000), 50_000);
    let list: SegmentList = [source.segment(50_000)].into_iter().collect();
    let pipes = PipePool::new(1 << 20, 1);
    let pool = PagePool::new(128 * 1024, 4);
    let mut message = SplicedMessage::load(&list, &pipes, HEADER.len(), &Endless).unwrap();
    let read_only = File::open("/dev/null").unwrap();
    assert!(message.send(HEADER, read_only.as_fd(), false).is_err());
    let packed = message.take_back(&pool).unwrap();
    assert!(joined(&packed) == pattern(0, 50_000));
    assert_eq!((pipes.statistics().idle, pipes.statistics().discarded), (1, 0));
    source.left();
}

#[test]
fn a_message_that_is_gone_cannot_be_taken_back() {
    let source = Source::new(Kind::Pipe, pattern(0, 5000), 5000);
    let list: SegmentList = [source.segment(5000)].into_iter().collect();
    let pipes = PipePool::new(1 << 20, 1);
    let mut message = SplicedMessage::load(&list, &pipes, HEADER.len(), &Endless).unwrap();
    message.send(HEADER, tempfile::tempfile().unwrap().as_fd(), false).unwrap();
    // nothing is there, and nothing is said to be
    let taken = message.take_back(&PagePool::new(8192, 1));
    assert!(taken.is_err());
    source.left();
}

#[test]
fn a_stream_that_ends_early_ends_the_message_and_the_next_keeps_its_bytes() {
    for capacity in [4096, 1 << 20] {
        let short = Source::new(Kind::Pipe, pattern(0, 9000), 1000);
        let next = Source::new(Kind::Unix, pattern(1, 5000), 5000);
        let list: SegmentList = [short.segment(10_000), next.segment(5000)].into_iter().collect();
        let (bytes, _) = through_a_pipe(&list, &PipePool::new(capacity, 1));
        assert!(bytes == pattern(0, 9000));
        drop(list);
        check_rest(vec![short, next], &[9000, 0]);
    }
}

#[test]
fn streams_keep_their_bytes_where_an_extent_cannot_be_read() {
    let source = Source::new(Kind::Pipe, pattern(0, 5000), 5000);
    let list: SegmentList = [
        Segment::Buffer(Bytes::from(pattern(50, 6000))),
        source.segment(5000),
        extent(&unreadable(), 0, 5000),
    ]
    .into_iter()
    .collect();
    let packed = PackedList::new(&list, &PagePool::new(1 << 20, 1), &Endless).unwrap();
    assert_eq!(packed.failure().unwrap().raw_os_error(), Some(libc::EISDIR));
    assert!(joined(&packed) == pattern(50, 6000));
    drop(packed);
    drop(list);
    check_rest(vec![source], &[0]);
}

/// Gives up when asked for the given time.
struct Asked(Cell<u32>);

impl Patience for Asked {
    fn keep_waiting(&self) -> io::Result<()> {
        self.0.set(self.0.get() - 1);
        if self.0.get() == 0 { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

/// A stream that the test writes into itself.
fn open_stream(kind: Kind) -> (Arc<Stream>, File) {
    let (stream, writer) = match kind {
        Kind::Pipe => {
            let (reader, writer) = io::pipe().unwrap();
            (Stream::pipe(reader.into()), writer.into())
        }
        Kind::Fifo => {
            let (reader, writer) = fifo();
            (Stream::pipe(reader), writer)
        }
        Kind::Unix => {
            let (reader, writer) = UnixStream::pair().unwrap();
            (Stream::socket(reader.into()), writer.into())
        }
        Kind::Tcp { .. } => {
            let (reader, writer) = tcp();
            (Stream::socket(reader.into()), writer.into())
        }
    };
    (Arc::new(stream.unwrap()), writer.into())
}

#[test]
fn patience_ends_the_wait_for_a_stream_that_has_nothing() {
    for kind in [Kind::Pipe, Kind::Fifo, Kind::Unix] {
        let (stream, mut writer) = open_stream(kind);
        writer.write_all(b"begun").unwrap();
        let list: SegmentList = [Segment::Stream { stream, length: 8000 }].into_iter().collect();
        let pool = PagePool::new(1 << 20, 1);
        let packed = PackedList::new(&list, &pool, &Asked(Cell::new(3))).unwrap();
        assert_eq!(packed.failure().unwrap().kind(), io::ErrorKind::TimedOut);
        assert_eq!(joined(&packed), b"begun");

        writer.write_all(b"again").unwrap();
        let pipes = PipePool::new(1 << 20, 1);
        let loaded = SplicedMessage::load(&list, &pipes, 16, &Asked(Cell::new(3)));
        let Err(LoadError::Failed(error)) = loaded else { panic!("{loaded:?}") };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!((pipes.statistics().idle, pipes.statistics().discarded), (0, 1));
    }
}

#[test]
fn nothing_is_consumed_for_who_does_not_wait_any_more() {
    let (stream, mut writer) = open_stream(Kind::Pipe);
    writer.write_all(b"there").unwrap();
    let list: SegmentList = [Segment::Stream { stream, length: 5 }].into_iter().collect();
    let pool = PagePool::new(1 << 20, 1);
    let packed = PackedList::new(&list, &pool, &Asked(Cell::new(1))).unwrap();
    assert_eq!((packed.len(), packed.failure().is_some()), (0, true));
    let packed = PackedList::new(&list, &pool, &Endless).unwrap();
    assert_eq!(joined(&packed), b"there");
}

#[test]
fn two_readers_of_one_stream_take_turns() {
    let source = Source::new(Kind::Pipe, (0..=255).cycle().take(1 << 20).collect(), 777);
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let list: SegmentList = [source.segment(64 * 1024)].into_iter().collect();
            thread::spawn(move || {
                let pool = PagePool::new(1 << 20, 1);
                let packed = PackedList::new(&list, &pool, &Endless).unwrap();
                joined(&packed)
            })
        })
        .collect();
    for reader in readers {
        let bytes = reader.join().unwrap();
        assert_eq!(bytes.len(), 64 * 1024);
        // consecutive bytes of the stream
        assert!(bytes.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    }
    assert_eq!(source.left().len(), (1 << 20) - 4 * 64 * 1024);
}

#[test]
fn the_flags_of_a_descriptor_stay_as_they_are() {
    for nonblocking in [false, true] {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        reader.set_nonblocking(nonblocking).unwrap();
        let flags = || {
            // SAFETY: takes numbers only.
            unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_GETFL) }
        };
        let before = flags();
        let stream = Arc::new(Stream::socket(reader.try_clone().unwrap().into()).unwrap());
        writer.write_all(&pattern(0, 9000)).unwrap();
        let list: SegmentList = [Segment::Stream { stream, length: 9000 }].into_iter().collect();
        let (bytes, reason) = through_a_pipe(&list, &PipePool::new(1 << 20, 1));
        assert!(bytes == pattern(0, 9000));
        assert_eq!((reason, flags()), (None, before));
    }
}

#[test]
fn a_socket_whose_splice_might_wait_is_copied() {
    for blocking in [true, false] {
        let source = Source::new(Kind::Tcp { blocking }, pattern(0, 20_000), 20_000);
        let list: SegmentList = [source.segment(20_000)].into_iter().collect();
        let (bytes, reason) = through_a_pipe(&list, &PipePool::new(1 << 20, 1));
        assert!(bytes == pattern(0, 20_000));
        assert_eq!(reason, blocking.then_some(NotSpliced::BlockingSocket));
        source.left();
    }
}

#[test]
fn urgent_data_is_skipped_and_no_end() {
    let (reader, mut writer) = tcp();
    reader.set_nonblocking(true).unwrap();
    // SAFETY: sends one byte of live memory.
    let urgent = unsafe { libc::send(writer.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(urgent, 1);
    writer.write_all(&pattern(0, 9000)).unwrap();
    drop(writer);
    let stream = Arc::new(Stream::socket(reader.into()).unwrap());
    let list: SegmentList = [Segment::Stream { stream, length: 9000 }].into_iter().collect();
    let (bytes, reason) = through_a_pipe(&list, &PipePool::new(1 << 20, 1));
    assert!(bytes == pattern(0, 9000));
    assert_eq!(reason, Some(NotSpliced::Source));
}

#[test]
fn what_is_no_stream_is_refused() {
    let errno = |result: io::Result<Stream>| result.unwrap_err().raw_os_error();
    let (reader, writer) = io::pipe().unwrap();
    assert_eq!(errno(Stream::pipe(writer.into())), Some(libc::EBADF));
    assert_eq!(errno(Stream::socket(reader.into())), Some(libc::EINVAL));
    let file = || OwnedFd::from(tempfile::tempfile().unwrap());
    assert_eq!(errno(Stream::pipe(file())), Some(libc::EINVAL));
    assert_eq!(errno(Stream::socket(file())), Some(libc::EINVAL));
    let (one, other) = UnixDatagram::pair().unwrap();
    assert_eq!(errno(Stream::socket(one.into())), Some(libc::EINVAL));
    assert_eq!(errno(Stream::pipe(other.into())), Some(libc::EINVAL));
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
    assert_eq!(errno(Stream::socket(listener.into())), Some(libc::EINVAL));
    let path = directory.path().join("fifo");
    let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: the name is a live C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let only_a_path = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path);
    assert_eq!(errno(Stream::pipe(only_a_path.unwrap().into())), Some(libc::EBADF));
}

#[test]
fn a_broken_connection_is_an_error_and_no_end() {
    let (reader, writer) = tcp();
    // reset, not closed
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of_val(&linger)).unwrap();
    // SAFETY: the option is a live variable of this size.
    let set = unsafe {
        libc::setsockopt(
            writer.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        )
    };
    assert_eq!(set, 0);
    reader.set_nonblocking(true).unwrap();
    drop(writer);
    let stream = Arc::new(Stream::socket(reader.into()).unwrap());
    let list: SegmentList = [Segment::Stream { stream, length: 9000 }].into_iter().collect();
    let pipes = PipePool::new(1 << 20, 1);
    let loaded = SplicedMessage::load(&list, &pipes, 16, &Endless);
    let Err(LoadError::Failed(error)) = loaded else { panic!("{loaded:?}") };
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
}
