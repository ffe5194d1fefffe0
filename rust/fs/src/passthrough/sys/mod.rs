//! System calls of the passthrough file system: the only files of this crate with `unsafe`.
//!
//! Each function is one call with Rust's types around it and no policy. Calls younger than
//! glibc 2.17 go by number, because wheels are linked against that version.

mod attributes;
mod credentials;
mod data;
mod file_handle;
mod limits;
mod names;
mod xattr;

pub(super) use attributes::{
    cached_statx, fchmodat, fchownat, fstatvfs, statx, truncate, utimensat,
};
pub(super) use credentials::{
    Capabilities, capabilities, set_effective_capabilities, setfsgid, setfsuid,
};
pub(crate) use data::{
    append, close, copy_file_range, fallocate, fsync, ftruncate, getdents64, ioctl, lseek, write_at,
};
pub(super) use file_handle::{FileHandle, name_to_handle_at, open_by_handle_at};
pub(super) use limits::raise_open_files;
pub(super) use names::{
    linkat, mkdirat, mknodat, openat, openat_on_mount, readlinkat, renameat2, symlinkat, unlinkat,
};
pub(super) use xattr::{getxattr, listxattr, removexattr, setxattr};

use std::io;

/// Runs a system call again while a signal interrupts it; -1 becomes the errno.
fn retry<T: Copy + PartialEq + From<i8>>(mut call: impl FnMut() -> T) -> io::Result<T> {
    loop {
        let result = call();
        if result != T::from(-1) {
            return Ok(result);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// A byte count of a call that did not fail.
fn count(result: isize) -> usize {
    usize::try_from(result).expect("only -1 is negative, and that is an error")
}
