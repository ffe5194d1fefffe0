//! System calls and memory of this crate: the only file with `unsafe`.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::TryReserveError;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

use crate::{Backing, PAGE_SIZE};

/// Reads at `offset` until `buffer` is full, the file ends, or an error comes.
///
/// Bytes read before an error are reported; the error itself will come again on
/// the next read if it lasts.
pub(crate) fn pread_full(backing: &Backing, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match backing.file().read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Zeroed memory that starts on a page boundary.
#[derive(Debug)]
pub(crate) struct Pages {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: `Pages` owns its memory exclusively; nothing in it is tied to a thread.
unsafe impl Send for Pages {}
// SAFETY: a shared reference only allows reading the bytes.
unsafe impl Sync for Pages {}

impl Pages {
    /// Allocates `length` bytes; out of memory is an error, not an abort.
    pub(crate) fn allocate(length: usize) -> Result<Self, TryReserveError> {
        let layout = Self::layout(length);
        // SAFETY: the layout has a size above zero (`layout` rounds up to a page).
        let start = unsafe { alloc_zeroed(layout) };
        match NonNull::new(start) {
            Some(start) => Ok(Self { start, length }),
            None => Err(out_of_memory()),
        }
    }

    fn layout(length: usize) -> Layout {
        let size = length.max(1).next_multiple_of(PAGE_SIZE);
        Layout::from_size_align(size, PAGE_SIZE).expect("a buffer size within isize")
    }
}

/// The standard library's own value for "no memory", which cannot be built by hand.
fn out_of_memory() -> TryReserveError {
    let mut probe: Vec<u8> = Vec::new();
    probe.try_reserve(usize::MAX).expect_err("more than the address space")
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` points to `length` initialised (zeroed) bytes that live
        // as long as `self`; writers need `&mut self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated in `allocate` with this very layout, freed once.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.length)) }
    }
}
