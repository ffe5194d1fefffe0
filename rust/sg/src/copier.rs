//! The page copier in process: a segment list into the pages of a request.
//!
//! Each page of the destination is filled the cheapest way there is:
//!
//! | way | when | what happens |
//! |---|---|---|
//! | *move* | a whole page on both sides, ours alone, and moves are offered | the two pages change places |
//! | *splice* | the data is behind a descriptor | the kernel carries it to its place, nothing of ours in between |
//! | *copy* | the data is in memory | we copy it |
//!
//! A page that leaves with its data is replaced in the source by the destination's old one,
//! which goes back to its pool with the source: pages are exchanged, none is made. (Szeredi
//! 2010, "fuse: allow splice to move pages".)

use std::io::{self, IoSliceMut};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::destination::{Cursor, Place};
use crate::page_run::PagePiece;
use crate::pipe_list::ReadyPipes;
use crate::stream::SparePipe;
use crate::{
    Copied, Destination, Extent, NotMoved, PAGE_SIZE, Patience, Segment, SegmentList, sys,
};

/// How to copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyOptions {
    /// Clear the bytes of the destination that the data does not reach. Without it they are
    /// left as they are.
    pub zero_tail: bool,
    /// Pages may be exchanged, where the destination owns its pages.
    pub offer_moves: bool,
}

/// Puts the bytes of `list` into `destination`.
///
/// Streams that have nothing yet are waited for with `patience`. The data ends where an
/// extent or a stream does that comes out short: nothing behind it is shifted into its place,
/// and streams behind it keep what they have. Pages of the list can only be moved if the
/// caller gave up all other clones of it.
///
/// # Errors
/// EMSGSIZE if there is more data than room and EFAULT if a page is missing, both before
/// anything was touched. An error of a file or stream, or the end of patience, only if no
/// byte came before it: partial progress wins, and [`Copied::failure`] tells.
pub fn copy(
    list: SegmentList,
    destination: Destination<'_, '_>,
    options: CopyOptions,
    patience: &dyn Patience,
) -> io::Result<Copied> {
    let cursor = Cursor::new(destination)?;
    if list.len() > cursor.room() {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    let mut copier = Copier::new(cursor, options);
    copier.count_list(&list);
    let mut taken = 0;
    if let Some(pipes) = ReadyPipes::of(&list) {
        patience.keep_waiting()?;
        taken = pipes.gather(&mut copier);
    }
    if taken < list.len() {
        let rest = if taken == 0 { list } else { list.slice(taken, u64::MAX) };
        copier.take_all(rest, patience);
    }
    copier.finish()
}

/// A destination that is being filled, and the account of it.
#[derive(Debug)]
pub(crate) struct Copier<'d, 'm> {
    cursor: Cursor<'d, 'm>,
    options: CopyOptions,
    copied: Copied,
}

/// Whether a piece was all there, so that data may follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Whole,
    Short,
}

impl<'d, 'm> Copier<'d, 'm> {
    pub(crate) fn new(cursor: Cursor<'d, 'm>, options: CopyOptions) -> Self {
        Self { cursor, options, copied: Copied::default() }
    }

    /// Bytes that still fit.
    pub(crate) fn room(&self) -> u64 {
        self.cursor.room()
    }

    fn count_list(&mut self, list: &SegmentList) {
        self.copied.segments = list.segments().len() as u64;
        self.copied.sources = list.sources() as u64;
    }

    /// The source is a list of pipes, taken at once.
    pub(crate) fn count_pipe_list(&mut self) {
        self.copied.pipe_lists += 1;
    }

    fn take_all(&mut self, list: SegmentList, patience: &dyn Patience) {
        let mut spare = SparePipe::default();
        let mut segments = list.into_segments().peekable();
        while let Some(segment) = segments.next() {
            let piece = match segment {
                Segment::Buffer(bytes) => self.copy_memory(&bytes, |_| NotMoved::Unstealable),
                Segment::Pages(run) => {
                    run.into_pieces().for_each(|piece| self.take_page(piece));
                    Piece::Whole
                }
                Segment::Zeros(length) => self.fill(length),
                Segment::Extent(mut extent) => {
                    while let Some(next) = segments.next_if(|next| continues(&extent, next)) {
                        extent.length += next.len();
                    }
                    self.splice(extent.length, |slices, position| {
                        sys::preadv_full(&extent.backing, slices, extent.offset + position)
                    })
                }
                Segment::Stream { stream, length } => {
                    self.splice(length, |slices, _| stream.read(slices, patience, &mut spare))
                }
            };
            if piece == Piece::Short {
                break;
            }
        }
    }

    /// A page of ours, or part of one: moved if nothing is in the way, else copied.
    fn take_page(&mut self, mut piece: PagePiece) {
        let place = self.cursor.place();
        let fits = piece.is_whole()
            && place.is_some_and(|place| place.filled == 0 && self.obstacle(place).is_none());
        if fits && let Some(page) = Arc::get_mut(&mut piece.page) {
            self.cursor.exchange(page);
            self.cursor.advance(PAGE_SIZE);
            self.copied.moved_pages += 1;
            self.copied.bytes += PAGE_SIZE as u64;
        } else {
            self.copy_memory(piece.bytes(), |position| piece.obstacle(position));
        }
    }

    fn copy_memory(&mut self, bytes: &[u8], obstacle: impl Fn(usize) -> NotMoved) -> Piece {
        let mut done = 0;
        while done < bytes.len() {
            let mut rest = &bytes[done..];
            for slice in &mut self.cursor.slices(rest.len()) {
                let (now, later) = rest.split_at(slice.len());
                slice.copy_from_slice(now);
                rest = later;
            }
            let end = bytes.len() - rest.len();
            self.advance(end - done, |position| obstacle(done + position));
            done = end;
        }
        self.copied.copied_bytes += bytes.len() as u64;
        Piece::Whole
    }

    fn fill(&mut self, length: u64) -> Piece {
        let mut left = index(length);
        while left > 0 {
            let mut filled = 0;
            for slice in &mut self.cursor.slices(left) {
                slice.fill(0);
                filled += slice.len();
            }
            self.advance(filled, |_| NotMoved::Unstealable);
            left -= filled;
        }
        self.copied.filled_bytes += length;
        Piece::Whole
    }

    /// Has the kernel carry `length` bytes from a descriptor to their places. `read` fills
    /// slices with the bytes from a position on, all of them unless the source ends.
    fn splice(
        &mut self,
        length: u64,
        mut read: impl FnMut(&mut [IoSliceMut<'_>], u64) -> sys::Read,
    ) -> Piece {
        let mut position = 0;
        while position < length {
            let mut slices = self.cursor.slices(index(length - position));
            let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
            let sys::Read { read, failure } = read(&mut slices, position);
            drop(slices);
            self.spliced(read);
            if read < wanted {
                self.copied.failure = failure;
                return Piece::Short;
            }
            position += read as u64;
        }
        Piece::Whole
    }

    /// Memory for the next `limit` bytes, for the kernel to put them there.
    pub(crate) fn slices(&mut self, limit: usize) -> SmallVec<[IoSliceMut<'_>; 4]> {
        self.cursor.slices(limit)
    }

    /// Accounts for bytes that the kernel has put in place.
    pub(crate) fn spliced(&mut self, length: usize) {
        self.advance(length, |_| NotMoved::Unstealable);
        self.copied.spliced_bytes += length as u64;
        self.copied.reads += 1;
    }

    /// Goes on behind bytes that are in place. `obstacle` tells why the source could not have
    /// given a page away for those from a position on.
    fn advance(&mut self, length: usize, obstacle: impl Fn(usize) -> NotMoved) {
        let mut position = 0;
        while position < length {
            let place = self.cursor.place().expect("checked to have room for all data");
            if place.filled == 0 {
                let reason = self.obstacle(place).unwrap_or_else(|| obstacle(position));
                self.copied.not_moved.add(reason, 1);
            }
            let step = place.room().min(length - position);
            self.cursor.advance(step);
            position += step;
        }
        self.copied.bytes += length as u64;
    }

    /// Why the destination's page cannot be exchanged, whatever the source is.
    fn obstacle(&self, place: Place) -> Option<NotMoved> {
        if !self.cursor.is_owned() {
            Some(NotMoved::DirectIo)
        } else if !self.options.offer_moves {
            Some(NotMoved::NotOffered)
        } else if !place.descriptor.is_whole() || !self.cursor.has_page_of_a_list() {
            Some(NotMoved::PartialPage)
        } else {
            None
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<Copied> {
        if self.copied.bytes == 0
            && let Some(error) = self.copied.failure
        {
            return Err(error);
        }
        if self.options.zero_tail {
            self.copied.zeroed = self.cursor.clear_rest();
        }
        Ok(self.copied)
    }
}

/// Whether a segment goes on in the same file where an extent ends.
fn continues(extent: &Extent, next: &Segment) -> bool {
    matches!(next, Segment::Extent(next)
        if Arc::ptr_eq(&next.backing, &extent.backing)
            && next.offset == extent.offset + extent.length)
}

/// A length that was checked against the room in memory.
fn index(length: u64) -> usize {
    usize::try_from(length).expect("no more than the destination holds")
}
