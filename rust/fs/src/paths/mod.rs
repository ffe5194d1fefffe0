//! Which path an inode has: for file systems that know paths and no inodes.
//!
//! The kernel names files by inode number; [`PathTable`] remembers under which names it
//! learned them. A node knows its parent and its name there, so renaming a directory is
//! one change however much lies below it, and a path is put together when it is asked for.
//!
//! ```text
//!   inode ──► node { names: [(parent, "b")], lookups } ──► parent ──► … ──► root
//!                    several: hard links               none: unlinked, but still in use
//! ```
//!
//! | concept | file |
//! |---|---|
//! | [`PathTable`]: what a file system does with it | `mod.rs` |
//! | the nodes, their names and numbers | `nodes.rs` |
//! | [`Claim`]: who uses which path at the moment | `claims.rs` |
//!
//! A node lives as long as the kernel has lookups of it to give back, or names below it.

mod claims;
mod nodes;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

pub use self::claims::Claim;
use self::claims::Claims;
use self::nodes::{Nodes, ROOT};
use crate::{Attributes, Errno, Handle, Inode, Result};

/// The names that the kernel knows, for a file system of paths.
///
/// ```
/// use fusesg_fs::{Attributes, Entry, FileType, Inode, PathTable};
///
/// let table = PathTable::new();
/// let seen = Attributes { kind: FileType::Directory, ..Entry::NEGATIVE.attributes };
/// let directory = table.remember(Inode::ROOT, "a".as_ref(), &seen)?;
/// let file = table.remember(directory, "b".as_ref(), &Entry::NEGATIVE.attributes)?;
/// assert_eq!(table.path(file).unwrap(), "/a/b");
/// table.rename(Inode::ROOT, "a".as_ref(), Inode::ROOT, "c".as_ref());
/// assert_eq!(table.path(file).unwrap(), "/c/b");
/// table.unlink(directory, "b".as_ref());
/// assert_eq!(table.path(file), None);
/// # Ok::<(), fusesg_fs::Errno>(())
/// ```
#[derive(Debug, Default)]
pub struct PathTable {
    nodes: Mutex<Nodes>,
    /// Who uses which paths; locked before the nodes.
    claims: Claims,
    /// Counts renamed and removed names.
    changes: AtomicU64,
}

impl PathTable {
    /// A table that knows the root.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many inodes it knows, the root included.
    pub fn len(&self) -> usize {
        self.nodes.lock().len()
    }

    /// Whether it knows the root only.
    pub fn is_empty(&self) -> bool {
        self.len() == 1
    }

    /// How many names were renamed or removed so far: while it stays the same, what was
    /// learned about names is still true.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The absolute path of an inode; `None` if it has no name any more. With hard links, the
    /// path that was seen last.
    pub fn path(&self, inode: Inode) -> Option<OsString> {
        let nodes = self.nodes.lock();
        nodes.path(nodes.find(inode)?).map(OsString::from_vec)
    }

    /// The absolute path of a name; `None` if its directory has none any more.
    pub fn path_of(&self, parent: Inode, name: &OsStr) -> Option<OsString> {
        let nodes = self.nodes.lock();
        let mut path = nodes.path(nodes.find(parent)?)?;
        if path.len() > 1 {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        Some(OsString::from_vec(path))
    }

    /// The inode that a name leads to, as far as the kernel knows.
    pub fn child(&self, parent: Inode, name: &OsStr) -> Option<Inode> {
        let nodes = self.nodes.lock();
        let index = nodes.child(nodes.find(parent)?, name.as_bytes())?;
        Some(nodes[index].inode)
    }

    /// The inode that an absolute path leads to, as far as the kernel knows.
    pub fn resolve(&self, path: &OsStr) -> Option<Inode> {
        let nodes = self.nodes.lock();
        let names = path.as_bytes().split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let index = names.into_iter().try_fold(ROOT, |parent, name| nodes.child(parent, name))?;
        Some(nodes[index].inode)
    }

    /// Counts one lookup of what is called `name` and has these attributes. Their inode
    /// number, if there is one, says which names are hard links of one file; the number to
    /// tell the kernel is returned.
    ///
    /// A number of 0 means that there is none, and 1 belongs to the root; for these, and for
    /// one that the table has given to another file, a number is chosen from 2^63 up. It
    /// stays with the name until that is removed or forgotten.
    pub fn remember(&self, parent: Inode, name: &OsStr, seen: &Attributes) -> Result<Inode> {
        let mut nodes = self.nodes.lock();
        let parent = nodes.find(parent).ok_or(Errno::ESTALE)?;
        let index = nodes.learn(parent, name.as_bytes(), seen.inode, seen.kind);
        let node = &mut nodes[index];
        node.lookups += 1;
        node.attributes = Some(Attributes { inode: node.inode, ..*seen });
        Ok(node.inode)
    }

    /// The kernel gives lookups back.
    pub fn forget(&self, inode: Inode, count: u64) {
        let mut nodes = self.nodes.lock();
        let Some(index) = nodes.find(inode) else { return };
        let lookups = &mut nodes[index].lookups;
        *lookups = lookups.saturating_sub(count);
        nodes.collect(index);
    }

    /// A name was removed, or is found not to be there.
    pub fn unlink(&self, parent: Inode, name: &OsStr) {
        let mut nodes = self.nodes.lock();
        let Some(parent) = nodes.find(parent) else { return };
        if nodes.child(parent, name.as_bytes()).is_some() {
            nodes.unlink(parent, name.as_bytes());
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// A name was renamed; what had the new name before has it no more.
    pub fn rename(&self, parent: Inode, name: &OsStr, new_parent: Inode, new_name: &OsStr) {
        let mut nodes = self.nodes.lock();
        self.changes.fetch_add(1, Ordering::Release);
        let (name, new_name) = (name.as_bytes(), new_name.as_bytes());
        let (from, to) = (nodes.find(parent), nodes.find(new_parent));
        match from.zip(to) {
            Some((from, to)) => nodes.rename((from, name), (to, new_name)),
            // a directory that the kernel has forgotten meanwhile: nobody asks for the names
            None => [(from, name), (to, new_name)]
                .into_iter()
                .filter_map(|(parent, name)| Some((parent?, name)))
                .for_each(|(parent, name)| nodes.detach(parent, name)),
        }
    }

    /// Two names were exchanged.
    pub fn exchange(&self, parent: Inode, name: &OsStr, other_parent: Inode, other_name: &OsStr) {
        let mut nodes = self.nodes.lock();
        self.changes.fetch_add(1, Ordering::Release);
        if let Some((parent, other_parent)) = nodes.find(parent).zip(nodes.find(other_parent)) {
            nodes.exchange((parent, name.as_bytes()), (other_parent, other_name.as_bytes()));
        }
    }

    /// The attributes of an inode as they were known last.
    pub fn attributes(&self, inode: Inode) -> Option<Attributes> {
        let nodes = self.nodes.lock();
        nodes[nodes.find(inode)?].attributes
    }

    /// Attributes of an inode became known.
    pub fn set_attributes(&self, inode: Inode, attributes: &Attributes) {
        let mut nodes = self.nodes.lock();
        if let Some(index) = nodes.find(inode) {
            nodes[index].attributes = Some(*attributes);
        }
    }

    /// A file was written up to `end`.
    pub fn written(&self, inode: Inode, end: u64) {
        let mut nodes = self.nodes.lock();
        if let Some(index) = nodes.find(inode)
            && let Some(attributes) = &mut nodes[index].attributes
        {
            attributes.size = attributes.size.max(end);
        }
    }

    /// An inode was opened.
    pub fn opened(&self, inode: Inode, handle: Handle) {
        let mut nodes = self.nodes.lock();
        if let Some(index) = nodes.find(inode) {
            nodes[index].open.push(handle);
        }
    }

    /// An open file was closed.
    pub fn closed(&self, inode: Inode, handle: Handle) {
        let mut nodes = self.nodes.lock();
        if let Some(index) = nodes.find(inode) {
            nodes[index].open.retain(|open| *open != handle);
        }
    }

    /// A handle through which an inode is open.
    pub fn open_handle(&self, inode: Inode) -> Option<Handle> {
        let nodes = self.nodes.lock();
        nodes[nodes.find(inode)?].open.last().copied()
    }
}
