//! Set-user-id and set-group-id bits, which go when a file is changed (HANDLE_KILLPRIV_V2).
//!
//! | what happens | what is cleared |
//! |---|---|
//! | write | `security.capability`; set-id bits if the kernel says so |
//! | truncate, O_TRUNC, fallocate, copy | `security.capability`; set-id bits unless root does it |
//! | chown of what is no directory | both |
//! | SETATTR that asks for it | set-id bits |
//!
//! A set-group-id bit without group-execute means nothing for running the file; it goes only
//! if the caller is not in the group.

use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use super::metadata::Metadata;
use super::node::Node;
use crate::{Context, Errno, FileType, Result};

impl Node {
    /// The content was changed by `context`: sets times and clears what is to be cleared.
    /// Called with the contents locked.
    pub(super) fn written(&self, context: &Context, clear_set_ids: bool) {
        let mut metadata = self.metadata();
        self.drop_privileges(&mut metadata, context, clear_set_ids);
        self.note_content_change(&mut metadata);
    }

    /// A new owner was given.
    pub(super) fn drop_privileges_for_chown(
        &self,
        metadata: &mut MutexGuard<'_, Metadata>,
        context: &Context,
    ) {
        // of a directory the bit means something else
        if self.kind() != FileType::Directory {
            self.drop_privileges(metadata, context, true);
        }
    }

    /// Clears set-id bits without another change.
    ///
    /// The kernel asks for it before a write, and for a chown that changes nobody, which it
    /// lets everybody do. So a caller who does not own the file needs a writer of it.
    pub(super) fn clear_set_ids(
        &self,
        metadata: &mut MutexGuard<'_, Metadata>,
        context: &Context,
    ) -> Result<()> {
        let cleared = metadata.without_set_ids(context);
        if cleared == metadata.permissions {
            return Ok(());
        }
        let owns = context.uid == 0 || context.uid == metadata.uid;
        if !owns && self.writers.load(Ordering::Relaxed) == 0 {
            return Err(Errno::EPERM);
        }
        metadata.permissions = cleared;
        self.note_change(metadata);
        Ok(())
    }

    fn drop_privileges(
        &self,
        metadata: &mut MutexGuard<'_, Metadata>,
        context: &Context,
        set_ids: bool,
    ) {
        self.limits.bytes.give_back(metadata.drop_privileges(context, set_ids));
    }
}

/// Whether a change that is no write clears set-id bits. (FUSE tells whether the caller
/// lacks CAP_FSETID, but not as far as here.)
pub(super) fn loses_set_ids(context: &Context) -> bool {
    context.uid != 0
}
