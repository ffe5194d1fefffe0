//! The trait that native file systems implement.

use std::ffi::OsStr;
use std::path::Path;

use fusesg_sg::SegmentList;

use crate::{
    AttributesReply, Context, DirectorySink, Entry, Errno, FilesystemStatistics, Handle, Inode,
    Lock, LockOwner, Opened, PollWaiter, Properties, RenameFlags, Result, SetAttributes,
};

/// A file system that answers at once: one method per operation, plain values, no reply objects.
///
/// Methods run on several threads at the same time. Every method but
/// [`properties`](Self::properties) may be left out; what is not in
/// [`Properties::implemented`] is never called.
#[allow(unused_variables, reason = "the default bodies use no argument")]
pub trait FileSystem: Send + Sync + 'static {
    /// What the file system implements and promises; asked once, before it is mounted.
    fn properties(&self) -> Properties;

    /// It was mounted at `point`, which has no symbolic links, and is seen there under the
    /// number `device` (`st_dev`). Called before [`init`](Self::init), and for each mount.
    fn mounted(&self, point: &Path, device: u64) {}

    /// What was mounted with that number has ended.
    fn unmounted(&self, device: u64) {}

    /// Called once after the mount is there and before any operation.
    fn init(&self) -> Result<()> {
        Ok(())
    }

    /// Called once after the last operation.
    fn destroy(&self) {}

    /// Finds `name` in `parent`. Each entry returned counts as one lookup.
    fn lookup(&self, context: &Context, parent: Inode, name: &OsStr) -> Result<Entry> {
        Err(Errno::ENOSYS)
    }

    /// Takes back `count` lookups of `inode`. Nobody waits for it.
    fn forget(&self, inode: Inode, count: u64) {}

    /// Attributes of `inode`; `handle` where the caller has it open.
    fn getattr(
        &self,
        context: &Context,
        inode: Inode,
        handle: Option<Handle>,
    ) -> Result<AttributesReply> {
        Err(Errno::ENOSYS)
    }

    /// Changes attributes and returns the new ones.
    fn setattr(
        &self,
        context: &Context,
        inode: Inode,
        handle: Option<Handle>,
        changes: &SetAttributes,
    ) -> Result<AttributesReply> {
        Err(Errno::ENOSYS)
    }

    /// Target of a symbolic link.
    fn readlink(&self, context: &Context, inode: Inode) -> Result<Vec<u8>> {
        Err(Errno::EINVAL)
    }

    /// Creates a symbolic link.
    fn symlink(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        target: &OsStr,
    ) -> Result<Entry> {
        Err(Errno::EPERM)
    }

    /// Creates a file, FIFO, socket or device. `context.umask` is still to be applied
    /// if [`Properties::posix_acl`] is declared, else the kernel applied it.
    fn mknod(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
        rdev: u32,
    ) -> Result<Entry> {
        Err(Errno::EPERM)
    }

    /// Creates a directory; umask as for [`mknod`](Self::mknod).
    fn mkdir(&self, context: &Context, parent: Inode, name: &OsStr, mode: u32) -> Result<Entry> {
        Err(Errno::EPERM)
    }

    /// Removes a name of a file.
    fn unlink(&self, context: &Context, parent: Inode, name: &OsStr) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Removes an empty directory.
    fn rmdir(&self, context: &Context, parent: Inode, name: &OsStr) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Moves or exchanges names.
    fn rename(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        new_parent: Inode,
        new_name: &OsStr,
        flags: RenameFlags,
    ) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Gives `inode` another name.
    fn link(
        &self,
        context: &Context,
        inode: Inode,
        new_parent: Inode,
        new_name: &OsStr,
    ) -> Result<Entry> {
        Err(Errno::EPERM)
    }

    /// Opens a file. `flags` are those of open(2) without O_CREAT, O_EXCL and O_NOCTTY.
    fn open(&self, context: &Context, inode: Inode, flags: i32) -> Result<Opened> {
        Err(Errno::ENOSYS)
    }

    /// Where the bytes `[offset, offset + size)` are; fewer mean end of file.
    ///
    /// A list with streams is waited for by the thread that called, one of few that read
    /// requests: nothing that feeds such a stream may need this very file system.
    fn read(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        size: u32,
    ) -> Result<SegmentList> {
        Err(Errno::EIO)
    }

    /// Writes `data`; returns how many bytes were taken. `from_cache`: the kernel writes
    /// back cached pages, through any handle that may write, so `offset` holds even where
    /// the handle appends. `kill_suid_sgid`: clear the set-user-id and set-group-id bits too.
    fn write(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        data: &[u8],
        from_cache: bool,
        kill_suid_sgid: bool,
    ) -> Result<u32> {
        Err(Errno::EPERM)
    }

    /// Size and use of the file system.
    fn statfs(&self, context: &Context, inode: Inode) -> Result<FilesystemStatistics> {
        Ok(FilesystemStatistics::default())
    }

    /// A descriptor that shares the open file was closed.
    fn flush(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        owner: LockOwner,
    ) -> Result<()> {
        Err(Errno::ENOSYS)
    }

    /// The last descriptor is gone: `handle` will not come again.
    fn release(&self, inode: Inode, handle: Handle) -> Result<()> {
        Ok(())
    }

    /// Makes the file durable; `datasync` leaves out attributes not needed to read it.
    fn fsync(&self, context: &Context, inode: Inode, handle: Handle, datasync: bool) -> Result<()> {
        Err(Errno::ENOSYS)
    }

    /// Opens a directory.
    fn opendir(&self, context: &Context, inode: Inode, flags: i32) -> Result<Opened> {
        Err(Errno::ENOSYS)
    }

    /// Puts the entries after `offset` into `sink` until it is full. `plus`: entries carry
    /// what a lookup would answer, and each that the sink took counts as one lookup.
    fn readdir(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        plus: bool,
        sink: &mut dyn DirectorySink,
    ) -> Result<()> {
        Err(Errno::ENOSYS)
    }

    /// The open directory is gone.
    fn releasedir(&self, inode: Inode, handle: Handle) -> Result<()> {
        Ok(())
    }

    /// Makes the directory durable.
    fn fsyncdir(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        datasync: bool,
    ) -> Result<()> {
        Err(Errno::ENOSYS)
    }

    /// Sets an extended attribute; `flags` as in setxattr(2).
    fn setxattr(
        &self,
        context: &Context,
        inode: Inode,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> Result<()> {
        Err(Errno::ENOSYS)
    }

    /// Value of an extended attribute, all of it.
    fn getxattr(&self, context: &Context, inode: Inode, name: &OsStr) -> Result<Vec<u8>> {
        Err(Errno::ENOSYS)
    }

    /// Names of the extended attributes, each followed by NUL.
    fn listxattr(&self, context: &Context, inode: Inode) -> Result<Vec<u8>> {
        Err(Errno::ENOSYS)
    }

    /// Removes an extended attribute.
    fn removexattr(&self, context: &Context, inode: Inode, name: &OsStr) -> Result<()> {
        Err(Errno::ENOSYS)
    }

    /// Whether the caller may access the file (not asked with `default_permissions`).
    fn access(&self, context: &Context, inode: Inode, mask: i32) -> Result<()> {
        Err(Errno::ENOSYS)
    }

    /// Creates and opens a regular file; umask as for [`mknod`](Self::mknod).
    fn create(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
        flags: i32,
    ) -> Result<(Entry, Opened)> {
        Err(Errno::ENOSYS)
    }

    /// The lock that would stand in the way of `lock`.
    fn getlk(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        owner: LockOwner,
        lock: &Lock,
    ) -> Result<Lock> {
        Err(Errno::ENOSYS)
    }

    /// Takes or releases a lock; [`EAGAIN`](Errno::EAGAIN) if another one is in the way. It is
    /// not to wait for that: where `wait` is set, the transport does, and calls it again.
    fn setlk(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        owner: LockOwner,
        lock: &Lock,
        wait: bool,
    ) -> Result<()> {
        Err(Errno::ENOSYS)
    }

    /// Maps a block of the file to a block of the device.
    fn bmap(&self, context: &Context, inode: Inode, block_size: u32, index: u64) -> Result<u64> {
        Err(Errno::ENOSYS)
    }

    /// A restricted ioctl: result and data for the caller.
    fn ioctl(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        command: u32,
        data: &[u8],
        out_size: u32,
    ) -> Result<(i32, Vec<u8>)> {
        Err(Errno::ENOTTY)
    }

    /// Which of `events` are ready; `waiter` is to be notified when that changes.
    fn poll(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        events: u32,
        waiter: Option<PollWaiter>,
    ) -> Result<u32> {
        Err(Errno::ENOSYS)
    }

    /// Allocates, punches or zeroes a range; `mode` as in fallocate(2).
    fn fallocate(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        length: u64,
        mode: i32,
    ) -> Result<()> {
        Err(Errno::ENOSYS)
    }

    /// `SEEK_DATA` and `SEEK_HOLE`.
    fn lseek(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: i64,
        whence: i32,
    ) -> Result<u64> {
        Err(Errno::ENOSYS)
    }

    /// Copies a range between two open files.
    fn copy_file_range(
        &self,
        context: &Context,
        in_handle: Handle,
        in_offset: u64,
        out_handle: Handle,
        out_offset: u64,
        length: u64,
        flags: u64,
    ) -> Result<u32> {
        Err(Errno::ENOSYS)
    }
}
