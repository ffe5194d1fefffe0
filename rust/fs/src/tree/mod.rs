//! A read-only directory tree whose files are segment lists, served natively.
//!
//! A [`TreeBuilder`] takes files, directories and links in any order, by path;
//! [`build`](TreeBuilder::build) makes a [`Tree`] of them, which never changes again. So it
//! is read by any number of threads without a lock, the kernel may keep names, attributes,
//! listings and data for as long as it likes, and need not open anything.
//!
//! | concept | file |
//! |---|---|
//! | [`TreeBuilder`]: what is put where | `builder.rs` |
//! | [`AddError`]: why something cannot be added | `error.rs` |
//! | an inode | `node.rs` |
//! | the names of all directories | `names.rs` |
//! | [`Tree`]: the operations | `operations.rs` |
//!
//! # How much memory it takes
//!
//! An inode is 72 bytes in one array, a name 24 in another, about 10 in a hash table, and its
//! own bytes in a third: about 110 bytes for a file besides its name. One extent, the usual
//! content of a file in an archive, is part of the inode; a file of several segments has its
//! list elsewhere, with 40 bytes and more for each segment. While the tree is built the
//! arrays double when they are full.

mod builder;
mod error;
mod names;
mod node;
mod operations;

pub use builder::{NodeAttributes, TreeBuilder};
pub use error::{AddError, BadName};
pub use node::Xattr;

use names::Names;
use node::Node;

use crate::{Errno, Inode, Result};

/// A directory tree that does not change.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    names: Names,
    /// Bytes of all files.
    bytes: u64,
    /// Some file has a hole.
    has_holes: bool,
    /// Something has an extended attribute.
    has_xattrs: bool,
}

impl Tree {
    /// How many inodes there are, the root among them.
    pub fn inodes(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is an inode of that number.
    pub fn contains(&self, inode: Inode) -> bool {
        self.node(inode).is_ok()
    }

    fn node(&self, inode: Inode) -> Result<(u32, &Node)> {
        let index = inode.0.checked_sub(Inode::ROOT.0).and_then(|index| u32::try_from(index).ok());
        let index = index.ok_or(Errno::ESTALE)?;
        Ok((index, self.nodes.get(index as usize).ok_or(Errno::ESTALE)?))
    }
}

/// The inode of a node: the root, the first of them, is 1.
fn inode(index: u32) -> Inode {
    Inode(u64::from(index) + Inode::ROOT.0)
}
