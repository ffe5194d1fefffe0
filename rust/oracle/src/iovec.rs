//! The iovec packer: walk the memory one byte at a time.

use crate::PAGE;

/// A segment of memory: address and length.
pub type Memory = (usize, usize);

/// What one request takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The fragments, one for each place.
    pub fragments: Vec<Memory>,
    /// {offset, length} of each fragment within its page.
    pub descriptors: Vec<(usize, usize)>,
    /// Bytes of all fragments.
    pub bytes: usize,
}

/// The addresses of all bytes from byte `skip` on; `true` marks the first of a segment.
fn walk(segments: &[Memory], skip: usize) -> impl Iterator<Item = (usize, bool)> {
    segments
        .iter()
        .flat_map(|(address, length)| (0..*length).map(move |n| (address + n, n == 0)))
        .skip(skip)
}

/// Packs from byte `skip` of the segments on: at most `want` bytes in at most `places` places.
pub fn pack(segments: &[Memory], skip: usize, want: usize, places: usize) -> Request {
    let mut request = Request::default();
    for (address, starts_segment) in walk(segments, skip) {
        if request.bytes == want {
            break;
        }
        if request.fragments.is_empty() || starts_segment || address % PAGE == 0 {
            if request.fragments.len() == places {
                break;
            }
            request.fragments.push((address, 0));
            request.descriptors.push((address % PAGE, 0));
        }
        if let (Some(fragment), Some(descriptor)) =
            (request.fragments.last_mut(), request.descriptors.last_mut())
        {
            fragment.1 += 1;
            descriptor.1 += 1;
        }
        request.bytes += 1;
    }
    request
}
