//! The page copier toward the kernel: a header and extents of files, pipes and sockets as one
//! message of one pipe.
//!
//! ```text
//!  header ──vmsplice──┐
//!  extent ──splice────┼──► pipe ──splice──► device
//!  stream ──splice────┘     │
//!                           └──read──► pages     if the rest has to be copied
//! ```
//! The pages of the files' caches are referred to, not copied; the device copies them once
//! (or takes them over). How long the message is becomes known only when the files have been
//! asked, after the header went in: it is put in by reference and written last.
//!
//! A stream gives in pieces of any size, each of which takes a slot of the pipe. When there
//! is none left, what was taken from streams must not be lost: it is read out of the pipe,
//! and the rest is copied behind it. A short splice never is the end of anything.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::pipe::PooledPipe;
use crate::stream::{Endless, Moved, Patience, Stream};
use crate::{Extent, MoveOffer, PAGE_SIZE, PackedList, PagePool, PipePool, Segment, SegmentList};

/// A message that lies in a pipe, but for the bytes of its header.
#[derive(Debug)]
pub struct SplicedMessage {
    pipe: PooledPipe,
    header: usize,
    payload: usize,
    sources: usize,
    offer: MoveOffer,
}

/// Why there is no [`SplicedMessage`].
#[derive(Debug)]
pub enum LoadError {
    /// The list has to be copied.
    NotSpliced(Unspliced),
    /// A stream could not be read, or patience ended.
    Failed(io::Error),
}

/// A list that has to be copied, and what its streams have given already.
#[derive(Debug)]
pub struct Unspliced {
    reason: NotSpliced,
    /// The message as far as it came.
    begun: Option<Box<SplicedMessage>>,
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
    /// A file or stream does not give its pages away, or a file cannot be read.
    Source,
    /// Splicing from a socket whose descriptor blocks might wait for ever.
    BlockingSocket,
}

impl NotSpliced {
    /// All reasons, in the order of their discriminants.
    pub const ALL: [Self; 7] = [
        Self::InMemory,
        Self::Scattered,
        Self::TooLong,
        Self::NoPipe,
        Self::PipeFull,
        Self::Source,
        Self::BlockingSocket,
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
            Self::BlockingSocket => "blocking_socket",
        }
    }
}

impl From<NotSpliced> for LoadError {
    /// Nothing was begun.
    fn from(reason: NotSpliced) -> Self {
        Self::NotSpliced(Unspliced { reason, begun: None })
    }
}

impl Unspliced {
    /// Why.
    pub fn reason(&self) -> NotSpliced {
        self.reason
    }

    /// The list by copying: what was taken from its streams, and the rest behind it.
    ///
    /// # Errors
    /// As [`PackedList::new`].
    pub fn pack<'l>(
        self,
        list: &'l SegmentList,
        pool: &Arc<PagePool>,
        patience: &dyn Patience,
    ) -> io::Result<PackedList<'l>> {
        match self.begun {
            Some(message) if list.has_streams() => {
                let rest = list.slice(message.payload as u64, u64::MAX);
                message.copy_out(&rest, pool, patience)
            }
            _ => PackedList::new(list, pool, patience),
        }
    }
}

impl SplicedMessage {
    /// Moves the bytes of `list` into a pipe, behind room for a header of `header` bytes.
    /// Streams that have nothing yet are waited for with `patience`.
    ///
    /// A file or stream that ends early ends the message there; streams behind it keep what
    /// they have. The bytes of files are those that they have now or at any time until the
    /// message is sent.
    ///
    /// # Errors
    /// [`LoadError::NotSpliced`] where copying will do, with all that was consumed.
    pub fn load(
        list: &SegmentList,
        pipes: &Arc<PipePool>,
        header: usize,
        patience: &dyn Patience,
    ) -> Result<Self, LoadError> {
        check(list)?;
        let mut pipe = pipes.take().map_err(|_| NotSpliced::NoPipe)?;
        let pages: u64 = sources(list).map(|source| source.pages()).sum();
        if pages + 1 > pipe.slots() as u64 {
            return Err(NotSpliced::TooLong.into());
        }
        pipe.lend_header(header).map_err(|_| NotSpliced::NoPipe)?;
        let offer = MoveOffer::default();
        let mut message = Self { pipe, header, payload: 0, sources: 0, offer };
        for source in sources(list) {
            message.sources += 1;
            let whole = match &source {
                Source::Extent(extent) => message.append_extent(extent),
                Source::Stream(stream, length) => message.append_stream(stream, *length, patience),
            };
            match whole {
                Ok(true) => {}
                Ok(false) => break,
                Err(Stop::Copy(reason)) => {
                    let begun = Some(Box::new(message));
                    return Err(LoadError::NotSpliced(Unspliced { reason, begun }));
                }
                Err(Stop::Failed(error)) => return Err(LoadError::Failed(error)),
            }
        }
        Ok(message)
    }

    /// Bytes behind the header. Fewer than the list's where a file or stream ended.
    pub fn payload(&self) -> usize {
        self.payload
    }

    /// Extents and streams that it was made of; extents that continue each other are one, and
    /// one call where each gives all it is asked for.
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// Its pages that the device may take over, if it is asked to.
    pub fn move_offer(&self) -> MoveOffer {
        self.offer
    }

    /// Sends the message to `device`, which takes it whole or fails. With `offer_moves` it may
    /// take pages over instead of copying them; what was a page of a file's cache then is one
    /// no longer. Whatever a failure leaves in the pipe goes away with it, unless it is
    /// [taken back](Self::take_back).
    ///
    /// # Errors
    /// Those of splice(2). A message that was sent, or taken in part, cannot be sent again.
    ///
    /// # Panics
    /// If `header` does not have the length that was announced.
    pub fn send(
        &mut self,
        header: &[u8],
        device: BorrowedFd<'_>,
        offer_moves: bool,
    ) -> io::Result<()> {
        assert_eq!(header.len(), self.header, "the kernel was shown this much memory");
        self.pipe.send(header, device, offer_moves)
    }

    /// The payload of a message that could not be sent, in pages.
    ///
    /// # Errors
    /// If the device has taken bytes out of the pipe, or there are no pages.
    pub fn take_back<'l>(self, pool: &Arc<PagePool>) -> io::Result<PackedList<'l>> {
        self.copy_out(&SegmentList::new(), pool, &Endless)
    }

    /// Copies what is in the pipe, and behind it the `rest`.
    fn copy_out<'l>(
        self,
        rest: &SegmentList,
        pool: &Arc<PagePool>,
        patience: &dyn Patience,
    ) -> io::Result<PackedList<'l>> {
        let Self { mut pipe, header, payload, sources, offer: _ } = self;
        PackedList::continued(pool, payload, sources, rest, patience, |pages| {
            pipe.take_back(header, pages)
        })
    }

    /// Moves one extent in, and tells whether its file was long enough.
    fn append_extent(&mut self, extent: &Extent) -> Result<bool, Stop> {
        let mut moved = 0;
        while moved < extent.length {
            let length = usize::try_from(extent.length - moved).map_err(|_| NotSpliced::TooLong)?;
            match self.pipe.load(&extent.backing, extent.offset + moved, length) {
                Ok(0) => return Ok(false),
                Ok(more) => {
                    self.offer.add(self.payload as u64, extent.offset + moved, more as u64);
                    moved += more as u64;
                    self.payload += more;
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => return Err(NotSpliced::PipeFull.into()),
                    Some(libc::EINVAL) => {
                        extent.backing.set_refuses_splice();
                        return Err(NotSpliced::Source.into());
                    }
                    _ => return Err(NotSpliced::Source.into()),
                },
            }
        }
        Ok(true)
    }

    /// Moves the next `length` bytes of a stream in, and tells whether there were as many.
    fn append_stream(
        &mut self,
        stream: &Stream,
        length: usize,
        patience: &dyn Patience,
    ) -> Result<bool, Stop> {
        let mut turn = stream.take_turn(patience).map_err(Stop::Failed)?;
        let mut moved = 0;
        while moved < length {
            match turn.move_into(&mut self.pipe, length - moved).map_err(Stop::Failed)? {
                Moved::Bytes(more) => {
                    let position = self.payload as u64;
                    if stream.has_pages() {
                        // at best: what lies in the pipe nobody tells
                        self.offer.add(position, 0, more as u64);
                    } else {
                        self.offer.add_unstealable(position, more as u64);
                    }
                    moved += more;
                    self.payload += more;
                }
                Moved::End => return Ok(false),
                Moved::PipeFull => return Err(NotSpliced::PipeFull.into()),
                Moved::Refused => return Err(NotSpliced::Source.into()),
            }
        }
        Ok(true)
    }
}

/// Why a message is not completed.
enum Stop {
    Copy(NotSpliced),
    Failed(io::Error),
}

impl From<NotSpliced> for Stop {
    fn from(reason: NotSpliced) -> Self {
        Self::Copy(reason)
    }
}

/// Whether it is worth trying.
fn check(list: &SegmentList) -> Result<(), NotSpliced> {
    let mut obstacle = None;
    for segment in list.segments() {
        match segment {
            Segment::Extent(extent) if extent.backing.refuses_splice() => {
                obstacle = Some(NotSpliced::Source);
            }
            Segment::Stream { stream, .. } => obstacle = obstacle.or(stream.splice_obstacle()),
            Segment::Extent(_) => {}
            _ => return Err(NotSpliced::InMemory),
        }
    }
    if let Some(reason) = obstacle {
        return Err(reason);
    }
    if list.len() < (list.segments().len() * PAGE_SIZE) as u64 {
        return Err(NotSpliced::Scattered);
    }
    Ok(())
}

/// What a system call takes bytes from.
#[derive(Debug)]
enum Source<'l> {
    Extent(Extent),
    Stream(&'l Stream, usize),
}

impl Source<'_> {
    /// Pages that an extent touches, or a stream's bytes fill if they come in whole ones.
    fn pages(&self) -> u64 {
        let page = PAGE_SIZE as u64;
        match self {
            Self::Extent(extent) => (extent.offset % page + extent.length).div_ceil(page),
            Self::Stream(_, length) => length.div_ceil(PAGE_SIZE) as u64,
        }
    }
}

/// The sources; extents that continue each other as one.
fn sources(list: &SegmentList) -> impl Iterator<Item = Source<'_>> {
    let mut segments = list.segments().iter().peekable();
    std::iter::from_fn(move || {
        let mut extent = match segments.next()? {
            Segment::Extent(first) => first.clone(),
            Segment::Stream { stream, length } => {
                // what does not fit memory does not fit a pipe either
                let length = usize::try_from(*length).unwrap_or(usize::MAX);
                return Some(Source::Stream(stream, length));
            }
            _ => return None,
        };
        while let Some(Segment::Extent(next)) = segments.peek()
            && next.continues(&extent)
        {
            extent.length += next.length;
            segments.next();
        }
        Some(Source::Extent(extent))
    })
}
