//! Extended attributes: `user.*`, `trusted.*` and `security.*`.
//!
//! POSIX ACLs (`system.*`) are not kept. What the kernel checks before it asks: who may use
//! which namespace, that a name has at most 255 bytes and a value at most 64 KiB.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::Memory;
use super::metadata::Xattrs;
use crate::{Context, Errno, Inode, Result};

/// Names that only CAP_SYS_ADMIN sees.
const TRUSTED: &[u8] = b"trusted.";
const NAMESPACES: [&[u8]; 3] = [b"user.", TRUSTED, b"security."];
/// What the kernel takes as the length of all names (`XATTR_LIST_MAX`).
const LIST_MAX: usize = 65536;
/// File capabilities.
pub(super) const CAPABILITY: &[u8] = b"security.capability";

impl Memory {
    pub(super) fn set_xattr(
        &self,
        inode: Inode,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> Result<()> {
        let node = self.inodes.get(inode)?;
        let name = attribute_name(name)?;
        let mut metadata = node.metadata();
        let names = metadata.xattrs.as_deref();
        let old = names.and_then(|xattrs| xattrs.get(name));
        match (old, flags) {
            (Some(_), libc::XATTR_CREATE) => return Err(Errno::EEXIST),
            (None, libc::XATTR_REPLACE) => return Err(Errno::ENODATA),
            (_, 0 | libc::XATTR_CREATE | libc::XATTR_REPLACE) => {}
            _ => return Err(Errno::EINVAL),
        }
        let before = old.map_or(0, |old| cost(name, old));
        if old.is_none() && names.map_or(0, list_length) + name.len() + 1 > LIST_MAX {
            return Err(Errno::ENOSPC);
        }
        let after = cost(name, value);
        node.limits.bytes.take(after.saturating_sub(before))?;
        node.limits.bytes.give_back(before.saturating_sub(after));
        metadata.xattrs.get_or_insert_default().insert(name.into(), value.into());
        node.note_change(&mut metadata);
        Ok(())
    }

    pub(super) fn get_xattr(&self, inode: Inode, name: &OsStr) -> Result<Vec<u8>> {
        let node = self.inodes.get(inode)?;
        let name = attribute_name(name)?;
        let metadata = node.metadata();
        let value = metadata.xattrs.as_deref().and_then(|xattrs| xattrs.get(name));
        value.map(|value| value.to_vec()).ok_or(Errno::ENODATA)
    }

    /// The kernel passes the list on as it is, so what the caller may not see ends here.
    pub(super) fn list_xattrs(&self, context: &Context, inode: Inode) -> Result<Vec<u8>> {
        let node = self.inodes.get(inode)?;
        let metadata = node.metadata();
        let Some(xattrs) = metadata.xattrs.as_deref() else { return Ok(Vec::new()) };
        let mut list = Vec::with_capacity(list_length(xattrs));
        for name in xattrs.keys() {
            if context.uid == 0 || !name.starts_with(TRUSTED) {
                list.extend_from_slice(name);
                list.push(0);
            }
        }
        Ok(list)
    }

    pub(super) fn remove_xattr(&self, inode: Inode, name: &OsStr) -> Result<()> {
        let node = self.inodes.get(inode)?;
        let name = attribute_name(name)?;
        let mut metadata = node.metadata();
        let removed = metadata.remove_xattr(name).ok_or(Errno::ENODATA)?;
        node.limits.bytes.give_back(removed);
        node.note_change(&mut metadata);
        Ok(())
    }
}

/// Bytes that attributes take of the limit.
pub(super) fn bytes(xattrs: &Xattrs) -> u64 {
    xattrs.iter().map(|(name, value)| cost(name, value)).sum()
}

pub(super) fn cost(name: &[u8], value: &[u8]) -> u64 {
    name.len() as u64 + value.len() as u64
}

/// Length of the list of names, each with its NUL.
fn list_length(xattrs: &Xattrs) -> usize {
    xattrs.keys().map(|name| name.len() + 1).sum()
}

/// A name that can be kept; ENOTSUP for one of a namespace that is not.
fn attribute_name(name: &OsStr) -> Result<&[u8]> {
    let bytes = name.as_bytes();
    if bytes.contains(&0) {
        return Err(Errno::EINVAL);
    }
    match NAMESPACES.into_iter().find_map(|namespace| bytes.strip_prefix(namespace)) {
        Some([]) => Err(Errno::EINVAL),
        Some(_) => Ok(bytes),
        None => Err(Errno::ENOTSUP),
    }
}
