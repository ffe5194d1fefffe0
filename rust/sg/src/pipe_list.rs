//! An answer that is a list of pipes: what lies in them, into the pages of one request.
//!
//! ```text
//!  pipe A  3000 ──┐   ┌──────── page 0 ────────┐┌──────── page 1 ────────┐┌─── page 2 ───┐
//!  pipe B  5000 ──┴──►│ A 3000    │ B 1096     ││ B 3904         │ zeros ││ zeros        │
//! ```
//! (Kuznetsov 2024, "fs/fuse: enhanced splice support": the reply FUSE_OUT_SPLICES.) There the
//! kernel takes the buffers out of the pipes itself; here it carries their bytes with one
//! readv for each pipe. What is different is what can go wrong: all descriptors are looked at
//! first and the bytes in their pipes counted, so that an error leaves every pipe as it was;
//! and how many bytes came is told. The [page copier](crate::copy) answers this way what is
//! nothing but pipes that have their bytes already.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use parking_lot::MutexGuard;

use crate::copier::Copier;
use crate::destination::Cursor;
use crate::stream::{Detour, SparePipe};
use crate::sys::{Read, streams as sys};
use crate::{Copied, CopyOptions, Destination, Segment, SegmentList, Stream};

/// Why a list of pipes was not gathered.
#[derive(Debug)]
pub enum GatherError {
    /// Entry number `index` is closed, no pipe, or not open for reading.
    BadDescriptor {
        /// Its place in the list.
        index: usize,
    },
    /// A message body that is no array of descriptor numbers.
    NotDescriptors {
        /// Its bytes.
        length: usize,
    },
    /// There are more bytes in the pipes than the request takes.
    TooLong {
        /// Bytes in the pipes.
        available: u64,
        /// Bytes that the request takes.
        room: u64,
    },
    /// There is no memory for the list.
    OutOfMemory,
    /// The kernel could not read a pipe or has no descriptor left, or a page of the
    /// destination is missing.
    Failed(io::Error),
}

impl GatherError {
    /// The errno that a kernel would answer with.
    pub fn errno(&self) -> i32 {
        match self {
            Self::BadDescriptor { .. } => libc::EBADF,
            Self::NotDescriptors { .. } => libc::EINVAL,
            Self::TooLong { .. } => libc::EMSGSIZE,
            Self::OutOfMemory => libc::ENOMEM,
            Self::Failed(error) => error.raw_os_error().unwrap_or(libc::EIO),
        }
    }
}

impl fmt::Display for GatherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadDescriptor { index } => {
                write!(f, "entry {index} of the list is no pipe that can be read")
            }
            Self::NotDescriptors { length } => {
                write!(f, "{length} bytes are no list of descriptor numbers")
            }
            Self::TooLong { available, room } => {
                write!(f, "the pipes hold {available} bytes, the request takes {room}")
            }
            Self::OutOfMemory => f.write_str("out of memory for the list of pipes"),
            Self::Failed(error) => write!(f, "reading a pipe: {error}"),
        }
    }
}

impl std::error::Error for GatherError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl From<GatherError> for io::Error {
    fn from(error: GatherError) -> Self {
        Self::from_raw_os_error(error.errno())
    }
}

/// The pipes that the body of a FUSE_OUT_SPLICES message names: descriptor numbers of 32 bits
/// in the byte order of this machine. They are referred to as long as the result lives,
/// whoever closes them meanwhile.
///
/// # Errors
/// [`NotDescriptors`](GatherError::NotDescriptors), [`BadDescriptor`](GatherError::BadDescriptor)
/// for a number that is not open, [`OutOfMemory`](GatherError::OutOfMemory).
pub fn pipes_of_message(body: &[u8]) -> Result<Vec<OwnedFd>, GatherError> {
    let (numbers, rest) = body.as_chunks::<{ size_of::<RawFd>() }>();
    if !rest.is_empty() {
        return Err(GatherError::NotDescriptors { length: body.len() });
    }
    let mut pipes = Vec::new();
    pipes.try_reserve_exact(numbers.len()).map_err(|_| GatherError::OutOfMemory)?;
    for (index, number) in numbers.iter().enumerate() {
        let reference = sys::reference(RawFd::from_ne_bytes(*number));
        pipes.push(reference.map_err(|error| match error.raw_os_error() {
            Some(libc::EBADF) => GatherError::BadDescriptor { index },
            _ => GatherError::Failed(error),
        })?);
    }
    Ok(pipes)
}

/// Takes all that lies in `pipes`, one after another, and puts it into `destination`.
///
/// Pipes that are empty add nothing and are not waited for; one that is named twice is empty
/// the second time. A pipe may hold more than one read from it returns, and whoever waits to
/// write into it goes on. Bytes that are written meanwhile stay in the pipe. Nobody else
/// should read from the pipes at the same time: what others take is missing here.
///
/// # Errors
/// See [`GatherError`]. Nothing has been taken from any pipe then, but for a pipe that the
/// kernel fails to read ([`GatherError::Failed`]).
pub fn gather_pipes<P: AsFd>(
    pipes: &[P],
    destination: Destination<'_, '_>,
    options: CopyOptions,
) -> Result<Copied, GatherError> {
    let cursor = Cursor::new(destination).map_err(GatherError::Failed)?;
    let sources = look_at(pipes.iter().map(|pipe| (pipe.as_fd(), u64::MAX)))?;
    drain_all(&sources, Copier::new(cursor, options))
}

/// The pipes of an answer that has nothing else in it and need not be waited for.
#[derive(Debug)]
pub(crate) struct ReadyPipes<'l> {
    sources: Vec<Source<'l>>,
    /// Nobody else consumes the streams meanwhile.
    _turns: Vec<MutexGuard<'l, Option<Detour>>>,
}

impl<'l> ReadyPipes<'l> {
    /// Looks at the pipes of `list`. `None` if something else is in it, if a pipe has less
    /// than its segment asks for, or if somebody is reading from one.
    pub(crate) fn of(list: &'l SegmentList) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut turns: Vec<(*const Stream, MutexGuard<'l, _>)> = Vec::new();
        for segment in list.segments() {
            let Segment::Stream { stream, length } = segment else { return None };
            if !turns.iter().any(|(of, _)| *of == Arc::as_ptr(stream)) {
                turns.push((Arc::as_ptr(stream), stream.try_take_pipe()?));
            }
            pieces.push((stream.as_fd(), *length));
        }
        let sources = look_at(pieces.iter().copied()).ok()?;
        let complete = sources.iter().zip(&pieces).all(|(source, piece)| source.take == piece.1);
        let turns = turns.into_iter().map(|(_, turn)| turn).collect();
        (complete && !sources.is_empty()).then_some(Self { sources, _turns: turns })
    }

    /// Puts what they hold where `copier` puts it, and returns how many bytes that is: fewer
    /// than were found only where somebody else reads from a pipe as well, or one cannot be
    /// read. The pipes behind it are left alone.
    pub(crate) fn gather(self, copier: &mut Copier<'_, '_>) -> u64 {
        let mut spare = SparePipe::default();
        let mut taken = 0;
        for source in &self.sources {
            let drained = source.drain(copier, &mut spare).read as u64;
            taken += drained;
            if drained < source.take {
                return taken;
            }
        }
        copier.count_pipe_list();
        taken
    }
}

/// A pipe, and how much is to be taken from it.
#[derive(Debug)]
struct Source<'p> {
    pipe: BorrowedFd<'p>,
    take: u64,
}

/// Looks at all pipes without changing any. Of each as many bytes are wanted as come with
/// it, or what is there, if that is less.
fn look_at<'p>(
    pipes: impl ExactSizeIterator<Item = (BorrowedFd<'p>, u64)>,
) -> Result<Vec<Source<'p>>, GatherError> {
    let mut sources = Vec::new();
    let mut left_in = HashMap::new();
    sources.try_reserve_exact(pipes.len()).map_err(|_| GatherError::OutOfMemory)?;
    left_in.try_reserve(pipes.len()).map_err(|_| GatherError::OutOfMemory)?;
    for (index, (pipe, wanted)) in pipes.enumerate() {
        let bad = GatherError::BadDescriptor { index };
        let Some(identity) = sys::readable_pipe(pipe) else { return Err(bad) };
        let available = sys::bytes_in(pipe).map_err(|_| bad)? as u64;
        let left = left_in.entry(identity).or_insert(available);
        let take = wanted.min(*left);
        *left -= take;
        sources.push(Source { pipe, take });
    }
    Ok(sources)
}

/// Takes what was found, if there is room for all of it.
fn drain_all(sources: &[Source<'_>], mut copier: Copier<'_, '_>) -> Result<Copied, GatherError> {
    let available = sources.iter().map(|source| source.take).sum();
    let room = copier.room();
    if available > room {
        return Err(GatherError::TooLong { available, room });
    }
    let mut spare = SparePipe::default();
    for source in sources {
        if let Some(error) = source.drain(&mut copier, &mut spare).failure {
            return Err(GatherError::Failed(error));
        }
    }
    copier.finish().map_err(GatherError::Failed)
}

impl Source<'_> {
    /// Takes what was found, or what somebody else who reads from the pipe has left of it.
    fn drain(&self, copier: &mut Copier<'_, '_>, spare: &mut SparePipe) -> Read {
        // there is room for it in memory
        let wanted = usize::try_from(self.take).unwrap_or(usize::MAX);
        let mut read = 0;
        while read < wanted {
            let outcome = read_now(self.pipe, &mut copier.slices(wanted - read), spare);
            match outcome {
                Ok(0) => break,
                Ok(more) => {
                    copier.spliced(more);
                    read += more;
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => break,
                    _ => return Read { read, failure: Some(error) },
                },
            }
        }
        Read { read, failure: None }
    }
}

/// Takes what lies in a pipe, and wakes who waits to write into it. Never waits, however many
/// read from the pipe: nothing is EAGAIN or 0.
fn read_now(
    pipe: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
    spare: &mut SparePipe,
) -> io::Result<usize> {
    match sys::read_now(pipe, buffers) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => spare.read(pipe, buffers),
        other => other,
    }
}
