//! System calls on pipes and sockets that are read in order.

use std::ffi::{c_int, c_short};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use super::transferred;

/// Access mode and status flags of an open descriptor (`F_GETFL`).
pub(crate) fn status_flags(fd: BorrowedFd<'_>) -> io::Result<c_int> {
    // SAFETY: takes numbers only.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 { Err(io::Error::last_os_error()) } else { Ok(flags) }
}

/// Which pipe it is: the same for all descriptors of one.
pub(crate) type PipeIdentity = (libc::dev_t, libc::ino_t);

/// The pipe or FIFO that `fd` reads from; `None` if it is none, or cannot be read through it.
pub(crate) fn readable_pipe(fd: BorrowedFd<'_>) -> Option<PipeIdentity> {
    let flags = status_flags(fd).ok()?;
    if flags & libc::O_PATH != 0 || flags & libc::O_ACCMODE == libc::O_WRONLY {
        return None;
    }
    // SAFETY: all zeros are a value of this plain struct.
    let mut status: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: `status` is writable memory of this type.
    let result = unsafe { libc::fstat64(fd.as_raw_fd(), &raw mut status) };
    let is_pipe = result == 0 && status.st_mode & libc::S_IFMT == libc::S_IFIFO;
    is_pipe.then_some((status.st_dev, status.st_ino))
}

/// A reference to what a descriptor's number stands for now. EBADF if that is nothing.
pub(crate) fn reference(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// An option of a socket that is a number (`SOL_SOCKET`).
pub(crate) fn socket_option(socket: BorrowedFd<'_>, option: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of::<c_int>()).map_err(io::Error::other)?;
    // SAFETY: value and length are live variables, and `length` is the size of `value`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

/// Reads what a pipe has now, whether its descriptor would block or not. Nothing yet is
/// EAGAIN; EOPNOTSUPP where this kind of pipe cannot be asked so.
pub(crate) fn read_now(pipe: BorrowedFd<'_>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    // a stream has no position but the current one, in either half
    const CURRENT: libc::c_long = -1;
    // SAFETY: IoSliceMut has the layout of iovec; each entry is exclusively borrowed, writable
    // memory of the length that it names.
    let read = unsafe {
        // by number: the function is newer than the oldest C library that we run on
        libc::syscall(
            libc::SYS_preadv2,
            pipe.as_raw_fd(),
            buffers.as_mut_ptr().cast::<libc::iovec>(),
            buffers.len(),
            CURRENT,
            CURRENT,
            libc::RWF_NOWAIT,
        )
    };
    transferred(isize::try_from(read).map_err(io::Error::other)?)
}

/// Receives what a socket has now. Nothing yet is EAGAIN.
pub(crate) fn receive_now(
    socket: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    receive(socket, buffers, libc::MSG_DONTWAIT)
}

/// Whether a socket has ended: there is nothing more to receive, now and for ever.
pub(crate) fn has_ended(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_PEEK;
    match receive(socket, &mut [IoSliceMut::new(&mut [0])], flags) {
        Ok(there) => Ok(there == 0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn receive(
    socket: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
    flags: c_int,
) -> io::Result<usize> {
    // SAFETY: all zeros is a message without address, data and ancillary data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = buffers.as_mut_ptr().cast::<libc::iovec>();
    message.msg_iovlen = buffers.len();
    // SAFETY: IoSliceMut has the layout of iovec; each entry is exclusively borrowed, writable
    // memory of the length that it names.
    let read = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    transferred(read)
}

/// Moves up to `length` bytes of a pipe or socket into a pipe. EAGAIN where there are none
/// yet, or no room for them; 0 is the end of the stream.
pub(crate) fn splice_from_stream(
    stream: BorrowedFd<'_>,
    pipe: BorrowedFd<'_>,
    length: usize,
) -> io::Result<usize> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: neither end has an offset.
    let moved = unsafe {
        libc::splice(
            stream.as_raw_fd(),
            ptr::null_mut(),
            pipe.as_raw_fd(),
            ptr::null_mut(),
            length,
            flags,
        )
    };
    transferred(moved)
}

/// Waits until there is something to read, the end included, and tells whether there is.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, limit: Duration) -> io::Result<bool> {
    poll(fd, libc::POLLIN, limit)
}

/// Whether a pipe has room for another piece of a page.
pub(crate) fn has_room(pipe: BorrowedFd<'_>) -> io::Result<bool> {
    poll(pipe, libc::POLLOUT, Duration::ZERO)
}

/// Waits for one of `events`, an error or the end. A signal ends the wait early.
fn poll(fd: BorrowedFd<'_>, events: c_short, limit: Duration) -> io::Result<bool> {
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    let limit = c_int::try_from(limit.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: one entry, a live variable.
    let ready = unsafe { libc::poll(&raw mut entry, 1, limit) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) };
    }
    Ok(ready > 0)
}

/// Bytes that lie in a pipe.
pub(crate) fn bytes_in(pipe: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: c_int = 0;
    // SAFETY: FIONREAD writes one int to a live variable.
    if unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut bytes) } < 0 {
        return Err(io::Error::last_os_error());
    }
    usize::try_from(bytes).map_err(io::Error::other)
}
