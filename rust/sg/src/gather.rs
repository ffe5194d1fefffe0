//! A segment list into one contiguous buffer.
//!
//! Adjacent extents of one descriptor become one `pread`; buffers and zeros are
//! copied. A piece that turns out short ends the answer there: nothing after it
//! is shifted into its place.

use std::io;
use std::sync::Arc;

use crate::sys;
use crate::{Extent, Segment, SegmentList};

/// Copies `list` to the start of `destination` and returns how many bytes are there.
///
/// Fewer than `list.len()` bytes mean that an extent ended early. An error is
/// returned only when no byte was gathered before it: partial progress wins over
/// a late error.
///
/// # Panics
/// If `destination` is shorter than the list.
pub fn gather(list: &SegmentList, destination: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    let mut segments = list.segments().iter().peekable();
    while let Some(segment) = segments.next() {
        match segment {
            Segment::Buffer(bytes) => {
                destination[filled..filled + bytes.len()].copy_from_slice(bytes);
                filled += bytes.len();
            }
            Segment::Zeros(length) => {
                let length = usize::try_from(*length).expect("fits the destination");
                destination[filled..filled + length].fill(0);
                filled += length;
            }
            Segment::Extent(extent) => {
                let mut length = extent.length;
                while let Some(Segment::Extent(next)) = segments.peek() {
                    if !follows(extent, length, next) {
                        break;
                    }
                    length += next.length;
                    segments.next();
                }
                let length = usize::try_from(length).expect("fits the destination");
                let target = &mut destination[filled..filled + length];
                let read = match sys::pread_full(&extent.backing, target, extent.offset) {
                    Ok(read) => read,
                    Err(error) if filled == 0 => return Err(error),
                    Err(_) => return Ok(filled),
                };
                filled += read;
                if read < length {
                    return Ok(filled);
                }
            }
        }
    }
    Ok(filled)
}

/// Whether `next` continues `extent`, of which `length` bytes were merged so far.
fn follows(extent: &Extent, length: u64, next: &Extent) -> bool {
    Arc::ptr_eq(&extent.backing, &next.backing)
        && extent.offset.checked_add(length) == Some(next.offset)
}
