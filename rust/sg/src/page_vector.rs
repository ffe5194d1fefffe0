//! The page vector of a request: pages, and which of their bytes belong to it.
//!
//! ```text
//!  pages         page 0      page 1      page 2
//!  descriptors   {F00,100}   {0,1000}    {0,800}        {offset, length}, hexadecimal
//! ```
//! Both arrays are sized by need: inline for as many pages as [`INLINE_PAGES`], on the heap
//! beyond; there are both or neither. (Patlasov 2012, "fuse: general infrastructure for
//! pages[] of variable size" and "fuse: add per-page descriptor <offset, length>".)

use std::fmt;

use smallvec::SmallVec;

use crate::{PAGE_SIZE, PageSize};

/// Pages that a request holds without memory of their own: most requests need no more.
pub const INLINE_PAGES: usize = 1;

/// The bytes of a page that belong to a request.
///
/// Only the first page of a contiguous fragment of memory may have an offset; only the
/// last may end before the page does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PageDescriptor {
    /// First byte within the page.
    pub offset: u32,
    /// Number of bytes.
    pub length: u32,
}

impl PageDescriptor {
    /// The descriptor of the bytes `[offset, offset + length)` of a page of [`PAGE_SIZE`]
    /// bytes; `None` if they are not within one.
    pub fn new(offset: usize, length: usize) -> Option<Self> {
        let end = offset.checked_add(length)?;
        if end > PAGE_SIZE {
            return None;
        }
        Some(Self { offset: u32::try_from(offset).ok()?, length: u32::try_from(length).ok()? })
    }

    /// The part of `[position, position + length)` that is in the first page it touches.
    pub(crate) fn first_of(position: usize, length: usize, page: PageSize) -> Self {
        let offset = position % page.bytes();
        let within = |bytes| u32::try_from(bytes).expect("within a page");
        Self { offset: within(offset), length: within(length.min(page.bytes() - offset)) }
    }

    /// First byte within the page.
    pub fn start(self) -> usize {
        self.offset as usize
    }

    /// Number of bytes.
    pub fn len(self) -> usize {
        self.length as usize
    }

    /// Whether no byte belongs to the request.
    pub fn is_empty(self) -> bool {
        self.length == 0
    }

    /// Whether it is the whole of a page of [`PAGE_SIZE`] bytes.
    pub fn is_whole(self) -> bool {
        self.offset == 0 && self.len() == PAGE_SIZE
    }
}

/// There is no memory for a page vector, or for pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of memory for the pages of a request")
    }
}

impl std::error::Error for OutOfMemory {}

impl From<OutOfMemory> for std::io::Error {
    fn from(_: OutOfMemory) -> Self {
        Self::from_raw_os_error(libc::ENOMEM)
    }
}

/// Room for a fixed number of pages and their descriptors.
///
/// `T` is what a page is: one of the pool's, or a borrowed fragment of the caller's memory
/// (`&[u8]`, `&mut [u8]`: the bytes that the descriptor names, without the rest of the page).
/// Its default stands for "no page".
#[derive(Debug)]
pub struct PageVector<T> {
    pages: SmallVec<[T; INLINE_PAGES]>,
    descriptors: SmallVec<[PageDescriptor; INLINE_PAGES]>,
    used: usize,
}

impl<T> Default for PageVector<T> {
    /// Without room for a page.
    fn default() -> Self {
        Self { pages: SmallVec::new(), descriptors: SmallVec::new(), used: 0 }
    }
}

impl<T: Default> PageVector<T> {
    /// Room for `pages` pages, all absent and without bytes.
    ///
    /// # Errors
    /// [`OutOfMemory`] if either array cannot be had; nothing is kept then.
    pub fn new(pages: usize) -> Result<Self, OutOfMemory> {
        let mut vector = Self::default();
        // SmallVec only panics on a length past isize::MAX, after try_reserve has refused it
        vector.pages.try_reserve_exact(pages).map_err(|_| OutOfMemory)?;
        vector.descriptors.try_reserve_exact(pages).map_err(|_| OutOfMemory)?;
        vector.pages.resize_with(pages, T::default);
        vector.descriptors.resize(pages, PageDescriptor::default());
        Ok(vector)
    }

    /// Appends a page.
    ///
    /// # Errors
    /// Gives the page back if all places are taken.
    pub fn push(&mut self, page: T, descriptor: PageDescriptor) -> Result<(), T> {
        let Some(place) = self.pages.get_mut(self.used) else { return Err(page) };
        *place = page;
        self.descriptors[self.used] = descriptor;
        self.used += 1;
        Ok(())
    }

    /// Gives up all pages; the places stay, absent and without bytes as they were at first.
    pub fn clear(&mut self) {
        for (page, descriptor) in self.pages.iter_mut().zip(&mut self.descriptors).take(self.used) {
            *page = T::default();
            *descriptor = PageDescriptor::default();
        }
        self.used = 0;
    }
}

impl<T> PageVector<T> {
    /// Places for pages.
    pub fn max_pages(&self) -> usize {
        self.pages.len()
    }

    /// Pages that are there.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there is no page.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Places that are not taken.
    pub fn room(&self) -> usize {
        self.max_pages() - self.used
    }

    /// Whether both arrays are part of the vector itself.
    pub fn is_inline(&self) -> bool {
        !self.pages.spilled() && !self.descriptors.spilled()
    }

    /// The pages.
    pub fn pages(&self) -> &[T] {
        &self.pages[..self.used]
    }

    /// Their descriptors.
    pub fn descriptors(&self) -> &[PageDescriptor] {
        &self.descriptors[..self.used]
    }

    /// Each page with its descriptor.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&T, PageDescriptor)> {
        self.pages().iter().zip(self.descriptors().iter().copied())
    }

    /// Each page, to be filled or exchanged, with its descriptor.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&mut T, PageDescriptor)> {
        self.pages[..self.used].iter_mut().zip(self.descriptors[..self.used].iter().copied())
    }

    /// Bytes of all descriptors.
    pub fn bytes(&self) -> usize {
        self.descriptors().iter().map(|descriptor| descriptor.len()).sum()
    }
}

impl<T> AsMut<PageVector<T>> for PageVector<T> {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}
