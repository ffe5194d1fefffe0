//! What an inode shows besides its content.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::xattr::{self, CAPABILITY};
use crate::set_group_id::without_set_group_id;
use crate::{Context, FileType, Timestamp};

/// Extended attributes by name.
pub(super) type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// Owner, permissions, links, times and extended attributes of an inode.
#[derive(Debug)]
pub(super) struct Metadata {
    /// Permission bits, 0..=0o7777.
    pub(super) permissions: u16,
    /// How many names lead here; for a directory 2 and one for each in it.
    pub(super) links: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) atime: Timestamp,
    pub(super) mtime: Timestamp,
    pub(super) ctime: Timestamp,
    /// Most inodes have none: then they take the room of a pointer.
    pub(super) xattrs: Option<Box<Xattrs>>,
}

const SET_IDS: u16 = 0o6000;
const SET_USER_ID: u16 = 0o4000;

impl Metadata {
    /// Clears what lets a file act with more rights than its caller has; set-id bits only
    /// where `set_ids` says so. Returns how many bytes that frees.
    #[must_use]
    pub(super) fn drop_privileges(&mut self, context: &Context, set_ids: bool) -> u64 {
        if set_ids && self.permissions & SET_IDS != 0 {
            self.permissions = self.without_set_ids(context);
        }
        self.remove_xattr(CAPABILITY).unwrap_or(0)
    }

    /// Removes an extended attribute; returns how many bytes that frees, if it was there.
    #[must_use]
    pub(super) fn remove_xattr(&mut self, name: &[u8]) -> Option<u64> {
        let xattrs = self.xattrs.as_deref_mut()?;
        let value = xattrs.remove(name)?;
        if xattrs.is_empty() {
            self.xattrs = None;
        }
        Some(xattr::cost(name, &value))
    }

    /// The permissions without set-user-id, and without set-group-id unless it means
    /// nothing and the caller is in the group.
    pub(super) fn without_set_ids(&self, context: &Context) -> u16 {
        let kept = without_set_group_id(context, self.permissions.into(), self.gid);
        permissions(kept) & !SET_USER_ID
    }
}

/// The permission bits of a mode.
pub(super) fn permissions(mode: u32) -> u16 {
    (mode & 0o7777) as u16
}

/// Links that an inode with one name has.
pub(super) fn first_links(kind: FileType) -> u32 {
    if kind == FileType::Directory { 2 } else { 1 }
}

/// The time that a change is given.
pub(super) fn now() -> Timestamp {
    // a clock before 1970 is a mistake that nothing here depends on
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: since.subsec_nanos(),
    }
}
