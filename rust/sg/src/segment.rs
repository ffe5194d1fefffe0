//! One piece of data.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Backing, PAGE_SIZE, PageRun, Stream};

/// From here on sending mapped bytes costs less than reading them.
const MAP_FROM: u64 = 4 * PAGE_SIZE as u64;

/// `length` bytes of a file, starting at `offset`.
#[derive(Clone, Debug)]
pub struct Extent {
    /// The file.
    pub backing: Arc<Backing>,
    /// First byte, counted from the start of the file.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

impl Extent {
    /// The bytes where they are mapped, if the file is immutable and there are enough of
    /// them. For system calls only: were the promise broken, an access would end the process.
    pub(crate) fn mapped(&self) -> Option<&[u8]> {
        if self.length < MAP_FROM { None } else { self.backing.mapped(self.offset, self.length) }
    }

    /// Whether it begins where `other` ends, in the same file.
    pub(crate) fn continues(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.backing, &other.backing) && self.offset == other.offset + other.length
    }
}

/// One piece of data, in the place where it is now.
///
/// Segments are immutable and cheap to clone: a clone shares the buffer or the
/// descriptor.
#[derive(Clone, Debug)]
pub enum Segment {
    /// Bytes in memory.
    Buffer(Bytes),
    /// Bytes in owned pages; their last owner may give the pages away.
    Pages(PageRun),
    /// Bytes of a file.
    Extent(Extent),
    /// That many zero bytes.
    Zeros(u64),
    /// The next bytes of a pipe or socket, consumed by whoever reads them.
    Stream {
        /// The pipe or socket.
        stream: Arc<Stream>,
        /// Number of bytes; where the stream ends before, the answer does.
        length: u64,
    },
}

impl Segment {
    /// Number of bytes this segment stands for.
    pub fn len(&self) -> u64 {
        match self {
            Self::Buffer(bytes) => bytes.len() as u64,
            Self::Pages(run) => run.len() as u64,
            Self::Extent(extent) => extent.length,
            Self::Zeros(length) | Self::Stream { length, .. } => *length,
        }
    }

    /// Whether the segment has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part `[start, start + length)` of this segment, clipped to its end.
    ///
    /// A stream has no positions: its part is the next `length` bytes, the right ones once
    /// the `start` bytes before them have been consumed.
    #[must_use]
    pub fn slice(&self, start: u64, length: u64) -> Self {
        let start = start.min(self.len());
        let length = length.min(self.len() - start);
        match self {
            Self::Buffer(bytes) => {
                let (from, to) = (index(start), index(start + length));
                Self::Buffer(bytes.slice(from..to))
            }
            Self::Pages(run) => Self::Pages(run.slice(index(start), index(length))),
            Self::Extent(extent) => Self::Extent(Extent {
                backing: Arc::clone(&extent.backing),
                offset: extent.offset + start,
                length,
            }),
            Self::Zeros(_) => Self::Zeros(length),
            Self::Stream { stream, .. } => Self::Stream { stream: Arc::clone(stream), length },
        }
    }
}

/// A length that is known to fit memory, as an index.
fn index(value: u64) -> usize {
    usize::try_from(value).expect("bounded by the length of a buffer in memory")
}
