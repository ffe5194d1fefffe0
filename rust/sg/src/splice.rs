//! The page copier toward the kernel: a header and extents of files as one message of a pipe.
//!
//! ```text
//!  header ──vmsplice──┐
//!  extent ──splice────┼──► pipe ──splice──► device
//!  extent ──splice────┘
//! ```
//! The pages of the files' caches are referred to, not copied; the device copies them once
//! (or takes them over). How long the message is becomes known only when the files have been
//! asked, after the header went in: it is put in by reference and written last.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::pipe::PooledPipe;
use crate::{Extent, PAGE_SIZE, PipePool, Segment, SegmentList};

/// A message that lies in a pipe, but for the bytes of its header.
#[derive(Debug)]
pub struct SplicedMessage {
    pipe: PooledPipe,
    header: usize,
    payload: usize,
}

/// Why a list cannot be sent through a pipe. It can be sent by copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSpliced {
    /// Some of it is in memory.
    InMemory,
    /// Its extents are too short to be worth a system call each.
    Scattered,
    /// It touches more pages than the pipe holds.
    TooLong,
    /// No pipe is to be had.
    NoPipe,
    /// The pipe took less than expected.
    PipeFull,
    /// A file does not give its pages away, or cannot be read.
    Source,
}

impl NotSpliced {
    /// All reasons, in the order of their discriminants.
    pub const ALL: [Self; 6] = [
        Self::InMemory,
        Self::Scattered,
        Self::TooLong,
        Self::NoPipe,
        Self::PipeFull,
        Self::Source,
    ];

    /// A short name, for statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::InMemory => "in_memory",
            Self::Scattered => "scattered",
            Self::TooLong => "too_long",
            Self::NoPipe => "no_pipe",
            Self::PipeFull => "pipe_full",
            Self::Source => "source",
        }
    }
}

impl SplicedMessage {
    /// Moves the bytes of `list` into a pipe, behind room for a header of `header` bytes.
    ///
    /// A file that ends early ends the message there. The bytes are those that the files
    /// have now or at any time until the message is sent.
    pub fn load(
        list: &SegmentList,
        pipes: &Arc<PipePool>,
        header: usize,
    ) -> Result<Self, NotSpliced> {
        check(list)?;
        let mut pipe = pipes.take().map_err(|_| NotSpliced::NoPipe)?;
        let pages: u64 = extents(list).map(|extent| pages(&extent)).sum();
        if pages + 1 > pipe.slots() as u64 {
            return Err(NotSpliced::TooLong);
        }
        pipe.lend_header(header).map_err(|_| NotSpliced::NoPipe)?;
        let mut message = Self { pipe, header, payload: 0 };
        for extent in extents(list) {
            if message.append(&extent)? < extent.length {
                break;
            }
        }
        Ok(message)
    }

    /// Bytes behind the header. Fewer than the list's where a file ended.
    pub fn payload(&self) -> usize {
        self.payload
    }

    /// Sends the message to `device`, which takes it whole or fails. Whatever a failure leaves
    /// in the pipe goes away with it.
    ///
    /// # Panics
    /// If `header` does not have the length that was announced.
    pub fn send(mut self, header: &[u8], device: BorrowedFd<'_>) -> io::Result<()> {
        assert_eq!(header.len(), self.header, "the kernel was shown this much memory");
        self.pipe.send(header, device)
    }

    /// Moves one extent in, up to the end of its file, and returns how much that was.
    fn append(&mut self, extent: &Extent) -> Result<u64, NotSpliced> {
        let mut moved = 0;
        while moved < extent.length {
            let length = usize::try_from(extent.length - moved).map_err(|_| NotSpliced::TooLong)?;
            match self.pipe.load(&extent.backing, extent.offset + moved, length) {
                Ok(0) => break,
                Ok(more) => moved += more as u64,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => return Err(NotSpliced::PipeFull),
                    Some(libc::EINVAL) => {
                        extent.backing.set_refuses_splice();
                        return Err(NotSpliced::Source);
                    }
                    _ => return Err(NotSpliced::Source),
                },
            }
        }
        self.payload += usize::try_from(moved).expect("as much as a pipe holds");
        Ok(moved)
    }
}

/// Whether it is worth trying.
fn check(list: &SegmentList) -> Result<(), NotSpliced> {
    let mut refused = false;
    for segment in list.segments() {
        match segment {
            Segment::Extent(extent) => refused |= extent.backing.refuses_splice(),
            _ => return Err(NotSpliced::InMemory),
        }
    }
    if refused {
        return Err(NotSpliced::Source);
    }
    if list.len() < (list.segments().len() * PAGE_SIZE) as u64 {
        return Err(NotSpliced::Scattered);
    }
    Ok(())
}

/// The extents; those that continue each other as one.
fn extents(list: &SegmentList) -> impl Iterator<Item = Extent> {
    let mut segments = list.segments().iter().peekable();
    std::iter::from_fn(move || {
        let Segment::Extent(first) = segments.next()? else { return None };
        let mut extent = first.clone();
        while let Some(Segment::Extent(next)) = segments.peek()
            && Arc::ptr_eq(&next.backing, &extent.backing)
            && next.offset == extent.offset + extent.length
        {
            extent.length += next.length;
            segments.next();
        }
        Some(extent)
    })
}

/// Pages that an extent touches.
fn pages(extent: &Extent) -> u64 {
    let page = PAGE_SIZE as u64;
    (extent.offset % page + extent.length).div_ceil(page)
}
