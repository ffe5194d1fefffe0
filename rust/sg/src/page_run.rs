//! Data in owned pages, which the last owner may give away.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::{NotMoved, OutOfMemory, PAGE_SIZE, PooledBuffer};

/// An owned page: a buffer of a pool whose buffers are [`PAGE_SIZE`] long.
pub type Page = PooledBuffer;

/// Consecutive bytes in pages of which each has an owner count of its own.
///
/// ```text
///  pages    ┌────────┐┌────────┐┌────────┐
///  bytes        ├────────────────────┤            start within the first page, length
/// ```
/// Clones and slices share the pages they touch. Whoever holds the only run with a page may
/// exchange it for another: that is how [`copy`](crate::copy()) moves pages.
#[derive(Clone, Debug)]
pub struct PageRun {
    pages: SmallVec<[Arc<Page>; 1]>,
    start: usize,
    length: usize,
}

/// The bytes of a run that are in one page.
#[derive(Debug)]
pub(crate) struct PagePiece {
    /// The page, alive as long as the piece.
    pub(crate) page: Arc<Page>,
    /// First byte within the page.
    pub(crate) offset: usize,
    /// Number of bytes.
    pub(crate) length: usize,
}

impl PagePiece {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.page[self.offset..self.offset + self.length]
    }

    /// Whether they are the whole page.
    pub(crate) fn is_whole(&self) -> bool {
        self.length == PAGE_SIZE
    }

    /// Why the page cannot be given away for its bytes from `position` on.
    pub(crate) fn obstacle(&self, position: usize) -> NotMoved {
        if self.offset + position > 0 {
            NotMoved::Misaligned
        } else if !self.is_whole() {
            NotMoved::Short
        } else {
            NotMoved::Shared
        }
    }
}

impl PageRun {
    /// The first `length` bytes of `pages`. Pages behind the last byte are given up.
    ///
    /// # Errors
    /// [`OutOfMemory`] if there is no room for the owner counts.
    ///
    /// # Panics
    /// If there are fewer bytes than `length`, or a page is not [`PAGE_SIZE`] long.
    pub fn new(pages: impl IntoIterator<Item = Page>, length: usize) -> Result<Self, OutOfMemory> {
        let needed = length.div_ceil(PAGE_SIZE);
        let mut shared = SmallVec::new();
        shared.try_reserve_exact(needed).map_err(|_| OutOfMemory)?;
        for page in pages.into_iter().take(needed) {
            assert_eq!(page.len(), PAGE_SIZE, "a page of another length");
            shared.push(Arc::new(page));
        }
        assert_eq!(shared.len(), needed, "a run longer than its pages");
        Ok(Self { pages: shared, start: 0, length })
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The part `[start, start + length)`, clipped to the end.
    #[must_use]
    pub fn slice(&self, start: usize, length: usize) -> Self {
        let start = start.min(self.length);
        let length = length.min(self.length - start);
        if length == 0 {
            return Self { pages: SmallVec::new(), start: 0, length: 0 };
        }
        let first = self.start + start;
        let end = first + length;
        let pages = &self.pages[first / PAGE_SIZE..end.div_ceil(PAGE_SIZE)];
        Self { pages: pages.iter().cloned().collect(), start: first % PAGE_SIZE, length }
    }

    /// The bytes, page by page.
    pub fn fragments(&self) -> impl Iterator<Item = &[u8]> {
        let (start, end) = (self.start, self.start + self.length);
        self.pages.iter().enumerate().map(move |(index, page)| {
            let (offset, length) = within(index, start, end);
            &page[offset..offset + length]
        })
    }

    /// The pages with the bytes in each, for whoever may give them away.
    pub(crate) fn into_pieces(self) -> impl Iterator<Item = PagePiece> {
        let (start, end) = (self.start, self.start + self.length);
        self.pages.into_iter().enumerate().map(move |(index, page)| {
            let (offset, length) = within(index, start, end);
            PagePiece { page, offset, length }
        })
    }
}

/// Where in page `index` the bytes `[start, end)` of a run of pages are: offset and length.
fn within(index: usize, start: usize, end: usize) -> (usize, usize) {
    let first = index * PAGE_SIZE;
    let offset = start.saturating_sub(first);
    (offset, (end - first).min(PAGE_SIZE) - offset)
}
