//! The bytes of a regular file.
//!
//! Pages that are missing read as zeros; so do the bytes of the last page behind the end,
//! always, so that a file may grow over them. Every change takes the bytes it needs before
//! it begins, and gives back what it freed.

use std::ops::Range;

use fusesg_sg::{PAGE_SIZE, Segment, SegmentList};

use super::limits::Account;
use super::page::Page;
use super::page_map::PageMap;
use crate::{Errno, Result};

/// A page, as an offset in a file.
const PAGE: u64 = PAGE_SIZE as u64;
/// How long a file may be: in whole pages, so that an offset within its last page is one.
const LARGEST: u64 = i64::MAX as u64 / PAGE * PAGE;

/// Length and pages of a file.
#[derive(Debug, Default)]
pub(super) struct Contents {
    size: u64,
    pages: PageMap,
}

/// A stretch of a file, to be put into another.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// What is not a hole, in order.
    data: Vec<Piece>,
    length: u64,
}

/// A part of a page.
#[derive(Debug)]
struct Piece {
    /// Counted from the start of the stretch.
    start: u64,
    page: Page,
    range: Range<usize>,
}

/// What SEEK_DATA and SEEK_HOLE look for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sought {
    Data,
    Hole,
}

impl Contents {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that its pages take.
    pub(super) fn allocated(&self) -> u64 {
        self.pages.len() * PAGE
    }

    /// The bytes `[offset, offset + length)` up to the end of the file, not copied.
    pub(super) fn read(&self, offset: u64, length: u64) -> SegmentList {
        let mut list = SegmentList::new();
        let mut zeros = 0;
        for (index, range) in pieces(self.clip(offset, length)) {
            match self.pages.get(index) {
                Some(page) if !page.is_unwritten() => {
                    list.push(Segment::Zeros(zeros));
                    zeros = 0;
                    list.push(Segment::Buffer(page.bytes(range)));
                }
                _ => zeros += range.len() as u64,
            }
        }
        list.push(Segment::Zeros(zeros));
        list
    }

    /// Puts `data` at `offset`; all of it or, ENOSPC, nothing.
    pub(super) fn write(&mut self, space: &Account, offset: u64, data: &[u8]) -> Result<()> {
        let bytes = stretch(offset, data.len() as u64)?;
        let pages = pages_of(&bytes);
        space.take(self.pages.missing(pages.clone()) * PAGE)?;
        let mut rest = data;
        self.pages.fill(pages, |index, page| {
            let range = part(&bytes, index);
            let (piece, after) = rest.split_at(range.len());
            page.write(range.start, piece);
            rest = after;
        });
        if !bytes.is_empty() {
            self.size = self.size.max(bytes.end);
        }
        Ok(())
    }

    /// Sets the length.
    pub(super) fn resize(&mut self, space: &Account, size: u64) -> Result<()> {
        if size > LARGEST {
            return Err(Errno::EFBIG);
        }
        if size < self.size {
            self.cut(space, size);
        }
        self.size = size;
        Ok(())
    }

    /// Gives up everything from `end` on, also what was allocated behind the file's end.
    fn cut(&mut self, space: &Account, end: u64) {
        space.give_back(self.pages.remove(end.div_ceil(PAGE)..u64::MAX / PAGE) * PAGE);
        if !end.is_multiple_of(PAGE)
            && let Some(page) = self.pages.get_mut(end / PAGE)
        {
            page.clear(place_in_page(end % PAGE)..PAGE_SIZE);
        }
    }

    /// Allocates a range; all of it or, ENOSPC, nothing.
    pub(super) fn allocate(
        &mut self,
        space: &Account,
        offset: u64,
        length: u64,
        keep_size: bool,
    ) -> Result<()> {
        let bytes = stretch(offset, length)?;
        let pages = pages_of(&bytes);
        space.take(self.pages.missing(pages.clone()) * PAGE)?;
        self.pages.fill(pages, |_, _| {});
        if !keep_size {
            self.size = self.size.max(bytes.end);
        }
        Ok(())
    }

    /// Makes a range a hole, as far as whole pages go, and zeros the rest of it.
    pub(super) fn punch(&mut self, space: &Account, offset: u64, length: u64) -> Result<()> {
        let bytes = stretch(offset, length)?;
        let whole = self.clear_edges(&bytes);
        space.give_back(self.pages.remove(whole) * PAGE);
        Ok(())
    }

    /// Makes a range zeros that are allocated.
    pub(super) fn zero(
        &mut self,
        space: &Account,
        offset: u64,
        length: u64,
        keep_size: bool,
    ) -> Result<()> {
        self.allocate(space, offset, length, keep_size)?;
        let whole = self.clear_edges(&stretch(offset, length)?);
        self.pages.fill(whole, |_, page| *page = Page::unwritten());
        Ok(())
    }

    /// Zeros what `bytes` has of pages that it does not have whole; returns the whole ones.
    fn clear_edges(&mut self, bytes: &Range<u64>) -> Range<u64> {
        let (first, end) = (bytes.start.div_ceil(PAGE), bytes.end / PAGE);
        for index in [bytes.start / PAGE, end] {
            let range = part(bytes, index);
            if range.len() < PAGE_SIZE
                && !range.is_empty()
                && let Some(page) = self.pages.get_mut(index)
            {
                page.clear(range);
            }
        }
        first..end.max(first)
    }

    /// Where the next data or hole from `offset` on begins. The end of the file is a hole.
    pub(super) fn seek(&self, offset: u64, sought: Sought) -> Result<u64> {
        if offset >= self.size {
            return Err(Errno::ENXIO);
        }
        let index = offset / PAGE;
        let found = match sought {
            Sought::Data => self.pages.next_written(index).ok_or(Errno::ENXIO)?,
            Sought::Hole => self.pages.next_hole(index),
        };
        match (found * PAGE).max(offset) {
            found if found < self.size => Ok(found),
            _ => match sought {
                Sought::Data => Err(Errno::ENXIO),
                Sought::Hole => Ok(self.size),
            },
        }
    }

    /// A stretch up to the end of the file, as it is now, not copied.
    pub(super) fn snapshot(&self, offset: u64, length: u64) -> Snapshot {
        let bytes = self.clip(offset, length);
        let data = pieces(bytes.clone()).filter_map(|(index, range)| {
            let page = self.pages.get(index).filter(|page| !page.is_unwritten())?.clone();
            let start = index * PAGE + range.start as u64 - bytes.start;
            Some(Piece { start, page, range })
        });
        Snapshot { data: data.collect(), length: bytes.end - bytes.start }
    }

    /// Puts a stretch of a file at `offset`; all of it or, ENOSPC, nothing. Pages that fall
    /// on whole pages are shared until one of them is written; holes stay holes.
    pub(super) fn paste(
        &mut self,
        space: &Account,
        offset: u64,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let end = stretch(offset, snapshot.length)?.end;
        let (mut missing, mut counted) = (0, 0);
        for piece in &snapshot.data {
            let pages = pages_of(&piece.target(offset));
            missing += self.pages.missing(pages.start.max(counted)..pages.end);
            counted = pages.end;
        }
        space.take(missing * PAGE)?;
        let mut done = offset;
        for piece in &snapshot.data {
            let target = piece.target(offset);
            self.punch(space, done, target.start - done)?;
            done = target.end;
            self.pages.fill(pages_of(&target), |index, page| {
                let place = part(&target, index);
                if place.len() == PAGE_SIZE && piece.range.len() == PAGE_SIZE {
                    *page = piece.page.clone();
                    return;
                }
                let skipped = index * PAGE + place.start as u64 - target.start;
                let from = piece.range.start + place_in_page(skipped);
                page.write(place.start, piece.page.slice(from..from + place.len()));
            });
        }
        self.punch(space, done, end - done)?;
        self.size = self.size.max(end);
        Ok(())
    }

    fn clip(&self, offset: u64, length: u64) -> Range<u64> {
        let start = offset.min(self.size);
        start..start.saturating_add(length).min(self.size)
    }
}

impl Snapshot {
    pub(super) fn len(&self) -> u64 {
        self.length
    }
}

impl Piece {
    /// Where it goes if the stretch goes to `offset`.
    fn target(&self, offset: u64) -> Range<u64> {
        let start = offset + self.start;
        start..start + self.range.len() as u64
    }
}

/// A range of a file; EFBIG if no file reaches so far.
fn stretch(offset: u64, length: u64) -> Result<Range<u64>> {
    match offset.checked_add(length) {
        Some(end) if end <= LARGEST => Ok(offset..end),
        _ => Err(Errno::EFBIG),
    }
}

/// The pages that a range of bytes touches.
fn pages_of(bytes: &Range<u64>) -> Range<u64> {
    if bytes.is_empty() {
        return 0..0;
    }
    bytes.start / PAGE..bytes.end.div_ceil(PAGE)
}

/// The part of a range of bytes that lies in a page, as places in it.
fn part(bytes: &Range<u64>, index: u64) -> Range<usize> {
    let first = index * PAGE;
    let place = |offset: u64| place_in_page(offset.saturating_sub(first).min(PAGE));
    place(bytes.start)..place(bytes.end)
}

/// Each page that a range of bytes touches, with the part of it that is in the range.
fn pieces(bytes: Range<u64>) -> impl Iterator<Item = (u64, Range<usize>)> {
    pages_of(&bytes).map(move |index| (index, part(&bytes, index)))
}

#[expect(clippy::cast_possible_truncation, reason = "at most the length of a page")]
fn place_in_page(bytes: u64) -> usize {
    bytes as usize
}
