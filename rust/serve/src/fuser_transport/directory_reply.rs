//! Directory listings.
//!
//! fuser's READDIRPLUS buffer says when the kernel's buffer is full, but it cannot hold an
//! entry that has a `d_ino` and no lookup, and it knows one timeout for entry and
//! attributes; and neither of its buffers has a name for a `d_type` that is not known. So
//! the message is written here as well, and where it differs from fuser's
//! it is sent by [`OwnReply`](crate::own_reply::OwnReply).

use fuser::{Errno as FuserErrno, Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus};
use fusesg_fs::{Attributes, DirectoryEntry, Entry, FileType, Unique};

use super::attributes::{file_attr, file_type};
use super::reply::timeouts;
use crate::connection::Connection;
use crate::own_reply::expecting_failure;

/// READDIR.
#[derive(Debug)]
pub(crate) struct PlainListing {
    reply: ReplyDirectory,
    message: Vec<u8>,
    /// The message says something that fuser's cannot.
    own: bool,
}

impl PlainListing {
    pub(super) fn new(reply: ReplyDirectory) -> Self {
        Self { reply, message: Vec::new(), own: false }
    }

    pub(super) fn add(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        // fuser has no word for a type that is not known
        self.own |= entry.kind.is_none();
        let kind = file_type(entry.kind.unwrap_or(FileType::Regular));
        if self.reply.add(INodeNo(entry.inode.0), entry.next_offset, kind, entry.name) {
            return false;
        }
        encode_name(&mut self.message, entry);
        true
    }

    pub(super) fn send(self, connection: &Connection, unique: Unique) {
        if self.own {
            send(connection, unique, &self.message, |errno| self.reply.error(errno));
        } else {
            self.reply.ok();
        }
    }

    pub(super) fn error(self, errno: FuserErrno) {
        self.reply.error(errno);
    }
}

/// READDIRPLUS.
#[derive(Debug)]
pub(crate) struct PlusListing {
    reply: ReplyDirectoryPlus,
    message: Vec<u8>,
    /// The message says something that fuser's cannot.
    own: bool,
}

impl PlusListing {
    pub(super) fn new(reply: ReplyDirectoryPlus) -> Self {
        Self { reply, message: Vec::new(), own: false }
    }

    pub(super) fn add(&mut self, connection: &Connection, entry: &DirectoryEntry<'_>) -> bool {
        // `.` and `..` carry attributes but no lookup: the kernel neither counts nor uses them
        let dots = entry.name == "." || entry.name == "..";
        let described = entry.entry.filter(|_| !dots);
        let named = Entry {
            attributes: Attributes {
                inode: entry.inode,
                kind: entry.kind.unwrap_or(FileType::Regular),
                ..Entry::NEGATIVE.attributes
            },
            ..Entry::NEGATIVE
        };
        let shown = described.unwrap_or(&named);
        let (attribute_timeout, entry_timeout) = timeouts(connection, shown);
        let full = self.reply.add(
            INodeNo(entry.inode.0),
            entry.next_offset,
            entry.name,
            &entry_timeout,
            &file_attr(connection, &shown.attributes),
            Generation(shown.generation),
        );
        if full {
            return false;
        }
        self.own |= match described {
            Some(described) => {
                attribute_timeout != entry_timeout
                    || described.attributes.inode != entry.inode
                    || Some(described.attributes.kind) != entry.kind
            }
            None => !dots,
        };
        encode_entry(&mut self.message, connection, described);
        encode_name(&mut self.message, entry);
        true
    }

    pub(super) fn send(self, connection: &Connection, unique: Unique) {
        if self.own {
            send(connection, unique, &self.message, |errno| self.reply.error(errno));
        } else {
            self.reply.ok();
        }
    }

    pub(super) fn error(self, errno: FuserErrno) {
        self.reply.error(errno);
    }
}

/// Sends a message of our own; fuser's reply, which is then used up by `error`, says EIO
/// where that fails.
fn send(connection: &Connection, unique: Unique, message: &[u8], error: impl FnOnce(FuserErrno)) {
    match connection.own_reply.data(unique, message) {
        Ok(()) => expecting_failure(|| error(FuserErrno::EIO)),
        Err(problem) => {
            log::error!("a listing could not be sent ({problem}); EIO instead");
            error(FuserErrno::EIO);
        }
    }
}

/// `struct fuse_dirent`: 24 bytes and the name, padded to 8 bytes (as `fuse_entry_out` is).
fn encode_name(message: &mut Vec<u8>, entry: &DirectoryEntry<'_>) {
    let name = entry.name.as_encoded_bytes();
    let name_length = u32::try_from(name.len()).expect("the entry fitted the buffer");
    let kind = entry.kind.map_or(0, FileType::mode) >> 12;
    message.extend_from_slice(&entry.inode.0.to_ne_bytes());
    message.extend_from_slice(&entry.next_offset.to_ne_bytes());
    message.extend_from_slice(&name_length.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(name);
    message.resize(message.len().next_multiple_of(8), 0);
}

/// `struct fuse_entry_out`, 128 bytes; all zero for a name without a lookup.
fn encode_entry(message: &mut Vec<u8>, connection: &Connection, entry: Option<&Entry>) {
    let Some(entry) = entry else {
        message.resize(message.len() + 128, 0);
        return;
    };
    let (attribute_timeout, entry_timeout) = timeouts(connection, entry);
    let attributes = &entry.attributes;
    let mut long = |value: u64| message.extend_from_slice(&value.to_ne_bytes());
    long(attributes.inode.0);
    long(entry.generation);
    long(entry_timeout.as_secs());
    long(attribute_timeout.as_secs());
    message.extend_from_slice(&entry_timeout.subsec_nanos().to_ne_bytes());
    message.extend_from_slice(&attribute_timeout.subsec_nanos().to_ne_bytes());
    let mut long = |value: u64| message.extend_from_slice(&value.to_ne_bytes());
    long(attributes.inode.0);
    long(attributes.size);
    long(attributes.blocks);
    let times = [attributes.atime, attributes.mtime, attributes.ctime];
    for time in times {
        message.extend_from_slice(&time.seconds.to_ne_bytes());
    }
    for time in times {
        message.extend_from_slice(&time.nanoseconds.to_ne_bytes());
    }
    let words = [
        attributes.mode(),
        attributes.links,
        attributes.uid,
        attributes.gid,
        attributes.rdev,
        connection.block_size(attributes),
        0,
    ];
    for word in words {
        message.extend_from_slice(&word.to_ne_bytes());
    }
}
