//! The bytes of a READ reply, on their way from a segment list to the kernel.

use std::sync::Arc;

use bytes::Bytes;
use fusesg_fs::Errno;
use fusesg_sg::{PagePool, PooledBuffer, Segment, SegmentList, gather};

/// Bytes in memory, ready to be sent.
#[derive(Debug)]
pub(crate) enum Body {
    /// No data.
    Empty,
    /// A buffer of the file system, sent from where it is.
    Shared(Bytes),
    /// Gathered into the first bytes of a pooled buffer.
    Pooled(PooledBuffer, usize),
    /// Gathered, but larger than the pool's buffers.
    Owned(Vec<u8>),
}

impl Body {
    /// Fetches the bytes of `list`. Fewer than the list promises mean that a file ended.
    pub(crate) fn fetch(list: &SegmentList, pool: &Arc<PagePool>) -> Result<Self, Errno> {
        match list.segments() {
            [] => Ok(Self::Empty),
            [Segment::Buffer(bytes)] => Ok(Self::Shared(bytes.clone())),
            _ => {
                let length = usize::try_from(list.len()).map_err(|_| Errno::EIO)?;
                let mut buffer = pool.take().map_err(|_| Errno::ENOMEM)?;
                if length > buffer.len() {
                    let mut bytes = Vec::new();
                    bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
                    bytes.resize(length, 0);
                    let filled = gather(list, &mut bytes)?;
                    bytes.truncate(filled);
                    return Ok(Self::Owned(bytes));
                }
                let filled = gather(list, &mut buffer)?;
                Ok(Self::Pooled(buffer, filled))
            }
        }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Shared(bytes) => bytes,
            Self::Pooled(buffer, length) => &buffer[..*length],
            Self::Owned(bytes) => bytes,
        }
    }
}
