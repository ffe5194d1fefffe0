//! Pages of a message that its device may take over instead of copying them.

use crate::{NotMoved, NotMovedPages, PAGE_SIZE};

/// How the pages of a [`SplicedMessage`](crate::SplicedMessage) lie.
///
/// What the device did nobody tells. It takes a page over if its data is a whole page of the
/// source and on a page boundary of the message, nobody else holds it, it is clean, and the
/// request lets pages be replaced. Only the first of these is known here: those pages can be
/// offered, and the others cannot be moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoveOffer {
    /// Pages that can be offered.
    pub pages: u64,
    /// Pages that cannot be moved, and why.
    pub not_moved: NotMovedPages,
}

impl MoveOffer {
    /// Adds `length` bytes at `position` in the message that lie at `offset` in pages of
    /// their own.
    pub(crate) fn add(&mut self, position: u64, offset: u64, length: u64) {
        let page = PAGE_SIZE as u64;
        let first = position.div_ceil(page);
        let begun = (position + length).div_ceil(page) - first;
        if position % page == offset % page {
            let whole = ((position + length) / page).saturating_sub(first);
            self.pages += whole;
            self.not_moved.add(NotMoved::Short, begun - whole);
        } else {
            self.not_moved.add(NotMoved::Misaligned, begun);
        }
    }

    /// Adds `length` bytes at `position` in the message whose memory cannot be taken over.
    pub(crate) fn add_unstealable(&mut self, position: u64, length: u64) {
        let page = PAGE_SIZE as u64;
        let begun = (position + length).div_ceil(page) - position.div_ceil(page);
        self.not_moved.add(NotMoved::Unstealable, begun);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Page by page and byte by byte.
    fn oracle(pieces: &[(u64, u64)]) -> MoveOffer {
        let bytes: Vec<(usize, u64)> = pieces
            .iter()
            .enumerate()
            .flat_map(|(piece, (offset, length))| {
                (*offset..offset + length).map(move |at| (piece, at % PAGE_SIZE as u64))
            })
            .collect();
        let mut offer = MoveOffer::default();
        for page in bytes.chunks(PAGE_SIZE) {
            let (piece, first) = page[0];
            if first != 0 {
                offer.not_moved.add(NotMoved::Misaligned, 1);
            } else if page.len() < PAGE_SIZE || page.iter().any(|(other, _)| *other != piece) {
                offer.not_moved.add(NotMoved::Short, 1);
            } else {
                offer.pages += 1;
            }
        }
        offer
    }

    fn offer(pieces: &[(u64, u64)]) -> MoveOffer {
        let mut offer = MoveOffer::default();
        let mut position = 0;
        for (offset, length) in pieces {
            offer.add(position, *offset, *length);
            position += length;
        }
        offer
    }

    #[test]
    fn pages_are_counted_as_if_one_by_one() {
        for pieces in [
            vec![],
            vec![(0, 3 * 4096)],
            vec![(4096, 4096), (40_960, 8192)],
            vec![(100, 4096)],
            vec![(0, 5000), (5000, 3192)],
            vec![(0, 5000), (904, 3192), (8192, 4096)],
            vec![(0, 100), (4196, 3996), (0, 4096), (0, 1)],
            vec![(0, 1), (0, 4096), (0, 4095), (0, 4096)],
            vec![(7, 3), (8, 2), (9, 4091), (4096, 4096)],
        ] {
            assert_eq!(offer(&pieces), oracle(&pieces), "{pieces:?}");
        }
    }
}
