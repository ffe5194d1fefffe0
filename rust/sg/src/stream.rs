//! A pipe or socket that answers are read from, in order, each byte once.
//!
//! A stream's bytes cannot be asked for again, and they come when they come. So whoever
//! consumes one [waits patiently](Patience): as long as somebody wants the answer and no
//! longer. Descriptors that block and those that do not are read alike, by calls that never
//! wait by themselves; the descriptor's flags stay as they are, since others may share them.

use std::io::{self, IoSliceMut, PipeReader, PipeWriter, Read as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::NotSpliced;
use crate::pipe::Pipe;
use crate::sys::Read;
use crate::sys::streams as sys;

/// How often [`Patience`] is asked at least.
const INTERVAL: Duration = Duration::from_millis(50);

/// Decides how long a stream that has nothing yet is waited for.
pub trait Patience {
    /// Asked before a stream is consumed, after each wait for bytes of it, and at least every
    /// 50 ms. An error ends the wait and is what the read fails with.
    ///
    /// # Errors
    /// What to give up with.
    fn keep_waiting(&self) -> io::Result<()>;
}

/// Waits for ever, or for the end of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

impl Patience for Endless {
    fn keep_waiting(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe's read end or a connected stream socket.
///
/// Consumed by whoever reads it. One reader at a time: the bytes of one segment are
/// consecutive ones of the stream. Nothing keeps others from reading the same pipe through
/// descriptors of their own; each byte goes to one of them.
#[derive(Debug)]
pub struct Stream {
    fd: OwnedFd,
    kind: Kind,
    /// Held by the one reader.
    turn: Mutex<Option<Detour>>,
    /// A splice(2) from it was refused, and will be again.
    refuses_splice: AtomicBool,
    /// It cannot be read without waiting, but through a [`Detour`].
    needs_detour: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pipe,
    /// Whether splice(2) itself can be kept from waiting.
    Socket {
        splice_waits: bool,
    },
}

impl Stream {
    /// Takes the read end of a pipe or FIFO.
    ///
    /// # Errors
    /// EBADF if `fd` is not open for reading, EINVAL if it is no pipe.
    pub fn pipe(fd: OwnedFd) -> io::Result<Self> {
        let file = std::fs::File::from(fd);
        if !file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let flags = sys::status_flags(file.as_fd())?;
        if flags & libc::O_PATH != 0 || flags & libc::O_ACCMODE == libc::O_WRONLY {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        Ok(Self::new(file.into(), Kind::Pipe))
    }

    /// Takes a stream socket.
    ///
    /// # Errors
    /// EINVAL if `fd` is no socket, or one that does not carry a stream of bytes: a socket
    /// for datagrams or packets, or one that listens.
    pub fn socket(fd: OwnedFd) -> io::Result<Self> {
        let option = |option| match sys::socket_option(fd.as_fd(), option) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => {
                Err(io::Error::from_raw_os_error(libc::EINVAL))
            }
            other => other,
        };
        if option(libc::SO_TYPE)? != libc::SOCK_STREAM || option(libc::SO_ACCEPTCONN)? != 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // of the others, TCP heeds the descriptor's flag but not the call's
        let splice_waits = option(libc::SO_DOMAIN)? != libc::AF_UNIX;
        Ok(Self::new(fd, Kind::Socket { splice_waits }))
    }

    fn new(fd: OwnedFd, kind: Kind) -> Self {
        Self {
            fd,
            kind,
            turn: Mutex::new(None),
            refuses_splice: AtomicBool::new(false),
            needs_detour: AtomicBool::new(false),
        }
    }

    /// Whether its bytes come in pages, which somebody may take over.
    pub(crate) fn has_pages(&self) -> bool {
        self.kind == Kind::Pipe
    }

    /// Why its bytes cannot be moved into a pipe by calls that never wait.
    pub(crate) fn splice_obstacle(&self) -> Option<NotSpliced> {
        if self.refuses_splice.load(Ordering::Relaxed) {
            return Some(NotSpliced::Source);
        }
        match self.kind {
            Kind::Pipe | Kind::Socket { splice_waits: false } => None,
            Kind::Socket { splice_waits: true } => {
                let flags = sys::status_flags(self.as_fd()).unwrap_or(0);
                (flags & libc::O_NONBLOCK == 0).then_some(NotSpliced::BlockingSocket)
            }
        }
    }

    /// Consumes bytes until all of `buffers` are full, the stream ends, patience does, or an
    /// error comes.
    pub(crate) fn read(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        patience: &dyn Patience,
        spare: &mut SparePipe,
    ) -> Read {
        let mut turn = match self.take_turn(patience) {
            Ok(turn) => turn,
            Err(error) => return Read { read: 0, failure: Some(error) },
        };
        if turn.detour.is_none() {
            *turn.detour = spare.0.take();
        }
        let mut read = 0;
        let failure = turn.fill(buffers, &mut read).err();
        // bytes on a detour are this stream's, and stay with it
        if turn.detour.as_ref().is_some_and(Detour::is_empty) {
            spare.0 = turn.detour.take();
        }
        Read { read, failure }
    }

    /// The right to consume, if it is a pipe that nobody else consumes now and of which
    /// nothing is on a detour.
    pub(crate) fn try_take_pipe(&self) -> Option<MutexGuard<'_, Option<Detour>>> {
        let turn = (self.kind == Kind::Pipe).then(|| self.turn.try_lock()).flatten()?;
        turn.as_ref().is_none_or(|detour| detour.content == 0).then_some(turn)
    }

    /// The right to consume, until dropped.
    pub(crate) fn take_turn<'s>(&'s self, patience: &'s dyn Patience) -> io::Result<Turn<'s>> {
        let mut wait = Wait::begin(patience)?;
        loop {
            if let Some(detour) = self.turn.try_lock_for(INTERVAL) {
                return Ok(Turn { stream: self, detour, wait });
            }
            wait.ask_if_due()?;
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// What moving a stream's bytes into a pipe came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// That many bytes, at least one. Fewer than wanted say nothing.
    Bytes(usize),
    /// The stream has ended.
    End,
    /// The pipe has no room.
    PipeFull,
    /// The stream's bytes have to be copied.
    Refused,
}

/// A stream while somebody consumes it.
#[derive(Debug)]
pub(crate) struct Turn<'s> {
    stream: &'s Stream,
    detour: MutexGuard<'s, Option<Detour>>,
    wait: Wait<'s>,
}

impl Turn<'_> {
    /// Moves up to `length` bytes into `pipe`, as soon as there are any.
    pub(crate) fn move_into(&mut self, pipe: &mut Pipe, length: usize) -> io::Result<Moved> {
        let mut was_readable = false;
        loop {
            match pipe.load_stream(self.stream.as_fd(), length) {
                // urgent data of TCP looks like the end to splice(2); a copy skips it
                Ok(0)
                    if self.stream.kind != Kind::Pipe && !sys::has_ended(self.stream.as_fd())? =>
                {
                    return Ok(Moved::Refused);
                }
                Ok(0) => return Ok(Moved::End),
                Ok(moved) => {
                    self.wait.ask_if_due()?;
                    return Ok(Moved::Bytes(moved));
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) if pipe.is_full()? => return Ok(Moved::PipeFull),
                    // urgent data again, or another reader was quicker
                    Some(libc::EAGAIN) if was_readable => return Ok(Moved::Refused),
                    Some(libc::EAGAIN) => was_readable = self.wait.for_bytes_of(self.stream)?,
                    Some(libc::EINVAL) => {
                        self.stream.refuses_splice.store(true, Ordering::Relaxed);
                        return Ok(Moved::Refused);
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Reads until all of `buffers` are full or the stream ends; `read` is how much it was.
    fn fill(&mut self, mut buffers: &mut [IoSliceMut<'_>], read: &mut usize) -> io::Result<()> {
        IoSliceMut::advance_slices(&mut buffers, 0);
        while !buffers.is_empty() {
            match self.read_now(buffers) {
                Ok(0) => break,
                Ok(more) => {
                    *read += more;
                    IoSliceMut::advance_slices(&mut buffers, more);
                    self.wait.ask_if_due()?;
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => {
                        self.wait.for_bytes_of(self.stream)?;
                    }
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// What is there now; EAGAIN for nothing.
    fn read_now(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        // the kernel takes no more of them in one call
        let count = buffers.len().min(crate::sys::IOV_MAX);
        let buffers = &mut buffers[..count];
        let stream = self.stream;
        if stream.kind != Kind::Pipe {
            return sys::receive_now(stream.as_fd(), buffers);
        }
        if !stream.needs_detour.load(Ordering::Relaxed) {
            match sys::read_now(stream.as_fd(), buffers) {
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                    stream.needs_detour.store(true, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        let detour = match &mut *self.detour {
            Some(detour) => detour,
            none => none.insert(Detour::new()?),
        };
        detour.read(stream.as_fd(), buffers)
    }
}

/// An empty pipe that one stream after the other may use for its [`Detour`]: making one for
/// each would cost more than reading what is in it.
#[derive(Debug, Default)]
pub(crate) struct SparePipe(Option<Detour>);

impl SparePipe {
    /// Takes what a pipe has now by way of this one. Nothing is EAGAIN, or 0 at the end.
    pub(crate) fn read(
        &mut self,
        pipe: BorrowedFd<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> io::Result<usize> {
        let mut detour = self.0.take().map_or_else(Detour::new, Ok)?;
        let read = detour.read(pipe, buffers);
        self.0 = Some(detour).filter(Detour::is_empty);
        read
    }
}

/// The way around where a pipe cannot be read without waiting (a FIFO, a kernel before 6.4, a
/// pipe that splice(2) was used on, as Linux then forgets how): splice(2) can be told not to
/// wait, and a pipe of our own has nothing but what it brought.
#[derive(Debug)]
pub(crate) struct Detour {
    reader: PipeReader,
    writer: PipeWriter,
    /// Bytes in it: none, unless a read failed half-way.
    content: usize,
}

impl Detour {
    fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { reader, writer, content: 0 })
    }

    fn is_empty(&self) -> bool {
        self.content == 0
    }

    fn read(&mut self, pipe: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wanted = buffers.iter().map(|buffer| buffer.len()).sum();
        if self.content == 0 {
            self.content = sys::splice_from_stream(pipe, self.writer.as_fd(), wanted)?;
        }
        if self.content == 0 {
            return Ok(0);
        }
        let read = self.reader.read_vectored(buffers)?;
        self.content -= read;
        Ok(read)
    }
}

/// A wait, and when patience was last asked.
struct Wait<'p> {
    patience: &'p dyn Patience,
    asked: Instant,
}

impl std::fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wait").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl<'p> Wait<'p> {
    fn begin(patience: &'p dyn Patience) -> io::Result<Self> {
        patience.keep_waiting()?;
        Ok(Self { patience, asked: Instant::now() })
    }

    /// Waits a while, and tells whether there is something to read, the end included. Asks
    /// afterwards: what comes when nobody waits for it any more is left to the next reader.
    fn for_bytes_of(&mut self, stream: &Stream) -> io::Result<bool> {
        let readable = sys::wait_readable(stream.as_fd(), INTERVAL)?;
        self.ask()?;
        Ok(readable)
    }

    /// By the clock: a stream that always has a little must not escape.
    fn ask_if_due(&mut self) -> io::Result<()> {
        if self.asked.elapsed() >= INTERVAL { self.ask() } else { Ok(()) }
    }

    fn ask(&mut self) -> io::Result<()> {
        self.patience.keep_waiting()?;
        self.asked = Instant::now();
        Ok(())
    }
}
