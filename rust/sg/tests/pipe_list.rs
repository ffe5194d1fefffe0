//! Lists of pipes into the pages of a request: the reference's worked examples, what it got
//! wrong, and random lists against an oracle that is one plain vector of bytes.

#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use fusesg_sg::{
    Copied, CopyOptions, Destination, GatherError, NotMoved, PAGE_SIZE, Page, PageDescriptor,
    PagePool, PageVector, Patience, Segment, SegmentList, Stream, copy, gather_pipes,
    pipes_of_message,
};
use proptest::prelude::*;

const UNTOUCHED: u8 = 0xEE;
const ZEROING: CopyOptions = CopyOptions { zero_tail: true, offer_moves: true };
const P: usize = PAGE_SIZE;

/// Never zero and never [`UNTOUCHED`]; different for each pipe.
fn patterned(pipe: usize, length: usize) -> Vec<u8> {
    let byte = |n: usize| u8::try_from((n * 31 + n / 251 + pipe * 57) % 199 + 1).unwrap();
    (0..length).map(byte).collect()
}

/// A pipe that holds `content` and has no writer any more.
fn pipe(content: &[u8]) -> PipeReader {
    // users have only so many pages for their pipes
    let plain = content.len() <= 16 * PAGE_SIZE;
    let (reader, mut writer) = if plain { io::pipe().unwrap() } else { wide_pipe() };
    writer.write_all(content).unwrap();
    reader
}

/// A pipe for up to 1 MiB.
fn wide_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    // SAFETY: takes numbers only.
    let size = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
    assert!(size > 0);
    (reader, writer)
}

/// Bytes that lie in a pipe.
fn content_length(pipe: &impl AsFd) -> usize {
    let mut bytes = 0;
    // SAFETY: writes one int.
    let result = unsafe { libc::ioctl(pipe.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    assert_eq!(result, 0);
    usize::try_from(bytes).unwrap()
}

struct Request {
    pool: Arc<PagePool>,
    pages: PageVector<Option<Page>>,
}

impl Request {
    fn new(descriptors: &[(usize, usize)]) -> Self {
        let pool = PagePool::new(P, 100);
        let mut pages = PageVector::new(descriptors.len()).unwrap();
        for (offset, length) in descriptors {
            let mut page = pool.take().unwrap();
            page.fill(UNTOUCHED);
            pages.push(Some(page), PageDescriptor::new(*offset, *length).unwrap()).unwrap();
        }
        Self { pool, pages }
    }

    fn gather(&mut self, pipes: &[impl AsFd]) -> Result<Copied, GatherError> {
        gather_pipes(pipes, Destination::Owned(&mut self.pages), ZEROING)
    }

    /// The bytes that the descriptors name; all others have to be untouched.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (page, descriptor) in self.pages.iter() {
            let page = page.as_ref().unwrap();
            let end = descriptor.start() + descriptor.len();
            bytes.extend(&page[descriptor.start()..end]);
            let outside = page[..descriptor.start()].iter().chain(&page[end..]);
            assert!(outside.copied().all(|byte| byte == UNTOUCHED));
        }
        bytes
    }

    fn is_untouched(&self) -> bool {
        self.bytes().iter().all(|byte| *byte == UNTOUCHED)
    }
}

/// The bytes in front, zeros behind.
fn padded(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(length, 0);
    padded
}

fn errno(result: Result<Copied, GatherError>) -> i32 {
    io::Error::from(result.unwrap_err()).raw_os_error().unwrap()
}

/// The body of a message that names descriptors.
fn body(pipes: &[impl AsFd]) -> Vec<u8> {
    pipes.iter().flat_map(|pipe| pipe.as_fd().as_raw_fd().to_ne_bytes()).collect()
}

// The worked examples

#[test]
fn pipes_of_3000_and_5000_bytes_into_three_pages() {
    let mut request = Request::new(&[(0, P); 3]);
    let pipes = [pipe(&patterned(1, 3000)), pipe(&patterned(2, 5000))];
    let copied = request.gather(&pipes).unwrap();
    assert_eq!((copied.bytes, copied.spliced_bytes, copied.reads), (8000, 8000, 2));
    assert_eq!(copied.zeroed, 192 + 4096);
    assert_eq!(copied.not_moved.get(NotMoved::Unstealable), 2, "pages that took data");
    let expected = [patterned(1, 3000), patterned(2, 5000)].concat();
    assert!(request.bytes() == padded(&expected, 3 * P));
    assert_eq!(pipes.each_ref().map(content_length), [0, 0]);
}

#[test]
fn pipes_of_3000_and_10000_bytes_are_too_much_and_stay_full() {
    let mut request = Request::new(&[(0, P); 3]);
    let pipes = [pipe(&patterned(1, 3000)), pipe(&patterned(2, 10_000))];
    assert_eq!(errno(request.gather(&pipes)), libc::EMSGSIZE);
    assert!(request.is_untouched());
    assert_eq!(pipes.each_ref().map(content_length), [3000, 10_000]);
}

#[test]
fn a_pipe_that_is_named_twice_is_empty_the_second_time() {
    let mut request = Request::new(&[(0, P)]);
    let pipe = pipe(&patterned(1, 3000));
    let copied = request.gather(&[&pipe, &pipe]).unwrap();
    assert_eq!(copied.bytes, 3000);
    assert!(request.bytes() == padded(&patterned(1, 3000), P));
}

#[test]
fn one_pipe_through_two_descriptors_is_one_pipe() {
    let mut request = Request::new(&[(0, P)]);
    let pipe = pipe(&patterned(1, 3000));
    let again = pipe.try_clone().unwrap();
    assert_eq!(request.gather(&[pipe, again]).unwrap().bytes, 3000);
}

#[test]
fn no_pipes_are_no_bytes() {
    let mut request = Request::new(&[(0, P); 2]);
    let copied = request.gather(&[] as &[PipeReader]).unwrap();
    assert_eq!((copied.bytes, copied.zeroed), (0, 8192));
    assert!(request.bytes().iter().all(|byte| *byte == 0));
    assert!(pipes_of_message(&[]).unwrap().is_empty());
}

#[test]
fn a_closed_descriptor_is_no_pipe() {
    let open = pipe(b"data");
    let far = 700;
    // SAFETY: takes numbers only.
    let number = unsafe { libc::fcntl(open.as_raw_fd(), libc::F_DUPFD, far) };
    // SAFETY: a new descriptor that nobody else knows.
    let closed = unsafe { OwnedFd::from_raw_fd(number) };
    drop(closed);
    for number in [number, -1, i32::MAX] {
        let error = pipes_of_message(&number.to_ne_bytes()).unwrap_err();
        assert!(matches!(error, GatherError::BadDescriptor { index: 0 }), "{error:?}");
        assert_eq!(error.errno(), libc::EBADF);
    }
}

#[test]
fn data_ends_exactly_or_not_at_all_in_the_middle_of_descriptors() {
    const DESCRIPTORS: [(usize, usize); 2] = [(100, 3996), (0, 4096)];
    for (length, zeroed) in [(5000, 3092), (8092, 0)] {
        let mut request = Request::new(&DESCRIPTORS);
        let copied = request.gather(&[pipe(&patterned(3, length))]).unwrap();
        assert_eq!((copied.bytes, copied.zeroed), (length as u64, zeroed));
        assert!(request.bytes() == padded(&patterned(3, length), 8092));
    }
    let mut request = Request::new(&DESCRIPTORS);
    let full = [pipe(&patterned(3, 8093))];
    let error = request.gather(&full).unwrap_err();
    assert!(matches!(error, GatherError::TooLong { available: 8093, room: 8092 }));
    assert!(request.is_untouched());
    assert_eq!(content_length(&full[0]), 8093);
}

#[test]
fn a_body_of_six_bytes_is_no_list() {
    let error = pipes_of_message(&[0; 6]).unwrap_err();
    assert!(matches!(error, GatherError::NotDescriptors { length: 6 }));
    assert_eq!(error.errno(), libc::EINVAL);
}

#[test]
fn a_body_of_eight_descriptors_is_eight_pipes() {
    let readers: Vec<_> = (0..8).map(|number| pipe(&patterned(number, 1000))).collect();
    let pipes = pipes_of_message(&body(&readers)).unwrap();
    drop(readers);
    let mut request = Request::new(&[(0, P); 2]);
    assert_eq!(request.gather(&pipes).unwrap().bytes, 8000);
    let expected: Vec<u8> = (0..8).flat_map(|number| patterned(number, 1000)).collect();
    assert!(request.bytes() == padded(&expected, 2 * P));
}

#[test]
fn a_bad_second_descriptor_leaves_the_first_pipe_full() {
    let mut request = Request::new(&[(0, P)]);
    let first = OwnedFd::from(pipe(&patterned(1, 100)));
    let no_pipe = OwnedFd::from(tempfile::tempfile().unwrap());
    let list = [first, no_pipe];
    let error = request.gather(&list).unwrap_err();
    assert!(matches!(error, GatherError::BadDescriptor { index: 1 }), "{error:?}");
    assert_eq!(error.errno(), libc::EBADF);
    assert!(request.is_untouched());
    assert_eq!(content_length(&list[0]), 100);
}

// What the reference got wrong

#[test]
fn eight_descriptors_and_many_more_are_all_taken() {
    // the reference compares bytes with a number of entries
    for count in [3, 8, 9, 100] {
        let pipes: Vec<_> = (0..count).map(|number| pipe(&patterned(number, 40))).collect();
        let mut request = Request::new(&[(0, P)]);
        assert_eq!(request.gather(&pipes).unwrap().bytes, count as u64 * 40);
    }
}

#[test]
fn a_request_without_pages_takes_nothing_and_is_not_read_past_its_end() {
    let mut request = Request::new(&[]);
    assert_eq!(request.gather(&[pipe(b"")]).unwrap().bytes, 0);
    let full = [pipe(b"x")];
    assert_eq!(errno(request.gather(&full)), libc::EMSGSIZE);
    assert_eq!(content_length(&full[0]), 1);
}

#[test]
fn no_error_keeps_a_descriptor() {
    // a pipe ends when its last descriptor is closed; one that leaked would keep it
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&patterned(0, 5000)).unwrap();
    let bad = tempfile::tempfile().unwrap();
    let list = [OwnedFd::from(reader), OwnedFd::from(bad)];
    let numbers = body(&list);
    let mut request = Request::new(&[(0, P)]);
    let mut pipes = pipes_of_message(&numbers).unwrap();
    assert_eq!(errno(request.gather(&pipes)), libc::EBADF);
    pipes.truncate(1);
    assert_eq!(errno(request.gather(&pipes)), libc::EMSGSIZE);
    drop(pipes);
    assert!(pipes_of_message(&[numbers, vec![0xFF; 4]].concat()).is_err());
    drop(list);
    let error = writer.write_all(b"x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_short_answer_tells_its_length_also_without_zeroing() {
    let mut request = Request::new(&[(0, P)]);
    let destination = Destination::Owned(&mut request.pages);
    let copied = gather_pipes(&[pipe(b"ten bytes!")], destination, CopyOptions::default()).unwrap();
    assert_eq!((copied.bytes, copied.zeroed), (10, 0));
    assert!(request.bytes()[10..].iter().all(|byte| *byte == UNTOUCHED));
}

#[test]
fn a_writer_that_waits_for_room_is_woken() {
    let (reader, writer) = io::pipe().unwrap();
    let capacity = 65_536;
    (&writer).write_all(&patterned(0, capacity)).unwrap();
    let (tell, told) = mpsc::channel();
    let waiting = thread::spawn(move || {
        // SAFETY: takes nothing.
        tell.send(unsafe { libc::gettid() }).unwrap();
        (&writer).write_all(b"more")
    });
    let stat = format!("/proc/self/task/{}/stat", told.recv().unwrap());
    while !fs::read_to_string(&stat).unwrap().contains(") S ") {
        thread::yield_now();
    }
    let mut request = Request::new(&[(0, P); 16]);
    assert_eq!(request.gather(&[&reader]).unwrap().bytes, capacity as u64);
    waiting.join().unwrap().unwrap();
    assert!(request.bytes() == patterned(0, capacity));
    let mut rest = Vec::new();
    (&reader).read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"more", "what is written later stays in the pipe");
}

#[test]
fn a_write_end_is_not_readable() {
    let mut request = Request::new(&[(0, P)]);
    let (_reader, writer) = io::pipe().unwrap();
    assert_eq!(errno(request.gather(&[writer])), libc::EBADF);
}

#[test]
fn a_fifo_is_a_pipe_if_it_is_open_for_reading() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a string that ends with NUL.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let both = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let reader = File::open(&path).unwrap();
    let writer = OpenOptions::new().write(true).open(&path).unwrap();
    let place = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&path).unwrap();
    (&writer).write_all(b"through a fifo").unwrap();
    let mut request = Request::new(&[(0, P)]);
    for bad in [&writer, &place] {
        assert_eq!(errno(request.gather(&[&reader, bad])), libc::EBADF);
    }
    assert_eq!(request.gather(&[&reader, &both]).unwrap().bytes, 14, "one and the same pipe");
    assert!(request.bytes().starts_with(b"through a fifo\0"));
    (&both).write_all(b"again").unwrap();
    assert_eq!(request.gather(&[&both]).unwrap().bytes, 5);
}

#[test]
fn what_is_no_pipe_is_refused() {
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut request = Request::new(&[(0, P)]);
    let others: [OwnedFd; 3] =
        [socket.into(), File::open("/dev/zero").unwrap().into(), File::open("/").unwrap().into()];
    for other in others {
        assert_eq!(errno(request.gather(&[other])), libc::EBADF);
    }
}

#[test]
fn a_pipe_of_pages_of_a_file_gives_their_bytes() {
    // buffers that are more than a page apart and end within one
    let mut source = tempfile::tempfile().unwrap();
    source.write_all(&patterned(4, 100_000)).unwrap();
    let (reader, writer) = wide_pipe();
    let mut offset: libc::loff_t = 70;
    let mut moved = 0;
    while moved < 90_000 {
        // SAFETY: the offset is a live variable; the pipe has none.
        let more = unsafe {
            libc::splice(
                source.as_raw_fd(),
                &raw mut offset,
                writer.as_raw_fd(),
                std::ptr::null_mut(),
                90_000 - moved,
                0,
            )
        };
        moved += usize::try_from(more).unwrap();
    }
    let mut request = Request::new(&[(0, P); 22]);
    assert_eq!(request.gather(&[reader]).unwrap().bytes, 90_000);
    assert!(request.bytes() == padded(&patterned(4, 100_000)[70..90_070], 22 * P));
}

#[test]
fn a_pipe_of_packets_gives_all_of_them() {
    let mut ends = [0; 2];
    // SAFETY: writes two descriptors.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_DIRECT) }, 0);
    // SAFETY: new descriptors that nobody else knows.
    let [reader, writer] = ends.map(|end| unsafe { File::from_raw_fd(end) });
    for packet in 1..=3 {
        (&writer).write_all(&patterned(packet, packet * 1000)).unwrap();
    }
    let mut request = Request::new(&[(0, 1000), (8, 500), (0, P), (0, P)]);
    let copied = request.gather(&[reader]).unwrap();
    assert_eq!((copied.bytes, copied.reads), (6000, 3));
    let expected = [patterned(1, 1000), patterned(2, 2000), patterned(3, 3000)].concat();
    assert!(request.bytes() == padded(&expected, 1500 + 2 * P));
}

/// Another reader takes what a pipe has when an answer has found it complete, and more comes.
#[derive(Debug)]
struct Meanwhile {
    asked: AtomicUsize,
    reader: File,
    writer: PipeWriter,
}

impl Patience for Meanwhile {
    fn keep_waiting(&self) -> io::Result<()> {
        match self.asked.fetch_add(1, Ordering::SeqCst) {
            0 => {
                let mut stolen = vec![0; P];
                (&self.reader).read_exact(&mut stolen)?;
            }
            1 => (&self.writer).write_all(&patterned(1, P))?,
            _ => {}
        }
        Ok(())
    }
}

#[test]
fn a_pipe_that_another_reader_empties_is_waited_for_and_not_at_its_end() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&patterned(0, P)).unwrap();
    let other = File::from(reader.as_fd().try_clone_to_owned().unwrap());
    let streams = [OwnedFd::from(reader), pipe(&patterned(2, P)).into()];
    let list: SegmentList = streams
        .into_iter()
        .map(|fd| Segment::Stream { stream: Arc::new(Stream::pipe(fd).unwrap()), length: P as u64 })
        .collect();
    let mut request = Request::new(&[(0, P), (0, P)]);
    let patience = Meanwhile { asked: AtomicUsize::new(0), reader: other, writer };
    let copied =
        copy(list, Destination::Owned(&mut request.pages), CopyOptions::default(), &patience);
    assert_eq!(copied.unwrap().bytes, 2 * P as u64);
    assert_eq!(request.bytes(), [patterned(1, P), patterned(2, P)].concat());
}

#[test]
fn a_descriptor_past_the_end_of_its_page_is_an_error_and_no_panic() {
    let mut request = Request::new(&[(0, P)]);
    let page = request.pool.take().unwrap();
    let past_the_end = PageDescriptor { offset: 4000, length: 97 };
    let mut pages = PageVector::new(1).unwrap();
    pages.push(Some(page), past_the_end).unwrap();
    request.pages = pages;
    let source = pipe(b"data");
    assert_eq!(errno(request.gather(&[source])), libc::EFAULT);
}

#[test]
fn a_missing_page_is_an_error_before_anything_is_taken() {
    let mut pages = PageVector::new(1).unwrap();
    pages.push(None, PageDescriptor::new(0, P).unwrap()).unwrap();
    let full = [pipe(b"data")];
    let result = gather_pipes(&full, Destination::Owned(&mut pages), ZEROING);
    assert_eq!(errno(result), libc::EFAULT);
    assert_eq!(content_length(&full[0]), 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_pipes_into_any_pages(
        lengths in prop::collection::vec(
            prop_oneof![Just(0), 1..100_usize, 1..9000_usize, Just(P), 65_000..200_000_usize],
            0..20,
        ),
        twice in any::<prop::sample::Index>(),
        descriptors in prop::collection::vec((0..P, 0..=P), 0..60),
        zero_tail in any::<bool>(),
        borrowed in any::<bool>(),
    ) {
        let descriptors: Vec<_> =
            descriptors.into_iter().map(|(offset, length)| (offset, length.min(P - offset))).collect();
        let room: usize = descriptors.iter().map(|(_, length)| length).sum();
        let contents: Vec<_> =
            lengths.iter().enumerate().map(|(pipe, length)| patterned(pipe, *length)).collect();
        let pipes: Vec<_> = contents.iter().map(|content| pipe(content)).collect();
        let mut list: Vec<_> = pipes.iter().collect();
        if !list.is_empty() {
            list.push(list[twice.index(list.len())]);
        }
        let options = CopyOptions { zero_tail, offer_moves: true };
        let mut request = Request::new(&descriptors);
        let mut memory = vec![UNTOUCHED; room];
        let result = if borrowed {
            let mut pages = PageVector::new(descriptors.len()).unwrap();
            let mut rest = memory.as_mut_slice();
            for (offset, length) in &descriptors {
                let (fragment, after) = rest.split_at_mut(*length);
                rest = after;
                pages.push(fragment, PageDescriptor::new(*offset, *length).unwrap()).unwrap();
            }
            gather_pipes(&list, Destination::Borrowed(&mut pages), options)
        } else {
            gather_pipes(&list, Destination::Owned(&mut request.pages), options)
        };
        let bytes = if borrowed { memory } else { request.bytes() };
        let mut expected = contents.concat();
        if expected.len() > room {
            prop_assert_eq!(errno(result), libc::EMSGSIZE);
            prop_assert!(bytes.iter().all(|byte| *byte == UNTOUCHED));
            let left: Vec<_> = pipes.iter().map(content_length).collect();
            prop_assert_eq!(left, lengths);
        } else {
            let copied = result.unwrap();
            prop_assert_eq!(copied.bytes, expected.len() as u64);
            prop_assert_eq!(copied.spliced_bytes, copied.bytes);
            let rest = room - expected.len();
            prop_assert_eq!(copied.zeroed, if zero_tail { rest as u64 } else { 0 });
            expected.resize(room, if zero_tail { 0 } else { UNTOUCHED });
            prop_assert!(bytes == expected);
            prop_assert!(pipes.iter().all(|pipe| content_length(pipe) == 0));
        }
        let Request { pool, pages } = request;
        drop(pages);
        let statistics = pool.statistics();
        prop_assert_eq!(statistics.bytes_idle, statistics.bytes_resident);
    }
}
