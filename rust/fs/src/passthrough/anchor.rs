//! How an inode that the kernel remembers is kept reachable: by an O_PATH descriptor, or by
//! a file handle once descriptors are getting scarce.
//!
//! A descriptor is the better anchor: it is at hand and keeps a deleted inode alive. But the
//! kernel may remember far more inodes than a process may have open files, so node anchors
//! take at most half of the limit, shared by all mounts of the process. Beyond that an inode
//! keeps its file handle only, which is opened for the time of one operation; this needs
//! CAP_DAC_READ_SEARCH and a file system that has handles. Without either, anchors go on
//! taking descriptors until the kernel answers EMFILE.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::sys::{self, FileHandle};
use crate::Result;

/// Descriptors that anchors hold, in all mounts of this process.
static HELD: AtomicU64 = AtomicU64::new(0);

/// Keeps one inode reachable.
#[derive(Debug)]
pub(super) struct Anchor {
    held: OnceLock<HeldFd>,
    /// There whenever `held` was not from the start.
    handle: Option<FileHandle>,
}

/// A descriptor that counts in [`HELD`].
#[derive(Debug)]
struct HeldFd(OwnedFd);

impl HeldFd {
    fn new(fd: OwnedFd) -> Self {
        HELD.fetch_add(1, Ordering::Relaxed);
        Self(fd)
    }
}

impl Drop for HeldFd {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An O_PATH descriptor of an inode, for one operation.
#[derive(Debug)]
pub(super) enum PathFd<'a> {
    Held(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl AsFd for PathFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Held(fd) => *fd,
            Self::Opened(fd) => fd.as_fd(),
        }
    }
}

/// Makes and opens anchors.
#[derive(Debug)]
pub(super) struct Anchors {
    /// How many descriptors anchors may hold before they turn to handles.
    budget: u64,
    /// Where handles can be opened; `None` if they cannot.
    handles: Option<HandleMount>,
}

/// The mount whose file handles this process may open.
#[derive(Debug)]
struct HandleMount {
    /// Any open file of the mount (O_PATH would not do).
    directory: OwnedFd,
    id: i32,
}

impl HandleMount {
    /// `None` where the file system has no handles or this process may not open them.
    fn probe(directory: OwnedFd) -> Option<Self> {
        let (handle, id) = sys::name_to_handle_at(directory.as_fd()).ok()?;
        sys::open_by_handle_at(directory.as_fd(), &handle, libc::O_PATH).ok()?;
        Some(Self { directory, id })
    }
}

impl Anchors {
    /// Raises the limit of open files and finds out whether file handles work on the mount
    /// of `directory`, if that is open for reading.
    pub(super) fn new(directory: Option<OwnedFd>, budget: Option<u64>) -> io::Result<Self> {
        let limit = sys::raise_open_files()?;
        let handles = directory.and_then(HandleMount::probe);
        Ok(Self { budget: budget.unwrap_or(limit / 2), handles })
    }

    /// An anchor for the inode behind the O_PATH descriptor `fd`.
    pub(super) fn anchor(&self, fd: OwnedFd) -> Anchor {
        let handle =
            if HELD.load(Ordering::Relaxed) < self.budget { None } else { self.handle(fd.as_fd()) };
        let held = OnceLock::new();
        if handle.is_none() {
            held.get_or_init(|| HeldFd::new(fd));
        }
        Anchor { held, handle }
    }

    /// The inode of an anchor.
    pub(super) fn open<'a>(&self, anchor: &'a Anchor) -> Result<PathFd<'a>> {
        if let Some(held) = anchor.held.get() {
            return Ok(PathFd::Held(held.0.as_fd()));
        }
        let (mount, handle) = self
            .handles
            .as_ref()
            .zip(anchor.handle.as_ref())
            .expect("an anchor without a descriptor has a handle");
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        Ok(PathFd::Opened(sys::open_by_handle_at(mount.directory.as_fd(), handle, flags)?))
    }

    /// Whether `anchor` still is the inode behind `fd`, which has the same number: without
    /// a descriptor the inode may be gone and its number in use again.
    pub(super) fn is_same(&self, anchor: &Anchor, fd: BorrowedFd<'_>) -> bool {
        anchor.held.get().is_some() || anchor.handle == self.handle(fd)
    }

    fn handle(&self, fd: BorrowedFd<'_>) -> Option<FileHandle> {
        let mount = self.handles.as_ref()?;
        let (handle, id) = sys::name_to_handle_at(fd).ok()?;
        (id == mount.id).then_some(handle)
    }
}

impl Anchor {
    /// An anchor that holds `fd` whatever the budget.
    pub(super) fn held(fd: OwnedFd) -> Self {
        let held = OnceLock::new();
        held.get_or_init(|| HeldFd::new(fd));
        Self { held, handle: None }
    }

    /// Whether the inode would be lost with its last name.
    pub(super) fn is_weak(&self) -> bool {
        self.held.get().is_none()
    }

    /// Holds `fd`, an O_PATH descriptor of the same inode, from now on.
    pub(super) fn hold(&self, fd: OwnedFd) {
        self.held.get_or_init(|| HeldFd::new(fd));
    }
}
