//! Extended attributes by path; a magic link of /proc leads to any inode, symbolic links too.

use std::ffi::CStr;
use std::io;

use super::{count, retry};

/// Most bytes of a value and of a list of names (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const MAX_BYTES: usize = 65536;

/// setxattr(2).
pub(crate) fn setxattr(path: &CStr, name: &CStr, value: &[u8], flags: i32) -> io::Result<()> {
    let (start, length) = (value.as_ptr().cast(), value.len());
    // SAFETY: two C strings and `length` bytes that the kernel reads.
    retry(|| unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), start, length, flags) })?;
    Ok(())
}

/// getxattr(2): the whole value.
pub(crate) fn getxattr(path: &CStr, name: &CStr) -> io::Result<Vec<u8>> {
    // SAFETY: two C strings, and room for `size` bytes at `buffer` (see `whole`).
    whole(|buffer, size| unsafe {
        libc::getxattr(path.as_ptr(), name.as_ptr(), buffer.cast(), size)
    })
}

/// listxattr(2): all names, each followed by NUL.
pub(crate) fn listxattr(path: &CStr) -> io::Result<Vec<u8>> {
    // SAFETY: a C string, and room for `size` bytes at `buffer` (see `whole`).
    whole(|buffer, size| unsafe { libc::listxattr(path.as_ptr(), buffer.cast(), size) })
}

/// removexattr(2).
pub(crate) fn removexattr(path: &CStr, name: &CStr) -> io::Result<()> {
    // SAFETY: both are C strings that live through the call.
    retry(|| unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) })?;
    Ok(())
}

/// Calls `read` with a small buffer, then with one that holds any answer.
fn whole(mut read: impl FnMut(*mut u8, usize) -> isize) -> io::Result<Vec<u8>> {
    let mut small = [0; 256];
    let start = small.as_mut_ptr();
    match retry(|| read(start, small.len())) {
        Ok(length) => return Ok(small[..count(length)].to_vec()),
        Err(error) if error.raw_os_error() == Some(libc::ERANGE) => {}
        Err(error) => return Err(error),
    }
    let mut large = vec![0; MAX_BYTES];
    let start = large.as_mut_ptr();
    let length = retry(|| read(start, MAX_BYTES))?;
    large.truncate(count(length));
    Ok(large)
}
