//! From a path to an inode: one LOOKUP for each name, symbolic links followed.
//!
//! Nothing is cached: a path means what the file system says it means, at each call. An
//! absolute path and the target of an absolute symbolic link begin at the client's root, as
//! after chroot(2).

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use fusesg_fs::{Entry, Errno, FileType, Inode, Operation, Reply, Result};

use super::Client;
use super::node::Node;
use super::permissions::Access;
use super::session::Session;

/// Symbolic links on one way.
const MAX_LINKS: u32 = 40;
/// Bytes of a path, with its NUL.
const PATH_MAX: usize = 4096;

/// What is at the end of a path.
#[derive(Debug)]
pub(super) enum Last {
    /// `.`, `..` or nothing: the directory itself.
    Directory,
    /// A name in the directory.
    Name {
        /// The name.
        name: OsString,
        /// It is followed by a slash, so it has to be a directory.
        slash: bool,
    },
}

/// A directory and what a path names in it.
#[derive(Debug)]
pub(super) struct Place {
    /// The directories that the way leads through; the last is the one.
    directories: Vec<Node>,
    pub(super) last: Last,
    links: u32,
}

impl Place {
    /// The directory.
    pub(super) fn directory(&self) -> &Node {
        self.directories.last().expect("a way begins at the root")
    }

    /// Whether the way goes through `node`.
    pub(super) fn leads_through(&self, node: &Node) -> bool {
        self.directories.iter().any(|directory| directory.inode() == node.inode())
    }

    /// The directory and the name; `otherwise` where there is none.
    pub(super) fn name(&self, otherwise: Errno) -> Result<(&Node, &OsStr, bool)> {
        match &self.last {
            Last::Name { name, slash } => Ok((self.directory(), name, *slash)),
            Last::Directory => Err(otherwise),
        }
    }
}

impl Client {
    /// What a path leads to; with `follow` also through a symbolic link at its end.
    pub(super) fn resolve(&self, path: &OsStr, follow: bool) -> Result<Node> {
        let mut place = self.locate(path)?;
        loop {
            let (directory, name, slash) = match &place.last {
                Last::Directory => {
                    let found = place.directories.pop();
                    return found.ok_or(Errno::EIO);
                }
                Last::Name { name, slash } => (place.directory(), name, *slash),
            };
            let node = self.session.lookup(directory, name)?.ok_or(Errno::ENOENT)?;
            match node.attributes()?.kind {
                FileType::SymbolicLink if follow || slash => {
                    place = self.session.follow(place, &node)?;
                }
                FileType::Directory => return Ok(node),
                _ if slash => return Err(Errno::ENOTDIR),
                _ => return Ok(node),
            }
        }
    }

    /// The directory of a path's last name, which need not be there.
    pub(super) fn locate(&self, path: &OsStr) -> Result<Place> {
        let root = Node::root(&self.session);
        self.session.walk(Place { directories: vec![root], last: Last::Directory, links: 0 }, path)
    }
}

impl Session {
    /// Looks a name up; `None` if it does not exist.
    pub(super) fn lookup(self: &Arc<Self>, directory: &Node, name: &OsStr) -> Result<Option<Node>> {
        let parent = directory.inode();
        match self.ask(Operation::Lookup { parent, name: Cow::Borrowed(name) }) {
            Ok(Reply::Entry(entry)) => Ok(self.node(&entry)),
            Ok(_) => Err(Errno::EIO),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// What an entry leads to; `None` for one that says that a name does not exist.
    pub(super) fn node(self: &Arc<Self>, entry: &Entry) -> Option<Node> {
        (entry.attributes.inode != Inode(0)).then(|| Node::looked_up(self, entry.attributes))
    }

    /// The same, of an operation that made something.
    pub(super) fn made(self: &Arc<Self>, reply: &Reply) -> Result<Node> {
        match reply {
            Reply::Entry(entry) => self.node(entry).ok_or(Errno::EIO),
            _ => Err(Errno::EIO),
        }
    }

    /// Goes on from `place`, whose last name is the symbolic link `link`.
    pub(super) fn follow(self: &Arc<Self>, mut place: Place, link: &Node) -> Result<Place> {
        place.links += 1;
        if place.links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        let mut target = self.target(link)?;
        if let Last::Name { slash: true, .. } = place.last {
            target.push("/");
        }
        self.walk(place, &target)
    }

    /// The text of a symbolic link.
    pub(super) fn target(&self, link: &Node) -> Result<OsString> {
        match self.ask(Operation::Readlink { inode: link.inode() })? {
            Reply::Target(target) if target.is_empty() => Err(Errno::ENOENT),
            Reply::Target(target) => Ok(OsString::from_vec(target)),
            _ => Err(Errno::EIO),
        }
    }

    /// Walks `path` from `place` up to its last name.
    fn walk(self: &Arc<Self>, place: Place, path: &OsStr) -> Result<Place> {
        let Place { mut directories, mut links, .. } = place;
        let mut names = names_of(path)?;
        if path.as_bytes().starts_with(b"/") {
            directories.truncate(1);
        }
        let mut slash = means_directory(path);
        loop {
            let Some(name) = names.pop_front() else {
                return Ok(Place { directories, last: Last::Directory, links });
            };
            if name == "." {
                continue;
            }
            if name == ".." {
                if directories.len() > 1 {
                    directories.pop();
                }
                continue;
            }
            let directory = directories.last().ok_or(Errno::EIO)?;
            self.check_search(directory)?;
            if names.is_empty() {
                return Ok(Place { directories, last: Last::Name { name, slash }, links });
            }
            let node = self.lookup(directory, &name)?.ok_or(Errno::ENOENT)?;
            match node.attributes()?.kind {
                FileType::Directory => directories.push(node),
                FileType::SymbolicLink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::ELOOP);
                    }
                    let target = self.target(&node)?;
                    if target.as_bytes().starts_with(b"/") {
                        directories.truncate(1);
                    }
                    let mut rest = names_of(&target)?;
                    if names.is_empty() {
                        slash |= means_directory(&target);
                    }
                    rest.append(&mut names);
                    names = rest;
                }
                _ => return Err(Errno::ENOTDIR),
            }
        }
    }

    fn check_search(&self, directory: &Node) -> Result<()> {
        if !self.config.default_permissions || self.config.uid == 0 {
            return Ok(());
        }
        self.check_access(&directory.attributes()?, Access::EXECUTE)
    }
}

/// Whether a path ends with a slash, and so can only be a directory's.
fn means_directory(path: &OsStr) -> bool {
    path.as_bytes().ends_with(b"/")
}

/// The names of a path.
fn names_of(path: &OsStr) -> Result<VecDeque<OsString>> {
    let bytes = path.as_bytes();
    if bytes.is_empty() {
        return Err(Errno::ENOENT);
    }
    if bytes.len() >= PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if bytes.contains(&0) {
        return Err(Errno::EINVAL);
    }
    let names = bytes.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
}
