//! One I/O on the caller's memory, request after request.

use std::io;
use std::ops::Range;

use crate::{IovecCursor, OutOfMemory, PageVector, TooManyBytes, UserMemory, range_end};

/// How segments share requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// One request for each segment, or several for a large one. What Linux did up to 3.8;
    /// kept to compare with.
    Segment,
    /// As many segments in a request as fit.
    #[default]
    Request,
}

/// What one request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    max_pages: usize,
    max_bytes: usize,
}

impl RequestLimits {
    /// At most `max_pages` places for pages and `max_bytes` bytes (the max_read or max_write
    /// of the connection). At least one of each is allowed, or nothing would ever be sent.
    pub fn new(max_pages: usize, max_bytes: usize) -> Self {
        Self { max_pages: max_pages.max(1), max_bytes: max_bytes.max(1) }
    }

    /// Places for pages.
    pub fn max_pages(self) -> usize {
        self.max_pages
    }

    /// Bytes.
    pub fn max_bytes(self) -> usize {
        self.max_bytes
    }
}

/// A readv or writev that becomes requests.
#[derive(Debug)]
pub struct DirectIo<M> {
    memory: IovecCursor<M>,
    /// In the file, of the next request.
    offset: u64,
    limits: RequestLimits,
    packing: Packing,
}

impl<M: UserMemory> DirectIo<M> {
    /// The I/O of `memory` at `offset` of a file.
    ///
    /// # Errors
    /// [`TooManyBytes`] if it would end past `i64::MAX`, the largest file offset there is.
    pub fn new(
        memory: IovecCursor<M>,
        offset: u64,
        limits: RequestLimits,
        packing: Packing,
    ) -> Result<Self, TooManyBytes> {
        range_end(offset, memory.remaining() as u64)?;
        Ok(Self { memory, offset, limits, packing })
    }

    /// Sends one request after another and returns how many bytes were transferred.
    ///
    /// Each request is allocated for the pages that it takes, and for no more. `send` gets it
    /// with the bytes of the file that it is about, and tells how many of them were
    /// transferred: where requests are not waited for, all. Fewer end the I/O, and so does
    /// an error, of either function.
    ///
    /// # Errors
    /// The first one, but only if no byte was transferred before it: progress wins over a
    /// late error. EIO if `send` claims more bytes than the request has, ENOMEM for a request
    /// without room.
    pub fn transfer<R: AsMut<PageVector<M>>>(
        mut self,
        mut allocate: impl FnMut(usize) -> io::Result<R>,
        mut send: impl FnMut(R, Range<u64>) -> io::Result<u64>,
    ) -> io::Result<u64> {
        let start = self.offset;
        while self.memory.remaining() > 0 {
            let (requested, done) = match self.next_request(&mut allocate, &mut send) {
                Ok(outcome) => outcome,
                Err(_) if self.offset > start => break,
                Err(error) => return Err(error),
            };
            self.offset += done;
            if done < requested {
                break;
            }
        }
        Ok(self.offset - start)
    }

    /// Packs and sends a request; returns the bytes it was for and those that it transferred.
    fn next_request<R: AsMut<PageVector<M>>>(
        &mut self,
        allocate: &mut impl FnMut(usize) -> io::Result<R>,
        send: &mut impl FnMut(R, Range<u64>) -> io::Result<u64>,
    ) -> io::Result<(u64, u64)> {
        let want = match self.packing {
            Packing::Segment => self.memory.segment_remaining().min(self.limits.max_bytes),
            Packing::Request => self.limits.max_bytes,
        };
        let mut request = allocate(self.memory.count_pages(want, self.limits.max_pages))?;
        let requested = self.memory.pack(want, request.as_mut()) as u64;
        if requested == 0 {
            return Err(OutOfMemory.into());
        }
        let done = send(request, self.offset..self.offset + requested)?;
        if done > requested {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        Ok((requested, done))
    }
}
