//! What all mounts of one file system share.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use fusesg_sg::PAGE_SIZE;
use parking_lot::RwLock;

use super::MemoryOptions;
use super::directory::Directory;
use super::limits::{Account, Limits};
use super::node::{Body, Node, Owner};
use crate::{Inode, Result};

/// The tree below a root directory.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Arc<Node>,
    pub(super) limits: Arc<Limits>,
    /// See "Locks" in the module's documentation.
    pub(super) shape: RwLock<()>,
    /// Numbers are never used again, so no inode needs a generation.
    last_number: AtomicU64,
}

impl Tree {
    pub(super) fn new(options: &MemoryOptions) -> io::Result<Self> {
        let half = || machine_memory().map(|bytes| bytes / 2);
        let bytes = options.size.map_or_else(half, Ok)?;
        let by_memory = || half().map(|bytes| bytes / PAGE_SIZE as u64);
        let inodes = options.inodes.map_or_else(by_memory, Ok)?;
        let limits = Limits { bytes: Account::new(bytes), inodes: Account::new(inodes) };
        let limits = Arc::new(limits);
        let owner = Owner { uid: options.uid, gid: options.gid, mode: options.mode };
        let body = Body::Directory(Box::new(Directory::new(Weak::new())));
        let root = Node::new(&limits, Inode::ROOT, body, owner)?;
        let last_number = AtomicU64::new(Inode::ROOT.0);
        Ok(Self { root, limits, shape: RwLock::new(()), last_number })
    }

    /// A node that has no name yet.
    pub(super) fn new_node(&self, body: Body, owner: Owner) -> Result<Arc<Node>> {
        let number = Inode(self.last_number.fetch_add(1, Ordering::Relaxed) + 1);
        Node::new(&self.limits, number, body, owner)
    }
}

impl Drop for Tree {
    /// One directory after another: dropping the root would recurse as deep as the tree is.
    fn drop(&mut self) {
        let mut doomed = vec![Arc::clone(&self.root)];
        while let Some(node) = doomed.pop() {
            if let Ok(directory) = node.directory() {
                doomed.extend(directory.names.write().drain());
            }
        }
    }
}

/// Bytes of memory that the machine has.
fn machine_memory() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|value| value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let bytes = kib.and_then(|kib| kib.checked_mul(1024));
    bytes.ok_or_else(|| io::Error::other("/proc/meminfo does not tell the size of the memory"))
}
