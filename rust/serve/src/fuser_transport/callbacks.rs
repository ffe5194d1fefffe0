//! fuser's callbacks: each becomes an [`Operation`] and a [`Responder`](crate::Responder).

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, INodeNo, InitFlags,
    IoctlFlags, KernelConfig, OpenFlags, PollEvents, PollFlags, PollNotifier, ReplyAttr, ReplyBmap,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl,
    ReplyLock, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request,
    TimeOrNow, WriteFlags,
};
use fusesg_fs::{
    Context, Handle, Inode, Lock, LockOwner, Operation, RenameFlags, SetAttributes, Unique,
};

use super::FuserReply;
use super::attributes::{set_time, timestamp};
use super::capabilities;
use super::direct_open;
use super::directory_reply::{PlainListing, PlusListing};
use crate::MountConfig;
use crate::notifier::poll_waiter;
use crate::responder::Wanted;
use crate::served::Served;
use crate::transport::TransportReply;

/// What fuser serves: every request goes through the file system's door.
#[derive(Debug)]
pub(crate) struct FuserTransport {
    served: Arc<Served>,
    config: MountConfig,
}

impl FuserTransport {
    pub(crate) fn new(served: Arc<Served>, config: MountConfig) -> Self {
        Self { served, config }
    }

    /// Passes an operation on. `wanted` is how many bytes the answer may have.
    fn serve(
        &self,
        request: &Request,
        umask: u32,
        wanted: u32,
        reply: FuserReply,
        operation: Operation<'_>,
    ) {
        let _busy = self.served.connection.standby.busy();
        let context = Context {
            unique: Unique(request.unique().0),
            uid: request.uid(),
            gid: request.gid(),
            pid: request.pid(),
            umask,
        };
        self.served.serve(context, Wanted(wanted), TransportReply::Fuser(reply), operation);
    }
}

fn inode(number: INodeNo) -> Inode {
    Inode(number.0)
}

fn handle(handle: FileHandle) -> Handle {
    Handle(handle.0)
}

fn owner(owner: fuser::LockOwner) -> LockOwner {
    LockOwner(owner.0)
}

fn name(name: &OsStr) -> Cow<'_, OsStr> {
    Cow::Borrowed(name)
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Filesystem for FuserTransport {
    fn init(&mut self, _: &Request, kernel: &mut KernelConfig) -> io::Result<()> {
        let granted = capabilities::negotiate(kernel, &self.served.properties, &self.config);
        log::debug!("the kernel grants {granted:?}");
        if granted.contains(InitFlags::FUSE_PASSTHROUGH) {
            self.served.connection.passthrough.enable();
        } else if self.served.properties.kernel_passthrough && self.config.kernel_passthrough {
            log::warn!(
                "kernel passthrough is off: this kernel does not offer it together with \
                        the mount's other settings"
            );
        }
        Ok(())
    }

    fn lookup(&self, r: &Request, parent: INodeNo, n: &OsStr, reply: ReplyEntry) {
        let operation = Operation::Lookup { parent: inode(parent), name: name(n) };
        self.serve(r, 0, 0, FuserReply::Entry(reply), operation);
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        let _forgetting = self.served.connection.standby.forgetting();
        self.served.forget(inode(ino), count);
    }

    fn getattr(&self, r: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        let operation = Operation::Getattr { inode: inode(ino), handle: fh.map(handle) };
        self.serve(r, 0, 0, FuserReply::Attr(reply), operation);
    }

    fn setattr(
        &self,
        r: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut changes = SetAttributes {
            mode: mode.map(|mode| mode & 0o7777),
            uid,
            gid,
            size,
            atime: atime.map(set_time),
            mtime: mtime.map(set_time),
            ctime: ctime.map(timestamp),
            kill_suid_sgid: false,
        };
        // fuser drops FATTR_KILL_SUIDGID. The kernel has no other reason to send a SETATTR
        // that sets nothing.
        changes.kill_suid_sgid = changes == SetAttributes::default();
        let operation = Operation::Setattr { inode: inode(ino), handle: fh.map(handle), changes };
        self.serve(r, 0, 0, FuserReply::Attr(reply), operation);
    }

    fn readlink(&self, r: &Request, ino: INodeNo, reply: ReplyData) {
        let operation = Operation::Readlink { inode: inode(ino) };
        self.serve(r, 0, 0, FuserReply::Data(reply), operation);
    }

    fn mknod(
        &self,
        r: &Request,
        parent: INodeNo,
        n: &OsStr,
        mode: u32,
        umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let operation = Operation::Mknod { parent: inode(parent), name: name(n), mode, rdev };
        self.serve(r, umask, 0, FuserReply::Entry(reply), operation);
    }

    fn mkdir(
        &self,
        r: &Request,
        parent: INodeNo,
        n: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let operation = Operation::Mkdir { parent: inode(parent), name: name(n), mode };
        self.serve(r, umask, 0, FuserReply::Entry(reply), operation);
    }

    fn unlink(&self, r: &Request, parent: INodeNo, n: &OsStr, reply: ReplyEmpty) {
        let operation = Operation::Unlink { parent: inode(parent), name: name(n) };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn rmdir(&self, r: &Request, parent: INodeNo, n: &OsStr, reply: ReplyEmpty) {
        let operation = Operation::Rmdir { parent: inode(parent), name: name(n) };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn symlink(&self, r: &Request, parent: INodeNo, n: &OsStr, target: &Path, reply: ReplyEntry) {
        let operation = Operation::Symlink {
            parent: inode(parent),
            name: name(n),
            target: name(target.as_os_str()),
        };
        self.serve(r, 0, 0, FuserReply::Entry(reply), operation);
    }

    fn rename(
        &self,
        r: &Request,
        parent: INodeNo,
        n: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: fuser::RenameFlags,
        reply: ReplyEmpty,
    ) {
        let operation = Operation::Rename {
            parent: inode(parent),
            name: name(n),
            new_parent: inode(new_parent),
            new_name: name(new_name),
            flags: RenameFlags::from_bits_retain(flags.bits()),
        };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn link(&self, r: &Request, ino: INodeNo, parent: INodeNo, n: &OsStr, reply: ReplyEntry) {
        let operation =
            Operation::Link { inode: inode(ino), new_parent: inode(parent), new_name: name(n) };
        self.serve(r, 0, 0, FuserReply::Entry(reply), operation);
    }

    fn open(&self, r: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let operation = Operation::Open { inode: inode(ino), flags: flags.0 };
        let added = direct_open::added_flags(flags.0, &self.served.properties);
        self.serve(r, 0, 0, FuserReply::Open(reply, added), operation);
    }

    fn read(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        lock_owner: Option<fuser::LockOwner>,
        reply: ReplyData,
    ) {
        let operation = Operation::Read {
            inode: inode(ino),
            handle: handle(fh),
            offset,
            size,
            flags: flags.0,
            lock_owner: lock_owner.map(owner),
        };
        self.serve(r, 0, size, FuserReply::Data(reply), operation);
    }

    fn write(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        lock_owner: Option<fuser::LockOwner>,
        reply: ReplyWrite,
    ) {
        let operation = Operation::Write {
            inode: inode(ino),
            handle: handle(fh),
            offset,
            data: Cow::Borrowed(data),
            flags: flags.0,
            lock_owner: lock_owner.map(owner),
            from_cache: write_flags.contains(WriteFlags::FUSE_WRITE_CACHE),
            kill_suid_sgid: write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID),
        };
        self.serve(r, 0, length(data.len()), FuserReply::Write(reply), operation);
    }

    fn flush(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        lock_owner: fuser::LockOwner,
        reply: ReplyEmpty,
    ) {
        let operation = Operation::Flush {
            inode: inode(ino),
            handle: handle(fh),
            lock_owner: owner(lock_owner),
        };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn release(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        flags: OpenFlags,
        lock_owner: Option<fuser::LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.served.connection.passthrough.released(inode(ino));
        let operation = Operation::Release {
            inode: inode(ino),
            handle: handle(fh),
            flags: flags.0,
            lock_owner: lock_owner.map(owner),
        };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn fsync(&self, r: &Request, ino: INodeNo, fh: FileHandle, datasync: bool, reply: ReplyEmpty) {
        let operation = Operation::Fsync { inode: inode(ino), handle: handle(fh), datasync };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn opendir(&self, r: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let operation = Operation::Opendir { inode: inode(ino), flags: flags.0 };
        self.serve(r, 0, 0, FuserReply::Opendir(reply), operation);
    }

    fn readdir(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        let operation = Operation::Readdir { inode: inode(ino), handle: handle(fh), offset };
        self.serve(r, 0, 0, FuserReply::Directory(PlainListing::new(reply)), operation);
    }

    fn readdirplus(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        let operation = Operation::Readdirplus { inode: inode(ino), handle: handle(fh), offset };
        self.serve(r, 0, 0, FuserReply::DirectoryPlus(PlusListing::new(reply)), operation);
    }

    fn releasedir(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let operation =
            Operation::Releasedir { inode: inode(ino), handle: handle(fh), flags: flags.0 };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn fsyncdir(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        let operation = Operation::Fsyncdir { inode: inode(ino), handle: handle(fh), datasync };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn statfs(&self, r: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let operation = Operation::Statfs { inode: inode(ino) };
        self.serve(r, 0, 0, FuserReply::Statfs(reply), operation);
    }

    fn setxattr(
        &self,
        r: &Request,
        ino: INodeNo,
        n: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let operation = Operation::Setxattr {
            inode: inode(ino),
            name: name(n),
            value: Cow::Borrowed(value),
            flags,
        };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn getxattr(&self, r: &Request, ino: INodeNo, n: &OsStr, size: u32, reply: ReplyXattr) {
        let operation = Operation::Getxattr { inode: inode(ino), name: name(n), size };
        self.serve(r, 0, size, FuserReply::Xattr(reply), operation);
    }

    fn listxattr(&self, r: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let operation = Operation::Listxattr { inode: inode(ino), size };
        self.serve(r, 0, size, FuserReply::Xattr(reply), operation);
    }

    fn removexattr(&self, r: &Request, ino: INodeNo, n: &OsStr, reply: ReplyEmpty) {
        let operation = Operation::Removexattr { inode: inode(ino), name: name(n) };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn access(&self, r: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        let operation = Operation::Access { inode: inode(ino), mask: mask.bits() };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn create(
        &self,
        r: &Request,
        parent: INodeNo,
        n: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let operation = Operation::Create { parent: inode(parent), name: name(n), mode, flags };
        let added = direct_open::added_flags(flags, &self.served.properties);
        self.serve(r, umask, 0, FuserReply::Create(reply, added), operation);
    }

    fn getlk(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        lock_owner: fuser::LockOwner,
        start: u64,
        end: u64,
        kind: i32,
        pid: u32,
        reply: ReplyLock,
    ) {
        let operation = Operation::Getlk {
            inode: inode(ino),
            handle: handle(fh),
            lock_owner: owner(lock_owner),
            lock: Lock { start, end, kind, pid },
        };
        self.serve(r, 0, 0, FuserReply::Lock(reply), operation);
    }

    fn setlk(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        lock_owner: fuser::LockOwner,
        start: u64,
        end: u64,
        kind: i32,
        pid: u32,
        wait: bool,
        reply: ReplyEmpty,
    ) {
        let operation = Operation::Setlk {
            inode: inode(ino),
            handle: handle(fh),
            lock_owner: owner(lock_owner),
            lock: Lock { start, end, kind, pid },
            wait,
        };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn bmap(&self, r: &Request, ino: INodeNo, block_size: u32, index: u64, reply: ReplyBmap) {
        let operation = Operation::Bmap { inode: inode(ino), block_size, index };
        self.serve(r, 0, 0, FuserReply::Bmap(reply), operation);
    }

    fn ioctl(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        flags: IoctlFlags,
        command: u32,
        data: &[u8],
        out_size: u32,
        reply: ReplyIoctl,
    ) {
        let operation = Operation::Ioctl {
            inode: inode(ino),
            handle: handle(fh),
            flags: flags.bits(),
            command,
            data: Cow::Borrowed(data),
            out_size,
        };
        self.serve(r, 0, out_size, FuserReply::Ioctl(reply), operation);
    }

    fn poll(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        notifier: PollNotifier,
        events: PollEvents,
        flags: PollFlags,
        reply: ReplyPoll,
    ) {
        // without the flag nobody waits: the caller only looks
        let waits = flags.contains(PollFlags::FUSE_POLL_SCHEDULE_NOTIFY);
        let waiter =
            waits.then(|| poll_waiter(&self.served.connection.notifications, notifier.handle().0));
        let operation = Operation::Poll {
            inode: inode(ino),
            handle: handle(fh),
            events: events.bits(),
            waiter,
        };
        self.serve(r, 0, 0, FuserReply::Poll(reply), operation);
    }

    fn fallocate(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let operation =
            Operation::Fallocate { inode: inode(ino), handle: handle(fh), offset, length, mode };
        self.serve(r, 0, 0, FuserReply::Empty(reply), operation);
    }

    fn lseek(
        &self,
        r: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let operation = Operation::Lseek { inode: inode(ino), handle: handle(fh), offset, whence };
        self.serve(r, 0, 0, FuserReply::Lseek(reply), operation);
    }

    fn copy_file_range(
        &self,
        r: &Request,
        in_inode: INodeNo,
        in_handle: FileHandle,
        in_offset: u64,
        out_inode: INodeNo,
        out_handle: FileHandle,
        out_offset: u64,
        length: u64,
        flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let operation = Operation::CopyFileRange {
            in_inode: inode(in_inode),
            in_handle: handle(in_handle),
            in_offset,
            out_inode: inode(out_inode),
            out_handle: handle(out_handle),
            out_offset,
            length,
            flags: flags.bits(),
        };
        let wanted = u32::try_from(length).unwrap_or(u32::MAX);
        self.serve(r, 0, wanted, FuserReply::Write(reply), operation);
    }
}
