//! The file system trait: every operation, in one line each.

use std::ffi::OsStr;
use std::path::Path;

use fusesg_sg::SegmentList;

use super::Passthrough;
use crate::{
    AttributesReply, Context, DirectorySink, Entry, FileSystem, FilesystemStatistics, Handle,
    Inode, LockOwner, Opened, OperationKind, OperationSet, Properties, RenameFlags, Result,
    SetAttributes,
};

/// What is left to the kernel: permissions (`default_permissions`), locks, which are local
/// to the mount, readiness of files, which are always ready, and block maps, which only
/// mounts of a block device have.
const LEFT_TO_THE_KERNEL: [OperationKind; 5] = [
    OperationKind::Access,
    OperationKind::Getlk,
    OperationKind::Setlk,
    OperationKind::Poll,
    OperationKind::Bmap,
];

impl FileSystem for Passthrough {
    fn properties(&self) -> Properties {
        Properties {
            implemented: LEFT_TO_THE_KERNEL
                .into_iter()
                .fold(OperationSet::ALL, OperationSet::without),
            readdirplus: true,
            posix_acl: self.posix_acl,
            clears_privileges: true,
            atomic_o_trunc: true,
            parallel_directory_operations: true,
            kernel_passthrough: self.options.kernel_passthrough && !self.options.writeback,
            cache_symlinks: self.options.cache_symlinks,
            ..Properties::default()
        }
    }

    fn mounted(&self, point: &Path, device: u64) {
        self.mounted_at(point, device);
    }

    fn unmounted(&self, device: u64) {
        self.unmounted_from(device);
    }

    fn init(&self) -> Result<()> {
        self.mount_begins();
        Ok(())
    }

    fn destroy(&self) {
        self.mount_ends();
    }

    fn lookup(&self, _context: &Context, parent: Inode, name: &OsStr) -> Result<Entry> {
        self.look_up(parent, name)
    }

    fn forget(&self, inode: Inode, count: u64) {
        self.inodes.forget(inode, count);
    }

    fn getattr(
        &self,
        _context: &Context,
        inode: Inode,
        handle: Option<Handle>,
    ) -> Result<AttributesReply> {
        self.get_attributes(inode, handle)
    }

    fn setattr(
        &self,
        context: &Context,
        inode: Inode,
        handle: Option<Handle>,
        changes: &SetAttributes,
    ) -> Result<AttributesReply> {
        self.set_attributes(context, inode, handle, changes)
    }

    fn readlink(&self, _context: &Context, inode: Inode) -> Result<Vec<u8>> {
        self.link_target(inode)
    }

    fn symlink(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        target: &OsStr,
    ) -> Result<Entry> {
        self.make_symlink(context, parent, name, target)
    }

    fn mknod(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
        rdev: u32,
    ) -> Result<Entry> {
        self.make_node(context, parent, name, mode, rdev)
    }

    fn mkdir(&self, context: &Context, parent: Inode, name: &OsStr, mode: u32) -> Result<Entry> {
        self.make_directory(context, parent, name, mode)
    }

    fn unlink(&self, _context: &Context, parent: Inode, name: &OsStr) -> Result<()> {
        self.remove(parent, name, 0)
    }

    fn rmdir(&self, _context: &Context, parent: Inode, name: &OsStr) -> Result<()> {
        self.remove(parent, name, libc::AT_REMOVEDIR)
    }

    fn rename(
        &self,
        _context: &Context,
        parent: Inode,
        name: &OsStr,
        new_parent: Inode,
        new_name: &OsStr,
        flags: RenameFlags,
    ) -> Result<()> {
        self.move_name(parent, name, new_parent, new_name, flags)
    }

    fn link(
        &self,
        _context: &Context,
        inode: Inode,
        new_parent: Inode,
        new_name: &OsStr,
    ) -> Result<Entry> {
        self.make_link(inode, new_parent, new_name)
    }

    fn open(&self, context: &Context, inode: Inode, flags: i32) -> Result<Opened> {
        self.open_file(context, inode, flags)
    }

    fn read(
        &self,
        _context: &Context,
        _inode: Inode,
        handle: Handle,
        offset: u64,
        size: u32,
    ) -> Result<SegmentList> {
        self.read_file(handle, offset, size)
    }

    fn write(
        &self,
        context: &Context,
        _inode: Inode,
        handle: Handle,
        offset: u64,
        data: &[u8],
        from_cache: bool,
        kill_suid_sgid: bool,
    ) -> Result<u32> {
        self.write_file(context, handle, offset, data, from_cache, kill_suid_sgid)
    }

    fn statfs(&self, _context: &Context, inode: Inode) -> Result<FilesystemStatistics> {
        self.statistics(inode)
    }

    fn flush(
        &self,
        _context: &Context,
        _inode: Inode,
        handle: Handle,
        _owner: LockOwner,
    ) -> Result<()> {
        self.flush_file(handle)
    }

    fn release(&self, _inode: Inode, handle: Handle) -> Result<()> {
        self.release_file(handle)
    }

    fn fsync(
        &self,
        _context: &Context,
        _inode: Inode,
        handle: Handle,
        datasync: bool,
    ) -> Result<()> {
        self.sync_file(handle, datasync)
    }

    fn opendir(&self, _context: &Context, inode: Inode, _flags: i32) -> Result<Opened> {
        self.open_directory(inode)
    }

    fn readdir(
        &self,
        _context: &Context,
        _inode: Inode,
        handle: Handle,
        offset: u64,
        plus: bool,
        sink: &mut dyn DirectorySink,
    ) -> Result<()> {
        self.list(handle, offset, plus, sink)
    }

    fn releasedir(&self, _inode: Inode, handle: Handle) -> Result<()> {
        self.directories.remove(handle).map(drop)
    }

    fn fsyncdir(
        &self,
        _context: &Context,
        _inode: Inode,
        handle: Handle,
        datasync: bool,
    ) -> Result<()> {
        self.sync_directory(handle, datasync)
    }

    fn setxattr(
        &self,
        context: &Context,
        inode: Inode,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> Result<()> {
        self.set_xattr(context, inode, name, value, flags)
    }

    fn getxattr(&self, _context: &Context, inode: Inode, name: &OsStr) -> Result<Vec<u8>> {
        self.get_xattr(inode, name)
    }

    fn listxattr(&self, context: &Context, inode: Inode) -> Result<Vec<u8>> {
        self.list_xattrs(context, inode)
    }

    fn removexattr(&self, _context: &Context, inode: Inode, name: &OsStr) -> Result<()> {
        self.remove_xattr(inode, name)
    }

    fn create(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
        flags: i32,
    ) -> Result<(Entry, Opened)> {
        self.create_file(context, parent, name, mode, flags)
    }

    fn ioctl(
        &self,
        _context: &Context,
        inode: Inode,
        handle: Handle,
        command: u32,
        data: &[u8],
        out_size: u32,
    ) -> Result<(i32, Vec<u8>)> {
        self.control(inode, handle, command, data, out_size)
    }

    fn fallocate(
        &self,
        context: &Context,
        _inode: Inode,
        handle: Handle,
        offset: u64,
        length: u64,
        mode: i32,
    ) -> Result<()> {
        self.allocate(context, handle, offset, length, mode)
    }

    fn lseek(
        &self,
        _context: &Context,
        _inode: Inode,
        handle: Handle,
        offset: i64,
        whence: i32,
    ) -> Result<u64> {
        self.seek(handle, offset, whence)
    }

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
        let (from, to) = ((in_handle, in_offset), (out_handle, out_offset));
        self.copy_range(context, from, to, length, flags)
    }
}
