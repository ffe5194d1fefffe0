//! One parsed request of the kernel.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::sync::Arc;

use bitflags::bitflags;

use crate::{Handle, Inode, Lock, LockOwner, OperationKind, SetAttributes};

bitflags! {
    /// Flags of renameat2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RenameFlags: u32 {
        /// Fail with EEXIST rather than replace the target.
        const NOREPLACE = libc::RENAME_NOREPLACE;
        /// Exchange source and target.
        const EXCHANGE = libc::RENAME_EXCHANGE;
        /// Leave a whiteout in the source's place.
        const WHITEOUT = libc::RENAME_WHITEOUT;
        // others are passed on, for the file system to refuse
        const _ = !0;
    }
}

/// An open file that is polled; never used for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PollId {
    /// The mount.
    pub mount: u64,
    /// The kernel's number there.
    pub open_file: u64,
}

/// Wakes those who poll an open file; may be called from anywhere, as often as one likes.
///
/// Two are equal if they are for the same open file: one of them is enough.
#[derive(Clone)]
pub struct PollWaiter {
    id: PollId,
    notify: Arc<dyn Fn() + Send + Sync>,
}

impl PollWaiter {
    /// A waiter that calls `notify`.
    pub fn new(id: PollId, notify: impl Fn() + Send + Sync + 'static) -> Self {
        Self { id, notify: Arc::new(notify) }
    }

    /// Tells the kernel that the file's readiness changed.
    pub fn notify(&self) {
        (self.notify)();
    }

    /// Which open file it is for.
    pub fn id(&self) -> PollId {
        self.id
    }
}

impl fmt::Debug for PollWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PollWaiter")
    }
}

/// One parsed FUSE operation that expects a reply, named as the kernel names it.
///
/// Names and data borrow the transport's buffer, which is reused once the operation's
/// `dispatch` returns; [`into_owned`](Self::into_owned) keeps them for longer. Names have
/// no `/` and no NUL; `.` and `..` never come. (FORGET has no reply and is a call of its own.)
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the arguments of the system calls of that name")]
pub enum Operation<'a> {
    Lookup {
        parent: Inode,
        name: Cow<'a, OsStr>,
    },
    Getattr {
        inode: Inode,
        handle: Option<Handle>,
    },
    Setattr {
        inode: Inode,
        handle: Option<Handle>,
        changes: SetAttributes,
    },
    Readlink {
        inode: Inode,
    },
    Symlink {
        parent: Inode,
        name: Cow<'a, OsStr>,
        target: Cow<'a, OsStr>,
    },
    Mknod {
        parent: Inode,
        name: Cow<'a, OsStr>,
        mode: u32,
        rdev: u32,
    },
    Mkdir {
        parent: Inode,
        name: Cow<'a, OsStr>,
        mode: u32,
    },
    Unlink {
        parent: Inode,
        name: Cow<'a, OsStr>,
    },
    Rmdir {
        parent: Inode,
        name: Cow<'a, OsStr>,
    },
    Rename {
        parent: Inode,
        name: Cow<'a, OsStr>,
        new_parent: Inode,
        new_name: Cow<'a, OsStr>,
        flags: RenameFlags,
    },
    Link {
        inode: Inode,
        new_parent: Inode,
        new_name: Cow<'a, OsStr>,
    },
    Open {
        inode: Inode,
        flags: i32,
    },
    Read {
        inode: Inode,
        handle: Handle,
        offset: u64,
        size: u32,
        flags: i32,
        lock_owner: Option<LockOwner>,
    },
    Write {
        inode: Inode,
        handle: Handle,
        offset: u64,
        data: Cow<'a, [u8]>,
        flags: i32,
        lock_owner: Option<LockOwner>,
        /// The data comes from the page cache; the context's caller means nothing.
        from_cache: bool,
        /// Clear set-user-id and set-group-id (HANDLE_KILLPRIV_V2).
        kill_suid_sgid: bool,
    },
    Statfs {
        inode: Inode,
    },
    Release {
        inode: Inode,
        handle: Handle,
        flags: i32,
        lock_owner: Option<LockOwner>,
    },
    Fsync {
        inode: Inode,
        handle: Handle,
        datasync: bool,
    },
    Setxattr {
        inode: Inode,
        name: Cow<'a, OsStr>,
        value: Cow<'a, [u8]>,
        flags: i32,
    },
    /// `size` 0 asks for the length only; see [`Reply::Xattr`](crate::Reply::Xattr).
    Getxattr {
        inode: Inode,
        name: Cow<'a, OsStr>,
        size: u32,
    },
    Listxattr {
        inode: Inode,
        size: u32,
    },
    Removexattr {
        inode: Inode,
        name: Cow<'a, OsStr>,
    },
    Flush {
        inode: Inode,
        handle: Handle,
        lock_owner: LockOwner,
    },
    Opendir {
        inode: Inode,
        flags: i32,
    },
    Readdir {
        inode: Inode,
        handle: Handle,
        offset: u64,
    },
    Readdirplus {
        inode: Inode,
        handle: Handle,
        offset: u64,
    },
    Releasedir {
        inode: Inode,
        handle: Handle,
        flags: i32,
    },
    Fsyncdir {
        inode: Inode,
        handle: Handle,
        datasync: bool,
    },
    Getlk {
        inode: Inode,
        handle: Handle,
        lock_owner: LockOwner,
        lock: Lock,
    },
    Setlk {
        inode: Inode,
        handle: Handle,
        lock_owner: LockOwner,
        lock: Lock,
        wait: bool,
    },
    Access {
        inode: Inode,
        mask: i32,
    },
    Create {
        parent: Inode,
        name: Cow<'a, OsStr>,
        mode: u32,
        flags: i32,
    },
    Bmap {
        inode: Inode,
        block_size: u32,
        index: u64,
    },
    Ioctl {
        inode: Inode,
        handle: Handle,
        flags: u32,
        command: u32,
        data: Cow<'a, [u8]>,
        out_size: u32,
    },
    Poll {
        inode: Inode,
        handle: Handle,
        events: u32,
        waiter: Option<PollWaiter>,
    },
    Fallocate {
        inode: Inode,
        handle: Handle,
        offset: u64,
        length: u64,
        mode: i32,
    },
    Lseek {
        inode: Inode,
        handle: Handle,
        offset: i64,
        whence: i32,
    },
    CopyFileRange {
        in_inode: Inode,
        in_handle: Handle,
        in_offset: u64,
        out_inode: Inode,
        out_handle: Handle,
        out_offset: u64,
        length: u64,
        flags: u64,
    },
}

impl Operation<'_> {
    /// Which operation it is.
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Lookup { .. } => OperationKind::Lookup,
            Self::Getattr { .. } => OperationKind::Getattr,
            Self::Setattr { .. } => OperationKind::Setattr,
            Self::Readlink { .. } => OperationKind::Readlink,
            Self::Symlink { .. } => OperationKind::Symlink,
            Self::Mknod { .. } => OperationKind::Mknod,
            Self::Mkdir { .. } => OperationKind::Mkdir,
            Self::Unlink { .. } => OperationKind::Unlink,
            Self::Rmdir { .. } => OperationKind::Rmdir,
            Self::Rename { .. } => OperationKind::Rename,
            Self::Link { .. } => OperationKind::Link,
            Self::Open { .. } => OperationKind::Open,
            Self::Read { .. } => OperationKind::Read,
            Self::Write { .. } => OperationKind::Write,
            Self::Statfs { .. } => OperationKind::Statfs,
            Self::Release { .. } => OperationKind::Release,
            Self::Fsync { .. } => OperationKind::Fsync,
            Self::Setxattr { .. } => OperationKind::Setxattr,
            Self::Getxattr { .. } => OperationKind::Getxattr,
            Self::Listxattr { .. } => OperationKind::Listxattr,
            Self::Removexattr { .. } => OperationKind::Removexattr,
            Self::Flush { .. } => OperationKind::Flush,
            Self::Opendir { .. } => OperationKind::Opendir,
            Self::Readdir { .. } => OperationKind::Readdir,
            Self::Readdirplus { .. } => OperationKind::Readdirplus,
            Self::Releasedir { .. } => OperationKind::Releasedir,
            Self::Fsyncdir { .. } => OperationKind::Fsyncdir,
            Self::Getlk { .. } => OperationKind::Getlk,
            Self::Setlk { .. } => OperationKind::Setlk,
            Self::Access { .. } => OperationKind::Access,
            Self::Create { .. } => OperationKind::Create,
            Self::Bmap { .. } => OperationKind::Bmap,
            Self::Ioctl { .. } => OperationKind::Ioctl,
            Self::Poll { .. } => OperationKind::Poll,
            Self::Fallocate { .. } => OperationKind::Fallocate,
            Self::Lseek { .. } => OperationKind::Lseek,
            Self::CopyFileRange { .. } => OperationKind::CopyFileRange,
        }
    }

    /// The inode it is about; the parent directory where it is about a name.
    pub fn inode(&self) -> Inode {
        match self {
            Self::Lookup { parent, .. }
            | Self::Symlink { parent, .. }
            | Self::Mknod { parent, .. }
            | Self::Mkdir { parent, .. }
            | Self::Unlink { parent, .. }
            | Self::Rmdir { parent, .. }
            | Self::Rename { parent, .. }
            | Self::Create { parent, .. } => *parent,
            Self::Getattr { inode, .. }
            | Self::Setattr { inode, .. }
            | Self::Readlink { inode, .. }
            | Self::Link { inode, .. }
            | Self::Open { inode, .. }
            | Self::Read { inode, .. }
            | Self::Write { inode, .. }
            | Self::Statfs { inode, .. }
            | Self::Release { inode, .. }
            | Self::Fsync { inode, .. }
            | Self::Setxattr { inode, .. }
            | Self::Getxattr { inode, .. }
            | Self::Listxattr { inode, .. }
            | Self::Removexattr { inode, .. }
            | Self::Flush { inode, .. }
            | Self::Opendir { inode, .. }
            | Self::Readdir { inode, .. }
            | Self::Readdirplus { inode, .. }
            | Self::Releasedir { inode, .. }
            | Self::Fsyncdir { inode, .. }
            | Self::Getlk { inode, .. }
            | Self::Setlk { inode, .. }
            | Self::Access { inode, .. }
            | Self::Bmap { inode, .. }
            | Self::Ioctl { inode, .. }
            | Self::Poll { inode, .. }
            | Self::Fallocate { inode, .. }
            | Self::Lseek { inode, .. } => *inode,
            Self::CopyFileRange { in_inode, .. } => *in_inode,
        }
    }

    /// The same operation with its names and data copied out of the transport's buffer.
    #[expect(clippy::too_many_lines, reason = "one arm per operation")]
    pub fn into_owned(self) -> Operation<'static> {
        match self {
            Self::Lookup { parent, name } => Operation::Lookup { parent, name: own(name) },
            Self::Getattr { inode, handle } => Operation::Getattr { inode, handle },
            Self::Setattr { inode, handle, changes } => {
                Operation::Setattr { inode, handle, changes }
            }
            Self::Readlink { inode } => Operation::Readlink { inode },
            Self::Symlink { parent, name, target } => {
                Operation::Symlink { parent, name: own(name), target: own(target) }
            }
            Self::Mknod { parent, name, mode, rdev } => {
                Operation::Mknod { parent, name: own(name), mode, rdev }
            }
            Self::Mkdir { parent, name, mode } => {
                Operation::Mkdir { parent, name: own(name), mode }
            }
            Self::Unlink { parent, name } => Operation::Unlink { parent, name: own(name) },
            Self::Rmdir { parent, name } => Operation::Rmdir { parent, name: own(name) },
            Self::Rename { parent, name, new_parent, new_name, flags } => Operation::Rename {
                parent,
                name: own(name),
                new_parent,
                new_name: own(new_name),
                flags,
            },
            Self::Link { inode, new_parent, new_name } => {
                Operation::Link { inode, new_parent, new_name: own(new_name) }
            }
            Self::Open { inode, flags } => Operation::Open { inode, flags },
            Self::Read { inode, handle, offset, size, flags, lock_owner } => {
                Operation::Read { inode, handle, offset, size, flags, lock_owner }
            }
            Self::Write {
                inode,
                handle,
                offset,
                data,
                flags,
                lock_owner,
                from_cache,
                kill_suid_sgid,
            } => Operation::Write {
                inode,
                handle,
                offset,
                data: own(data),
                flags,
                lock_owner,
                from_cache,
                kill_suid_sgid,
            },
            Self::Statfs { inode } => Operation::Statfs { inode },
            Self::Release { inode, handle, flags, lock_owner } => {
                Operation::Release { inode, handle, flags, lock_owner }
            }
            Self::Fsync { inode, handle, datasync } => Operation::Fsync { inode, handle, datasync },
            Self::Setxattr { inode, name, value, flags } => {
                Operation::Setxattr { inode, name: own(name), value: own(value), flags }
            }
            Self::Getxattr { inode, name, size } => {
                Operation::Getxattr { inode, name: own(name), size }
            }
            Self::Listxattr { inode, size } => Operation::Listxattr { inode, size },
            Self::Removexattr { inode, name } => Operation::Removexattr { inode, name: own(name) },
            Self::Flush { inode, handle, lock_owner } => {
                Operation::Flush { inode, handle, lock_owner }
            }
            Self::Opendir { inode, flags } => Operation::Opendir { inode, flags },
            Self::Readdir { inode, handle, offset } => Operation::Readdir { inode, handle, offset },
            Self::Readdirplus { inode, handle, offset } => {
                Operation::Readdirplus { inode, handle, offset }
            }
            Self::Releasedir { inode, handle, flags } => {
                Operation::Releasedir { inode, handle, flags }
            }
            Self::Fsyncdir { inode, handle, datasync } => {
                Operation::Fsyncdir { inode, handle, datasync }
            }
            Self::Getlk { inode, handle, lock_owner, lock } => {
                Operation::Getlk { inode, handle, lock_owner, lock }
            }
            Self::Setlk { inode, handle, lock_owner, lock, wait } => {
                Operation::Setlk { inode, handle, lock_owner, lock, wait }
            }
            Self::Access { inode, mask } => Operation::Access { inode, mask },
            Self::Create { parent, name, mode, flags } => {
                Operation::Create { parent, name: own(name), mode, flags }
            }
            Self::Bmap { inode, block_size, index } => Operation::Bmap { inode, block_size, index },
            Self::Ioctl { inode, handle, flags, command, data, out_size } => {
                Operation::Ioctl { inode, handle, flags, command, data: own(data), out_size }
            }
            Self::Poll { inode, handle, events, waiter } => {
                Operation::Poll { inode, handle, events, waiter }
            }
            Self::Fallocate { inode, handle, offset, length, mode } => {
                Operation::Fallocate { inode, handle, offset, length, mode }
            }
            Self::Lseek { inode, handle, offset, whence } => {
                Operation::Lseek { inode, handle, offset, whence }
            }
            Self::CopyFileRange {
                in_inode,
                in_handle,
                in_offset,
                out_inode,
                out_handle,
                out_offset,
                length,
                flags,
            } => Operation::CopyFileRange {
                in_inode,
                in_handle,
                in_offset,
                out_inode,
                out_handle,
                out_offset,
                length,
                flags,
            },
        }
    }
}

fn own<T: ToOwned + ?Sized>(value: Cow<'_, T>) -> Cow<'static, T> {
    Cow::Owned(value.into_owned())
}
