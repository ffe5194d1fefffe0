//! A segment list into the iovecs of one message, with as few reads and copies as can be.
//!
//! ```text
//!  list      buffer 8K │ extent A 0..4K │ zeros 64K │ extent A 4K..8K │ buffer 10 B
//!  reads               └────────── one preadv of A 0..8K ────────────┘
//!  iovecs    the buffer │ pages          │ zero page │ pages                     (+ header)
//! ```
//! Large buffers and zeros are sent from where they are. Only what comes from a file, and
//! pieces so small that an iovec of their own would cost more than a copy, go into pages,
//! each at its own position in the message: whoever needs one contiguous buffer has to copy
//! the referenced pieces into their gaps and nothing else.
//!
//! Extents of immutable files are sent from the file's own pages, mapped.
//!
//! Extents that continue each other in one file are one read, also where other pieces lie
//! between them. A file that ends early ends the message at the first hole: nothing after
//! it is shifted into its place.
//!
//! Streams are read last and in order: what they give is gone for good. Behind a hole, or
//! where an extent could not be read at all, they keep their bytes.

use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::packing_plan::{Filled, Part, Parts, Plan};
use crate::{PAGE_SIZE, PagePool, Patience, PooledBuffer, SegmentList};

/// From here on a piece in memory is worth an iovec of its own.
const REFERENCE_FROM: usize = PAGE_SIZE;

/// A segment list of which every byte is in memory, ready to be sent with one writev.
#[derive(Debug)]
pub struct PackedList<'l> {
    parts: Parts<'l>,
    pages: Option<PooledBuffer>,
    length: usize,
    failure: Option<io::Error>,
    reads: usize,
    calls: usize,
}

impl<'l> PackedList<'l> {
    /// Reads what comes from files and streams into pages of `pool`, and refers to the rest.
    /// Streams that have nothing yet are waited for with `patience`.
    ///
    /// # Errors
    /// ENOMEM where there are no pages. A read that fails is no error of this function: the
    /// message ends before it, and [`failure`](Self::failure) tells.
    pub fn new(
        list: &'l SegmentList,
        pool: &Arc<PagePool>,
        patience: &dyn Patience,
    ) -> io::Result<Self> {
        let plan = Plan::new(list, REFERENCE_FROM)?;
        let mut pages = match plan.pages {
            0 => None,
            bytes => Some(take(pool, bytes)?),
        };
        let filled = plan.carry_out(pages.as_deref_mut().unwrap_or_default(), patience);
        let Filled { length, failure } = filled;
        let (reads, calls) = (plan.reads(), plan.calls());
        Ok(Self { parts: plan.parts, pages, length, failure, reads, calls })
    }

    /// `length` bytes that `calls` system calls moved and `fill` puts into pages, and the
    /// `rest` behind them.
    pub(crate) fn continued(
        pool: &Arc<PagePool>,
        length: usize,
        calls: usize,
        rest: &SegmentList,
        patience: &dyn Patience,
        fill: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<Self> {
        let plan = Plan::new(rest, usize::MAX)?;
        let mut pages = take(pool, length + plan.length)?;
        fill(&mut pages[..length])?;
        let filled = plan.carry_out(&mut pages[length..], patience);
        Ok(Self {
            parts: SmallVec::from_iter([Part::Pages(0..length + plan.length)]),
            pages: Some(pages),
            length: length + filled.length,
            failure: filled.failure,
            reads: plan.reads(),
            calls: calls + plan.calls(),
        })
    }

    /// Bytes that are there; fewer than the list's where a file ended or could not be read.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Why the message ends where it does, if that is not the end of a file or stream.
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// Reads that it took, if each file was long enough.
    pub fn reads(&self) -> usize {
        self.reads
    }

    /// Calls that it took to have the bytes of files and streams here, if each file was long
    /// enough and each stream had what it was asked for.
    pub fn calls(&self) -> usize {
        self.calls
    }

    /// Bytes that are sent from the files that they are in.
    pub fn mapped(&self) -> usize {
        let mapped = self.parts.iter().filter(|part| matches!(part, Part::Mapped(..)));
        mapped.map(Part::len).sum()
    }

    /// Bytes that were read or copied into pages; the others are sent from where they are.
    pub fn copied(&self) -> usize {
        let mut start = 0;
        let in_pages = self.parts.iter().map(|part| {
            let part_start = start;
            start += part.len();
            let there = start.min(self.length).saturating_sub(part_start);
            if matches!(part, Part::Pages(_)) { there } else { 0 }
        });
        in_pages.sum()
    }

    /// The bytes, if they lie in one piece.
    pub fn contiguous(&self) -> Option<&[u8]> {
        match self.iovecs(&[]).as_slice() {
            [] => Some(&[]),
            [_] => self.slices().next(),
            _ => None,
        }
    }

    /// `header` and the bytes, to be written with one system call. At most 1024 entries;
    /// none for an empty header.
    pub fn iovecs<'a>(&'a self, header: &'a [u8]) -> SmallVec<[IoSlice<'a>; 8]> {
        let header = (!header.is_empty()).then_some(header);
        header.into_iter().chain(self.slices()).map(IoSlice::new).collect()
    }

    /// The bytes in one buffer; copies what is not in the pages yet.
    ///
    /// # Errors
    /// ENOMEM where there are no pages; that of a read, and UnexpectedEof, where a mapped file
    /// has to be read after all.
    pub fn into_contiguous(self, pool: &Arc<PagePool>) -> io::Result<PooledBuffer> {
        let Self { parts, pages, length, .. } = self;
        let mut pages = match pages {
            Some(pages) if pages.len() >= length => pages,
            // smaller than the message only where it is larger than the pool's buffers
            smaller => {
                let mut pages = take(pool, length)?;
                if let Some(smaller) = smaller {
                    pages[..smaller.len()].copy_from_slice(&smaller);
                }
                pages
            }
        };
        let mut start = 0;
        for part in parts {
            let end = start + part.len();
            if start >= length {
                break;
            }
            let target = &mut pages[start..end.min(length)];
            match part {
                Part::Pages(_) => {}
                Part::Shared(bytes) => target.copy_from_slice(&bytes[..target.len()]),
                Part::Mapped(extent, _) => {
                    extent.backing.file().read_exact_at(target, extent.offset)?;
                }
                Part::Zeros(_) => target.fill(0),
            }
            start = end;
        }
        Ok(pages)
    }

    /// The bytes piece by piece, up to the message's end.
    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let pages = self.pages.as_deref().unwrap_or_default();
        let mut left = self.length;
        let pieces = self.parts.iter().flat_map(move |part| part.pieces(pages));
        pieces.map_while(move |piece| {
            let piece = &piece[..piece.len().min(left)];
            left -= piece.len();
            (!piece.is_empty()).then_some(piece)
        })
    }
}

/// Copies `list` to the start of `destination`; see [`crate::gather()`].
pub(crate) fn gather_into(
    list: &SegmentList,
    destination: &mut [u8],
    patience: &dyn Patience,
) -> io::Result<usize> {
    match Plan::new(list, usize::MAX)?.carry_out(destination, patience) {
        Filled { length: 0, failure: Some(error) } => Err(error),
        Filled { length, .. } => Ok(length),
    }
}

fn take(pool: &Arc<PagePool>, bytes: usize) -> io::Result<PooledBuffer> {
    pool.take_at_least(bytes).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))
}
