//! An inode that the client knows: one lookup, given back when it is no longer needed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fusesg_fs::{Attributes, Errno, Inode, Operation, Reply, Result};

use super::session::Session;

/// A counted reference to an inode; dropped, it sends FORGET.
#[derive(Debug)]
pub(super) struct Node {
    session: Arc<Session>,
    inode: Inode,
    /// What the lookup told; the root has none, and is never looked up.
    attributes: Option<Attributes>,
}

impl Node {
    /// The root directory, which counts no lookups.
    pub(super) fn root(session: &Arc<Session>) -> Self {
        Self { session: Arc::clone(session), inode: Inode::ROOT, attributes: None }
    }

    /// What an entry leads to; the entry counted as a lookup.
    pub(super) fn looked_up(session: &Arc<Session>, attributes: Attributes) -> Self {
        session.lookups.fetch_add(1, Ordering::Relaxed);
        let inode = attributes.inode;
        Self { session: Arc::clone(session), inode, attributes: Some(attributes) }
    }

    pub(super) fn inode(&self) -> Inode {
        self.inode
    }

    /// The attributes as the lookup told them; asked for where there was none.
    pub(super) fn attributes(&self) -> Result<Attributes> {
        self.attributes.map_or_else(|| self.current_attributes(), Ok)
    }

    /// The attributes as they are now.
    pub(super) fn current_attributes(&self) -> Result<Attributes> {
        self.session.attributes_of(self.inode, None)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.attributes.is_some() {
            self.session.forget(self.inode, 1);
        }
    }
}

impl Session {
    /// The attributes of an inode.
    pub(super) fn attributes_of(
        &self,
        inode: Inode,
        handle: Option<fusesg_fs::Handle>,
    ) -> Result<Attributes> {
        match self.ask(Operation::Getattr { inode, handle })? {
            Reply::Attributes(reply) => Ok(reply.attributes),
            _ => Err(Errno::EIO),
        }
    }
}
