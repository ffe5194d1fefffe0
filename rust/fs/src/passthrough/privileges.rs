//! Set-user-id and set-group-id bits, which go when a file is changed (HANDLE_KILLPRIV_V2).
//!
//! | what happens | who clears |
//! |---|---|
//! | write with the kill flag; truncate, O_TRUNC, fallocate, copy by anyone but root | the backing, in one step with the change: the thread lacks CAP_FSETID |
//! | SETATTR that asks for it | [`Passthrough::clear_set_id`] |
//! | chown | the backing, always |
//!
//! `security.capability` is dropped by the backing at every change. A set-group-id bit goes
//! only where group-execute is set; without it the bit once meant mandatory locking.

use std::os::fd::BorrowedFd;

use super::credentials::Guard;
use super::{Passthrough, sys};
use crate::{Context, Result};

impl Passthrough {
    /// Makes the next change of the file's content by this thread clear set-id bits, if it
    /// has any.
    pub(super) fn stripping(&self, fd: BorrowedFd<'_>) -> Result<Option<Guard<'_>>> {
        let status = sys::statx(fd, c"")?;
        if u32::from(status.stx_mode) & (libc::S_ISUID | libc::S_ISGID) == 0 {
            return Ok(None);
        }
        self.credentials.stripping(status.stx_gid).map(Some)
    }

    /// The same for a change that `context` makes. (FUSE tells whether the caller lacks
    /// CAP_FSETID, but not as far as here.)
    pub(super) fn stripping_for(
        &self,
        context: &Context,
        fd: BorrowedFd<'_>,
    ) -> Result<Option<Guard<'_>>> {
        if context.uid == 0 { Ok(None) } else { self.stripping(fd) }
    }

    /// Clears set-id bits without another change.
    pub(super) fn clear_set_id(&self, fd: BorrowedFd<'_>) -> Result<()> {
        let before = u32::from(sys::statx(fd, c"")?.stx_mode);
        let mut after = before & !libc::S_ISUID;
        if before & libc::S_IXGRP != 0 {
            after &= !libc::S_ISGID;
        }
        if after == before { Ok(()) } else { self.set_mode(fd, after) }
    }
}
