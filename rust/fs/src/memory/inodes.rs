//! The inodes that the kernel knows, each with the number of lookups it has yet to give back.
//!
//! Spread over several tables, each with a lock of its own, so that threads which work on
//! different inodes rarely meet.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use log::warn;
use parking_lot::RwLock;

use super::node::Node;
use crate::{Errno, Inode, Result};

const SHARDS: usize = 16;

/// All inodes that the kernel knows.
#[derive(Debug)]
pub(super) struct Inodes {
    /// Never forgotten.
    root: Arc<Node>,
    shards: [RwLock<HashMap<Inode, Known>>; SHARDS],
    /// The kernel that knew them is gone.
    ended: AtomicBool,
}

#[derive(Debug)]
struct Known {
    node: Arc<Node>,
    lookups: u64,
}

impl Inodes {
    /// A table with the root only.
    pub(super) fn new(root: Arc<Node>) -> Self {
        Self { root, shards: Default::default(), ended: AtomicBool::new(false) }
    }

    /// A node that the kernel names.
    pub(super) fn get(&self, number: Inode) -> Result<Arc<Node>> {
        if number == Inode::ROOT {
            return Ok(Arc::clone(&self.root));
        }
        match self.shard(number).read().get(&number) {
            Some(known) => Ok(Arc::clone(&known.node)),
            None => Err(Errno::ESTALE),
        }
    }

    /// Counts one lookup of `node`.
    pub(super) fn remember(&self, node: &Arc<Node>) {
        if node.number != Inode::ROOT {
            let mut shard = self.shard(node.number).write();
            let new = || Known { node: Arc::clone(node), lookups: 0 };
            shard.entry(node.number).or_insert_with(new).lookups += 1;
        }
    }

    /// Counts one more lookup of an inode that is known; `false` if it is not.
    pub(super) fn retain(&self, number: Inode) -> bool {
        if number == Inode::ROOT {
            return true;
        }
        let mut shard = self.shard(number).write();
        shard.get_mut(&number).map(|known| known.lookups += 1).is_some()
    }

    /// Takes back `count` lookups.
    pub(super) fn forget(&self, number: Inode, count: u64) {
        if number == Inode::ROOT {
            return;
        }
        let forgotten = {
            let mut shard = self.shard(number).write();
            match shard.get_mut(&number) {
                Some(known) if known.lookups > count => {
                    known.lookups -= count;
                    None
                }
                Some(_) => shard.remove(&number),
                // an entry that was kept beyond the mount's end
                None if self.have_ended() => None,
                None => {
                    warn!("forget of {count} lookups of inode {number}, which is not known");
                    None
                }
            }
        };
        // may free a large file, without the lock
        drop(forgotten);
    }

    /// Forgets all inodes but the root.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        for shard in &self.shards {
            let known = std::mem::take(&mut *shard.write());
            drop(known);
        }
    }

    /// Whether [`end`](Self::end) was called.
    pub(super) fn have_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// How many inodes the kernel knows besides the root.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
    fn shard(&self, number: Inode) -> &RwLock<HashMap<Inode, Known>> {
        &self.shards[number.0 as usize % SHARDS]
    }
}
