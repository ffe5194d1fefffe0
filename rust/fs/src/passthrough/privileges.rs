//! Set-user-id and set-group-id bits, which go when a file is changed (HANDLE_KILLPRIV_V2).
//!
//! | what happens | who clears |
//! |---|---|
//! | write with the kill flag; truncate, O_TRUNC, fallocate, copy by anyone but root | the backing, in one step with the change: the thread lacks CAP_FSETID |
//! | SETATTR that asks for it | [`Passthrough::clear_set_id`] |
//! | chown | the backing, but for set-group-id without group-execute: [`Passthrough::strip_for_chown`] |
//!
//! `security.capability` is dropped by the backing at every change. A set-group-id bit
//! without group-execute, which once meant mandatory locking, goes only if the caller is not
//! in the group.

use std::os::fd::BorrowedFd;

use super::credentials::Guard;
use super::inodes::Node;
use super::{Passthrough, sys};
use crate::set_group_id::without_set_group_id;
use crate::{Context, Errno, FileType, Result};

impl Passthrough {
    /// Makes the next change of the file's content by this thread clear set-id bits, if it
    /// has any, as it would for `context`.
    pub(super) fn stripping(
        &self,
        context: &Context,
        fd: BorrowedFd<'_>,
    ) -> Result<Option<Guard<'_>>> {
        let status = sys::statx(fd, c"")?;
        let mode = u32::from(status.stx_mode);
        if mode & (libc::S_ISUID | libc::S_ISGID) == 0 {
            return Ok(None);
        }
        self.clear_lone_set_group_id(context, fd, mode, status.stx_gid)?;
        self.credentials.stripping(status.stx_gid).map(Some)
    }

    /// Makes a chown clear what it would for `context`; the rest the backing clears.
    pub(super) fn strip_for_chown(
        &self,
        context: &Context,
        node: &Node,
        fd: BorrowedFd<'_>,
    ) -> Result<()> {
        if node.kind == FileType::Directory {
            return Ok(()); // there the bit means something else
        }
        let status = sys::statx(fd, c"")?;
        self.clear_lone_set_group_id(context, fd, status.stx_mode.into(), status.stx_gid)
    }

    /// Clears a set-group-id bit without group-execute if the caller is not in the group.
    ///
    /// The backing cannot be left to do it: it looks at the thread, which may have the group
    /// by a supplement.
    fn clear_lone_set_group_id(
        &self,
        context: &Context,
        fd: BorrowedFd<'_>,
        mode: u32,
        gid: u32,
    ) -> Result<()> {
        let after = without_set_group_id(context, mode, gid);
        if mode & libc::S_IXGRP != 0 || after == mode { Ok(()) } else { self.set_mode(fd, after) }
    }

    /// The same for a change that `context` makes. (FUSE tells whether the caller lacks
    /// CAP_FSETID, but not as far as here.)
    pub(super) fn stripping_for(
        &self,
        context: &Context,
        fd: BorrowedFd<'_>,
    ) -> Result<Option<Guard<'_>>> {
        if context.uid == 0 { Ok(None) } else { self.stripping(context, fd) }
    }

    /// Clears set-id bits without another change.
    ///
    /// The kernel asks for it before a write, and for a chown that changes nobody, which it
    /// lets everybody do. So a caller who does not own the file needs a writer of it.
    pub(super) fn clear_set_id(
        &self,
        context: &Context,
        node: &Node,
        fd: BorrowedFd<'_>,
    ) -> Result<()> {
        let status = sys::statx(fd, c"")?;
        let before = u32::from(status.stx_mode);
        let after = without_set_group_id(context, before, status.stx_gid) & !libc::S_ISUID;
        if after == before {
            return Ok(());
        }
        if context.uid != 0 && context.uid != status.stx_uid && !node.has_writers() {
            return Err(Errno::EPERM);
        }
        self.set_mode(fd, after)
    }
}
