//! The inodes that the kernel knows, each with the number of lookups it has yet to give back.
//!
//! ```text
//! lookup ──► remember ──► Node { anchor } ──forget (count reaches 0)──► descriptor closed
//! ```
//! One lock makes "found" and "count raised" one step, so that a FORGET in between cannot
//! take the node away. Operations clone the `Arc` and work without the lock.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use log::warn;
use parking_lot::Mutex;

use super::anchor::{Anchor, Anchors, PathFd};
use super::inode_numbers::{Identity, InodeNumbers};
use super::kernel_io::KernelIo;
use crate::{Errno, FileType, Inode, Result};

/// An inode that the kernel knows.
#[derive(Debug)]
pub(super) struct Node {
    /// Its number here.
    pub(super) number: Inode,
    /// Told apart from earlier inodes of that number.
    pub(super) generation: u64,
    /// Its kind, which never changes.
    pub(super) kind: FileType,
    /// Device it is on.
    pub(super) device: u64,
    /// What its open files share with the kernel.
    pub(super) kernel_io: KernelIo,
    /// How many of them are open for writing.
    pub(super) writers: AtomicU64,
    anchor: Anchor,
}

impl Node {
    /// Whether it is open for writing.
    pub(super) fn has_writers(&self) -> bool {
        self.writers.load(Ordering::Relaxed) > 0
    }
}

/// All inodes that the kernel knows.
#[derive(Debug)]
pub(super) struct Inodes {
    numbers: InodeNumbers,
    anchors: Anchors,
    known: Mutex<HashMap<Inode, Known>>,
    /// Never forgotten.
    root: Arc<Node>,
    /// Nodes that ever had no descriptor; while it is 0 none needs care before removal.
    weak: AtomicU64,
    /// The kernel that knew them is gone.
    ended: AtomicBool,
}

#[derive(Debug)]
struct Known {
    node: Arc<Node>,
    lookups: u64,
}

impl Inodes {
    /// A table with the root, an O_PATH descriptor of a directory.
    pub(super) fn new(root: OwnedFd, identity: Identity, anchors: Anchors) -> Self {
        let root = Arc::new(Node {
            number: Inode::ROOT,
            generation: 0,
            kind: FileType::Directory,
            device: identity.device,
            kernel_io: KernelIo::default(),
            writers: AtomicU64::new(0),
            anchor: Anchor::held(root),
        });
        let numbers = InodeNumbers::new(identity);
        Self {
            numbers,
            anchors,
            known: Mutex::default(),
            root,
            weak: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// A node that the kernel names.
    pub(super) fn get(&self, number: Inode) -> Result<Arc<Node>> {
        if number == Inode::ROOT {
            return Ok(Arc::clone(&self.root));
        }
        match self.known.lock().get(&number) {
            Some(known) => Ok(Arc::clone(&known.node)),
            None => Err(Errno::ESTALE),
        }
    }

    /// The inode of a node.
    pub(super) fn open<'a>(&self, node: &'a Node) -> Result<PathFd<'a>> {
        self.anchors.open(&node.anchor)
    }

    /// The number that stands for an inode.
    pub(super) fn number(&self, identity: Identity) -> Inode {
        self.numbers.number(identity)
    }

    /// Counts one lookup of the inode behind the O_PATH descriptor `fd`.
    pub(super) fn remember(&self, fd: OwnedFd, identity: Identity, kind: FileType) -> Arc<Node> {
        let number = self.numbers.number(identity);
        if number == Inode::ROOT {
            return Arc::clone(&self.root);
        }
        let mut known = self.known.lock();
        let (lookups, generation) = match known.get_mut(&number) {
            Some(known) if self.anchors.is_same(&known.node.anchor, fd.as_fd()) => {
                known.lookups += 1;
                return Arc::clone(&known.node);
            }
            // the kernel will forget its inode of the old generation under the same number
            Some(old) => (old.lookups + 1, old.node.generation + 1),
            None => (1, 0),
        };
        let anchor = self.anchors.anchor(fd);
        if anchor.is_weak() {
            self.weak.fetch_add(1, Ordering::Relaxed);
        }
        let kernel_io = KernelIo::default();
        let device = identity.device;
        let writers = AtomicU64::new(0);
        let node = Arc::new(Node { number, generation, kind, device, kernel_io, writers, anchor });
        known.insert(number, Known { node: Arc::clone(&node), lookups });
        node
    }

    /// Counts one more lookup of an inode that is known; `false` if it is not.
    pub(super) fn retain(&self, number: Inode) -> bool {
        if number == Inode::ROOT {
            return true;
        }
        let mut known = self.known.lock();
        let found = known.get_mut(&number);
        found.map(|known| known.lookups += 1).is_some()
    }

    /// Takes back `count` lookups; the last one closes the descriptor.
    pub(super) fn forget(&self, number: Inode, count: u64) {
        if number == Inode::ROOT {
            return;
        }
        let forgotten = {
            let mut known = self.known.lock();
            match known.get_mut(&number) {
                Some(entry) if entry.lookups > count => {
                    entry.lookups -= count;
                    None
                }
                Some(_) => known.remove(&number),
                // an entry that was kept beyond the mount's end
                None if self.have_ended() => None,
                None => {
                    warn!("forget of {count} lookups of inode {number}, which is not known");
                    None
                }
            }
        };
        // closes the descriptor, without the lock
        drop(forgotten);
    }

    /// Forgets all inodes but the root.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        let known = std::mem::take(&mut *self.known.lock());
        // closes the descriptors, without the lock
        drop(known);
    }

    /// Whether [`end`](Self::end) was called.
    pub(super) fn have_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether removals need [`keep_alive`](Self::keep_alive).
    pub(super) fn may_lose(&self) -> bool {
        self.weak.load(Ordering::Relaxed) != 0
    }

    /// Holds a descriptor of the inode behind `fd`, whose last name may go now, if the
    /// kernel knows it and it has none.
    pub(super) fn keep_alive(&self, fd: OwnedFd, identity: Identity) {
        let node = self.get(self.numbers.number(identity));
        if let Ok(node) = node
            && node.anchor.is_weak()
            && self.same(&node, fd.as_fd())
        {
            node.anchor.hold(fd);
        }
    }

    fn same(&self, node: &Node, fd: BorrowedFd<'_>) -> bool {
        self.anchors.is_same(&node.anchor, fd)
    }

    /// How many inodes the kernel knows besides the root.
    pub(super) fn len(&self) -> usize {
        self.known.lock().len()
    }
}
