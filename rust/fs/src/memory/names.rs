//! Operations on the names of a directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::Memory;
use super::directory::{Directory, Names};
use super::node::{Body, Node, Owner};
use crate::{Context, Entry, Errno, FileType, Inode, Result};

/// Longest name in bytes.
pub(super) const NAME_MAX: u32 = 255;
/// Longest target of a symbolic link: PATH_MAX without its NUL.
const TARGET_MAX: usize = 4095;
const SET_GROUP_ID: u32 = 0o2000;

impl Memory {
    pub(super) fn look_up(&self, parent: Inode, name: &OsStr) -> Result<Entry> {
        let parent = self.inodes.get(parent)?;
        check_name(name)?;
        let found = parent.directory()?.names.read().get(name).map(Arc::clone);
        found.map(|node| self.entry(&node)).ok_or(Errno::ENOENT)
    }

    /// The entry of a node, which counts as one lookup.
    pub(super) fn entry(&self, node: &Arc<Node>) -> Entry {
        self.inodes.remember(node.number, Arc::clone(node), |_, _| true, |node, _| node);
        Entry {
            attributes: node.attributes(),
            generation: 0,
            entry_timeout: None,
            attribute_timeout: None,
        }
    }

    pub(super) fn make_node(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
        rdev: u32,
    ) -> Result<Entry> {
        let body = match FileType::from_mode(mode) {
            Some(FileType::Regular) => Body::empty_file(),
            None if mode & libc::S_IFMT == 0 => Body::empty_file(),
            Some(kind @ (FileType::Fifo | FileType::Socket)) => Body::Special(kind, 0),
            Some(kind @ (FileType::CharacterDevice | FileType::BlockDevice)) => {
                Body::Special(kind, rdev)
            }
            Some(FileType::Directory) => return Err(Errno::EPERM),
            Some(FileType::SymbolicLink) | None => return Err(Errno::EINVAL),
        };
        self.make(context, parent, name, mode, body).map(|node| self.entry(&node))
    }

    pub(super) fn make_directory(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
    ) -> Result<Entry> {
        let within = Arc::downgrade(&self.inodes.get(parent)?);
        let body = Body::Directory(Box::new(Directory::new(within)));
        self.make(context, parent, name, mode, body).map(|node| self.entry(&node))
    }

    pub(super) fn make_symlink(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        target: &OsStr,
    ) -> Result<Entry> {
        match target.as_bytes() {
            [] => return Err(Errno::ENOENT),
            bytes if bytes.contains(&0) => return Err(Errno::EINVAL),
            bytes if bytes.len() > TARGET_MAX => return Err(Errno::ENAMETOOLONG),
            _ => {}
        }
        let body = Body::SymbolicLink(target.as_bytes().into());
        self.make(context, parent, name, 0o777, body).map(|node| self.entry(&node))
    }

    /// Creates an inode with a name.
    pub(super) fn make(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        mode: u32,
        body: Body,
    ) -> Result<Arc<Node>> {
        let parent = self.inodes.get(parent)?;
        check_name(name)?;
        let directory = parent.directory()?;
        let _shape = self.tree.shape.read();
        let mut names = directory.names.write();
        names.check_alive()?;
        if names.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        let node = self.new_node(context, &parent, mode, body)?;
        names.insert(name, Arc::clone(&node))?;
        let mut metadata = parent.metadata();
        if node.kind() == FileType::Directory {
            metadata.links += 1;
        }
        parent.note_content_change(&mut metadata);
        Ok(node)
    }

    /// An inode that is to get a name in `parent`. The caller owns it; a set-group-id
    /// directory gives it its group.
    pub(super) fn new_node(
        &self,
        context: &Context,
        parent: &Node,
        mode: u32,
        body: Body,
    ) -> Result<Arc<Node>> {
        let mut owner = Owner { uid: context.uid, gid: context.gid, mode };
        let directory = parent.metadata();
        if u32::from(directory.permissions) & SET_GROUP_ID != 0 {
            owner.gid = directory.gid;
            if matches!(body, Body::Directory(_)) {
                owner.mode |= SET_GROUP_ID;
            }
        }
        drop(directory);
        self.tree.new_node(body, owner)
    }

    pub(super) fn remove_file(&self, parent: Inode, name: &OsStr) -> Result<()> {
        self.remove(parent, name, |node| match node.kind() {
            FileType::Directory => Err(Errno::EISDIR),
            _ => Ok(()),
        })
    }

    pub(super) fn remove_directory(&self, parent: Inode, name: &OsStr) -> Result<()> {
        self.remove(parent, name, |node| node.directory()?.names.write().remove_all())
    }

    /// Removes a name if `prepare` lets its inode go.
    fn remove(
        &self,
        parent: Inode,
        name: &OsStr,
        prepare: impl FnOnce(&Node) -> Result<()>,
    ) -> Result<()> {
        let parent = self.inodes.get(parent)?;
        check_name(name)?;
        let directory = parent.directory()?;
        let shape = self.tree.shape.read();
        let mut names = directory.names.write();
        let node = names.get(name).map(Arc::clone).ok_or(Errno::ENOENT)?;
        prepare(&node)?;
        names.remove(name);
        note_removal(&parent, &node);
        drop((names, shape));
        // may free a large file, without the locks
        drop(node);
        Ok(())
    }

    pub(super) fn make_link(
        &self,
        inode: Inode,
        new_parent: Inode,
        new_name: &OsStr,
    ) -> Result<Entry> {
        let node = self.inodes.get(inode)?;
        let parent = self.inodes.get(new_parent)?;
        check_name(new_name)?;
        let directory = parent.directory()?;
        let _shape = self.tree.shape.read();
        let mut names = directory.names.write();
        if names.get(new_name).is_some() {
            return Err(Errno::EEXIST);
        }
        if node.kind() == FileType::Directory {
            return Err(Errno::EPERM);
        }
        add_link(&mut names, new_name, &node)?;
        parent.note_content_change(&mut parent.metadata());
        Ok(self.entry(&node))
    }

    pub(super) fn link_target(&self, inode: Inode) -> Result<Vec<u8>> {
        let node = self.inodes.get(inode)?;
        let Body::SymbolicLink(target) = &node.body else { return Err(Errno::EINVAL) };
        node.was_read();
        Ok(target.to_vec())
    }
}

/// Gives `node` another name; an inode of the limit pays for it, as it does on tmpfs.
fn add_link(names: &mut Names, name: &OsStr, node: &Arc<Node>) -> Result<()> {
    let mut metadata = node.metadata();
    let links = match metadata.links {
        // its last name went while the kernel was on its way here
        0 => return Err(Errno::ENOENT),
        links => links.checked_add(1).ok_or(Errno::EMLINK)?,
    };
    node.limits.inodes.take(1)?;
    if let Err(errno) = names.insert(name, Arc::clone(node)) {
        node.limits.inodes.give_back(1);
        return Err(errno);
    }
    metadata.links = links;
    node.note_change(&mut metadata);
    Ok(())
}

/// `node` has lost a name in `parent`.
pub(super) fn note_removal(parent: &Node, node: &Node) {
    let mut within = parent.metadata();
    if node.kind() == FileType::Directory {
        within.links -= 1;
    }
    parent.note_content_change(&mut within);
    drop(within);
    let mut metadata = node.metadata();
    if node.kind() == FileType::Directory {
        metadata.links = 0;
    } else {
        metadata.links -= 1;
        if metadata.links > 0 {
            node.limits.inodes.give_back(1);
        }
    }
    node.note_change(&mut metadata);
}

/// One name of a directory; what could lead elsewhere is EINVAL.
pub(super) fn check_name(name: &OsStr) -> Result<()> {
    match name.as_bytes() {
        b"" | b"." | b".." => Err(Errno::EINVAL),
        bytes if bytes.iter().any(|byte| matches!(byte, b'/' | 0)) => Err(Errno::EINVAL),
        bytes if bytes.len() > NAME_MAX as usize => Err(Errno::ENAMETOOLONG),
        _ => Ok(()),
    }
}
