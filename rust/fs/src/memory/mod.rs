//! Files in memory, served natively.
//!
//! A file takes memory for the pages that were written, and for nothing else: holes, also
//! those that [`fallocate`](crate::FileSystem::fallocate) punched, and space that was
//! allocated but not written take none. A reply refers to the pages of the file; one that is
//! written while a reply with it is being sent is copied first.
//!
//! | concept | file |
//! |---|---|
//! | [`Memory`], its options | `mod.rs` |
//! | the operations, one line each | `operations.rs` |
//! | what all mounts share: the root, the limits, the shape of the tree | `tree.rs` |
//! | how much there may be | `limits.rs` |
//! | an inode | `node.rs` |
//! | owner, permissions, times: rules for changing them | `metadata.rs` |
//! | who clears set-user-id and set-group-id, and when | `privileges.rs` |
//! | the bytes of a file | `contents.rs` |
//! | which pages a sparse file has | `page_map.rs` |
//! | a page, shared with replies in flight | `page.rs` |
//! | the names of a directory, and their order | `directory.rs` |
//! | lookup, create, link, remove | `names.rs` |
//! | rename, exchange, whiteouts | `rename.rs` |
//! | getattr, setattr, statfs | `attributes.rs` |
//! | open, create, release | `open_files.rs` |
//! | read, write and what else works on an open file | `data.rs` |
//! | listings | `listing.rs` |
//! | extended attributes | `xattr.rs` |
//!
//! # Locks, in the order in which they are taken
//!
//! 1. the tree's *shape*: shared to add or remove a name, exclusive to move one to another
//!    directory. So while names are moved nobody else holds two directories.
//! 2. the names of a directory; then those of a directory in it.
//! 3. the contents of one file: shared to read it, exclusive to change it. Never of two.
//! 4. the metadata of an inode.
//! 5. tables (known inodes, open files): held for a look-up only.
//!
//! Reading and writing a file takes 3 and 4 of that file and nothing of others. Memory is
//! accounted for by atomic counters, before it is taken.
//!
//! # How much memory it takes
//!
//! Measured with glibc, names of 8 bytes: an empty file 330 bytes, an empty directory 440,
//! a file of one page 4900, each page of a larger file 4160; an inode that the kernel knows
//! some 40 more. The limit of bytes counts pages with 4096 each, targets of links and
//! extended attributes; names and inodes are bounded by the limit of inodes.
//!
//! What is freed is free for other files at once. How much of it the process gives back to
//! the system is up to the allocator: glibc keeps what lies below something still in use.
//!
//! # Rights
//!
//! Mount it with `default_permissions`: the kernel then checks every caller before an
//! operation arrives here, and nothing is checked again.

mod attributes;
mod contents;
mod data;
mod directory;
mod limits;
mod listing;
mod metadata;
mod names;
mod node;
mod open_files;
mod operations;
mod page;
mod page_map;
mod privileges;
mod rename;
mod tree;
mod xattr;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use node::Node;
use open_files::OpenFile;
use tree::Tree;

use crate::Inode;
use crate::handle_table::HandleTable;
use crate::lookup_table::LookupTable;

/// What an empty file system is like.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// How many bytes it may hold. `None`: half of the machine's memory.
    pub size: Option<u64>,
    /// How many inodes it may have, the root and additional names of files among them.
    /// `None`: one for each 4096 bytes of half of the machine's memory.
    pub inodes: Option<u64>,
    /// Owner of the root directory.
    pub uid: u32,
    /// Group of the root directory.
    pub gid: u32,
    /// Permissions of the root directory.
    pub mode: u32,
}

/// A tree of files in memory.
///
/// It lives as long as the object, also between two mounts of it.
#[derive(Debug)]
pub struct Memory {
    tree: Arc<Tree>,
    inodes: LookupTable<Node>,
    files: HandleTable<OpenFile>,
    /// Mounts that serve it now.
    mounts: AtomicUsize,
}

impl Memory {
    /// An empty file system: a root directory with nothing in it.
    ///
    /// # Errors
    /// ENOSPC if the limits have no room for the root directory; those of reading the size
    /// of the machine's memory, if that is needed.
    pub fn new(options: &MemoryOptions) -> io::Result<Self> {
        Ok(Self::of(Arc::new(Tree::new(options)?)))
    }

    /// The same tree, for another mount: of its inodes the kernel knows only the root.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self::of(Arc::clone(&self.tree))
    }

    fn of(tree: Arc<Tree>) -> Self {
        let inodes = LookupTable::new(Arc::clone(&tree.root));
        Self { tree, inodes, files: HandleTable::default(), mounts: AtomicUsize::new(0) }
    }

    /// Whether the last mount that served it has ended. It has then forgotten what the
    /// kernel knew and closed all files; [`reopen`](Self::reopen) serves the tree again.
    pub fn has_ended(&self) -> bool {
        self.inodes.have_ended()
    }

    fn mount_begins(&self) {
        self.mounts.fetch_add(1, Ordering::Relaxed);
    }

    fn mount_ends(&self) {
        if self.mounts.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.files.clear();
            self.inodes.end();
        }
    }

    /// Counts one more lookup of `inode`, for an entry that is answered a second time;
    /// `false` if the inode is not known any more.
    pub fn retain(&self, inode: Inode) -> bool {
        self.inodes.retain(inode)
    }

    /// How many inodes the kernel knows besides the root.
    pub fn known_inodes(&self) -> usize {
        self.inodes.len()
    }
}
