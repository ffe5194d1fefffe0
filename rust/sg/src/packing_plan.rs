//! What has to be read and copied for a segment list, and what its message will consist of.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::ops::Range;

use smallvec::SmallVec;

use crate::stream::{Patience, SparePipe, Stream};
use crate::sys::IOV_MAX;
use crate::{Backing, Extent, PAGE_SIZE, Segment, SegmentList, sys};

/// All zeros of all messages.
static ZEROS: [u8; 16 * PAGE_SIZE] = [0; 16 * PAGE_SIZE];

/// Consecutive bytes of the message that are in one place.
#[derive(Clone, Debug)]
pub(crate) enum Part<'l> {
    /// In the pages, at their position in the message.
    Pages(Range<usize>),
    /// In a buffer of the list.
    Shared(&'l [u8]),
    /// In a file that is mapped: for system calls only.
    Mapped(&'l Extent, &'l [u8]),
    Zeros(usize),
}

pub(crate) type Parts<'l> = SmallVec<[Part<'l>; 2]>;

impl<'l> Part<'l> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Pages(range) => range.len(),
            Self::Shared(bytes) | Self::Mapped(_, bytes) => bytes.len(),
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

    pub(crate) fn pieces<'a>(&'a self, pages: &'a [u8]) -> impl Iterator<Item = &'a [u8]>
    where
        'l: 'a,
    {
        let (bytes, repeated) = match self {
            Self::Pages(range) => (&pages[range.clone()], range.len()),
            Self::Shared(bytes) | Self::Mapped(_, bytes) => (*bytes, bytes.len()),
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
pub(crate) struct Plan<'l> {
    pub(crate) parts: Parts<'l>,
    runs: SmallVec<[Run<'l>; 1]>,
    /// In ascending order.
    streams: SmallVec<[Intake<'l>; 1]>,
    /// Small pieces and their positions.
    copies: SmallVec<[(usize, Part<'l>); 1]>,
    pub(crate) length: usize,
    /// Bytes of pages, up to the last one that is used.
    pub(crate) pages: usize,
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
    /// Whether anything at all is sent from where it is.
    fn references(&self) -> bool {
        self.reference_from != usize::MAX
    }

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
    pub(crate) fn new(list: &'l SegmentList, reference_from: usize) -> io::Result<Self> {
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
                    let mapped = budget.references().then(|| extent.mapped()).flatten();
                    match mapped.map(|bytes| Part::Mapped(extent, bytes)) {
                        Some(part) if budget.allows(&part) => plan.refer(part),
                        _ => {
                            plan.read(extent, length, &mut ends);
                            plan.append_pages(length);
                        }
                    }
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

    /// Reads that it takes, if each file is long enough.
    pub(crate) fn reads(&self) -> usize {
        self.runs.len()
    }

    /// Reads, and streams that are consumed.
    pub(crate) fn calls(&self) -> usize {
        self.runs.len() + self.streams.len()
    }

    /// Adds what is in memory: by reference if it is worth that, else to what is copied.
    fn append(&mut self, part: Part<'l>, budget: &mut ReferenceBudget) {
        if budget.allows(&part) {
            self.refer(part);
        } else {
            let length = part.len();
            self.copies.push((self.length, part));
            self.append_pages(length);
        }
    }

    fn refer(&mut self, part: Part<'l>) {
        self.length += part.len();
        self.parts.push(part);
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
    pub(crate) fn carry_out(&self, pages: &mut [u8], patience: &dyn Patience) -> Filled {
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
pub(crate) struct Filled {
    pub(crate) length: usize,
    /// What ended it, if not the end of a file or stream.
    pub(crate) failure: Option<io::Error>,
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
