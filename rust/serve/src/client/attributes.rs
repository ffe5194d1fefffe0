//! Attributes of files, of open files, and of the file system.

use std::ffi::OsStr;

use fusesg_fs::{
    Attributes, Errno, FileType, FilesystemStatistics, Handle, Inode, Operation, Reply, Result,
    SetAttributes,
};

use super::Client;
use super::permissions::Access;

impl Client {
    /// The attributes of what a path leads to, or of the symbolic link that it names.
    pub fn attributes(&self, path: &OsStr, follow: bool) -> Result<Attributes> {
        let _use = self.enter()?;
        self.resolve(path, follow)?.attributes()
    }

    /// The attributes of an open file.
    pub fn file_attributes(&self, descriptor: i32) -> Result<Attributes> {
        let (_use, file) = self.file(descriptor)?;
        self.session.attributes_of(file.inode(), Some(file.handle()))
    }

    /// Changes attributes: mode, owner, times, or the length.
    pub fn set_attributes(
        &self,
        path: &OsStr,
        follow: bool,
        changes: &SetAttributes,
    ) -> Result<Attributes> {
        let _use = self.enter()?;
        let node = self.resolve(path, follow)?;
        let before = node.attributes()?;
        if changes.size.is_some() {
            check_truncation(&before)?;
        }
        self.change(node.inode(), None, &before, changes)
    }

    /// Changes attributes of an open file.
    pub fn set_file_attributes(
        &self,
        descriptor: i32,
        changes: &SetAttributes,
    ) -> Result<Attributes> {
        let (_use, file) = self.file(descriptor)?;
        if changes.size.is_some() && file.check_writable().is_err() {
            return Err(Errno::EINVAL);
        }
        let (inode, handle) = (file.inode(), Some(file.handle()));
        if changes.mode.or(changes.uid).or(changes.gid).is_none()
            && changes.atime.or(changes.mtime).is_none()
        {
            // who may write to the file may set its length
            return self.send_changes(inode, handle, *changes);
        }
        let before = self.session.attributes_of(inode, handle)?;
        self.change(inode, handle, &before, changes)
    }

    fn change(
        &self,
        inode: Inode,
        handle: Option<Handle>,
        before: &Attributes,
        changes: &SetAttributes,
    ) -> Result<Attributes> {
        self.session.check_writable()?;
        self.session.check_changes(before, changes)?;
        self.send_changes(inode, handle, *changes)
    }

    fn send_changes(
        &self,
        inode: Inode,
        handle: Option<Handle>,
        mut changes: SetAttributes,
    ) -> Result<Attributes> {
        self.session.check_writable()?;
        changes.mode = changes.mode.map(|mode| mode & 0o7777);
        match self.session.ask(Operation::Setattr { inode, handle, changes })? {
            Reply::Attributes(reply) => Ok(reply.attributes),
            _ => Err(Errno::EIO),
        }
    }

    /// Whether the caller may do what `mask` (the bits of access(2)) says.
    pub fn access(&self, path: &OsStr, mask: u32, follow: bool) -> Result<()> {
        let _use = self.enter()?;
        let wanted = Access::from_bits(mask).ok_or(Errno::EINVAL)?;
        let node = self.resolve(path, follow)?;
        let attributes = node.attributes()?;
        if wanted.contains(Access::WRITE) {
            self.session.check_writable()?;
        }
        if wanted.is_empty() {
            return Ok(());
        }
        if self.config().default_permissions {
            return self.session.check_access(&attributes, wanted);
        }
        let mask = i32::try_from(mask).map_err(|_| Errno::EINVAL)?;
        let operation = Operation::Access { inode: node.inode(), mask };
        self.session.ask_unless_absent(operation).map(drop)
    }

    /// The numbers of the file system, as statvfs(3).
    pub fn filesystem_statistics(&self, path: &OsStr) -> Result<FilesystemStatistics> {
        let _use = self.enter()?;
        let node = self.resolve(path, true)?;
        self.statistics_at(node.inode())
    }

    /// The same at an open file.
    pub fn file_filesystem_statistics(&self, descriptor: i32) -> Result<FilesystemStatistics> {
        let (_use, file) = self.file(descriptor)?;
        self.statistics_at(file.inode())
    }

    fn statistics_at(&self, inode: Inode) -> Result<FilesystemStatistics> {
        match self.session.ask(Operation::Statfs { inode })? {
            Reply::Statistics(statistics) => Ok(statistics),
            _ => Err(Errno::EIO),
        }
    }

    /// Stores what was written to a file or directory; with `datasync` without attributes that
    /// are not needed to find it again.
    pub fn sync(&self, descriptor: i32, datasync: bool) -> Result<()> {
        let (_use, file) = self.file(descriptor)?;
        let (inode, handle) = (file.inode(), file.handle());
        let operation = if file.kind == FileType::Directory {
            Operation::Fsyncdir { inode, handle, datasync }
        } else {
            Operation::Fsync { inode, handle, datasync }
        };
        self.session.ask_unless_absent(operation).map(drop)
    }
}

/// Whether a path can be truncated at all.
fn check_truncation(attributes: &Attributes) -> Result<()> {
    match attributes.kind {
        FileType::Directory => Err(Errno::EISDIR),
        FileType::Regular => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}
