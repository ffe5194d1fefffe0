//! Calls that take a directory descriptor and one name in it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{count, retry};

/// openat(2), always close-on-exec.
pub(crate) fn openat(
    directory: BorrowedFd<'_>,
    name: &CStr,
    flags: i32,
    mode: u32,
) -> io::Result<OwnedFd> {
    let flags = flags | libc::O_CLOEXEC;
    // SAFETY: the name is a C string that lives through the call.
    let fd = retry(|| unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags, mode) })?;
    // SAFETY: the kernel just gave this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// openat2(2) that stays on the mount of `directory`: EXDEV where `name` is a mount point. By
/// number.
pub(crate) fn openat_on_mount(
    directory: BorrowedFd<'_>,
    name: &CStr,
    flags: i32,
) -> io::Result<OwnedFd> {
    let flags = u64::from((flags | libc::O_CLOEXEC).cast_unsigned());
    // `struct open_how`: flags, mode, resolve
    let how = [flags, 0, libc::RESOLVE_NO_XDEV];
    let (start, size) = (how.as_ptr(), size_of_val(&how));
    // SAFETY: the name is a C string that lives through the call, and so do the `size` bytes.
    let fd = retry(|| unsafe {
        libc::syscall(libc::SYS_openat2, directory.as_raw_fd(), name.as_ptr(), start, size)
    })?;
    let fd = i32::try_from(fd).expect("descriptors are ints");
    // SAFETY: the kernel just gave this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// mkdirat(2).
pub(crate) fn mkdirat(directory: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: the name is a C string that lives through the call.
    retry(|| unsafe { libc::mkdirat(directory.as_raw_fd(), name.as_ptr(), mode) })?;
    Ok(())
}

/// mknodat(2); `rdev` in the C library's encoding.
pub(crate) fn mknodat(
    directory: BorrowedFd<'_>,
    name: &CStr,
    mode: u32,
    rdev: libc::dev_t,
) -> io::Result<()> {
    // SAFETY: the name is a C string that lives through the call.
    retry(|| unsafe { libc::mknodat(directory.as_raw_fd(), name.as_ptr(), mode, rdev) })?;
    Ok(())
}

/// symlinkat(2).
pub(crate) fn symlinkat(target: &CStr, directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: both are C strings that live through the call.
    retry(|| unsafe { libc::symlinkat(target.as_ptr(), directory.as_raw_fd(), name.as_ptr()) })?;
    Ok(())
}

/// unlinkat(2).
pub(crate) fn unlinkat(directory: BorrowedFd<'_>, name: &CStr, flags: i32) -> io::Result<()> {
    // SAFETY: the name is a C string that lives through the call.
    retry(|| unsafe { libc::unlinkat(directory.as_raw_fd(), name.as_ptr(), flags) })?;
    Ok(())
}

/// linkat(2).
pub(crate) fn linkat(
    directory: BorrowedFd<'_>,
    name: &CStr,
    new_directory: BorrowedFd<'_>,
    new_name: &CStr,
    flags: i32,
) -> io::Result<()> {
    let (from, to) = (directory.as_raw_fd(), new_directory.as_raw_fd());
    // SAFETY: both names are C strings that live through the call.
    retry(|| unsafe { libc::linkat(from, name.as_ptr(), to, new_name.as_ptr(), flags) })?;
    Ok(())
}

/// renameat2(2), by number.
pub(crate) fn renameat2(
    directory: BorrowedFd<'_>,
    name: &CStr,
    new_directory: BorrowedFd<'_>,
    new_name: &CStr,
    flags: u32,
) -> io::Result<()> {
    let (from, to) = (directory.as_raw_fd(), new_directory.as_raw_fd());
    // SAFETY: the arguments are those of renameat2; both names live through the call.
    retry(|| unsafe {
        libc::syscall(libc::SYS_renameat2, from, name.as_ptr(), to, new_name.as_ptr(), flags)
    })?;
    Ok(())
}

/// The target of the symbolic link that `link` (an O_PATH descriptor) is.
pub(crate) fn readlinkat(link: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    // the kernel keeps no target longer than PATH_MAX - 1
    let mut target = vec![0; 4096];
    let (buffer, size) = (target.as_mut_ptr().cast(), target.len());
    // SAFETY: the buffer has `size` bytes and is ours.
    let length =
        retry(|| unsafe { libc::readlinkat(link.as_raw_fd(), c"".as_ptr(), buffer, size) })?;
    target.truncate(count(length));
    Ok(target)
}
