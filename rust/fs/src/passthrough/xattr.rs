//! Extended attributes, POSIX ACLs among them.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use super::{Passthrough, magic_links, sys};
use crate::set_group_id::is_in_group;
use crate::{Context, Errno, Inode, Result};

/// The ACL that decides about access.
pub(super) const ACCESS_ACL: &CStr = c"system.posix_acl_access";
/// The ACL that a directory gives to what is created in it.
pub(super) const DEFAULT_ACL: &CStr = c"system.posix_acl_default";
/// Names that only CAP_SYS_ADMIN sees.
const TRUSTED: &[u8] = b"trusted.";

impl Passthrough {
    pub(super) fn set_xattr(
        &self,
        context: &Context,
        inode: Inode,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> Result<()> {
        let node = self.inodes.get(inode)?;
        let fd = self.inodes.open(&node)?;
        let name = attribute_name(name)?;
        sys::setxattr(&magic_links::path(fd.as_fd()), &name, value, flags)?;
        if name.as_c_str() == ACCESS_ACL {
            self.clear_foreign_set_group_id(context, fd.as_fd())?;
        }
        Ok(())
    }

    pub(super) fn get_xattr(&self, inode: Inode, name: &OsStr) -> Result<Vec<u8>> {
        let node = self.inodes.get(inode)?;
        let fd = self.inodes.open(&node)?;
        Ok(sys::getxattr(&magic_links::path(fd.as_fd()), &attribute_name(name)?)?)
    }

    /// The kernel passes the list on as it is, so what the caller may not see ends here.
    pub(super) fn list_xattrs(&self, context: &Context, inode: Inode) -> Result<Vec<u8>> {
        let node = self.inodes.get(inode)?;
        let fd = self.inodes.open(&node)?;
        let names = sys::listxattr(&magic_links::path(fd.as_fd()))?;
        if context.uid == 0 || !names.windows(TRUSTED.len()).any(|part| part == TRUSTED) {
            return Ok(names);
        }
        let visible = names.split_inclusive(|byte| *byte == 0);
        Ok(visible.filter(|name| !name.starts_with(TRUSTED)).flatten().copied().collect())
    }

    pub(super) fn remove_xattr(&self, inode: Inode, name: &OsStr) -> Result<()> {
        let node = self.inodes.get(inode)?;
        let fd = self.inodes.open(&node)?;
        Ok(sys::removexattr(&magic_links::path(fd.as_fd()), &attribute_name(name)?)?)
    }

    /// Setting an access ACL is a chmod: set-group-id is lost unless the caller is in the
    /// group. The kernel's word on that (SETXATTR_ACL_KILL_SGID) does not reach us.
    fn clear_foreign_set_group_id(&self, context: &Context, fd: BorrowedFd<'_>) -> Result<()> {
        let status = sys::statx(fd, c"")?;
        let mode = u32::from(status.stx_mode);
        if mode & libc::S_ISGID == 0 || is_in_group(context, status.stx_gid) {
            return Ok(());
        }
        self.set_mode(fd, mode & !libc::S_ISGID)
    }
}

fn attribute_name(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)
}
