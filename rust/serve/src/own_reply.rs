//! Messages that we send ourselves, past fuser, on a duplicate of the session's descriptor.
//!
//! The kernel finds a request by its number in the open `/dev/fuse` that the message
//! arrives on, and duplicates share that. Once our message has answered, fuser's own
//! reply for the same request fails with ENOENT and does nothing. This is the only file
//! that writes to the duplicate.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use fusesg_fs::{Errno, Unique};
use fusesg_sg::{PackedList, SplicedMessage};
use parking_lot::RwLock;

use crate::notification::{Message, Notification};
use crate::sys;

/// Bytes of `struct fuse_out_header`.
pub(crate) const HEADER: usize = 16;

/// The duplicate, until the session has ended; none where no kernel takes part.
#[derive(Debug)]
pub(crate) struct OwnReply(RwLock<Option<File>>);

impl OwnReply {
    /// `device` is a duplicate of the session's descriptor.
    pub(crate) fn new(device: OwnedFd) -> Self {
        Self(RwLock::new(Some(File::from(device))))
    }

    /// Without a descriptor: what is sent goes nowhere.
    pub(crate) fn without_device() -> Self {
        Self(RwLock::new(None))
    }

    /// Answers a request with an error. A request that the kernel no longer knows counts
    /// as answered.
    pub(crate) fn error(&self, unique: Unique, errno: Errno) -> io::Result<()> {
        self.send(unique, -errno.number(), &[])
    }

    /// Answers a request with a short `payload`; as [`error`](Self::error) for an unknown
    /// request.
    pub(crate) fn data(&self, unique: Unique, payload: &[u8]) -> io::Result<()> {
        self.send(unique, 0, payload)
    }

    /// Answers a request with pieces of memory; as [`error`](Self::error) for an unknown
    /// request.
    pub(crate) fn packed(&self, unique: Unique, list: &PackedList<'_>) -> io::Result<()> {
        let header = header(unique, 0, list.len())?;
        self.with_device(|device| (&mut &*device).write_vectored(&list.iovecs(&header)).map(drop))
    }

    /// Answers a request with what lies in a pipe, the pages themselves if moves are offered;
    /// as [`error`](Self::error) for an unknown request.
    pub(crate) fn spliced(
        &self,
        unique: Unique,
        message: &mut SplicedMessage,
        offer_moves: bool,
    ) -> io::Result<()> {
        let header = header(unique, 0, message.payload())?;
        self.with_device(|device| message.send(&header, device.as_fd(), offer_moves))
    }

    /// Tells the kernel something; ENOENT if it has not got what that is about. Returns when
    /// the kernel has carried it out, for which it may have to wait for the end of a request.
    pub(crate) fn notify(&self, notification: &Notification) -> io::Result<()> {
        let too_long = || io::Error::from_raw_os_error(libc::EMSGSIZE);
        let Message { code, head, tail } = notification.message().ok_or_else(too_long)?;
        let length = head.len() + tail[0].len() + tail[1].len();
        let header = header(Unique(0), code, length)?;
        let message = [&header[..], &head[..], tail[0], tail[1]].map(IoSlice::new);
        let guard = self.0.read();
        let Some(mut device) = guard.as_ref() else {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        };
        device.write_vectored(&message).map(drop)
    }

    fn send(&self, unique: Unique, error: i32, payload: &[u8]) -> io::Result<()> {
        let header = header(unique, error, payload.len())?;
        let message = [IoSlice::new(&header), IoSlice::new(payload)];
        self.with_device(|device| (&mut &*device).write_vectored(&message).map(drop))
    }

    /// Has `send` write one message with one system call: the kernel takes all of it or
    /// nothing. Where the session has ended, or the request is gone, nobody waits for it.
    fn with_device(&self, send: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let guard = self.0.read();
        let Some(device) = &*guard else { return Ok(()) };
        match send(device) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            other => other,
        }
    }

    /// Whether the kernel still sends requests.
    pub(crate) fn is_connected(&self) -> bool {
        self.0.read().as_ref().is_some_and(|device| sys::is_connected(device.as_fd()))
    }

    /// Closes the duplicate.
    pub(crate) fn close(&self) {
        self.0.write().take();
    }
}

/// `struct fuse_out_header` of a message with `payload` bytes.
fn header(unique: Unique, error: i32, payload: usize) -> io::Result<[u8; HEADER]> {
    let length = u32::try_from(HEADER + payload)
        .map_err(|_| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&length.to_ne_bytes());
    header[4..8].copy_from_slice(&error.to_ne_bytes());
    header[8..].copy_from_slice(&unique.0.to_ne_bytes());
    Ok(header)
}

thread_local! {
    static ANSWERED_BY_US: Cell<bool> = const { Cell::new(false) };
}

/// Runs `consume`, which uses up fuser's reply for a request that is answered already.
/// fuser logs its failure on this thread, before it returns.
pub(crate) fn expecting_failure<R>(consume: impl FnOnce() -> R) -> R {
    ANSWERED_BY_US.set(true);
    let result = consume();
    ANSWERED_BY_US.set(false);
    result
}

/// Whether a log record is fuser's report of something that we brought about, and so is
/// no news to anybody. Whoever installs the logger asks this in `Log::log`.
///
/// Two cases, both logged by fuser 0.18.0 with target `fuser::reply` at error level while
/// it sends: a reply for a request that we had answered ourselves, and a reply for a
/// request that the kernel had given up (unmounted or aborted; ENOENT).
pub fn log_record_is_expected(record: &log::Record<'_>) -> bool {
    record.target() == "fuser::reply"
        && (ANSWERED_BY_US.get() || record.args().to_string().ends_with("(os error 2)"))
}
