//! Page spans: one byte, or one page, at a time.

use std::collections::BTreeMap;

use crate::PAGE;

/// {offset, length} of each page that `[offset, offset + length)` touches.
pub fn descriptors(offset: usize, length: usize) -> Vec<(usize, usize)> {
    let mut pages = BTreeMap::<usize, (usize, usize)>::new();
    for byte in offset..offset + length {
        pages.entry(byte / PAGE).or_insert((byte % PAGE, 0)).1 += 1;
    }
    pages.into_values().collect()
}

/// The bytes of each request of a buffered write: (offset, length).
pub fn requests(
    offset: usize,
    length: usize,
    max_pages: usize,
    max_bytes: usize,
) -> Vec<(usize, usize)> {
    let mut requests: Vec<(usize, usize)> = Vec::new();
    for byte in offset..offset + length {
        match requests.last_mut() {
            Some((start, length))
                if *length < max_bytes && byte / PAGE - *start / PAGE < max_pages =>
            {
                *length += 1;
            }
            _ => requests.push((byte, 1)),
        }
    }
    requests
}

/// Requests to read the pages `wanted`, which ascend: first page, and how many.
pub fn readahead(wanted: &[u64], max_pages: usize, max_bytes: usize) -> Vec<(u64, usize)> {
    let mut requests: Vec<(u64, usize)> = Vec::new();
    for page in wanted {
        match requests.last_mut() {
            Some((first, count))
                if *first + *count as u64 == *page
                    && *count < max_pages
                    && (*count + 1) * PAGE <= max_bytes =>
            {
                *count += 1;
            }
            _ => requests.push((*page, 1)),
        }
    }
    requests
}
