//! Opening, creating and closing files.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fusesg_sg::Backing;

use super::inodes::Node;
use super::names::component;
use super::{Passthrough, sys};
use crate::{Context, Entry, Errno, FileType, Handle, Inode, Opened, Result};

/// An open file of the mount.
#[derive(Debug)]
pub(super) struct OpenFile {
    node: Arc<Node>,
    backing: Arc<Backing>,
    /// Writes go to the end of the file. The backing itself is not open with O_APPEND: the
    /// kernel writes mapped pages back through any handle, and these have a place.
    append: bool,
}

impl OpenFile {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.backing.as_fd()
    }

    pub(super) fn backing(&self) -> &Arc<Backing> {
        &self.backing
    }

    pub(super) fn writable(&self) -> bool {
        self.backing.writable()
    }

    pub(super) fn append(&self) -> bool {
        self.append
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.node.kernel_io.release();
        if self.writable() {
            self.node.writers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Passthrough {
    pub(super) fn open_file(&self, context: &Context, inode: Inode, flags: i32) -> Result<Opened> {
        let node = self.inodes.get(inode)?;
        match node.kind {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            FileType::SymbolicLink => return Err(Errno::ELOOP),
            // the kernel opens devices, FIFOs and sockets by itself
            _ => return Err(Errno::ENXIO),
        }
        let path = self.inodes.open(&node)?;
        let fd = if flags & libc::O_TRUNC == 0 {
            self.open_backing(path.as_fd(), flags)?
        } else {
            let _guard = self.stripping_for(context, path.as_fd())?;
            self.open_backing(path.as_fd(), flags)?
        };
        self.opened(&node, path.as_fd(), fd, flags)
    }

    pub(super) fn create_file(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
        flags: i32,
    ) -> Result<(Entry, Opened)> {
        let parent = self.inodes.get(parent)?;
        let parent = self.inodes.open(&parent)?;
        let name = component(name)?;
        let mode = self.masked_mode(context, parent.as_fd(), mode);
        let creating = libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        let created = {
            let _guard = self.credentials.as_caller(context)?;
            let flags = self.backing_flags(flags) | creating;
            sys::openat(parent.as_fd(), &name, flags, mode & !libc::S_IFMT)
        };
        let fd = match created {
            Ok(fd) => fd,
            // Somebody else made it after the kernel found no such name. Whether the caller
            // may open it is not for us to say: ESTALE makes the kernel look again.
            Err(error)
                if error.raw_os_error() == Some(libc::EEXIST) && flags & libc::O_EXCL == 0 =>
            {
                return Err(Errno::ESTALE);
            }
            Err(error) => return Err(error.into()),
        };
        let status = sys::statx(fd.as_fd(), c"")?;
        self.undo_own_umask(parent.as_fd(), fd.as_fd(), mode, status.stx_mode.into());
        // from the descriptor, as the name may lead to another file by now
        let entry = self.entry(self.links.reopen(fd.as_fd(), libc::O_PATH)?)?;
        let inode = entry.attributes.inode;
        let opened = self.inodes.get(inode).and_then(|node| {
            let path = self.inodes.open(&node)?;
            self.opened(&node, path.as_fd(), fd, flags)
        });
        match opened {
            Ok(opened) => Ok((entry, opened)),
            Err(errno) => {
                self.inodes.forget(inode, 1);
                Err(errno)
            }
        }
    }

    /// Closes a handle. Requests in flight hold the descriptor a little longer.
    pub(super) fn release_file(&self, handle: Handle) -> Result<()> {
        self.files.remove(handle).map(drop)
    }

    fn opened(
        &self,
        node: &Arc<Node>,
        path: BorrowedFd<'_>,
        fd: OwnedFd,
        flags: i32,
    ) -> Result<Opened> {
        let passthrough = node.kernel_io.open(|| self.kernel_backing(path));
        let writable = flags & libc::O_ACCMODE != libc::O_RDONLY;
        if writable {
            node.writers.fetch_add(1, Ordering::Relaxed);
        }
        let handle = self.files.insert(OpenFile {
            node: Arc::clone(node),
            backing: Arc::new(Backing::new(fd, writable, false)),
            append: flags & libc::O_APPEND != 0,
        })?;
        Ok(Opened { handle, passthrough, ..Opened::default() })
    }

    /// The backing that the kernel may use for all opens of an inode, if any.
    fn kernel_backing(&self, path: BorrowedFd<'_>) -> Option<Arc<Backing>> {
        if !self.options.kernel_passthrough || self.options.writeback {
            return None;
        }
        let mode = sys::statx(path, c"").ok()?.stx_mode;
        if mode & 0o111 != 0 {
            return None;
        }
        let fd = self.links.reopen(path, libc::O_RDWR).ok()?;
        Some(Arc::new(Backing::new(fd, true, false)))
    }

    /// Opens the inode behind `path` as a caller's flags ask for it.
    fn open_backing(&self, path: BorrowedFd<'_>, flags: i32) -> Result<OwnedFd> {
        let mut wanted = self.backing_flags(flags);
        loop {
            let errno: Errno = match self.links.reopen(path, wanted) {
                Ok(fd) => return Ok(fd),
                Err(error) => error.into(),
            };
            if errno == Errno::EPERM && wanted & libc::O_NOATIME != 0 {
                // only for the owner's eyes; a hint, so go without
                wanted &= !libc::O_NOATIME;
            } else if errno == Errno::EPERM && flags & !wanted & libc::O_APPEND != 0 {
                // chattr +a: the file opens in no other way
                wanted |= libc::O_APPEND;
            } else if errno == Errno::EACCES && (wanted ^ flags) & libc::O_ACCMODE != 0 {
                // may be written but not read: partial pages will fail, whole ones will not
                wanted = (wanted & !libc::O_ACCMODE) | (flags & libc::O_ACCMODE);
            } else {
                return Err(errno);
            }
        }
    }

    /// The flags of open(2) that matter below the kernel's own handling of an open.
    ///
    /// O_DIRECT is not among them: it goes around the mount's page cache, but a buffer that
    /// suits the mount need not be aligned for the device.
    fn backing_flags(&self, flags: i32) -> i32 {
        let kept = flags
            & (libc::O_ACCMODE | libc::O_TRUNC | libc::O_SYNC | libc::O_DSYNC | libc::O_NOATIME);
        if self.options.writeback && kept & libc::O_ACCMODE == libc::O_WRONLY {
            // the kernel reads a page to write a part of it
            return (kept & !libc::O_ACCMODE) | libc::O_RDWR;
        }
        kept
    }
}
