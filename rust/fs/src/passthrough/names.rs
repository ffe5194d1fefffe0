//! Operations on the names of a directory.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use super::attributes::{attributes, decode_device, identity, kind};
use super::{Passthrough, magic_links, sys};
use crate::{Context, Entry, Errno, FileType, Inode, RenameFlags, Result};

impl Passthrough {
    pub(super) fn look_up(&self, parent: Inode, name: &OsStr) -> Result<Entry> {
        let parent = self.inodes.get(parent)?;
        let parent = self.inodes.open(&parent)?;
        self.entry_at(parent.as_fd(), &component(name)?)
    }

    /// The entry of a name, which counts as one lookup.
    pub(super) fn entry_at(&self, parent: BorrowedFd<'_>, name: &CStr) -> Result<Entry> {
        self.entry(self.open_name(parent, name)?)
    }

    /// The entry of the inode behind an O_PATH descriptor, which counts as one lookup.
    pub(super) fn entry(&self, fd: OwnedFd) -> Result<Entry> {
        let status = sys::statx(fd.as_fd(), c"")?;
        let node = self.inodes.remember(fd, identity(&status), kind(&status)?);
        Ok(Entry {
            attributes: attributes(node.number, &status)?,
            generation: node.generation,
            entry_timeout: None,
            attribute_timeout: None,
        })
    }

    pub(super) fn make_node(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
        rdev: u32,
    ) -> Result<Entry> {
        self.make(context, parent, name, mode, |parent, name, mode| {
            Ok(sys::mknodat(parent, name, mode, decode_device(rdev))?)
        })
    }

    pub(super) fn make_directory(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
    ) -> Result<Entry> {
        self.make(context, parent, name, mode, |parent, name, mode| {
            Ok(sys::mkdirat(parent, name, mode)?)
        })
    }

    pub(super) fn make_symlink(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        target: &OsStr,
    ) -> Result<Entry> {
        let target = CString::new(target.as_bytes()).map_err(|_| Errno::EINVAL)?;
        // a link has no mode of its own
        self.make(context, parent, name, 0, |parent, name, _mode| {
            Ok(sys::symlinkat(&target, parent, name)?)
        })
    }

    /// Creates something by `create`, owned by the caller and with the mode asked for.
    fn make(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
        create: impl FnOnce(BorrowedFd<'_>, &CStr, u32) -> Result<()>,
    ) -> Result<Entry> {
        let parent = self.inodes.get(parent)?;
        let parent = self.inodes.open(&parent)?;
        let name = component(name)?;
        let mode = self.masked_mode(context, parent.as_fd(), mode);
        {
            let _guard = self.credentials.as_caller(context)?;
            create(parent.as_fd(), &name, mode)?;
        }
        let created = self.open_name(parent.as_fd(), &name)?;
        let status = sys::statx(created.as_fd(), c"")?;
        self.undo_own_umask(parent.as_fd(), created.as_fd(), mode, status.stx_mode.into());
        self.entry(created)
    }

    pub(super) fn remove(&self, parent: Inode, name: &OsStr, flags: i32) -> Result<()> {
        let parent = self.inodes.get(parent)?;
        let parent = self.inodes.open(&parent)?;
        let name = component(name)?;
        self.keep_alive(parent.as_fd(), &name);
        Ok(sys::unlinkat(parent.as_fd(), &name, flags)?)
    }

    pub(super) fn move_name(
        &self,
        parent: Inode,
        name: &OsStr,
        new_parent: Inode,
        new_name: &OsStr,
        flags: RenameFlags,
    ) -> Result<()> {
        let parent = self.inodes.get(parent)?;
        let parent = self.inodes.open(&parent)?;
        let new_parent = self.inodes.get(new_parent)?;
        let new_parent = self.inodes.open(&new_parent)?;
        let (name, new_name) = (component(name)?, component(new_name)?);
        self.keep_alive(new_parent.as_fd(), &new_name);
        Ok(sys::renameat2(parent.as_fd(), &name, new_parent.as_fd(), &new_name, flags.bits())?)
    }

    pub(super) fn make_link(
        &self,
        inode: Inode,
        new_parent: Inode,
        new_name: &OsStr,
    ) -> Result<Entry> {
        let node = self.inodes.get(inode)?;
        let fd = self.inodes.open(&node)?;
        let new_parent = self.inodes.get(new_parent)?;
        let new_parent = self.inodes.open(&new_parent)?;
        let new_name = component(new_name)?;
        let link = magic_links::name(fd.as_fd());
        sys::linkat(
            self.links.directory(),
            &link,
            new_parent.as_fd(),
            &new_name,
            libc::AT_SYMLINK_FOLLOW,
        )?;
        self.entry_at(new_parent.as_fd(), &new_name)
    }

    pub(super) fn link_target(&self, inode: Inode) -> Result<Vec<u8>> {
        let node = self.inodes.get(inode)?;
        if node.kind != FileType::SymbolicLink {
            return Err(Errno::EINVAL);
        }
        Ok(sys::readlinkat(self.inodes.open(&node)?.as_fd())?)
    }

    /// Sees to it that the kernel's inode of a name, if it has one, outlives the name.
    fn keep_alive(&self, parent: BorrowedFd<'_>, name: &CStr) {
        if !self.inodes.may_lose() {
            return;
        }
        // an error here is the removal's to report
        if let Ok(fd) = self.open_name(parent, name)
            && let Ok(status) = sys::statx(fd.as_fd(), c"")
        {
            self.inodes.keep_alive(fd, identity(&status));
        }
    }
}

/// One name of a directory; what could lead elsewhere is EINVAL.
pub(super) fn component(name: &OsStr) -> Result<CString> {
    let bytes = name.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
        return Err(Errno::EINVAL);
    }
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}
