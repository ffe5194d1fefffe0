//! Opening, creating and closing files.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Memory;
use super::node::{Body, Node};
use crate::{Context, Entry, Errno, Inode, Opened, Result};

/// An open file of a mount. It keeps the inode, also without a name.
#[derive(Debug)]
pub(super) struct OpenFile {
    node: Arc<Node>,
    flags: i32,
}

impl OpenFile {
    fn new(node: Arc<Node>, flags: i32) -> Self {
        let file = Self { node, flags };
        if file.may_write() {
            file.node.writers.fetch_add(1, Ordering::Relaxed);
        }
        file
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The node, to be changed; EBADF if the file is open for reading only.
    pub(super) fn writable(&self) -> Result<&Arc<Node>> {
        if self.may_write() { Ok(&self.node) } else { Err(Errno::EBADF) }
    }

    pub(super) fn may_write(&self) -> bool {
        self.flags & libc::O_ACCMODE != libc::O_RDONLY
    }

    /// Writes go to the end of the file.
    pub(super) fn appends(&self) -> bool {
        self.flags & libc::O_APPEND != 0
    }

    /// Reads leave the access time alone.
    pub(super) fn keeps_atime(&self) -> bool {
        self.flags & libc::O_NOATIME != 0
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if self.may_write() {
            self.node.writers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Memory {
    pub(super) fn open_file(&self, context: &Context, inode: Inode, flags: i32) -> Result<Opened> {
        let node = self.inodes.get(inode)?;
        match &node.body {
            Body::Regular(_) => {}
            Body::Directory(_) => return Err(Errno::EISDIR),
            Body::SymbolicLink(_) => return Err(Errno::ELOOP),
            // the kernel opens devices, FIFOs and sockets by itself
            Body::Special(..) => return Err(Errno::ENXIO),
        }
        if flags & libc::O_TRUNC != 0 {
            node.truncate(context, 0)?;
        }
        self.opened(node, flags)
    }

    pub(super) fn create_file(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
        flags: i32,
    ) -> Result<(Entry, Opened)> {
        let node = match self.make(context, parent, name, mode, Body::empty_file()) {
            // Somebody else made it after the kernel found no such name. Whether the caller
            // may open it is not for us to say: ESTALE makes the kernel look again.
            Err(Errno::EEXIST) if flags & libc::O_EXCL == 0 => return Err(Errno::ESTALE),
            other => other?,
        };
        let opened = self.opened(Arc::clone(&node), flags)?;
        Ok((self.entry(&node), opened))
    }

    fn opened(&self, node: Arc<Node>, flags: i32) -> Result<Opened> {
        let handle = self.files.insert(OpenFile::new(node, flags))?;
        Ok(Opened { handle, ..Opened::default() })
    }
}
