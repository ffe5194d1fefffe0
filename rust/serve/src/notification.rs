//! Notifications: what the server tells the kernel unasked, and how it is put on the wire.
//!
//! fuser has a sender of its own, but it takes the kernel's "I do not know that" (ENOENT) for
//! success, and what has to follow depends on it; so the messages are ours.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use fusesg_fs::Inode;

/// One thing that the kernel is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notification {
    /// Attributes, and the pages of a range, are not what they were. A length of 0 is up to
    /// the end; with a negative offset pages stay.
    Inode { inode: Inode, offset: i64, length: i64 },
    /// The name may mean another file, or none, or has come into being.
    Entry { parent: Inode, name: OsString },
    /// The name is gone, and with it a name of `child`.
    Deleted { parent: Inode, child: Inode, name: OsString },
    /// These are the bytes at `offset`.
    Store { inode: Inode, offset: u64, data: Vec<u8> },
    /// Who polls the open file with this number may look again.
    Poll { open_file: u64 },
}

/// Values of `enum fuse_notify_code`.
const POLL: i32 = 1;
const INVAL_INODE: i32 = 2;
const INVAL_ENTRY: i32 = 3;
const STORE: i32 = 4;
const DELETE: i32 = 6;
/// The name is to be asked for again, but an open directory of that name keeps its path.
/// Kernels before 6.2 do not look at the flags and take the name away.
const EXPIRE_ONLY: u32 = 1;

/// A message without its `struct fuse_out_header`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) code: i32,
    /// The fixed part.
    pub(crate) head: Vec<u8>,
    /// What follows: data, or a name (which `head` cannot hold) and its end.
    pub(crate) tail: [&'a [u8]; 2],
}

impl Notification {
    /// The message; `None` if it is longer than a message can be.
    pub(crate) fn message(&self) -> Option<Message<'_>> {
        let mut head = Vec::with_capacity(24);
        let mut tail: [&[u8]; 2] = [&[], &[]];
        let code = match self {
            Self::Inode { inode, offset, length } => {
                head.extend(inode.0.to_ne_bytes());
                head.extend(offset.to_ne_bytes());
                head.extend(length.to_ne_bytes());
                INVAL_INODE
            }
            Self::Entry { parent, name } => {
                head.extend(parent.0.to_ne_bytes());
                head.extend(name_length(name)?.to_ne_bytes());
                head.extend(EXPIRE_ONLY.to_ne_bytes());
                tail = [name.as_bytes(), b"\0"];
                INVAL_ENTRY
            }
            Self::Deleted { parent, child, name } => {
                head.extend(parent.0.to_ne_bytes());
                head.extend(child.0.to_ne_bytes());
                head.extend(name_length(name)?.to_ne_bytes());
                head.extend(0_u32.to_ne_bytes());
                tail = [name.as_bytes(), b"\0"];
                DELETE
            }
            Self::Store { inode, offset, data } => {
                head.extend(inode.0.to_ne_bytes());
                head.extend(offset.to_ne_bytes());
                head.extend(u32::try_from(data.len()).ok()?.to_ne_bytes());
                head.extend(0_u32.to_ne_bytes());
                tail = [data, &[]];
                STORE
            }
            Self::Poll { open_file } => {
                head.extend(open_file.to_ne_bytes());
                POLL
            }
        };
        Some(Message { code, head, tail })
    }

    /// Bytes that wait with it.
    pub(crate) fn data_length(&self) -> usize {
        match self {
            Self::Store { data, .. } => data.len(),
            _ => 0,
        }
    }
}

fn name_length(name: &OsStr) -> Option<u32> {
    u32::try_from(name.len()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_with_a_zero_that_is_not_counted() {
        let notification =
            Notification::Deleted { parent: Inode(1), child: Inode(7), name: "ab".into() };
        let message = notification.message().unwrap();
        assert_eq!(message.code, 6);
        assert_eq!(message.head[..8], 1_u64.to_ne_bytes());
        assert_eq!(message.head[8..16], 7_u64.to_ne_bytes());
        assert_eq!(message.head[16..20], 2_u32.to_ne_bytes());
        assert_eq!(message.head.len(), 24);
        assert_eq!(message.tail.concat(), b"ab\0");
    }

    #[test]
    fn names_expire() {
        let message = Notification::Entry { parent: Inode(1), name: "ab".into() };
        let message = message.message().unwrap();
        assert_eq!((message.code, message.head.len()), (3, 16));
        assert_eq!(message.head[12..], 1_u32.to_ne_bytes());
    }

    #[test]
    fn data_follows_its_length() {
        let message = Notification::Store { inode: Inode(2), offset: 4096, data: vec![5; 10] };
        let message = message.message().unwrap();
        assert_eq!((message.code, message.head.len()), (4, 24));
        assert_eq!(message.head[16..20], 10_u32.to_ne_bytes());
        assert_eq!(message.tail.concat(), [5; 10]);
    }
}
