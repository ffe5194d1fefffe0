//! Putting a tree together.

use fusesg_sg::{Segment, SegmentList};

use super::error::{AddError, BadName};
use super::names::{NONE, Names};
use super::node::{Body, Extras, Node, Xattr};
use super::{Tree, inode};
use crate::{FileType, Inode, Timestamp};

/// Longest name in bytes.
const NAME_MAX: usize = 255;
const ROOT: u32 = 0;

type Added<T> = std::result::Result<T, AddError>;

/// What an inode shows besides its content.
#[derive(Clone, Debug, Default)]
pub struct NodeAttributes {
    /// Permission bits, 0..=0o7777.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last access; `mtime` if not given.
    pub atime: Option<Timestamp>,
    /// Last change of the attributes; `mtime` if not given.
    pub ctime: Option<Timestamp>,
    /// Extended attributes, name and value.
    pub xattrs: Vec<Xattr>,
}

/// A tree that is being put together.
///
/// Paths are relative to the root, of names separated by single slashes; one slash before
/// the first is allowed. Directories on the way are made where they are missing, with the
/// attributes of the root; adding them later says what they are really like. What is added
/// first is listed first, and gets the smaller inode number.
#[derive(Debug)]
pub struct TreeBuilder {
    tree: Tree,
    /// What directories are like that are only named on the way.
    implied: NodeAttributes,
    /// The directory of the last path, since the next is often in the same.
    recent: (Vec<u8>, u32),
}

impl TreeBuilder {
    /// A tree with nothing but a root directory.
    pub fn new(root: NodeAttributes) -> Self {
        let implied = NodeAttributes { xattrs: Vec::new(), ..root.clone() };
        let mut tree = Tree {
            nodes: Vec::new(),
            names: Names::default(),
            bytes: 0,
            has_holes: false,
            has_xattrs: !root.xattrs.is_empty(),
        };
        tree.nodes.push(Node { links: 2, ..node(Body::empty_directory(ROOT), root) });
        Self { tree, implied, recent: (Vec::new(), ROOT) }
    }

    /// How many inodes there are so far, the root among them.
    pub fn inodes(&self) -> usize {
        self.tree.inodes()
    }

    /// Adds a file that consists of `content`, in which there are no streams.
    pub fn add_file(
        &mut self,
        path: &[u8],
        content: SegmentList,
        attributes: NodeAttributes,
    ) -> Added<Inode> {
        self.tree.has_holes |=
            content.segments().iter().any(|segment| matches!(segment, Segment::Zeros(_)));
        let bytes = content.len();
        let added = self.add(path, Body::file(content), attributes)?;
        self.tree.bytes = self.tree.bytes.saturating_add(bytes);
        Ok(added)
    }

    /// Adds a symbolic link.
    pub fn add_symlink(
        &mut self,
        path: &[u8],
        target: &[u8],
        attributes: NodeAttributes,
    ) -> Added<Inode> {
        self.add(path, Body::SymbolicLink(target.into()), attributes)
    }

    /// Adds a directory, or says what one is like that was only named on the way.
    pub fn add_directory(&mut self, path: &[u8], attributes: NodeAttributes) -> Added<Inode> {
        let (parent, name) = split(path)?;
        let found = self.find_directory(parent)?.and_then(|parent| self.names().find(parent, name));
        let Some(index) = found else {
            return self.add(path, Body::empty_directory(ROOT), attributes);
        };
        let old = &mut self.tree.nodes[index as usize];
        if !old.implied {
            return Err(AddError::Exists);
        }
        let (body, links) = (std::mem::replace(&mut old.body, Body::Empty), old.links);
        self.tree.has_xattrs |= !attributes.xattrs.is_empty();
        self.tree.nodes[index as usize] = Node { links, ..node(body, attributes) };
        Ok(inode(index))
    }

    /// Adds another name for the file or symbolic link at `target`.
    pub fn add_link(&mut self, path: &[u8], target: &[u8]) -> Added<Inode> {
        let (directory, name) = split(target)?;
        let directory = self.find_directory(directory)?.ok_or(AddError::NotFound)?;
        let target = self.names().find(directory, name).ok_or(AddError::NotFound)?;
        if self.kind(target) == FileType::Directory {
            return Err(AddError::IsADirectory);
        }
        let (parent, name) = self.free_place(path)?;
        let links = &mut self.tree.nodes[target as usize].links;
        *links = links.checked_add(1).ok_or(AddError::Full)?;
        self.enter(parent, name, target)?;
        Ok(inode(target))
    }

    /// The finished tree.
    #[must_use]
    pub fn build(self) -> Tree {
        let mut tree = self.tree;
        tree.nodes.shrink_to_fit();
        tree.names.shrink();
        tree
    }

    fn add(&mut self, path: &[u8], body: Body, attributes: NodeAttributes) -> Added<Inode> {
        let (parent, name) = self.free_place(path)?;
        self.tree.has_xattrs |= !attributes.xattrs.is_empty();
        let index = self.add_node(parent, name, node(body, attributes))?;
        Ok(inode(index))
    }

    fn names(&self) -> &Names {
        &self.tree.names
    }

    fn kind(&self, node: u32) -> FileType {
        self.tree.nodes[node as usize].body.kind()
    }

    /// The directory that `path` is in, made if it is missing, and the name, which is free.
    fn free_place<'a>(&mut self, path: &'a [u8]) -> Added<(u32, &'a [u8])> {
        let (directory, name) = split(path)?;
        match self.find_directory(directory)? {
            Some(parent) if self.names().find(parent, name).is_some() => Err(AddError::Exists),
            Some(parent) => Ok((parent, name)),
            None => Ok((self.make_directories(directory)?, name)),
        }
    }

    /// The directory at `path`; `None` if it is missing and could be made.
    fn find_directory(&mut self, path: &[u8]) -> Added<Option<u32>> {
        if self.recent.0 == path {
            return Ok(Some(self.recent.1));
        }
        let mut found = ROOT;
        for name in parts(path) {
            let Some(next) = self.names().find(found, name) else { return Ok(None) };
            if self.kind(next) != FileType::Directory {
                return Err(AddError::NotADirectory);
            }
            found = next;
        }
        self.remember(path, found);
        Ok(Some(found))
    }

    fn make_directories(&mut self, path: &[u8]) -> Added<u32> {
        let mut directory = ROOT;
        for name in parts(path) {
            directory = if let Some(next) = self.names().find(directory, name) {
                next
            } else {
                let made = node(Body::empty_directory(ROOT), self.implied.clone());
                self.add_node(directory, name, Node { implied: true, ..made })?
            };
        }
        self.remember(path, directory);
        Ok(directory)
    }

    fn remember(&mut self, path: &[u8], directory: u32) {
        self.recent.0.clear();
        self.recent.0.extend_from_slice(path);
        self.recent.1 = directory;
    }

    fn add_node(&mut self, parent: u32, name: &[u8], mut node: Node) -> Added<u32> {
        let index = u32::try_from(self.tree.nodes.len()).map_err(|_| AddError::Full)?;
        if let Body::Directory { parent: up, .. } = &mut node.body {
            *up = parent;
            node.links = 2;
            self.tree.nodes[parent as usize].links += 1;
        }
        self.enter(parent, name, index)?;
        self.tree.nodes.push(node);
        Ok(index)
    }

    /// Lets a free name of the directory `parent` lead to `node`.
    fn enter(&mut self, parent: u32, name: &[u8], node: u32) -> Added<()> {
        let index = self.tree.names.push(parent, name, node).ok_or(AddError::Full)?;
        if let Body::Directory { first, last, .. } = &mut self.tree.nodes[parent as usize].body {
            if *first == NONE {
                *first = index;
            } else {
                self.tree.names.link(*last, index);
            }
            *last = index;
        }
        Ok(())
    }
}

fn node(body: Body, attributes: NodeAttributes) -> Node {
    let NodeAttributes { permissions, uid, gid, mtime, atime, ctime, xattrs } = attributes;
    let plain = atime.is_none() && ctime.is_none() && xattrs.is_empty();
    let extras = (!plain).then(|| Box::new(Extras { atime, ctime, xattrs }));
    Node { body, mtime, extras, uid, gid, links: 1, permissions, implied: false }
}

/// A path, checked, as that of its directory and a name.
fn split(path: &[u8]) -> Added<(&[u8], &[u8])> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    if path.is_empty() {
        return Err(AddError::Path(BadName::Empty));
    }
    for name in path.split(|byte| *byte == b'/') {
        let problem = match name {
            b"" => BadName::EmptyPart,
            b"." | b".." => BadName::Dots,
            _ if name.len() > NAME_MAX => BadName::TooLong,
            _ if name.contains(&0) => BadName::Nul,
            _ => continue,
        };
        return Err(AddError::Path(problem));
    }
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => Ok((&path[..slash], &path[slash + 1..])),
        None => Ok((b"", path)),
    }
}

/// The names in a checked path of a directory; the root has none.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}
