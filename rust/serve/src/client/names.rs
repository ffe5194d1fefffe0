//! Names: making, linking, renaming and removing what they lead to.
//!
//! What the kernel finds out by itself, from lookups, is found out here in the same way:
//! EEXIST, EISDIR, ENOTDIR and their like never reach the file system.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

use fusesg_fs::{Errno, FileType, Operation, RenameFlags, Result};

use super::Client;
use super::node::Node;
use super::path_walk::Place;
use super::permissions::Access;

impl Client {
    /// Makes a directory.
    pub fn make_directory(&self, path: &OsStr, mode: u32) -> Result<()> {
        let _use = self.enter()?;
        let place = self.locate(path)?;
        let (directory, name) = self.free_name(&place, true)?;
        let mode = self.session.creation_mode(mode & 0o1777);
        let parent = directory.inode();
        let reply =
            self.session.ask(Operation::Mkdir { parent, name: Cow::Borrowed(name), mode })?;
        self.session.made(&reply).map(drop)
    }

    /// Makes a file, FIFO, socket or device: the type is in `mode`, a regular file if it is not.
    pub fn make_node(&self, path: &OsStr, mode: u32, device: u32) -> Result<()> {
        let _use = self.enter()?;
        let place = self.locate(path)?;
        let (directory, name) = self.free_name(&place, false)?;
        let kind = match mode & libc::S_IFMT {
            0 => libc::S_IFREG,
            libc::S_IFDIR => return Err(Errno::EPERM),
            kind => FileType::from_mode(kind).ok_or(Errno::EINVAL)?.mode(),
        };
        let mode = kind | self.session.creation_mode(mode & 0o7777);
        let (parent, name) = (directory.inode(), Cow::Borrowed(name));
        let reply = self.session.ask(Operation::Mknod { parent, name, mode, rdev: device })?;
        self.session.made(&reply).map(drop)
    }

    /// Makes a symbolic link.
    pub fn make_symlink(&self, target: &OsStr, path: &OsStr) -> Result<()> {
        let _use = self.enter()?;
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        let place = self.locate(path)?;
        let (directory, name) = self.free_name(&place, false)?;
        let (parent, name) = (directory.inode(), Cow::Borrowed(name));
        let target = Cow::Borrowed(target);
        let reply = self.session.ask(Operation::Symlink { parent, name, target })?;
        self.session.made(&reply).map(drop)
    }

    /// The text of a symbolic link.
    pub fn read_link(&self, path: &OsStr) -> Result<OsString> {
        let _use = self.enter()?;
        let node = self.resolve(path, false)?;
        if node.attributes()?.kind != FileType::SymbolicLink {
            return Err(Errno::EINVAL);
        }
        self.session.target(&node)
    }

    /// Gives a file another name; with `follow` the one that a symbolic link leads to.
    pub fn make_link(&self, path: &OsStr, new_path: &OsStr, follow: bool) -> Result<()> {
        let _use = self.enter()?;
        let node = self.resolve(path, follow)?;
        let place = self.locate(new_path)?;
        let (directory, name) = self.free_name(&place, false)?;
        if node.attributes()?.kind == FileType::Directory {
            return Err(Errno::EPERM);
        }
        let operation = Operation::Link {
            inode: node.inode(),
            new_parent: directory.inode(),
            new_name: Cow::Borrowed(name),
        };
        let reply = self.session.ask(operation)?;
        self.session.made(&reply).map(drop)
    }

    /// Removes a name of a file.
    pub fn unlink(&self, path: &OsStr) -> Result<()> {
        let _use = self.enter()?;
        let place = self.locate(path)?;
        let (directory, name, slash) = place.name(Errno::EISDIR)?;
        let victim = self.session.lookup(directory, name)?.ok_or(Errno::ENOENT)?;
        match victim.attributes()?.kind {
            FileType::Directory => return Err(Errno::EISDIR),
            _ if slash => return Err(Errno::ENOTDIR),
            _ => {}
        }
        self.check_removal(directory, &victim)?;
        let (parent, name) = (directory.inode(), Cow::Borrowed(name));
        self.session.ask(Operation::Unlink { parent, name }).map(drop)
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, path: &OsStr) -> Result<()> {
        let _use = self.enter()?;
        let place = self.locate(path)?;
        let (directory, name, _) = place.name(Errno::EBUSY)?;
        let victim = self.session.lookup(directory, name)?.ok_or(Errno::ENOENT)?;
        if victim.attributes()?.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        self.check_removal(directory, &victim)?;
        let (parent, name) = (directory.inode(), Cow::Borrowed(name));
        self.session.ask(Operation::Rmdir { parent, name }).map(drop)
    }

    /// Renames or exchanges, as renameat2(2).
    pub fn rename(&self, path: &OsStr, new_path: &OsStr, flags: RenameFlags) -> Result<()> {
        let _use = self.enter()?;
        let known = RenameFlags::NOREPLACE | RenameFlags::EXCHANGE | RenameFlags::WHITEOUT;
        if !known.contains(flags)
            || (flags.contains(RenameFlags::EXCHANGE) && flags != RenameFlags::EXCHANGE)
        {
            return Err(Errno::EINVAL);
        }
        let (from, to) = (self.locate(path)?, self.locate(new_path)?);
        let (old_directory, old_name, old_slash) = from.name(Errno::EBUSY)?;
        let (new_directory, new_name, new_slash) = to.name(Errno::EBUSY)?;
        let source = self.session.lookup(old_directory, old_name)?.ok_or(Errno::ENOENT)?;
        let target = self.session.lookup(new_directory, new_name)?;
        let slashes = (old_slash, new_slash);
        check_target(&source, target.as_ref(), flags, slashes)?;
        if to.leads_through(&source) {
            return Err(Errno::EINVAL);
        }
        if target.as_ref().is_some_and(|target| from.leads_through(target)) {
            let exchange = flags.contains(RenameFlags::EXCHANGE);
            return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        if target.as_ref().is_some_and(|target| target.inode() == source.inode()) {
            // two names of one file: both stay
            return Ok(());
        }
        self.check_removal(old_directory, &source)?;
        match &target {
            Some(target) => self.check_removal(new_directory, target)?,
            None => self.check_addition(new_directory)?,
        }
        check_kinds(&source, target.as_ref(), flags)?;
        let operation = Operation::Rename {
            parent: old_directory.inode(),
            name: Cow::Borrowed(old_name),
            new_parent: new_directory.inode(),
            new_name: Cow::Borrowed(new_name),
            flags,
        };
        match self.session.ask(operation) {
            // no flags, as far as it goes
            Err(Errno::ENOSYS) if !flags.is_empty() => Err(Errno::EINVAL),
            other => other.map(drop),
        }
    }

    /// The directory and name of something that is to be made.
    fn free_name<'p>(&self, place: &'p Place, directory: bool) -> Result<(&'p Node, &'p OsStr)> {
        let (parent, name, slash) = place.name(Errno::EEXIST)?;
        if self.session.lookup(parent, name)?.is_some() {
            return Err(Errno::EEXIST);
        }
        if slash && !directory {
            return Err(Errno::ENOENT);
        }
        self.check_addition(parent)?;
        Ok((parent, name))
    }

    fn check_addition(&self, directory: &Node) -> Result<()> {
        self.session.check_writable()?;
        if !self.config().default_permissions || self.config().uid == 0 {
            return Ok(());
        }
        let attributes = directory.attributes()?;
        self.session.check_access(&attributes, Access::WRITE | Access::EXECUTE)
    }

    fn check_removal(&self, directory: &Node, victim: &Node) -> Result<()> {
        self.session.check_writable()?;
        if !self.config().default_permissions || self.config().uid == 0 {
            return Ok(());
        }
        self.session.check_removal(&directory.attributes()?, &victim.attributes()?)
    }
}

/// Whether the target has to be there, or must not.
fn check_target(
    source: &Node,
    target: Option<&Node>,
    flags: RenameFlags,
    (old_slash, new_slash): (bool, bool),
) -> Result<()> {
    let exchange = flags.contains(RenameFlags::EXCHANGE);
    if flags.contains(RenameFlags::NOREPLACE) && target.is_some() {
        return Err(Errno::EEXIST);
    }
    if exchange && target.is_none() {
        return Err(Errno::ENOENT);
    }
    if !is_directory(source)? && (old_slash || (new_slash && !exchange)) {
        return Err(Errno::ENOTDIR);
    }
    Ok(())
}

/// A directory takes the place of a directory, and anything else of anything else.
fn check_kinds(source: &Node, target: Option<&Node>, flags: RenameFlags) -> Result<()> {
    let Some(target) = target.filter(|_| !flags.contains(RenameFlags::EXCHANGE)) else {
        return Ok(());
    };
    match (is_directory(source)?, is_directory(target)?) {
        (true, false) => Err(Errno::ENOTDIR),
        (false, true) => Err(Errno::EISDIR),
        _ => Ok(()),
    }
}

fn is_directory(node: &Node) -> Result<bool> {
    Ok(node.attributes()?.kind == FileType::Directory)
}
