//! The caller's iovec into requests: as many segments as fit share one.
//!
//! ```text
//!  iovec         [1F00, 300 bytes)        [5000, 1800 bytes)      [9FFF, 2 bytes)
//!  fragments     1F00..2000 2000..2200    5000..6000 6000..6800   9FFF..A000 A000..A001
//!  descriptors   {F00,100}  {0,200}       {0,1000}   {0,800}      {FFF,1}    {0,1}
//! ```
//! (All hexadecimal.) A fragment lies within one page and takes one place of a
//! [`PageVector`]. What does not fit is left to the next request, also in the middle of a
//! segment. (Patlasov 2012, "fuse: optimize fuse_get_user_pages()" and "fuse: optimize
//! __fuse_direct_io()".)
//!
//! The series took pages into a request with two traps that are not here. An empty segment
//! took a place, so that a request with one place could end up without bytes: here a
//! cursor has no empty segments. A page that could not be had lost the bytes that were
//! packed before it: here the memory is the caller's and is there, so packing cannot fail.

use std::fmt;

use smallvec::SmallVec;

use crate::{PageDescriptor, PageSize, PageVector};

/// A contiguous piece of the caller's memory. The default is a piece without bytes.
pub trait UserMemory: Default {
    /// Address of the first byte.
    fn address(&self) -> usize;

    /// Number of bytes.
    fn len(&self) -> usize;

    /// Takes the first `length` bytes off, which are there.
    #[must_use]
    fn split_to(&mut self, length: usize) -> Self;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a write sends.
impl UserMemory for &[u8] {
    fn address(&self) -> usize {
        self.as_ptr().addr()
    }

    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn split_to(&mut self, length: usize) -> Self {
        let (taken, rest) = self.split_at(length);
        *self = rest;
        taken
    }
}

/// What a read fills.
impl UserMemory for &mut [u8] {
    fn address(&self) -> usize {
        self.as_ptr().addr()
    }

    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn split_to(&mut self, length: usize) -> Self {
        let (taken, rest) = std::mem::take(self).split_at_mut(length);
        *self = rest;
        taken
    }
}

/// More bytes than one I/O may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyBytes;

impl fmt::Display for TooManyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the segments together, or the end of the I/O, are past what a file can have")
    }
}

impl std::error::Error for TooManyBytes {}

/// EINVAL, as readv(2) and writev(2) have it.
impl From<TooManyBytes> for std::io::Error {
    fn from(_: TooManyBytes) -> Self {
        Self::from_raw_os_error(libc::EINVAL)
    }
}

/// The part of the caller's iovec that no request has taken yet.
#[derive(Debug)]
pub struct IovecCursor<M> {
    /// None is empty; the first one may have lost its beginning to a request.
    segments: smallvec::IntoIter<[M; 1]>,
    remaining: usize,
    page: PageSize,
}

impl<M: UserMemory> IovecCursor<M> {
    /// A cursor at the start of `segments`. Empty ones are skipped.
    ///
    /// # Errors
    /// [`TooManyBytes`] if there are more than `isize::MAX`.
    pub fn new(segments: impl IntoIterator<Item = M>) -> Result<Self, TooManyBytes> {
        let segments: SmallVec<[M; 1]> =
            segments.into_iter().filter(|segment| !segment.is_empty()).collect();
        let remaining = segments
            .iter()
            .try_fold(0_usize, |sum, segment| sum.checked_add(segment.len()))
            .filter(|sum| isize::try_from(*sum).is_ok())
            .ok_or(TooManyBytes)?;
        Ok(Self { segments: segments.into_iter(), remaining, page: PageSize::default() })
    }

    /// The same for pages of another size.
    #[must_use]
    pub fn with_page_size(self, page: PageSize) -> Self {
        Self { page, ..self }
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Bytes that are left of the current segment; 0 only at the end.
    pub fn segment_remaining(&self) -> usize {
        self.segments.as_slice().first().map_or(0, M::len)
    }

    /// Places that the next `want` bytes take in a request that may have `max_pages` of them:
    /// no more than [`pack`](Self::pack) will use.
    pub fn count_pages(&self, want: usize, max_pages: usize) -> usize {
        let (mut pages, mut left) = (0, want);
        for segment in self.segments.as_slice() {
            if left == 0 || pages >= max_pages {
                break;
            }
            let length = segment.len().min(left);
            // no overflow: all segments together have no more than isize::MAX bytes
            let page = self.page.bytes();
            pages += (segment.address() % page + length).div_ceil(page);
            left -= length;
        }
        pages.min(max_pages)
    }

    /// Moves the next bytes into the free places of `vector`, until there are `want` of them
    /// or no place is left, and returns how many there are.
    pub fn pack(&mut self, want: usize, vector: &mut PageVector<M>) -> usize {
        let mut packed = 0;
        while packed < want && vector.room() > 0 {
            let Some(segment) = self.segments.as_mut_slice().first_mut() else { break };
            let length = segment.len().min(want - packed);
            let descriptor = PageDescriptor::first_of(segment.address(), length, self.page);
            let fragment = segment.split_to(descriptor.len());
            if segment.is_empty() {
                self.segments.next();
            }
            let Ok(()) = vector.push(fragment, descriptor) else { unreachable!("there is room") };
            packed += descriptor.len();
        }
        self.remaining -= packed;
        packed
    }
}
