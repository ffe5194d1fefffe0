//! The mode of what is created: the caller's umask, default ACLs, the daemon's umask.
//!
//! Where ACLs are declared the kernel leaves the umask to us, since a default ACL of the
//! parent takes its place. The daemon's own umask, which belongs to the whole process and
//! is not ours to change, may take more; what it took is given back afterwards. (Between
//! the two the new inode is stricter than asked for, never laxer.)

use std::os::fd::BorrowedFd;

use super::{Passthrough, magic_links, sys, xattr};
use crate::Context;

/// Bits that a umask can take away.
const RWX: u32 = 0o777;

impl Passthrough {
    /// `mode` as the backing file system is to be asked for it.
    pub(super) fn masked_mode(&self, context: &Context, parent: BorrowedFd<'_>, mode: u32) -> u32 {
        let masked = mode & !(context.umask & RWX);
        if self.posix_acl && masked != mode && !has_default_acl(parent) { masked } else { mode }
    }

    /// Gives back what the daemon's umask took from `wanted`, where the backing can: one
    /// that has no such modes (vfat) has created the inode all the same.
    pub(super) fn undo_own_umask(
        &self,
        parent: BorrowedFd<'_>,
        created: BorrowedFd<'_>,
        wanted: u32,
        created_mode: u32,
    ) {
        let taken = wanted & !created_mode & RWX;
        if taken == 0 || (self.posix_acl && has_default_acl(parent)) {
            return;
        }
        if let Err(errno) = self.set_mode(created, created_mode | taken) {
            log::debug!("a new inode keeps mode {created_mode:o} instead of {wanted:o}: {errno}");
        }
    }
}

/// Whether what is created in `parent` gets its mode from an ACL.
fn has_default_acl(parent: BorrowedFd<'_>) -> bool {
    sys::getxattr(&magic_links::path(parent), xattr::DEFAULT_ACL).is_ok()
}
