//! System calls and memory of this crate: the only files with `unsafe`.

pub(crate) mod mapping;
pub(crate) mod streams;

use std::ffi::c_int;
use std::io::{self, IoSliceMut};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::ptr::{self, NonNull};

use crate::{Backing, OutOfMemory, PAGE_SIZE};

/// Entries of an iovec array that the kernel takes (`UIO_MAXIOV`).
pub(crate) const IOV_MAX: usize = 1024;

/// What [`preadv_full`] came to.
#[derive(Debug)]
pub(crate) struct Read {
    /// Bytes that were read.
    pub(crate) read: usize,
    /// What ended it before the buffers were full, if not the end of the file.
    pub(crate) failure: Option<io::Error>,
}

/// Reads at `offset` until all of `buffers` are full, the file ends, or an error comes.
pub(crate) fn preadv_full(
    backing: &Backing,
    mut buffers: &mut [IoSliceMut<'_>],
    offset: u64,
) -> Read {
    let mut read = 0;
    while !buffers.is_empty() {
        let position = offset + read as u64;
        let result = match buffers {
            [buffer] => backing.file().read_at(buffer, position),
            _ => preadv(backing.as_fd(), buffers, position),
        };
        match result {
            Ok(0) => break,
            Ok(more) => {
                read += more;
                IoSliceMut::advance_slices(&mut buffers, more);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Read { read, failure: Some(error) },
        }
    }
    Read { read, failure: None }
}

fn preadv(file: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
    let count = c_int::try_from(buffers.len()).map_err(io::Error::other)?;
    let offset = libc::off64_t::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: IoSliceMut has the layout of iovec; each entry is exclusively borrowed, writable
    // memory of the length that it names.
    let read = unsafe {
        libc::preadv64(file.as_raw_fd(), buffers.as_mut_ptr().cast::<libc::iovec>(), count, offset)
    };
    transferred(read)
}

/// Makes a pipe hold at least `bytes`, or as much as this process may have, and returns how
/// much that is.
pub(crate) fn set_pipe_size(pipe: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let mut wanted = bytes;
    loop {
        let size = c_int::try_from(wanted).unwrap_or(c_int::MAX);
        // SAFETY: takes numbers only.
        let result = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, size) };
        match usize::try_from(result) {
            Ok(size) => return Ok(size),
            Err(_) if wanted < 2 * PAGE_SIZE => return Err(io::Error::last_os_error()),
            Err(_) => wanted /= 2,
        }
    }
}

/// Puts `bytes` into a pipe by reference: what they are when the pipe is read counts.
pub(crate) fn vmsplice(pipe: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: one entry, of live memory; the pipe only ever reads it, and it keeps the page
    // alive by itself.
    let moved =
        unsafe { libc::vmsplice(pipe.as_raw_fd(), &raw const vector, 1, libc::SPLICE_F_NONBLOCK) };
    transferred(moved)
}

/// Moves up to `length` bytes of a file at `offset` into a pipe. A full pipe is EAGAIN; 0 is
/// the end of the file.
pub(crate) fn splice_from_file(
    file: BorrowedFd<'_>,
    offset: u64,
    pipe: BorrowedFd<'_>,
    length: usize,
) -> io::Result<usize> {
    let mut offset = libc::loff_t::try_from(offset).map_err(io::Error::other)?;
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: the offset is a live variable; a pipe has none.
    let moved = unsafe {
        libc::splice(
            file.as_raw_fd(),
            &raw mut offset,
            pipe.as_raw_fd(),
            ptr::null_mut(),
            length,
            flags,
        )
    };
    transferred(moved)
}

/// Moves `length` bytes of a pipe to a device that takes them as one message, and may take
/// their pages over if moves are offered.
pub(crate) fn splice_to_device(
    pipe: BorrowedFd<'_>,
    device: BorrowedFd<'_>,
    length: usize,
    offer_moves: bool,
) -> io::Result<usize> {
    let flags = if offer_moves { libc::SPLICE_F_MOVE } else { 0 };
    // SAFETY: neither end has an offset.
    let moved = unsafe {
        libc::splice(
            pipe.as_raw_fd(),
            ptr::null_mut(),
            device.as_raw_fd(),
            ptr::null_mut(),
            length,
            flags,
        )
    };
    transferred(moved)
}

fn transferred(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A page that a forked child shares instead of copying, so that whoever holds a reference to
/// it sees what this process writes, whenever it forks.
#[derive(Debug)]
pub(crate) struct SharedPage {
    start: NonNull<u8>,
}

// SAFETY: `SharedPage` owns its mapping exclusively; nothing in it is tied to a thread.
unsafe impl Send for SharedPage {}
// SAFETY: a shared reference only allows reading the bytes.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    pub(crate) fn new() -> io::Result<Self> {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(ptr::null_mut(), PAGE_SIZE, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start })
    }
}

impl Deref for SharedPage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: a zeroed, readable mapping of a page that lives as long as `self`; writers
        // need `&mut self`, and forked children do not know of it.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), PAGE_SIZE) }
    }
}

impl DerefMut for SharedPage {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), PAGE_SIZE) }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length, unmapped once.
        unsafe { libc::munmap(self.start.as_ptr().cast(), PAGE_SIZE) };
    }
}

/// Zeroed memory that starts on a page boundary and has been touched: using it costs no page
/// fault. Freed, it goes back to the system at once.
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
    pub(crate) fn allocate(length: usize) -> Result<Self, OutOfMemory> {
        let mapped = Self::mapped(length).ok_or(OutOfMemory)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(ptr::null_mut(), mapped, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(OutOfMemory);
        }
        let start = NonNull::new(start.cast()).ok_or(OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// Bytes of whole pages that hold `length` bytes; a mapping has at least one.
    fn mapped(length: usize) -> Option<usize> {
        length.max(1).checked_next_multiple_of(PAGE_SIZE)
    }
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
        let mapped = Self::mapped(self.length).expect("it was mapped");
        // SAFETY: mapped in `allocate` with this length, unmapped once.
        unsafe { libc::munmap(self.start.as_ptr().cast(), mapped) };
    }
}
