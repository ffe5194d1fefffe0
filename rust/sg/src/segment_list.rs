//! The answer to a READ, and the place a WRITE goes to.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::{Backing, Extent, Segment, range_end};

/// Segments one after another: the field's "scatter-gather list".
///
/// One segment is held inline, so that the usual answer (one extent) needs no
/// allocation. Lengths are summed once at construction; [`slice`](Self::slice)
/// finds its first segment by binary search.
#[derive(Clone, Debug, Default)]
pub struct SegmentList {
    segments: SmallVec<[Segment; 1]>,
    /// `ends[i]`: bytes up to and including segment `i`.
    ends: SmallVec<[u64; 1]>,
}

impl SegmentList {
    /// A list without bytes: end of file.
    pub fn new() -> Self {
        Self::default()
    }

    /// One extent of a file.
    pub fn from_extent(backing: Arc<Backing>, offset: u64, length: u64) -> Self {
        let mut list = Self::new();
        list.push(Segment::Extent(Extent { backing, offset, length }));
        list
    }

    /// Appends a segment; empty ones are left out.
    ///
    /// # Panics
    /// Where [`try_push`](Self::try_push) refuses; callers that take lengths from outside
    /// use that one.
    pub fn push(&mut self, segment: Segment) {
        assert!(
            self.try_push(segment),
            "a segment list longer than u64::MAX or an extent past i64::MAX"
        );
    }

    /// Appends a segment and tells whether it did: not if the total length would pass
    /// `u64::MAX`, nor if an extent ends past `i64::MAX`, the largest file offset there is.
    pub fn try_push(&mut self, segment: Segment) -> bool {
        if segment.is_empty() {
            return true;
        }
        if let Segment::Extent(extent) = &segment
            && range_end(extent.offset, extent.length).is_err()
        {
            return false;
        }
        let Some(end) = self.len().checked_add(segment.len()) else { return false };
        self.segments.push(segment);
        self.ends.push(end);
        true
    }

    /// Total number of bytes.
    pub fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether reading the list consumes a pipe or socket, and may have to wait for it.
    pub fn has_streams(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Stream { .. }))
    }

    /// Whether there are bytes of files, and all of these can be sent from where they are
    /// mapped.
    pub fn is_mapped(&self) -> bool {
        let mut mapped = false;
        for segment in &self.segments {
            match segment {
                Segment::Extent(extent) if extent.mapped().is_some() => mapped = true,
                Segment::Extent(_) | Segment::Stream { .. } => return false,
                Segment::Buffer(_) | Segment::Pages(_) | Segment::Zeros(_) => {}
            }
        }
        mapped
    }

    /// Number of places outside memory that the bytes come from: extents, of which those
    /// that continue their neighbour count as one, and streams.
    pub fn sources(&self) -> usize {
        let mut before: Option<&Extent> = None;
        let mut sources = 0;
        for segment in &self.segments {
            let extent = if let Segment::Extent(extent) = segment { Some(extent) } else { None };
            let continues = extent.zip(before).is_some_and(|(next, last)| next.continues(last));
            let outside = extent.is_some() || matches!(segment, Segment::Stream { .. });
            sources += usize::from(outside && !continues);
            before = extent;
        }
        sources
    }

    /// The segments in order; none is empty.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The segments in order, for whoever uses them up; none is empty.
    pub fn into_segments(self) -> impl Iterator<Item = Segment> {
        self.segments.into_iter()
    }

    /// The part `[offset, offset + size)`, clipped to the end of the list.
    #[must_use]
    pub fn slice(&self, offset: u64, size: u64) -> Self {
        let mut part = Self::new();
        let mut wanted = size.min(self.len().saturating_sub(offset));
        let first = self.ends.partition_point(|end| *end <= offset);
        let mut skip = offset.saturating_sub(if first == 0 { 0 } else { self.ends[first - 1] });
        for segment in &self.segments[first.min(self.segments.len())..] {
            if wanted == 0 {
                break;
            }
            let piece = segment.slice(skip, wanted);
            skip = 0;
            wanted -= piece.len();
            part.push(piece);
        }
        part
    }
}

impl Extend<Segment> for SegmentList {
    fn extend<I: IntoIterator<Item = Segment>>(&mut self, segments: I) {
        for segment in segments {
            self.push(segment);
        }
    }
}

impl FromIterator<Segment> for SegmentList {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        let mut list = Self::new();
        list.extend(segments);
        list
    }
}
