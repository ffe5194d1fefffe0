//! Calls on open files and directories.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use super::{count, retry};

/// pwrite(2).
pub(crate) fn write_at(fd: BorrowedFd<'_>, data: &[u8], offset: i64) -> io::Result<usize> {
    let (start, length) = (data.as_ptr().cast(), data.len());
    // SAFETY: the kernel reads `length` bytes of a slice that lives through the call.
    Ok(count(retry(|| unsafe { libc::pwrite64(fd.as_raw_fd(), start, length, offset) })?))
}

/// pwritev2(2) with RWF_APPEND, by number: at the end of the file, wherever that is now.
pub(crate) fn append(fd: BorrowedFd<'_>, data: &[u8]) -> io::Result<usize> {
    let piece = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    let (low, high): (libc::c_long, libc::c_long) = (0, 0);
    // SAFETY: the arguments are those of pwritev2; the kernel only reads the one piece.
    let written = retry(|| unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            fd.as_raw_fd(),
            &raw const piece,
            1 as libc::c_long,
            low,
            high,
            libc::RWF_APPEND,
        )
    })?;
    Ok(usize::try_from(written).expect("only -1 is negative, and that is an error"))
}

/// ftruncate(2).
pub(crate) fn ftruncate(fd: BorrowedFd<'_>, size: i64) -> io::Result<()> {
    // SAFETY: takes no memory of ours.
    retry(|| unsafe { libc::ftruncate64(fd.as_raw_fd(), size) })?;
    Ok(())
}

/// fallocate(2).
pub(crate) fn fallocate(fd: BorrowedFd<'_>, mode: i32, offset: i64, length: i64) -> io::Result<()> {
    // SAFETY: takes no memory of ours.
    retry(|| unsafe { libc::fallocate64(fd.as_raw_fd(), mode, offset, length) })?;
    Ok(())
}

/// lseek(2).
pub(crate) fn lseek(fd: BorrowedFd<'_>, offset: i64, whence: i32) -> io::Result<u64> {
    // SAFETY: takes no memory of ours.
    let position = retry(|| unsafe { libc::lseek64(fd.as_raw_fd(), offset, whence) })?;
    // directory positions are cookies that may use all 64 bits
    Ok(position.cast_unsigned())
}

/// copy_file_range(2), by number.
pub(crate) fn copy_file_range(
    from: BorrowedFd<'_>,
    mut from_offset: i64,
    to: BorrowedFd<'_>,
    mut to_offset: i64,
    length: usize,
    flags: u32,
) -> io::Result<usize> {
    let (from_offset, to_offset) = (&raw mut from_offset, &raw mut to_offset);
    // SAFETY: the arguments are those of copy_file_range; both offsets are ours.
    let copied = retry(|| unsafe {
        libc::syscall(
            libc::SYS_copy_file_range,
            from.as_raw_fd(),
            from_offset,
            to.as_raw_fd(),
            to_offset,
            length,
            flags,
        )
    })?;
    Ok(usize::try_from(copied).expect("only -1 is negative, and that is an error"))
}

/// getdents64(2): whole records into `buffer`; 0 at the end of the directory.
pub(crate) fn getdents64(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (start, length) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: the kernel writes at most `length` bytes into a slice that is ours.
    let read =
        retry(|| unsafe { libc::syscall(libc::SYS_getdents64, fd.as_raw_fd(), start, length) })?;
    Ok(usize::try_from(read).expect("only -1 is negative, and that is an error"))
}

/// ioctl(2) with an argument that the kernel reads and writes in place.
///
/// Only for commands of which it is known that they touch no more than `argument`.
pub(crate) fn ioctl(fd: BorrowedFd<'_>, command: u32, argument: &mut [u64]) -> io::Result<i32> {
    let start = argument.as_mut_ptr();
    // SAFETY: the callers' commands are fixed ones whose structures fit `argument`.
    retry(|| unsafe { libc::ioctl(fd.as_raw_fd(), command.into(), start) })
}

/// close(2) with its error, which dropping would lose.
pub(crate) fn close(fd: OwnedFd) -> io::Result<()> {
    let fd = fd.into_raw_fd();
    // SAFETY: the descriptor was owned and is given up here. An interrupted close has
    // closed all the same, so there is no second try.
    if unsafe { libc::close(fd) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        error => Err(error),
    }
}

/// fsync(2) or fdatasync(2).
pub(crate) fn fsync(fd: BorrowedFd<'_>, datasync: bool) -> io::Result<()> {
    let sync = if datasync { libc::fdatasync } else { libc::fsync };
    // SAFETY: takes no memory of ours.
    retry(|| unsafe { sync(fd.as_raw_fd()) })?;
    Ok(())
}
