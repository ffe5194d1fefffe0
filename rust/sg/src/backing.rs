//! A file descriptor that segments and handles point into.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sys::mapping::Mapping;

/// An open file, shared by reference count and closed at its last use.
///
/// Always wrapped in an `Arc`: extents, handles and replies in flight each hold
/// one, so a descriptor number can never be reused under a request.
#[derive(Debug)]
pub struct Backing {
    file: File,
    writable: bool,
    immutable: bool,
    /// A splice(2) from it was refused, and will be again.
    refuses_splice: AtomicBool,
    /// Of an immutable file, from the first time on that it is asked for.
    mapping: OnceLock<Option<Mapping>>,
}

impl Backing {
    /// Takes ownership of `fd`. `writable` allows writes through it; `immutable`
    /// promises that the content never changes or shrinks, which allows mapping it.
    pub fn new(fd: OwnedFd, writable: bool, immutable: bool) -> Self {
        Self {
            file: File::from(fd),
            writable,
            immutable,
            refuses_splice: AtomicBool::new(false),
            mapping: OnceLock::new(),
        }
    }

    /// Whether writes may go through this descriptor.
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Whether the content is promised never to change.
    pub fn immutable(&self) -> bool {
        self.immutable
    }

    /// Bytes of an immutable file where it is mapped; `None` where it cannot be or has not
    /// that many. For system calls only: see [`Mapping`].
    pub(crate) fn mapped(&self, offset: u64, length: u64) -> Option<&[u8]> {
        if !self.immutable {
            return None;
        }
        let mapping = self.mapping.get_or_init(|| {
            let length = usize::try_from(self.len().ok()?).ok()?;
            Mapping::new(self.as_fd(), length).ok()
        });
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        mapping.as_ref()?.bytes().get(start..end)
    }

    /// Whether its bytes cannot be moved into a pipe.
    pub(crate) fn refuses_splice(&self) -> bool {
        self.refuses_splice.load(Ordering::Relaxed)
    }

    /// Remembers that the kernel refused.
    pub(crate) fn set_refuses_splice(&self) {
        self.refuses_splice.store(true, Ordering::Relaxed);
    }

    /// The open file, for positional reads and writes.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Current length of the file in bytes.
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether the file has no bytes at the moment.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

impl AsFd for Backing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Backing {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
