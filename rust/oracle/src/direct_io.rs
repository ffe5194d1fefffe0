//! Direct I/O: every request that a transfer sends.

use crate::iovec::{Memory, Request, pack};

/// The requests of an I/O if each one is transferred as a whole. `segment_by_segment`: none
/// has bytes of two segments.
pub fn requests(
    segments: &[Memory],
    max_pages: usize,
    max_bytes: usize,
    segment_by_segment: bool,
) -> Vec<Request> {
    if segment_by_segment {
        return segments
            .iter()
            .flat_map(|segment| requests(&[*segment], max_pages, max_bytes, false))
            .collect();
    }
    let mut done = 0;
    let mut all = Vec::new();
    loop {
        let request = pack(segments, done, max_bytes, max_pages);
        if request.bytes == 0 {
            return all;
        }
        done += request.bytes;
        all.push(request);
    }
}

/// What a transfer comes to if each request does what `outcomes` says, the last one for all
/// that follow: a number of bytes, or an error.
pub fn result<E: Clone>(requests: &[Request], outcomes: &[Result<usize, E>]) -> Result<usize, E> {
    let mut total = 0;
    for (number, request) in requests.iter().enumerate() {
        match &outcomes[number.min(outcomes.len() - 1)] {
            Ok(bytes) => {
                total += bytes.min(&request.bytes);
                if *bytes < request.bytes {
                    break;
                }
            }
            Err(error) if total == 0 => return Err(error.clone()),
            Err(_) => break,
        }
    }
    Ok(total)
}
