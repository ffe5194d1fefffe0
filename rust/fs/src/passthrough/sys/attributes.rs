//! Calls that read and change attributes.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::retry;

/// statx(2) of a descriptor, or of a name in it; symbolic links are not followed.
pub(crate) fn statx(fd: BorrowedFd<'_>, name: &CStr) -> io::Result<libc::statx> {
    statx_with(fd, name, 0)
}

/// The same, of what the kernel knows: no server of a file system is asked.
pub(crate) fn cached_statx(fd: BorrowedFd<'_>, name: &CStr) -> io::Result<libc::statx> {
    statx_with(fd, name, libc::AT_STATX_DONT_SYNC)
}

fn statx_with(fd: BorrowedFd<'_>, name: &CStr, flags: i32) -> io::Result<libc::statx> {
    let flags = flags | libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
    let mut status = MaybeUninit::<libc::statx>::uninit();
    let buffer = status.as_mut_ptr();
    // SAFETY: the arguments are those of statx; the buffer has room for its result.
    retry(|| unsafe {
        libc::syscall(
            libc::SYS_statx,
            fd.as_raw_fd(),
            name.as_ptr(),
            flags,
            libc::STATX_BASIC_STATS,
            buffer,
        )
    })?;
    // SAFETY: the kernel filled all of it.
    Ok(unsafe { status.assume_init() })
}

/// fchmodat(2), following `name`.
pub(crate) fn fchmodat(directory: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: the name is a C string that lives through the call.
    retry(|| unsafe { libc::fchmodat(directory.as_raw_fd(), name.as_ptr(), mode, 0) })?;
    Ok(())
}

/// fchownat(2) of the descriptor itself; `u32::MAX` leaves an id as it is.
pub(crate) fn fchownat(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: the name is a C string.
    retry(|| unsafe { libc::fchownat(fd.as_raw_fd(), c"".as_ptr(), uid, gid, flags) })?;
    Ok(())
}

/// utimensat(2), following `name`: access time, then modification time.
pub(crate) fn utimensat(
    directory: BorrowedFd<'_>,
    name: &CStr,
    times: [libc::timespec; 2],
) -> io::Result<()> {
    // SAFETY: the name is a C string, and there are two times.
    retry(|| unsafe { libc::utimensat(directory.as_raw_fd(), name.as_ptr(), times.as_ptr(), 0) })?;
    Ok(())
}

/// truncate(2), following `path`.
pub(crate) fn truncate(path: &CStr, size: i64) -> io::Result<()> {
    // SAFETY: the path is a C string that lives through the call.
    retry(|| unsafe { libc::truncate64(path.as_ptr(), size) })?;
    Ok(())
}

/// fstatvfs(3).
pub(crate) fn fstatvfs(fd: BorrowedFd<'_>) -> io::Result<libc::statvfs64> {
    let mut status = MaybeUninit::<libc::statvfs64>::uninit();
    let buffer = status.as_mut_ptr();
    // SAFETY: the buffer has room for the result.
    retry(|| unsafe { libc::fstatvfs64(fd.as_raw_fd(), buffer) })?;
    // SAFETY: the call filled it.
    Ok(unsafe { status.assume_init() })
}
