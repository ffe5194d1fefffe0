//! Moving and exchanging names.

use std::ffi::OsStr;
use std::sync::Arc;

use parking_lot::RwLockWriteGuard;

use super::Memory;
use super::directory::Names;
use super::names::{check_name, note_removal};
use super::node::{Body, Node};
use crate::{Context, Errno, FileType, Inode, RenameFlags, Result};

/// A name of a directory.
#[derive(Clone, Copy)]
struct Place<'a> {
    parent: &'a Arc<Node>,
    name: &'a OsStr,
}

/// The names of both directories, which may be one.
enum Locked<'a> {
    Same(RwLockWriteGuard<'a, Names>),
    Two(RwLockWriteGuard<'a, Names>, RwLockWriteGuard<'a, Names>),
}

impl Locked<'_> {
    fn from(&mut self) -> &mut Names {
        match self {
            Self::Same(names) | Self::Two(names, _) => names,
        }
    }

    fn to(&mut self) -> &mut Names {
        match self {
            Self::Same(names) | Self::Two(_, names) => names,
        }
    }
}

impl Memory {
    pub(super) fn move_name(
        &self,
        context: &Context,
        parent: Inode,
        name: &OsStr,
        new_parent: Inode,
        new_name: &OsStr,
        flags: RenameFlags,
    ) -> Result<()> {
        check_flags(flags)?;
        let (parent, new_parent) = (self.inodes.get(parent)?, self.inodes.get(new_parent)?);
        check_name(name)?;
        check_name(new_name)?;
        let from = Place { parent: &parent, name };
        let to = Place { parent: &new_parent, name: new_name };
        let (from_names, to_names) = (&parent.directory()?.names, &new_parent.directory()?.names);
        let replaced = if Arc::ptr_eq(&parent, &new_parent) {
            let _shape = self.tree.shape.read();
            self.move_locked(context, from, to, &mut Locked::Same(from_names.write()), flags)?
        } else {
            let _shape = self.tree.shape.write();
            // nobody else holds two directories now: the order does not matter
            let mut names = Locked::Two(from_names.write(), to_names.write());
            self.move_locked(context, from, to, &mut names, flags)?
        };
        // may free a large file, without the locks
        drop(replaced);
        Ok(())
    }

    /// Returns what lost its name.
    fn move_locked(
        &self,
        context: &Context,
        from: Place<'_>,
        to: Place<'_>,
        names: &mut Locked<'_>,
        flags: RenameFlags,
    ) -> Result<Option<Arc<Node>>> {
        let source = names.from().get(from.name).map(Arc::clone).ok_or(Errno::ENOENT)?;
        let target = names.to().get(to.name).map(Arc::clone);
        if target.is_some() && flags.contains(RenameFlags::NOREPLACE) {
            return Err(Errno::EEXIST);
        }
        if target.is_none() && flags.contains(RenameFlags::EXCHANGE) {
            return Err(Errno::ENOENT);
        }
        if is_above(&source, to.parent) {
            return Err(Errno::EINVAL);
        }
        if flags.contains(RenameFlags::EXCHANGE) {
            let target = target.ok_or(Errno::ENOENT)?;
            if is_above(&target, from.parent) {
                return Err(Errno::EINVAL);
            }
            exchange(from, to, names, &source, &target)?;
            return Ok(None);
        }
        // made before anything is changed: there may be no room for it
        let whiteout = if flags.contains(RenameFlags::WHITEOUT) {
            let body = Body::Special(FileType::CharacterDevice, 0);
            Some(self.new_node(context, from.parent, 0, body)?)
        } else {
            None
        };
        if let Some(target) = &target {
            if Arc::ptr_eq(&source, target) {
                return Ok(None); // two names of one inode: nothing to do
            }
            if is_above(target, from.parent) {
                return Err(Errno::ENOTEMPTY);
            }
            check_replaceable(&source, target)?;
        } else {
            names.to().check_alive()?;
        }
        // from here on nothing fails
        match whiteout {
            Some(whiteout) => drop(names.from().replace(from.name, whiteout)?),
            None => drop(names.from().remove(from.name)),
        }
        let replaced = names.to().replace(to.name, Arc::clone(&source))?;
        if let Some(replaced) = &replaced {
            note_removal(to.parent, replaced);
        }
        note_move(from.parent, to.parent, &source);
        note_names_changed(from.parent, to.parent);
        Ok(replaced)
    }
}

fn check_flags(flags: RenameFlags) -> Result<()> {
    let known = RenameFlags::NOREPLACE | RenameFlags::EXCHANGE | RenameFlags::WHITEOUT;
    let other = RenameFlags::NOREPLACE | RenameFlags::WHITEOUT;
    let unknown = flags.bits() & !known.bits() != 0;
    if unknown || (flags.contains(RenameFlags::EXCHANGE) && flags.intersects(other)) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

fn exchange(
    from: Place<'_>,
    to: Place<'_>,
    names: &mut Locked<'_>,
    source: &Arc<Node>,
    target: &Arc<Node>,
) -> Result<()> {
    names.from().replace(from.name, Arc::clone(target))?;
    names.to().replace(to.name, Arc::clone(source))?;
    note_move(from.parent, to.parent, source);
    note_move(to.parent, from.parent, target);
    note_names_changed(from.parent, to.parent);
    Ok(())
}

/// Whether `node` is `directory` or one of those that it is in. The shape of the tree is
/// locked exclusively, or the two are siblings and the answer is no.
fn is_above(node: &Arc<Node>, directory: &Arc<Node>) -> bool {
    if node.kind() != FileType::Directory {
        return false;
    }
    let mut current = Some(Arc::clone(directory));
    while let Some(here) = current {
        if Arc::ptr_eq(&here, node) {
            return true;
        }
        current = here.directory().ok().and_then(super::directory::Directory::parent);
    }
    false
}

/// Whether `source` may take the place of `target`; a directory is removed by that.
fn check_replaceable(source: &Node, target: &Node) -> Result<()> {
    match (source.directory(), target.directory()) {
        (Ok(_), Ok(target)) => target.names.write().remove_all(),
        (Ok(_), Err(_)) => Err(Errno::ENOTDIR),
        (Err(_), Ok(_)) => Err(Errno::EISDIR),
        (Err(_), Err(_)) => Ok(()),
    }
}

/// `node` has moved from one directory to another, perhaps the same.
fn note_move(from: &Arc<Node>, to: &Arc<Node>, node: &Node) {
    if let Ok(directory) = node.directory()
        && !Arc::ptr_eq(from, to)
    {
        directory.set_parent(to);
        from.metadata().links -= 1;
        to.metadata().links += 1;
    }
    node.note_change(&mut node.metadata());
}

fn note_names_changed(from: &Arc<Node>, to: &Arc<Node>) {
    from.note_content_change(&mut from.metadata());
    if !Arc::ptr_eq(from, to) {
        to.note_content_change(&mut to.metadata());
    }
}
