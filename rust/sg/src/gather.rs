//! A segment list into one contiguous buffer.

use std::io;

use crate::stream::Endless;
use crate::{SegmentList, packer};

/// Copies `list` to the start of `destination` and returns how many bytes are there.
///
/// Fewer than `list.len()` bytes mean that an extent ended early. An error is
/// returned only when no byte was gathered before it: partial progress wins over
/// a late error. Streams are waited for as long as it takes, and not consumed at all where
/// an extent fails.
///
/// # Panics
/// If `destination` is shorter than the list.
pub fn gather(list: &SegmentList, destination: &mut [u8]) -> io::Result<usize> {
    packer::gather_into(list, destination, &Endless)
}
