//! The inodes that the kernel knows: which file of the source each is.
//!
//! ```text
//! lookup ──► remember ──► Node { anchor } ──forget (count reaches 0)──► descriptor closed
//! ```
//! What the kernel knows, and how often it looked it up, is in the [`LookupTable`].

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::anchor::{Anchor, Anchors, PathFd};
use super::inode_numbers::{Identity, InodeNumbers};
use super::kernel_io::KernelIo;
use crate::lookup_table::LookupTable;
use crate::{FileType, Inode, Result};

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
    known: LookupTable<Node>,
    /// Nodes that ever had no descriptor; while it is 0 none needs care before removal.
    weak: AtomicU64,
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
        Self { numbers, anchors, known: LookupTable::new(root), weak: AtomicU64::new(0) }
    }

    /// A node that the kernel names.
    pub(super) fn get(&self, number: Inode) -> Result<Arc<Node>> {
        self.known.get(number)
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
        let is_the_same = |known: &Node, fd: &OwnedFd| self.same(known, fd.as_fd());
        let make = |fd, before: Option<&Node>| {
            // the kernel will forget its inode of the old generation under the same number
            let generation = before.map_or(0, |before| before.generation + 1);
            let anchor = self.anchors.anchor(fd);
            if anchor.is_weak() {
                self.weak.fetch_add(1, Ordering::Relaxed);
            }
            let kernel_io = KernelIo::default();
            let device = identity.device;
            let writers = AtomicU64::new(0);
            Arc::new(Node { number, generation, kind, device, kernel_io, writers, anchor })
        };
        self.known.remember(number, fd, is_the_same, make)
    }

    /// Counts one more lookup of an inode that is known; `false` if it is not.
    pub(super) fn retain(&self, number: Inode) -> bool {
        self.known.retain(number)
    }

    /// Takes back `count` lookups; the last one closes the descriptor.
    pub(super) fn forget(&self, number: Inode, count: u64) {
        self.known.forget(number, count);
    }

    /// Forgets all inodes but the root.
    pub(super) fn end(&self) {
        self.known.end();
    }

    /// Whether [`end`](Self::end) was called.
    pub(super) fn have_ended(&self) -> bool {
        self.known.have_ended()
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
        self.known.len()
    }
}
