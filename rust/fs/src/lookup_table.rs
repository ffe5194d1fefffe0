//! The inodes that the kernel knows, each with the number of lookups it has yet to give back.
//!
//! ```text
//! lookup ──► remember ──► node ──► forget (the count reaches 0) ──► dropped
//! ```
//! One lock makes "found" and "count raised" one step, so that a FORGET in between cannot take
//! the node away. Operations clone the `Arc` and work without the lock. Nodes are spread over
//! several tables, each with a lock of its own, so that threads which work on different inodes
//! rarely meet.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use log::warn;
use parking_lot::RwLock;

use crate::{Errno, Inode, Result};

const SHARDS: usize = 16;

/// The nodes of a file system that the kernel knows.
#[derive(Debug)]
pub(crate) struct LookupTable<N> {
    /// Never forgotten.
    root: Arc<N>,
    shards: [RwLock<HashMap<Inode, Known<N>>>; SHARDS],
    /// The kernel that knew them is gone.
    ended: AtomicBool,
}

#[derive(Debug)]
struct Known<N> {
    node: Arc<N>,
    lookups: u64,
}

impl<N> LookupTable<N> {
    /// A table with the root only.
    pub(crate) fn new(root: Arc<N>) -> Self {
        let shards = std::array::from_fn(|_| RwLock::default());
        Self { root, shards, ended: AtomicBool::new(false) }
    }

    /// A node that the kernel names.
    pub(crate) fn get(&self, number: Inode) -> Result<Arc<N>> {
        if number == Inode::ROOT {
            return Ok(Arc::clone(&self.root));
        }
        match self.shard(number).read().get(&number) {
            Some(known) => Ok(Arc::clone(&known.node)),
            None => Err(Errno::ESTALE),
        }
    }

    /// Counts one lookup of what was `found` under that number. It has the node that is known,
    /// if that `is_the_same`; else one is made, which takes over the lookups of the other. No
    /// other thread finds or forgets the number meanwhile.
    pub(crate) fn remember<F>(
        &self,
        number: Inode,
        found: F,
        is_the_same: impl FnOnce(&N, &F) -> bool,
        make: impl FnOnce(F, Option<&N>) -> Arc<N>,
    ) -> Arc<N> {
        if number == Inode::ROOT {
            return Arc::clone(&self.root);
        }
        let mut shard = self.shard(number).write();
        let (node, lookups) = match shard.get_mut(&number) {
            Some(known) if is_the_same(&known.node, &found) => {
                known.lookups += 1;
                return Arc::clone(&known.node);
            }
            Some(known) => (make(found, Some(&known.node)), known.lookups + 1),
            None => (make(found, None), 1),
        };
        let replaced = shard.insert(number, Known { node: Arc::clone(&node), lookups });
        drop(shard);
        drop(replaced);
        node
    }

    /// Counts one more lookup of an inode that is known; `false` if it is not.
    pub(crate) fn retain(&self, number: Inode) -> bool {
        if number == Inode::ROOT {
            return true;
        }
        let mut shard = self.shard(number).write();
        shard.get_mut(&number).map(|known| known.lookups += 1).is_some()
    }

    /// Takes back `count` lookups; with the last one the node goes.
    pub(crate) fn forget(&self, number: Inode, count: u64) {
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
        // may free a large file or close a descriptor, without the lock
        drop(forgotten);
    }

    /// Forgets all nodes but the root.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        for shard in &self.shards {
            let known = std::mem::take(&mut *shard.write());
            drop(known);
        }
    }

    /// Whether [`end`](Self::end) was called.
    pub(crate) fn have_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// How many nodes the kernel knows besides the root.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
    fn shard(&self, number: Inode) -> &RwLock<HashMap<Inode, Known<N>>> {
        &self.shards[number.0 as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: Inode = Inode(7);

    fn table() -> LookupTable<char> {
        LookupTable::new(Arc::new('/'))
    }

    fn remember(table: &LookupTable<char>, node: char) -> Arc<char> {
        table.remember(NUMBER, node, |known, found| known == found, |found, _| Arc::new(found))
    }

    #[test]
    fn a_node_is_known_until_all_its_lookups_are_given_back() {
        let table = table();
        remember(&table, 'a');
        remember(&table, 'a');
        assert!(table.retain(NUMBER));
        table.forget(NUMBER, 2);
        assert_eq!(table.get(NUMBER).as_deref(), Ok(&'a'));
        table.forget(NUMBER, 1);
        assert_eq!(table.get(NUMBER), Err(Errno::ESTALE));
        assert!(!table.retain(NUMBER));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn another_node_of_the_number_takes_the_lookups_over() {
        let table = table();
        remember(&table, 'a');
        assert_eq!(*remember(&table, 'b'), 'b');
        table.forget(NUMBER, 1);
        assert_eq!(table.get(NUMBER).as_deref(), Ok(&'b'));
        table.forget(NUMBER, 1);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn the_root_stays() {
        let table = table();
        table.forget(Inode::ROOT, 5);
        table.end();
        assert_eq!(table.get(Inode::ROOT).as_deref(), Ok(&'/'));
        let other = |found, _: Option<&_>| Arc::new(found);
        assert_eq!(*table.remember(Inode::ROOT, 'o', |_, _| false, other), '/');
    }
}
