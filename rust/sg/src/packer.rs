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
//! Extents that continue each other in one file are one read, also where other pieces lie
//! between them. A file that ends early ends the message at the first hole: nothing after
//! it is shifted into its place.
//!
//! Streams are read last and in order: what they give is gone for good. Behind a hole, or
//! where an extent could not be read at all, they keep their bytes.

use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::stream::{Patience, SparePipe, Stream};
use crate::{Backing, Extent, PAGE_SIZE, PagePool, PooledBuffer, Segment, SegmentList, sys};

/// Entries of an iovec array that the kernel takes (`UIO_MAXIOV`).
pub(crate) const IOV_MAX: usize = 1024;
/// From here on a piece in memory is worth an iovec of its own.
const REFERENCE_FROM: usize = PAGE_SIZE;

/// All zeros of all messages.
static ZEROS: [u8; 16 * PAGE_SIZE] = [0; 16 * PAGE_SIZE];

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
        let (reads, calls) = (plan.runs.len(), plan.calls());
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
            reads: plan.runs.len(),
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
    /// ENOMEM where there are no pages.
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

/// Consecutive bytes of the message that are in one place.
#[derive(Clone, Debug)]
enum Part<'l> {
    /// In the pages, at their position in the message.
    Pages(Range<usize>),
    /// In a buffer of the list.
    Shared(&'l [u8]),
    Zeros(usize),
}

type Parts<'l> = SmallVec<[Part<'l>; 2]>;

impl<'l> Part<'l> {
    fn len(&self) -> usize {
        match self {
            Self::Pages(range) => range.len(),
            Self::Shared(bytes) => bytes.len(),
            Self::Zeros(length) => *length,
        }
    }

    /// Number of iovecs.
    fn vectors(&self) -> usize {
        match self {
            Self::Zeros(length) => length.div_ceil(ZEROS.len()),
            _ => 1,
        }
    }

    fn pieces<'a>(&'a self, pages: &'a [u8]) -> impl Iterator<Item = &'a [u8]>
    where
        'l: 'a,
    {
        let (bytes, repeated) = match self {
            Self::Pages(range) => (&pages[range.clone()], range.len()),
            Self::Shared(bytes) => (*bytes, bytes.len()),
            Self::Zeros(length) => (&ZEROS[..], *length),
        };
        (0..repeated)
            .step_by(bytes.len().max(1))
            .map(move |start| &bytes[..bytes.len().min(repeated - start)])
    }
}

/// Consecutive bytes of one file, and where in the message they go.
#[derive(Debug)]
struct Run<'l> {
    backing: &'l Backing,
    offset: u64,
    length: u64,
    /// In ascending order.
    targets: SmallVec<[Range<usize>; 1]>,
}

/// The next bytes of a stream, and where in the message they go.
#[derive(Debug)]
struct Intake<'l> {
    stream: &'l Stream,
    target: Range<usize>,
}

/// What has to be read and copied, and what the message will consist of.
#[derive(Debug, Default)]
struct Plan<'l> {
    parts: Parts<'l>,
    runs: SmallVec<[Run<'l>; 1]>,
    /// In ascending order.
    streams: SmallVec<[Intake<'l>; 1]>,
    /// Small pieces and their positions.
    copies: SmallVec<[(usize, Part<'l>); 1]>,
    length: usize,
    /// Bytes of pages, up to the last one that is used.
    pages: usize,
}

/// What may be sent from where it is.
#[derive(Debug)]
struct ReferenceBudget {
    /// Bytes from which on an iovec costs less than a copy.
    reference_from: usize,
    /// Iovecs that are left.
    vectors: usize,
}

impl ReferenceBudget {
    /// Whether a part is worth iovecs of its own and they are to be had; takes them.
    fn allows(&mut self, part: &Part<'_>) -> bool {
        // with one for the pages that may follow
        let needed = part.vectors() + 1;
        let allowed = part.len() >= self.reference_from && needed <= self.vectors;
        if allowed {
            self.vectors -= needed;
        }
        allowed
    }
}

impl<'l> Plan<'l> {
    /// Pieces in memory of `reference_from` bytes and more are not copied.
    fn new(list: &'l SegmentList, reference_from: usize) -> io::Result<Self> {
        let too_long = |_| io::Error::from_raw_os_error(libc::EMSGSIZE);
        usize::try_from(list.len()).map_err(too_long)?;
        let mut plan = Self::default();
        // one entry is the header's, one is kept for the pages that take the rest
        let mut budget = ReferenceBudget { reference_from, vectors: IOV_MAX - 2 };
        let mut ends = RunEnds::default();
        for segment in list.segments() {
            let length = usize::try_from(segment.len()).map_err(too_long)?;
            match segment {
                Segment::Extent(extent) => {
                    plan.read(extent, length, &mut ends);
                    plan.append_pages(length);
                }
                Segment::Stream { stream, .. } => {
                    let target = plan.length..plan.length + length;
                    plan.streams.push(Intake { stream, target });
                    plan.append_pages(length);
                }
                Segment::Buffer(bytes) => plan.append(Part::Shared(bytes), &mut budget),
                Segment::Pages(run) => {
                    run.fragments().for_each(|bytes| plan.append(Part::Shared(bytes), &mut budget));
                }
                Segment::Zeros(_) => plan.append(Part::Zeros(length), &mut budget),
            }
        }
        Ok(plan)
    }

    /// Reads, and streams that are consumed.
    fn calls(&self) -> usize {
        self.runs.len() + self.streams.len()
    }

    /// Adds what is in memory: by reference if it is worth that, else to what is copied.
    fn append(&mut self, part: Part<'l>, budget: &mut ReferenceBudget) {
        let length = part.len();
        if budget.allows(&part) {
            self.parts.push(part);
            self.length += length;
        } else {
            self.copies.push((self.length, part));
            self.append_pages(length);
        }
    }

    fn append_pages(&mut self, length: usize) {
        let (start, end) = (self.length, self.length + length);
        match self.parts.last_mut() {
            Some(Part::Pages(range)) => range.end = end,
            _ => self.parts.push(Part::Pages(start..end)),
        }
        (self.pages, self.length) = (end, end);
    }

    /// Adds an extent to the run that it continues, or starts one.
    fn read(&mut self, extent: &'l Extent, length: usize, ends: &mut RunEnds) {
        let target = self.length..self.length + length;
        let backing: &'l Backing = &extent.backing;
        if let Some(index) = ends.find(&self.runs, backing, extent.offset) {
            let run = &mut self.runs[index];
            run.length += extent.length;
            match run.targets.last_mut() {
                Some(last) if last.end == target.start => last.end = target.end,
                _ => run.targets.push(target),
            }
            if index + 1 < self.runs.len() {
                ends.enter(&self.runs, index);
            }
            return;
        }
        if let Some(last) = self.runs.len().checked_sub(1) {
            ends.enter(&self.runs, last);
        }
        self.runs.push(Run {
            backing,
            offset: extent.offset,
            length: extent.length,
            targets: SmallVec::from_buf([target]),
        });
    }

    /// Fills the pages.
    fn carry_out(&self, pages: &mut [u8], patience: &dyn Patience) -> Filled {
        for (position, part) in &self.copies {
            let target = &mut pages[*position..position + part.len()];
            match part {
                Part::Shared(bytes) => target.copy_from_slice(bytes),
                _ => target.fill(0),
            }
        }
        let mut filled = Filled { length: self.length, failure: None };
        for run in &self.runs {
            // bytes behind a hole are not sent, so they are not read
            if run.targets[0].start < filled.length {
                let outcome = sys::preadv_full(run.backing, &mut run.slices(pages), run.offset);
                if let Some(hole) = run.position(outcome.read)
                    && hole < filled.length
                {
                    filled = Filled { length: hole, failure: outcome.failure };
                }
            }
        }
        let mut spare = SparePipe::default();
        for Intake { stream, target } in &self.streams {
            if target.start >= filled.length {
                break;
            }
            if filled.failure.is_some() {
                filled.length = target.start;
                break;
            }
            let slice = &mut pages[target.clone()];
            let outcome = stream.read(&mut [IoSliceMut::new(slice)], patience, &mut spare);
            if outcome.read < target.len() {
                filled.length = target.start + outcome.read;
                filled.failure = outcome.failure;
                break;
            }
        }
        filled
    }
}

/// How far a plan could be carried out.
#[derive(Debug)]
struct Filled {
    length: usize,
    /// What ended it, if not the end of a file or stream.
    failure: Option<io::Error>,
}

impl Run<'_> {
    fn slices<'a>(&self, mut pages: &'a mut [u8]) -> SmallVec<[IoSliceMut<'a>; 1]> {
        let mut start = 0;
        let mut slices = SmallVec::new();
        for target in &self.targets {
            let (_, rest) = pages.split_at_mut(target.start - start);
            let (slice, rest) = rest.split_at_mut(target.len());
            slices.push(IoSliceMut::new(slice));
            (pages, start) = (rest, target.end);
        }
        slices
    }

    /// Where in the message the byte after the first `read` ones goes; `None` if there is none.
    fn position(&self, mut read: usize) -> Option<usize> {
        for target in &self.targets {
            if read < target.len() {
                return Some(target.start + read);
            }
            read -= target.len();
        }
        None
    }
}

/// Finds the run that ends where an extent begins. The last run is not in the table: a list
/// of one run, the usual answer, does without.
#[derive(Debug, Default)]
struct RunEnds(HashMap<(*const Backing, u64), usize>);

impl RunEnds {
    fn find(&self, runs: &[Run<'_>], backing: &Backing, offset: u64) -> Option<usize> {
        let continues = |run: &Run<'_>| {
            std::ptr::eq(run.backing, backing)
                && run.offset + run.length == offset
                && run.targets.len() < IOV_MAX
        };
        if continues(runs.last()?) {
            return Some(runs.len() - 1);
        }
        let index = *self.0.get(&(std::ptr::from_ref(backing), offset))?;
        continues(&runs[index]).then_some(index)
    }

    /// The run will not be the last one, or has grown.
    fn enter(&mut self, runs: &[Run<'_>], index: usize) {
        let run = &runs[index];
        self.0.insert((std::ptr::from_ref(run.backing), run.offset + run.length), index);
    }
}
