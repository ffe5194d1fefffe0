//! Bytes straight into and out of the caller's memory: direct I/O.
//!
//! The segments of a readv or writev are packed into as few requests as possible; the pages
//! of a request are fragments of the caller's memory. A READ's bytes go into them by the page
//! copier. A WRITE is one contiguous piece to a file system: bytes of several segments are
//! copied together, as the kernel copies them into the server's buffer.

use std::borrow::Cow;
use std::io;
use std::ops::Range;

use fusesg_fs::{Errno, Operation, Reply, Result};
use fusesg_sg::{
    AllocateError, CopyOptions, Destination, DirectIo, Direction, IovecCursor, OutOfMemory,
    PooledBuffer, Request, RequestLimits, Submission, UserMemory, copy,
};

use super::Client;
use super::background::in_background;
use super::open_file::OpenFile;
use super::session::Session;
use crate::responder::Wanted;

/// Segments that one vectored call takes (`UIO_MAXIOV`).
pub const MAX_SEGMENTS: usize = 1024;
/// Bytes that one call transfers (`MAX_RW_COUNT`).
pub(super) const MOST_BYTES: u64 = 0x7fff_f000;

impl Client {
    /// Reads at `offset` into `segments`, one after another; returns how many bytes there were.
    pub fn preadv<'m>(
        &self,
        descriptor: i32,
        segments: impl IntoIterator<Item = &'m mut [u8]>,
        offset: u64,
    ) -> Result<u64> {
        let (_use, file) = self.file(descriptor)?;
        file.check_readable()?;
        file.check_seekable()?;
        self.session.read_direct(&file, segments.into_iter().collect(), offset)
    }

    /// Writes `segments` at `offset`, one after another; returns how many bytes were taken.
    ///
    /// To a file that is open for appending they are written at its end, whatever `offset` is.
    pub fn pwritev<'m>(
        &self,
        descriptor: i32,
        segments: impl IntoIterator<Item = &'m [u8]>,
        offset: u64,
    ) -> Result<u64> {
        let (_use, file) = self.file(descriptor)?;
        file.check_writable()?;
        file.check_seekable()?;
        let segments: Vec<_> = segments.into_iter().collect();
        self.session
            .write_at(&file, offset, |session, offset| {
                session.write_direct(&file, &segments, offset)
            })
            .map(|(_, written)| written)
    }

    /// Reads at the file's position, and moves it.
    pub fn readv<'m>(
        &self,
        descriptor: i32,
        segments: impl IntoIterator<Item = &'m mut [u8]>,
    ) -> Result<u64> {
        let (_use, file) = self.file(descriptor)?;
        file.check_readable()?;
        let mut position = file.position();
        let segments = segments.into_iter().collect();
        let read = self.session.read_direct(&file, segments, *position)?;
        *position += read;
        Ok(read)
    }

    /// Writes at the file's position, or at its end if it is open for appending, and moves the
    /// position behind what was written.
    pub fn writev<'m>(
        &self,
        descriptor: i32,
        segments: impl IntoIterator<Item = &'m [u8]>,
    ) -> Result<u64> {
        let (_use, file) = self.file(descriptor)?;
        file.check_writable()?;
        let segments: Vec<_> = segments.into_iter().collect();
        let mut position = file.position();
        let (offset, written) = self.session.write_at(&file, *position, |session, offset| {
            session.write_direct(&file, &segments, offset)
        })?;
        *position = offset + written;
        Ok(written)
    }
}

impl Session {
    fn read_direct(
        &self,
        file: &OpenFile,
        mut segments: Vec<&mut [u8]>,
        offset: u64,
    ) -> Result<u64> {
        check_count(segments.len())?;
        let wanted = segments.iter().map(|segment| segment.len() as u64).sum();
        let most = self.bytes_to_ask_for(file, wanted, offset)?;
        cut(&mut segments, most, |segment, length| {
            let whole = std::mem::take(segment);
            *segment = &mut whole[..length];
        });
        let limits = RequestLimits::new(self.config.max_pages, self.config.max_read as usize);
        let memory = IovecCursor::new(segments).map_err(io::Error::from)?;
        let memory = memory.with_page_size(self.config.page_size);
        let io = DirectIo::new(memory, offset, limits, self.config.packing);
        let io = io.map_err(io::Error::from)?;
        self.transfer(file, Direction::Read, io, |request, range| self.fill(file, request, &range))
    }

    fn write_direct(&self, file: &OpenFile, segments: &[&[u8]], offset: u64) -> Result<u64> {
        check_count(segments.len())?;
        let mut segments = segments.to_vec();
        cut(&mut segments, MOST_BYTES, |segment, length| *segment = &segment[..length]);
        let limits = RequestLimits::new(self.config.max_pages, self.config.max_write as usize);
        let memory = IovecCursor::new(segments.iter().copied()).map_err(io::Error::from)?;
        let memory = memory.with_page_size(self.config.page_size);
        let io = DirectIo::new(memory, offset, limits, self.config.packing);
        let io = io.map_err(io::Error::from)?;
        self.transfer(file, Direction::Write, io, |request, range| {
            let in_one_piece = in_one_segment(&segments, range.start - offset, &range);
            self.drain(file, &request, in_one_piece, range.start)
        })
    }

    /// How many of `wanted` bytes are worth asking for. Requests that are sent at once cannot
    /// end with the first that finds the end of the file; so the file's size does it, rounded
    /// up to the next request: the file may just have grown.
    pub(super) fn bytes_to_ask_for(
        &self,
        file: &OpenFile,
        wanted: u64,
        offset: u64,
    ) -> Result<u64> {
        let (wanted, request) = (wanted.min(MOST_BYTES), u64::from(self.config.max_read));
        if !self.config.asynchronous || wanted <= request {
            return Ok(wanted);
        }
        let size = self.attributes_of(file.inode(), Some(file.handle()))?.size;
        Ok(wanted.min(size.saturating_sub(offset).next_multiple_of(request)))
    }

    /// Sends the requests of an I/O, one after another or all at once.
    fn transfer<M: UserMemory + Send>(
        &self,
        file: &OpenFile,
        direction: Direction,
        io: DirectIo<M>,
        carry_out: impl Fn(Request<M>, Range<u64>) -> Result<u64> + Sync,
    ) -> Result<u64> {
        let in_turn = direction == Direction::Write && !file.has_positions();
        if in_turn || !self.config.asynchronous {
            let allocate = |pages| Ok(self.requests.allocate(pages)?);
            let send = |request, range| carry_out(request, range).map_err(io::Error::from);
            return io.transfer(allocate, send).map_err(Errno::from);
        }
        let (mut submission, completion) = Submission::counted(direction, &self.completions);
        let carry_out = &carry_out;
        in_background(self.config.max_background, |background| {
            let background = std::cell::RefCell::new(background);
            let allocate = |pages| self.request_helping(pages, || background.borrow_mut().help());
            let sent = io.transfer(allocate, |request, range| {
                let length = range.end - range.start;
                let part = submission.part(length);
                background.borrow_mut().submit(move || {
                    part.complete(carry_out(request, range).map_err(io::Error::from));
                });
                Ok(length)
            });
            match sent {
                Ok(_) => submission.finish(),
                Err(error) => submission.fail(error),
            }
        });
        completion.wait().map_err(Errno::from)
    }

    /// A request of an I/O whose requests are carried out at the same time. All slots may be
    /// taken by requests of this very I/O: then `help` carries some out.
    pub(super) fn request_helping<T: Default>(
        &self,
        pages: usize,
        help: impl FnOnce(),
    ) -> io::Result<Request<T>> {
        match self.requests.try_allocate(pages) {
            Ok(request) => Ok(request),
            Err(AllocateError::Exhausted) => {
                help();
                Ok(self.requests.allocate(pages)?)
            }
            Err(AllocateError::OutOfMemory) => Err(OutOfMemory.into()),
        }
    }

    /// READ into a request's pages.
    fn fill(
        &self,
        file: &OpenFile,
        mut request: Request<&mut [u8]>,
        range: &Range<u64>,
    ) -> Result<u64> {
        let size = u32::try_from(range.end - range.start).map_err(|_| Errno::EINVAL)?;
        self.read(file.read(range.start, size), size, |list, patience| {
            let destination = Destination::Borrowed(&mut request.pages);
            let copied = copy(list, destination, CopyOptions::default(), patience)?;
            self.account(copied)
        })
    }

    /// WRITE from a request's pages, or from where they lie in one piece.
    fn drain(
        &self,
        file: &OpenFile,
        request: &Request<&[u8]>,
        in_one_piece: Option<&[u8]>,
        offset: u64,
    ) -> Result<u64> {
        if let Some(bytes) = in_one_piece {
            return self.send_write(file, bytes, offset);
        }
        let pages = request.pages.pages();
        let length = pages.iter().map(UserMemory::len).sum();
        let buffer = self.joined(pages, length)?;
        self.send_write(file, &buffer[..length], offset)
    }

    /// Pieces of memory in one buffer of `length` bytes or more.
    pub(super) fn joined(&self, pieces: &[&[u8]], length: usize) -> Result<PooledBuffer> {
        let pool = self.served.connection.data_path.pools.for_bytes(length as u64);
        let mut buffer = pool.take_at_least(length).map_err(io::Error::from)?;
        let mut rest = &mut *buffer;
        for piece in pieces {
            let (start, behind) = rest.split_at_mut(piece.len());
            start.copy_from_slice(piece);
            rest = behind;
        }
        self.count_joined(length as u64);
        Ok(buffer)
    }

    /// WRITE of contiguous bytes.
    pub(super) fn send_write(&self, file: &OpenFile, bytes: &[u8], offset: u64) -> Result<u64> {
        let wanted = u32::try_from(bytes.len()).map_err(|_| Errno::EINVAL)?;
        let strips = self.properties().clears_privileges && self.config.uid != 0;
        let operation = Operation::Write {
            inode: file.inode(),
            handle: file.handle(),
            offset,
            data: Cow::Borrowed(bytes),
            flags: file.flags,
            lock_owner: None,
            from_cache: false,
            kill_suid_sgid: strips,
        };
        match self.ask_in_request(operation, Wanted(wanted))? {
            Reply::Written(0) => {
                log::error!("write of inode {} took none of {wanted} bytes; EIO", file.inode());
                Err(Errno::EIO)
            }
            Reply::Written(taken) => Ok(taken.into()),
            _ => Err(Errno::EIO),
        }
    }
}

fn check_count(segments: usize) -> Result<()> {
    if segments > MAX_SEGMENTS { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Cuts what is more than `most` bytes.
fn cut<M: UserMemory>(segments: &mut Vec<M>, most: u64, shorten: impl Fn(&mut M, usize)) {
    let mut left = usize::try_from(most).unwrap_or(usize::MAX);
    let mut kept = 0;
    for segment in segments.iter_mut() {
        if segment.len() > left {
            shorten(segment, left);
        }
        left -= segment.len();
        kept += 1;
        if left == 0 {
            break;
        }
    }
    segments.truncate(kept);
}

/// The bytes of a request as a piece of one segment, if they are.
fn in_one_segment<'m>(segments: &[&'m [u8]], start: u64, range: &Range<u64>) -> Option<&'m [u8]> {
    let mut start = usize::try_from(start).ok()?;
    let length = usize::try_from(range.end - range.start).ok()?;
    for segment in segments {
        if start < segment.len() {
            return segment.get(start..start + length);
        }
        start -= segment.len();
    }
    None
}
