//! What answers an operation.

use std::sync::Arc;
use std::time::Duration;

use bitflags::bitflags;
use fusesg_sg::{Backing, SegmentList};

use crate::{Attributes, FileType, Handle, Inode, Timestamp};

/// What a name leads to: the answer to LOOKUP and to all that create something.
///
/// Each entry that reaches the kernel counts as one lookup of the inode, given back by FORGET.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The inode; 0 means that the name does not exist, cached for `entry_timeout`.
    pub attributes: Attributes,
    /// Distinguishes reuses of one inode number.
    pub generation: u64,
    /// How long the kernel may believe the name; `None` is the mount's default.
    pub entry_timeout: Option<Duration>,
    /// How long the kernel may believe the attributes; `None` is the mount's default.
    pub attribute_timeout: Option<Duration>,
}

impl Entry {
    /// The answer to a LOOKUP of a name that does not exist, cached for the mount's
    /// negative timeout.
    pub const NEGATIVE: Self = Self {
        attributes: Attributes {
            inode: Inode(0),
            kind: FileType::Regular,
            permissions: 0,
            size: 0,
            blocks: 0,
            block_size: 0,
            links: 0,
            uid: 0,
            gid: 0,
            rdev: 0,
            atime: Timestamp { seconds: 0, nanoseconds: 0 },
            mtime: Timestamp { seconds: 0, nanoseconds: 0 },
            ctime: Timestamp { seconds: 0, nanoseconds: 0 },
        },
        generation: 0,
        entry_timeout: None,
        attribute_timeout: None,
    };
}

/// The answer to GETATTR and SETATTR.
#[derive(Clone, Copy, Debug)]
pub struct AttributesReply {
    /// The attributes.
    pub attributes: Attributes,
    /// How long the kernel may believe them; `None` is the mount's default.
    pub timeout: Option<Duration>,
}

bitflags! {
    /// How the kernel shall treat an open file or directory (`FOPEN_*`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct OpenedFlags: u32 {
        /// Bypass the page cache.
        const DIRECT_IO = 1 << 0;
        /// Do not drop cached pages at open.
        const KEEP_CACHE = 1 << 1;
        /// The file cannot seek.
        const NONSEEKABLE = 1 << 2;
        /// The kernel may cache this directory's listing.
        const CACHE_DIRECTORY = 1 << 3;
        /// No FLUSH at close.
        const NO_FLUSH = 1 << 5;
        /// Direct writes may run at the same time.
        const PARALLEL_DIRECT_WRITES = 1 << 6;
    }
}

/// The answer to OPEN and OPENDIR.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// Given back with every operation on the open file.
    pub handle: Handle,
    /// How the kernel shall treat it.
    pub flags: OpenedFlags,
    /// The flags that the file system has decided on, set or not; for the others the
    /// mount's defaults hold, too.
    pub decided: OpenedFlags,
    /// A regular file that the kernel may read and write by itself (kernel passthrough).
    /// An offer: the transport drops it where the kernel would refuse.
    pub passthrough: Option<Arc<Backing>>,
}

/// The answer to STATFS, statvfs(3)'s fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FilesystemStatistics {
    /// Preferred I/O size in bytes (`f_bsize`).
    pub block_size: u32,
    /// Unit of the block counts in bytes (`f_frsize`).
    pub fragment_size: u32,
    /// Size of the file system in fragments.
    pub blocks: u64,
    /// Free fragments.
    pub blocks_free: u64,
    /// Free fragments for unprivileged users.
    pub blocks_available: u64,
    /// Inodes.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// Longest name in bytes.
    pub name_max: u32,
}

impl Default for FilesystemStatistics {
    /// What a file system without statfs shows: sane sizes, nothing counted.
    fn default() -> Self {
        Self {
            block_size: 4096,
            fragment_size: 4096,
            blocks: 0,
            blocks_free: 0,
            blocks_available: 0,
            files: 0,
            files_free: 0,
            name_max: 255,
        }
    }
}

/// A POSIX lock (`struct flock`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lock {
    /// First byte.
    pub start: u64,
    /// Last byte, inclusive; `u64::MAX >> 1` is the end of the file.
    pub end: u64,
    /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
    pub kind: i32,
    /// Process that holds it.
    pub pid: u32,
}

/// What answers an operation that succeeded.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Success, nothing to tell; also a READDIR whose entries are in the sink.
    Done,
    /// LOOKUP, MKNOD, MKDIR, SYMLINK, LINK.
    Entry(Entry),
    /// CREATE.
    Created(Entry, Opened),
    /// GETATTR, SETATTR.
    Attributes(AttributesReply),
    /// READLINK.
    Target(Vec<u8>),
    /// OPEN, OPENDIR.
    Opened(Opened),
    /// READ: at most as many bytes as asked for, fewer mean end of file.
    Data(SegmentList),
    /// WRITE, COPY_FILE_RANGE: bytes taken.
    Written(u32),
    /// STATFS.
    Statistics(FilesystemStatistics),
    /// GETXATTR: the value; LISTXATTR: names, each followed by NUL. Always the whole of it:
    /// the transport answers a size query or ERANGE.
    Xattr(Vec<u8>),
    /// GETLK.
    Lock(Lock),
    /// BMAP.
    Block(u64),
    /// IOCTL.
    Ioctl {
        /// Return value of ioctl(2).
        result: i32,
        /// Data for the caller's buffer.
        data: Vec<u8>,
    },
    /// POLL: `POLLIN` and friends that are ready.
    Events(u32),
    /// LSEEK.
    Offset(u64),
}
