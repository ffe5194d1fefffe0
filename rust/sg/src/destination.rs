//! Where data goes: the pages of a request, filled one after another.

use std::io::{self, IoSliceMut};
use std::mem;

use smallvec::SmallVec;

use crate::sys::IOV_MAX;
use crate::{PAGE_SIZE, Page, PageDescriptor, PageVector};

/// The pages of a request that data goes to: the bytes that the descriptors name, in order.
#[derive(Debug)]
pub enum Destination<'d, 'm> {
    /// Pages of ours: one may be exchanged for a page that has the data already.
    Owned(&'d mut PageVector<Option<Page>>),
    /// Fragments of somebody's memory, where the bytes have to arrive: direct I/O.
    Borrowed(&'d mut PageVector<&'m mut [u8]>),
}

impl Destination<'_, '_> {
    fn descriptors(&self) -> &[PageDescriptor] {
        match self {
            Self::Owned(pages) => pages.descriptors(),
            Self::Borrowed(pages) => pages.descriptors(),
        }
    }

    /// Whether all bytes that the descriptors name are there.
    fn is_complete(&self) -> bool {
        match self {
            Self::Owned(pages) => pages.iter().all(|(page, descriptor)| {
                let holds = |page: &Page| descriptor.start() + descriptor.len() <= page.len();
                descriptor.is_empty() || page.as_ref().is_some_and(holds)
            }),
            Self::Borrowed(pages) => {
                pages.iter().all(|(fragment, descriptor)| fragment.len() == descriptor.len())
            }
        }
    }

    /// The bytes of each descriptor, from that of page `first` on.
    fn fragments(&mut self, first: usize) -> impl Iterator<Item = &mut [u8]> {
        let (owned, borrowed) = match self {
            Self::Owned(pages) => (Some(pages), None),
            Self::Borrowed(pages) => (None, Some(pages)),
        };
        let owned = owned.into_iter().flat_map(move |pages| pages.iter_mut().skip(first));
        let owned = owned.map(|(page, descriptor)| {
            let bytes = page.as_deref_mut().unwrap_or_default();
            // a descriptor without bytes may lie anywhere
            bytes.get_mut(descriptor.start()..).unwrap_or_default().split_at_mut(descriptor.len()).0
        });
        let borrowed = borrowed.into_iter().flat_map(move |pages| pages.iter_mut().skip(first));
        owned.chain(borrowed.map(|(fragment, _)| &mut **fragment))
    }
}

/// A destination and how far it is filled.
#[derive(Debug)]
pub(crate) struct Cursor<'d, 'm> {
    destination: Destination<'d, 'm>,
    page: usize,
    /// Bytes of that page's descriptor that are there; never all of them.
    filled: usize,
}

/// The page that takes the next byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) descriptor: PageDescriptor,
    /// Bytes of the descriptor that are there.
    pub(crate) filled: usize,
}

impl Place {
    /// Bytes of the descriptor that are not there yet.
    pub(crate) fn room(&self) -> usize {
        self.descriptor.len() - self.filled
    }
}

impl<'d, 'm> Cursor<'d, 'm> {
    /// At the first byte.
    ///
    /// # Errors
    /// EFAULT if a descriptor names bytes that are not there.
    pub(crate) fn new(destination: Destination<'d, 'm>) -> io::Result<Self> {
        if !destination.is_complete() {
            return Err(io::Error::from_raw_os_error(libc::EFAULT));
        }
        let mut cursor = Self { destination, page: 0, filled: 0 };
        cursor.advance(0);
        Ok(cursor)
    }

    /// Whether pages may be exchanged.
    pub(crate) fn is_owned(&self) -> bool {
        matches!(self.destination, Destination::Owned(_))
    }

    /// Whether the page that takes the next byte is one that could be exchanged: those of
    /// a segment list have [`PAGE_SIZE`] bytes.
    pub(crate) fn has_page_of_a_list(&self) -> bool {
        match &self.destination {
            Destination::Owned(pages) => pages
                .pages()
                .get(self.page)
                .is_some_and(|page| page.as_ref().is_some_and(|page| page.len() == PAGE_SIZE)),
            Destination::Borrowed(_) => false,
        }
    }

    /// Where the next byte goes; `None` if no more is taken.
    pub(crate) fn place(&self) -> Option<Place> {
        let descriptor = *self.destination.descriptors().get(self.page)?;
        Some(Place { descriptor, filled: self.filled })
    }

    /// Bytes that are still taken.
    pub(crate) fn room(&self) -> u64 {
        let rest = &self.destination.descriptors()[self.page..];
        rest.iter().map(|descriptor| descriptor.len() as u64).sum::<u64>() - self.filled as u64
    }

    /// Memory for the next `limit` bytes, or for as many as one system call can fill.
    pub(crate) fn slices(&mut self, limit: usize) -> SmallVec<[IoSliceMut<'_>; 4]> {
        let (mut skip, mut left) = (self.filled, limit);
        let mut slices = SmallVec::new();
        for fragment in self.destination.fragments(self.page) {
            let bytes = &mut fragment[mem::take(&mut skip)..];
            let length = bytes.len().min(left);
            if length > 0 {
                slices.push(IoSliceMut::new(&mut bytes[..length]));
            }
            left -= length;
            if left == 0 || slices.len() == IOV_MAX {
                break;
            }
        }
        slices
    }

    /// Goes on behind the next `length` bytes, at most to the end of the page.
    pub(crate) fn advance(&mut self, length: usize) {
        self.filled += length;
        // pages without bytes are passed over, too
        while self.place().is_some_and(|place| place.room() == 0) {
            (self.page, self.filled) = (self.page + 1, 0);
        }
    }

    /// Exchanges the page that takes the next byte for `page`. The caller has seen to it that
    /// the destination is owned and the page whole.
    pub(crate) fn exchange(&mut self, page: &mut Page) {
        if let Destination::Owned(pages) = &mut self.destination
            && let Some((Some(slot), _)) = pages.iter_mut().nth(self.page)
        {
            mem::swap(slot, page);
        }
    }

    /// Clears what is not there, and nothing else; returns how many bytes that is.
    pub(crate) fn clear_rest(mut self) -> u64 {
        let mut skip = self.filled;
        let mut cleared = 0;
        for fragment in self.destination.fragments(self.page) {
            let bytes = &mut fragment[mem::take(&mut skip)..];
            bytes.fill(0);
            cleared += bytes.len() as u64;
        }
        cleared
    }
}
