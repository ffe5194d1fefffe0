//! Pipes on the way from files to the kernel, reused.
//!
//! A pipe is the only place where pages of a file can wait without being copied. Setting one
//! up costs more than what it saves, so pipes are kept; what is left in one would become the
//! start of the next message, so a pipe goes back only when the books show it empty.

use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::sys::{self, SharedPage};
use crate::{Backing, PAGE_SIZE};

/// A bounded stack of empty pipes, shared by the serving threads.
#[derive(Debug)]
pub struct PipePool {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Pipe>,
    high_water: usize,
    statistics: PipeStatistics,
}

/// Counters of a [`PipePool`] since its creation.
#[derive(Clone, Copy, Debug, Default)]
pub struct PipeStatistics {
    /// Pipes that were made.
    pub made: u64,
    /// Pipes that were closed because something was left in them.
    pub discarded: u64,
    /// Pipes that wait for a message now.
    pub idle: u64,
    /// Pipes that a message is on its way through now.
    pub lent: u64,
    /// The most of these at a time.
    pub lent_peak: u64,
}

impl PipePool {
    /// A pool of pipes for messages of up to `capacity` bytes that keeps at most
    /// `high_water` idle ones.
    pub fn new(capacity: usize, high_water: usize) -> Arc<Self> {
        let state = State { high_water, ..State::default() };
        Arc::new(Self { capacity, state: Mutex::new(state) })
    }

    /// An empty pipe for one message. It may be smaller than asked for where this process may
    /// not have larger ones.
    pub(crate) fn take(self: &Arc<Self>) -> io::Result<PooledPipe> {
        let idle = {
            let mut state = self.state.lock();
            let PipeStatistics { lent, lent_peak, .. } = &mut state.statistics;
            *lent += 1;
            *lent_peak = (*lent_peak).max(*lent);
            state.idle.pop()
        };
        let pipe = if let Some(pipe) = idle {
            pipe
        } else {
            let made = Pipe::new(self.capacity);
            let statistics = &mut self.state.lock().statistics;
            match made {
                Ok(pipe) => {
                    statistics.made += 1;
                    pipe
                }
                Err(error) => {
                    statistics.lent -= 1;
                    return Err(error);
                }
            }
        };
        Ok(PooledPipe { pipe: Some(pipe), pool: Arc::clone(self) })
    }

    /// Closes what is idle and keeps nothing any more.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.high_water = 0;
        let idle = std::mem::take(&mut state.idle);
        // closing is a system call: not under the lock
        drop(state);
        drop(idle);
    }

    /// Counters since creation.
    pub fn statistics(&self) -> PipeStatistics {
        let state = self.state.lock();
        PipeStatistics { idle: state.idle.len() as u64, ..state.statistics }
    }
}

/// A pipe that goes back to its pool when dropped, if it is empty then.
#[derive(Debug)]
pub(crate) struct PooledPipe {
    pipe: Option<Pipe>,
    pool: Arc<PipePool>,
}

impl Deref for PooledPipe {
    type Target = Pipe;

    fn deref(&self) -> &Pipe {
        self.pipe.as_ref().expect("present until dropped")
    }
}

impl DerefMut for PooledPipe {
    fn deref_mut(&mut self) -> &mut Pipe {
        self.pipe.as_mut().expect("present until dropped")
    }
}

impl Drop for PooledPipe {
    fn drop(&mut self) {
        let Some(pipe) = self.pipe.take() else { return };
        let mut state = self.pool.state.lock();
        state.statistics.lent -= 1;
        if pipe.content != 0 {
            state.statistics.discarded += 1;
        } else if state.idle.len() < state.high_water {
            state.idle.push(pipe);
            return;
        }
        // closing is a system call: not under the lock
        drop(state);
        drop(pipe);
    }
}

/// Both ends of a pipe, the memory of its message's header, and how much is in it.
#[derive(Debug)]
pub(crate) struct Pipe {
    reader: PipeReader,
    writer: PipeWriter,
    /// Referred to by the pipe while it is being written. Memory that a fork in between
    /// would copy could show the pipe an old header.
    header: SharedPage,
    slots: usize,
    content: usize,
}

impl Pipe {
    fn new(capacity: usize) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let size = sys::set_pipe_size(writer.as_fd(), capacity)?;
        let header = SharedPage::new()?;
        Ok(Self { reader, writer, header, slots: size / PAGE_SIZE, content: 0 })
    }

    /// Pieces of pages that it can hold.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Puts the header's memory in, of which the bytes are not known yet.
    pub(crate) fn lend_header(&mut self, length: usize) -> io::Result<()> {
        // should it ever be sent as it is, it is no message
        self.header[..length].fill(0);
        let lent = sys::vmsplice(self.writer.as_fd(), &self.header[..length])?;
        self.content += lent;
        if lent == length { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Moves bytes of a file in. Fewer than `length` say nothing; 0 is the end of the file.
    pub(crate) fn load(
        &mut self,
        backing: &Backing,
        offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        let moved = sys::splice_from_file(backing.as_fd(), offset, self.writer.as_fd(), length)?;
        self.content += moved;
        Ok(moved)
    }

    /// Moves what a pipe or socket has now in, at most `length` bytes. EAGAIN where it has
    /// nothing or this pipe is full; 0 is the end of the stream.
    pub(crate) fn load_stream(
        &mut self,
        stream: BorrowedFd<'_>,
        length: usize,
    ) -> io::Result<usize> {
        let moved = sys::streams::splice_from_stream(stream, self.writer.as_fd(), length)?;
        self.content += moved;
        Ok(moved)
    }

    /// Whether there is no room for another piece of a page.
    pub(crate) fn is_full(&self) -> io::Result<bool> {
        Ok(!sys::streams::has_room(self.writer.as_fd())?)
    }

    /// Takes everything out again: the header, and the `payload` behind it. Only where they
    /// are what was moved in, and all of it is still there.
    pub(crate) fn take_back(&mut self, header: usize, payload: &mut [u8]) -> io::Result<()> {
        let whole = header + payload.len();
        if self.content != whole || sys::streams::bytes_in(self.reader.as_fd())? != whole {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // all of it is there: nothing waits
        io::copy(&mut (&self.reader).take(header as u64), &mut io::sink())?;
        (&self.reader).read_exact(payload)?;
        self.content = 0;
        Ok(())
    }

    /// Sends everything as one message that begins with `header`. The device may take pages
    /// over if moves are offered.
    pub(crate) fn send(
        &mut self,
        header: &[u8],
        device: BorrowedFd<'_>,
        offer_moves: bool,
    ) -> io::Result<()> {
        self.header[..header.len()].copy_from_slice(header);
        let moved = sys::splice_to_device(self.reader.as_fd(), device, self.content, offer_moves)?;
        self.content -= moved;
        if self.content == 0 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}
