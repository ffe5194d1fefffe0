//! `/proc/self/fd`: from an O_PATH descriptor to calls that need more than one.
//!
//! An O_PATH descriptor names an inode without opening it. Its magic link `/proc/self/fd/N`
//! leads any call that follows links to that very inode (renamed, deleted or itself a
//! symbolic link), without looking at a name of the tree again.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::sys;

/// The directory of this process' magic links.
#[derive(Debug)]
pub(super) struct MagicLinks {
    directory: OwnedFd,
}

impl MagicLinks {
    /// Opens it; fails where there is no /proc, as in a bare chroot.
    pub(super) fn open() -> io::Result<Self> {
        let explain = |error: io::Error| {
            let text = format!("the passthrough file system needs /proc: /proc/self/fd: {error}");
            io::Error::new(error.kind(), text)
        };
        let directory: OwnedFd = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open("/proc/self/fd")
            .map_err(explain)?
            .into();
        // an empty directory of that name is not procfs
        sys::statx(directory.as_fd(), &name(directory.as_fd())).map_err(explain)?;
        Ok(Self { directory })
    }

    /// Where the [`name`] of a descriptor can be found.
    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Opens the inode behind `fd` anew.
    pub(super) fn reopen(&self, fd: BorrowedFd<'_>, flags: i32) -> io::Result<OwnedFd> {
        // O_NOFOLLOW would stop at the magic link
        sys::openat(self.directory(), &name(fd), flags & !libc::O_NOFOLLOW, 0)
    }
}

/// Name of the magic link of `fd` in [`MagicLinks::directory`].
pub(super) fn name(fd: BorrowedFd<'_>) -> CString {
    CString::new(fd.as_raw_fd().to_string()).expect("digits have no NUL")
}

/// The magic link of `fd`, for calls that take no directory.
pub(super) fn path(fd: BorrowedFd<'_>) -> CString {
    CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).expect("digits have no NUL")
}
