//! What `stat` shows, and what `setattr` changes.

use crate::{Inode, Timestamp};

/// Kind of a file, the upper four bits of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// `S_IFREG`
    Regular,
    /// `S_IFDIR`
    Directory,
    /// `S_IFLNK`
    SymbolicLink,
    /// `S_IFIFO`
    Fifo,
    /// `S_IFSOCK`
    Socket,
    /// `S_IFCHR`
    CharacterDevice,
    /// `S_IFBLK`
    BlockDevice,
}

impl FileType {
    /// The type in a mode, `None` if the bits name none.
    pub fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & libc::S_IFMT {
            libc::S_IFREG => Self::Regular,
            libc::S_IFDIR => Self::Directory,
            libc::S_IFLNK => Self::SymbolicLink,
            libc::S_IFIFO => Self::Fifo,
            libc::S_IFSOCK => Self::Socket,
            libc::S_IFCHR => Self::CharacterDevice,
            libc::S_IFBLK => Self::BlockDevice,
            _ => return None,
        })
    }

    /// The type a `d_type` of readdir(3) names; `None` for `DT_UNKNOWN`.
    pub fn from_dirent(d_type: u8) -> Option<Self> {
        Self::from_mode(u32::from(d_type) << 12)
    }

    /// The bits of `S_IFMT`.
    pub fn mode(self) -> u32 {
        match self {
            Self::Regular => libc::S_IFREG,
            Self::Directory => libc::S_IFDIR,
            Self::SymbolicLink => libc::S_IFLNK,
            Self::Fifo => libc::S_IFIFO,
            Self::Socket => libc::S_IFSOCK,
            Self::CharacterDevice => libc::S_IFCHR,
            Self::BlockDevice => libc::S_IFBLK,
        }
    }
}

/// Attributes of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// Inode number, also the kernel's node id in an [`Entry`](crate::Entry).
    pub inode: Inode,
    /// Kind of file.
    pub kind: FileType,
    /// Permission bits, 0..=0o7777.
    pub permissions: u16,
    /// Length in bytes.
    pub size: u64,
    /// Blocks of 512 bytes that are allocated.
    pub blocks: u64,
    /// Preferred I/O size in bytes.
    pub block_size: u32,
    /// Number of hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device file, in the kernel's 32-bit encoding.
    pub rdev: u32,
    /// Last access.
    pub atime: Timestamp,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last change of the attributes.
    pub ctime: Timestamp,
}

impl Attributes {
    /// `st_mode`: type and permissions.
    pub fn mode(&self) -> u32 {
        self.kind.mode() | u32::from(self.permissions)
    }
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetTime {
    /// The time at which the change is made (`UTIME_NOW`).
    Now,
    /// This time.
    At(Timestamp),
}

/// The fields a SETATTR changes; `None` leaves a field as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SetAttributes {
    /// New permission bits (the type bits of the mode are not part of it).
    pub mode: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New length in bytes.
    pub size: Option<u64>,
    /// New access time.
    pub atime: Option<SetTime>,
    /// New modification time.
    pub mtime: Option<SetTime>,
    /// New change time (sent with the writeback cache only).
    pub ctime: Option<Timestamp>,
    /// Clear set-user-id, and set-group-id where group-execute is set. The kernel
    /// asks for it with HANDLE_KILLPRIV_V2 by a SETATTR that has no field set.
    pub kill_suid_sgid: bool,
}
