//! The pages of a file that an I/O through its page cache touches, request by request.
//!
//! ```text
//!  bytes         [100, 8292)
//!  pages         0            1           2
//!  descriptors   {100,3996}   {0,4096}    {0,100}        {offset, length}, decimal
//! ```
//! The memory is the cache's: places in its pages follow from places in the file. (Patlasov
//! 2012, patches 3 to 5: fuse_retrieve(), readpages and perform_write size their requests
//! by what they need.)

use std::ops::Range;

use crate::{PageDescriptor, PageSize, RequestLimits, TooManyBytes};

/// Where `length` bytes of a file from `offset` on end.
///
/// # Errors
/// [`TooManyBytes`] if that is past `i64::MAX`, the largest file offset there is.
pub fn range_end(offset: u64, length: u64) -> Result<u64, TooManyBytes> {
    let end = offset.checked_add(length).ok_or(TooManyBytes)?;
    i64::try_from(end).map(|_| end).map_err(|_| TooManyBytes)
}

/// Consecutive bytes of a file, and the pages they lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSpan {
    offset: u64,
    length: u64,
    page: PageSize,
}

impl PageSpan {
    /// The bytes `[offset, offset + length)`.
    ///
    /// # Errors
    /// [`TooManyBytes`] if they end past `i64::MAX`, the largest file offset there is.
    pub fn new(offset: u64, length: u64) -> Result<Self, TooManyBytes> {
        range_end(offset, length)?;
        Ok(Self { offset, length, page: PageSize::default() })
    }

    /// The same in pages of another size.
    #[must_use]
    pub fn with_page_size(self, page: PageSize) -> Self {
        Self { page, ..self }
    }

    /// First byte, counted from the start of the file.
    pub fn offset(self) -> u64 {
        self.offset
    }

    /// Number of bytes.
    pub fn len(self) -> u64 {
        self.length
    }

    /// Whether there are no bytes, and so no pages.
    pub fn is_empty(self) -> bool {
        self.length == 0
    }

    /// The pages, numbered from the start of the file.
    pub fn pages(self) -> Range<u64> {
        let first = self.offset / self.page_bytes();
        if self.is_empty() { first..first } else { first..self.end().div_ceil(self.page_bytes()) }
    }

    /// The part before `file_size`: what a retrieve or a read can have.
    #[must_use]
    pub fn within(self, file_size: u64) -> Self {
        let length = self.length.min(file_size.saturating_sub(self.offset));
        Self { length, ..self }
    }

    /// The part before the first page that `is_cached` does not have: what a retrieve is
    /// answered with.
    #[must_use]
    pub fn cached(self, mut is_cached: impl FnMut(u64) -> bool) -> Self {
        match self.pages().find(|page| !is_cached(*page)) {
            Some(absent) => self.within(absent * self.page_bytes()),
            None => self,
        }
    }

    /// Takes off what one request carries: at most `limits.max_pages()` pages, whole or not,
    /// and `limits.max_bytes()` bytes.
    #[must_use]
    pub fn split_to(&mut self, limits: RequestLimits) -> Self {
        let pages = limits.max_pages() as u64;
        let in_pages = pages.saturating_mul(self.page_bytes()) - self.offset % self.page_bytes();
        let length = self.length.min(in_pages).min(limits.max_bytes() as u64);
        let taken = Self { length, ..*self };
        self.offset += length;
        self.length -= length;
        taken
    }

    /// Which bytes of each page.
    pub fn descriptors(self) -> impl Iterator<Item = PageDescriptor> {
        self.pages().map(move |page| {
            let start = self.offset.max(page * self.page_bytes());
            let length = (self.end() - start).min(self.page_bytes());
            PageDescriptor::first_of(in_page(start % self.page_bytes()), in_page(length), self.page)
        })
    }

    /// The whole pages to read from the server so that none of the span is missing in the
    /// cache, one span for each request. A request ends at a page that `is_cached`, and
    /// where the next page would be over the limits; it has at least one.
    pub fn readahead(
        self,
        limits: RequestLimits,
        mut is_cached: impl FnMut(u64) -> bool,
    ) -> impl Iterator<Item = Self> {
        let most = limits.max_pages().min(limits.max_bytes() / self.page.bytes()).max(1) as u64;
        let (mut pages, size) = (self.pages(), self.page_bytes());
        std::iter::from_fn(move || {
            let first = pages.find(|page| !is_cached(*page))?;
            let mut end = first + 1;
            while end < pages.end && end - first < most && !is_cached(end) {
                end += 1;
            }
            pages.start = end;
            Some(Self { offset: first * size, length: (end - first) * size, ..self })
        })
    }

    fn page_bytes(self) -> u64 {
        self.page.bytes() as u64
    }

    fn end(self) -> u64 {
        self.offset + self.length
    }
}

fn in_page(bytes: u64) -> usize {
    usize::try_from(bytes).expect("no more than a page")
}
