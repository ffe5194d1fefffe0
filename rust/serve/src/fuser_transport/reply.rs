//! Sending a reply through fuser.

use std::time::Duration;

use fuser::{
    Errno as FuserErrno, FileHandle, FopenFlags, Generation, PollEvents, ReplyAttr, ReplyBmap,
    ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLock, ReplyLseek, ReplyOpen,
    ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr,
};
use fusesg_fs::{DirectoryEntry, Entry, Errno, Inode, Opened, OpenedFlags, Reply, Result, Unique};

use super::attributes::file_attr;
use super::directory_reply::{PlainListing, PlusListing};
use crate::connection::Connection;

/// fuser's reply object for one request.
#[derive(Debug)]
pub(crate) enum FuserReply {
    Attr(ReplyAttr),
    Bmap(ReplyBmap),
    /// With what the transport adds to the file system's flags.
    Create(ReplyCreate, OpenedFlags),
    Data(ReplyData),
    Directory(PlainListing),
    DirectoryPlus(PlusListing),
    Empty(ReplyEmpty),
    Entry(ReplyEntry),
    Ioctl(ReplyIoctl),
    Lock(ReplyLock),
    Lseek(ReplyLseek),
    /// With what the transport adds to the file system's flags.
    Open(ReplyOpen, OpenedFlags),
    Opendir(ReplyOpen),
    Poll(ReplyPoll),
    Statfs(ReplyStatfs),
    Write(ReplyWrite),
    Xattr(ReplyXattr),
}

impl FuserReply {
    /// Sends an answer other than [`Reply::Data`]. `false`: an error was sent in its place,
    /// and the kernel does not know the handle in it.
    pub(crate) fn send(
        self,
        connection: &Connection,
        unique: Unique,
        inode: Inode,
        result: Result<Reply>,
    ) -> bool {
        let reply = match result {
            Ok(reply) => reply,
            Err(errno) => {
                self.error(errno);
                return true;
            }
        };
        match (self, reply) {
            (Self::Open(sender, added), Reply::Opened(opened)) => {
                return send_opened(sender, connection, inode, &opened, added);
            }
            (Self::Create(sender, added), Reply::Created(entry, opened)) => {
                return send_created(sender, connection, &entry, &opened, added);
            }
            (Self::Empty(sender), Reply::Done) => sender.ok(),
            (Self::Directory(listing), Reply::Done) => listing.send(connection, unique),
            (Self::DirectoryPlus(listing), Reply::Done) => listing.send(connection, unique),
            (Self::Entry(sender), Reply::Entry(entry)) => send_entry(sender, connection, &entry),
            (Self::Attr(sender), Reply::Attributes(reply)) => sender.attr(
                &reply.timeout.unwrap_or(connection.attribute_timeout),
                &file_attr(connection, &reply.attributes),
            ),
            (Self::Data(sender), Reply::Target(target)) => sender.data(&target),
            (Self::Opendir(sender), Reply::Opened(opened)) => {
                let flags = treatment(&opened, connection.directory_defaults);
                sender.opened(FileHandle(opened.handle.0), fopen_flags(flags));
            }
            (Self::Write(sender), Reply::Written(bytes)) => sender.written(bytes),
            (Self::Statfs(sender), Reply::Statistics(s)) => sender.statfs(
                s.blocks,
                s.blocks_free,
                s.blocks_available,
                s.files,
                s.files_free,
                s.block_size,
                s.name_max,
                s.fragment_size,
            ),
            (Self::Xattr(sender), Reply::Written(length)) => sender.size(length),
            (Self::Xattr(sender), Reply::Xattr(value)) => sender.data(&value),
            (Self::Lock(sender), Reply::Lock(lock)) => {
                sender.locked(lock.start, lock.end, lock.kind, lock.pid);
            }
            (Self::Bmap(sender), Reply::Block(block)) => sender.bmap(block),
            (Self::Ioctl(sender), Reply::Ioctl { result, data }) => sender.ioctl(result, &data),
            (Self::Poll(sender), Reply::Events(events)) => {
                sender.poll(PollEvents::from_bits_retain(events));
            }
            (Self::Lseek(sender), Reply::Offset(offset)) => match i64::try_from(offset) {
                Ok(offset) => sender.offset(offset),
                Err(_) => sender.error(FuserErrno::EOVERFLOW),
            },
            (sender, reply) => {
                // the responder lets only fitting replies through
                log::error!("{reply:?} cannot be sent as {sender:?}; EIO instead");
                sender.error(Errno::EIO);
            }
        }
        true
    }

    /// Sends the bytes of a READ.
    pub(crate) fn data(self, bytes: &[u8]) {
        match self {
            Self::Data(sender) => sender.data(bytes),
            // the responder lets only fitting replies through
            sender => sender.error(Errno::EIO),
        }
    }

    /// Uses up the reply of a request that was answered already.
    pub(crate) fn discard(self) {
        self.error(Errno::EIO);
    }

    /// Appends to a listing.
    pub(crate) fn add_entry(
        &mut self,
        connection: &Connection,
        entry: &DirectoryEntry<'_>,
    ) -> bool {
        match self {
            Self::Directory(listing) => listing.add(entry),
            Self::DirectoryPlus(listing) => listing.add(connection, entry),
            _ => false,
        }
    }

    pub(crate) fn error(self, errno: Errno) {
        let errno = FuserErrno::from_i32(errno.number());
        match self {
            Self::Attr(sender) => sender.error(errno),
            Self::Bmap(sender) => sender.error(errno),
            Self::Create(sender, _) => sender.error(errno),
            Self::Data(sender) => sender.error(errno),
            Self::Directory(listing) => listing.error(errno),
            Self::DirectoryPlus(listing) => listing.error(errno),
            Self::Empty(sender) => sender.error(errno),
            Self::Entry(sender) => sender.error(errno),
            Self::Ioctl(sender) => sender.error(errno),
            Self::Lock(sender) => sender.error(errno),
            Self::Lseek(sender) => sender.error(errno),
            Self::Open(sender, _) | Self::Opendir(sender) => sender.error(errno),
            Self::Poll(sender) => sender.error(errno),
            Self::Statfs(sender) => sender.error(errno),
            Self::Write(sender) => sender.error(errno),
            Self::Xattr(sender) => sender.error(errno),
        }
    }
}

/// How long the kernel may believe the attributes and the name of `entry`.
pub(super) fn timeouts(connection: &Connection, entry: &Entry) -> (Duration, Duration) {
    let default = if entry.attributes.inode == Inode(0) {
        connection.negative_timeout
    } else {
        connection.entry_timeout
    };
    (
        entry.attribute_timeout.unwrap_or(connection.attribute_timeout),
        entry.entry_timeout.unwrap_or(default),
    )
}

fn send_entry(sender: ReplyEntry, connection: &Connection, entry: &Entry) {
    let (attribute_timeout, entry_timeout) = timeouts(connection, entry);
    sender.entry_with_ttls(
        &attribute_timeout,
        &entry_timeout,
        &file_attr(connection, &entry.attributes),
        Generation(entry.generation),
    );
}

fn send_opened(
    sender: ReplyOpen,
    connection: &Connection,
    inode: Inode,
    opened: &Opened,
    added: OpenedFlags,
) -> bool {
    let handle = FileHandle(opened.handle.0);
    let flags = treatment(opened, connection.file_defaults);
    let backing = connection
        .passthrough
        .opened(inode, opened.passthrough.as_deref(), |backing| sender.open_backing(backing));
    match backing {
        Ok(Some(backing)) => {
            sender.opened_passthrough(handle, passthrough_flags(flags), &backing);
        }
        Ok(None) => sender.opened(handle, fopen_flags(flags | added)),
        Err(errno) => {
            sender.error(FuserErrno::from_i32(errno.number()));
            return false;
        }
    }
    true
}

fn send_created(
    sender: ReplyCreate,
    connection: &Connection,
    entry: &Entry,
    opened: &Opened,
    added: OpenedFlags,
) -> bool {
    let handle = FileHandle(opened.handle.0);
    let flags = treatment(opened, connection.file_defaults);
    let (attribute_timeout, entry_timeout) = timeouts(connection, entry);
    // fuser has one timeout for both: the shorter keeps either promise
    let timeout = attribute_timeout.min(entry_timeout);
    let attributes = file_attr(connection, &entry.attributes);
    let generation = Generation(entry.generation);
    let backing = connection.passthrough.opened(
        entry.attributes.inode,
        opened.passthrough.as_deref(),
        |backing| sender.open_backing(backing),
    );
    match backing {
        Ok(Some(backing)) => sender.created_passthrough(
            &timeout,
            &attributes,
            generation,
            handle,
            passthrough_flags(flags),
            &backing,
        ),
        Ok(None) => {
            let flags = fopen_flags(flags | added);
            sender.created(&timeout, &attributes, generation, handle, flags);
        }
        Err(errno) => {
            sender.error(FuserErrno::from_i32(errno.number()));
            return false;
        }
    }
    true
}

/// What the file system decided, and the mount's defaults for the rest.
fn treatment(opened: &Opened, defaults: OpenedFlags) -> OpenedFlags {
    opened.flags | (defaults - opened.decided)
}

fn fopen_flags(flags: OpenedFlags) -> FopenFlags {
    FopenFlags::from_bits_truncate(flags.bits()) - FopenFlags::FOPEN_PASSTHROUGH
}

/// The kernel refuses kernel passthrough together with any other flag.
fn passthrough_flags(flags: OpenedFlags) -> FopenFlags {
    fopen_flags(
        flags
            & (OpenedFlags::DIRECT_IO
                | OpenedFlags::PARALLEL_DIRECT_WRITES
                | OpenedFlags::NO_FLUSH),
    )
}
