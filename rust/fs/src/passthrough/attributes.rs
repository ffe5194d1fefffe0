//! getattr, setattr and statfs.

use std::os::fd::{AsFd, BorrowedFd};

use super::inode_numbers::Identity;
use super::inodes::Node;
use super::{Passthrough, magic_links, sys};
use crate::{
    Attributes, AttributesReply, Context, Errno, FileType, FilesystemStatistics, Handle, Inode,
    Result, SetAttributes, SetTime, Timestamp,
};

/// Bits of a mode that chmod sets.
const PERMISSIONS: u32 = 0o7777;

impl Passthrough {
    pub(super) fn get_attributes(
        &self,
        inode: Inode,
        handle: Option<Handle>,
    ) -> Result<AttributesReply> {
        let node = self.inodes.get(inode)?;
        // a deleted inode may be left with its open file only
        if let Some(handle) = handle {
            let file = self.files.get(handle)?;
            return reply(&node, file.fd());
        }
        reply(&node, self.inodes.open(&node)?.as_fd())
    }

    pub(super) fn set_attributes(
        &self,
        context: &Context,
        inode: Inode,
        handle: Option<Handle>,
        changes: &SetAttributes,
    ) -> Result<AttributesReply> {
        let node = self.inodes.get(inode)?;
        if let Some(handle) = handle {
            let file = self.files.get(handle)?;
            let truncatable = file.writable().then(|| file.fd());
            self.change(context, &node, file.fd(), truncatable, changes)?;
            return reply(&node, file.fd());
        }
        let fd = self.inodes.open(&node)?;
        self.change(context, &node, fd.as_fd(), None, changes)?;
        reply(&node, fd.as_fd())
    }

    /// Changes the inode behind `fd`: length, owner, mode, times, in this order, as a new
    /// length sets times and a new owner clears bits of the mode.
    fn change(
        &self,
        context: &Context,
        node: &Node,
        fd: BorrowedFd<'_>,
        writable: Option<BorrowedFd<'_>>,
        changes: &SetAttributes,
    ) -> Result<()> {
        if changes.kill_suid_sgid {
            self.clear_set_id(context, node, fd)?;
        }
        if let Some(size) = changes.size {
            let size = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
            let _guard = self.stripping_for(context, fd)?;
            match writable {
                Some(fd) => sys::ftruncate(fd, size)?,
                None => sys::truncate(&magic_links::path(fd), size)?,
            }
        }
        if changes.uid.is_some() || changes.gid.is_some() {
            self.strip_for_chown(context, node, fd)?;
            let unchanged = u32::MAX;
            sys::fchownat(fd, changes.uid.unwrap_or(unchanged), changes.gid.unwrap_or(unchanged))?;
        }
        if let Some(mode) = changes.mode {
            self.set_mode(fd, mode)?;
        }
        if changes.atime.is_some() || changes.mtime.is_some() {
            let times = [timespec(changes.atime), timespec(changes.mtime)];
            sys::utimensat(self.links.directory(), &magic_links::name(fd), times)?;
        }
        Ok(())
    }

    /// chmod of the inode behind `fd`; there is no such call for O_PATH descriptors.
    pub(super) fn set_mode(&self, fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
        let permissions = mode & PERMISSIONS;
        Ok(sys::fchmodat(self.links.directory(), &magic_links::name(fd), permissions)?)
    }

    pub(super) fn statistics(&self, inode: Inode) -> Result<FilesystemStatistics> {
        let node = self.inodes.get(inode)?;
        let status = sys::fstatvfs(self.inodes.open(&node)?.as_fd())?;
        Ok(FilesystemStatistics {
            block_size: saturate(status.f_bsize),
            fragment_size: saturate(status.f_frsize),
            blocks: status.f_blocks,
            blocks_free: status.f_bfree,
            blocks_available: status.f_bavail,
            files: status.f_files,
            files_free: status.f_ffree,
            name_max: saturate(status.f_namemax),
        })
    }
}

/// Fresh attributes of a node. The root shows the backing's number too: 1 is only what the
/// protocol calls it.
fn reply(node: &Node, fd: BorrowedFd<'_>) -> Result<AttributesReply> {
    let status = sys::statx(fd, c"")?;
    let shown = if node.number == Inode::ROOT { Inode(status.stx_ino) } else { node.number };
    Ok(AttributesReply { attributes: attributes(shown, &status)?, timeout: None })
}

/// Which inode it is.
pub(super) fn identity(status: &libc::statx) -> Identity {
    let device = libc::makedev(status.stx_dev_major, status.stx_dev_minor);
    Identity { device, inode: status.stx_ino }
}

/// What kind of file it is; EIO for one that the kernel does not have.
pub(super) fn kind(status: &libc::statx) -> Result<FileType> {
    FileType::from_mode(status.stx_mode.into()).ok_or(Errno::EIO)
}

/// Attributes under the number `inode`.
pub(super) fn attributes(inode: Inode, status: &libc::statx) -> Result<Attributes> {
    Ok(Attributes {
        inode,
        kind: kind(status)?,
        permissions: status.stx_mode & 0o7777,
        size: status.stx_size,
        blocks: status.stx_blocks,
        block_size: status.stx_blksize,
        links: status.stx_nlink,
        uid: status.stx_uid,
        gid: status.stx_gid,
        rdev: encode_device(status.stx_rdev_major, status.stx_rdev_minor),
        atime: timestamp(status.stx_atime),
        mtime: timestamp(status.stx_mtime),
        ctime: timestamp(status.stx_ctime),
    })
}

/// A device number in the kernel's 32 bits: 12 for the major, 20 for the minor in two parts.
fn encode_device(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | major << 8 | (minor & !0xff) << 12
}

/// The C library's form of a device number in the kernel's 32 bits.
pub(super) fn decode_device(device: u32) -> libc::dev_t {
    libc::makedev((device & 0xf_ff00) >> 8, (device & 0xff) | (device >> 12 & 0xf_ff00))
}

fn timestamp(time: libc::statx_timestamp) -> Timestamp {
    Timestamp { seconds: time.tv_sec, nanoseconds: time.tv_nsec }
}

fn timespec(time: Option<SetTime>) -> libc::timespec {
    match time {
        None => libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT },
        Some(SetTime::Now) => libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW },
        Some(SetTime::At(time)) => {
            libc::timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() }
        }
    }
}

fn saturate(value: u64) -> u32 {
    value.try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_survive_the_kernels_encoding() {
        for (major, minor) in [(1, 3), (8, 0), (259, 7), (0xfff, 0xf_ffff), (0, 0x100)] {
            let encoded = encode_device(major, minor);
            assert_eq!(decode_device(encoded), libc::makedev(major, minor), "{major}:{minor}");
        }
    }
}
