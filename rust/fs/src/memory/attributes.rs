//! getattr, setattr and statfs.

use std::sync::Arc;

use super::Memory;
use super::metadata::permissions;
use super::names::NAME_MAX;
use super::node::{BLOCK_SIZE, Node};
use super::privileges::loses_set_ids;
use crate::{
    AttributesReply, Context, FilesystemStatistics, Handle, Inode, Result, SetAttributes, SetTime,
    Timestamp,
};

impl Memory {
    pub(super) fn get_attributes(
        &self,
        inode: Inode,
        handle: Option<Handle>,
    ) -> Result<AttributesReply> {
        Ok(reply(&*self.node_of(inode, handle)?))
    }

    pub(super) fn set_attributes(
        &self,
        context: &Context,
        inode: Inode,
        handle: Option<Handle>,
        changes: &SetAttributes,
    ) -> Result<AttributesReply> {
        let node = self.node_of(inode, handle)?;
        if changes.kill_suid_sgid {
            node.clear_set_ids(&mut node.metadata(), context)?;
        }
        if let Some(size) = changes.size {
            node.truncate(context, size)?;
        }
        node.set_metadata(context, changes);
        Ok(reply(&node))
    }

    fn node_of(&self, inode: Inode, handle: Option<Handle>) -> Result<Arc<Node>> {
        match handle {
            Some(handle) => Ok(Arc::clone(self.files.get(handle)?.node())),
            None => self.inodes.get(inode),
        }
    }

    pub(super) fn statistics(&self) -> FilesystemStatistics {
        let limits = &self.tree.limits;
        let block: u64 = BLOCK_SIZE.into();
        let free = limits.bytes.left() / block;
        FilesystemStatistics {
            block_size: BLOCK_SIZE,
            fragment_size: BLOCK_SIZE,
            blocks: limits.bytes.limit() / block,
            blocks_free: free,
            blocks_available: free,
            files: limits.inodes.limit(),
            files_free: limits.inodes.left(),
            name_max: NAME_MAX,
        }
    }
}

impl Node {
    /// Sets the length, as `context` asks for it.
    pub(super) fn truncate(&self, context: &Context, size: u64) -> Result<()> {
        let mut contents = self.write_contents()?;
        contents.resize(&self.limits.bytes, size)?;
        self.written(context, loses_set_ids(context));
        Ok(())
    }

    /// Owner, mode and times, in this order: a new owner clears bits of the mode.
    fn set_metadata(&self, context: &Context, changes: &SetAttributes) {
        let &SetAttributes { mode, uid, gid, atime, mtime, ctime, .. } = changes;
        let owner = uid.is_some() || gid.is_some();
        if !owner && mode.is_none() && atime.is_none() && mtime.is_none() && ctime.is_none() {
            return;
        }
        let mut metadata = self.metadata();
        if owner {
            self.drop_privileges_for_chown(&mut metadata, context);
            metadata.uid = uid.unwrap_or(metadata.uid);
            metadata.gid = gid.unwrap_or(metadata.gid);
        }
        if let Some(mode) = mode {
            metadata.permissions = permissions(mode);
        }
        self.note_change(&mut metadata);
        let time = metadata.ctime;
        metadata.atime = atime.map_or(metadata.atime, |set| point(set, time));
        metadata.mtime = mtime.map_or(metadata.mtime, |set| point(set, time));
        metadata.ctime = ctime.unwrap_or(time);
    }
}

fn point(set: SetTime, now: Timestamp) -> Timestamp {
    match set {
        SetTime::Now => now,
        SetTime::At(time) => time,
    }
}

fn reply(node: &Node) -> AttributesReply {
    AttributesReply { attributes: node.attributes(), timeout: None }
}
