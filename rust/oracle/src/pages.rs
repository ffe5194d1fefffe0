//! The page copier and lists of pipes: one byte after another into pages.

/// Puts `data` into the bytes that the descriptors {offset, length} name, and zeros behind it
/// if `zero_tail`. Returns how many zeros, or `None` if there is no room for the data.
pub fn fill(
    pages: &mut [Vec<u8>],
    descriptors: &[(usize, usize)],
    data: &[u8],
    zero_tail: bool,
) -> Option<usize> {
    let mut places = Vec::new();
    for (page, (offset, length)) in descriptors.iter().enumerate() {
        places.extend((*offset..offset + length).map(|byte| (page, byte)));
    }
    if data.len() > places.len() {
        return None;
    }
    let mut zeros = 0;
    for (number, (page, byte)) in places.into_iter().enumerate() {
        match data.get(number) {
            Some(value) => pages[page][byte] = *value,
            None if zero_tail => {
                pages[page][byte] = 0;
                zeros += 1;
            }
            None => {}
        }
    }
    Some(zeros)
}
