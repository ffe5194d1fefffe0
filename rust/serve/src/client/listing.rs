//! Directory listings: what READDIR and READDIRPLUS are answered with, and reading them all.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use fusesg_fs::{
    Attributes, DirectoryEntry, Errno, FileType, Handle, Inode, Operation, Reply, Result,
};

use super::Client;
use super::absent::O_LARGEFILE;
use super::node::Node;
use super::permissions::Access;
use super::session::Session;

/// Bytes of a listing that one request asks for, as glibc does.
const LISTING_BYTES: usize = 32 * 1024;
/// `struct fuse_dirent` and `struct fuse_direntplus` without the name.
const DIRENT: usize = 24;
const DIRENT_PLUS: usize = 152;

/// The answer to one READDIR or READDIRPLUS, as large as the kernel's buffer would be.
#[derive(Debug)]
pub(crate) struct Listing {
    plus: bool,
    room: usize,
    entries: Vec<Listed>,
}

/// An entry of a listing.
#[derive(Debug)]
pub(super) struct Listed {
    name: OsString,
    inode: Inode,
    kind: Option<FileType>,
    next_offset: u64,
    /// What a LOOKUP would have answered; counts as one.
    attributes: Option<Attributes>,
}

/// One name in a directory, as [`Client::list`] tells of it.
#[derive(Clone, Debug)]
pub struct ClientEntry {
    /// The name.
    pub name: OsString,
    /// `d_ino`.
    pub inode: Inode,
    /// `d_type`, where the file system told it.
    pub kind: Option<FileType>,
    /// The attributes, where the file system lists them.
    pub attributes: Option<Attributes>,
}

impl Listing {
    fn new(plus: bool) -> Self {
        Self { plus, room: LISTING_BYTES, entries: Vec::new() }
    }

    /// Appends an entry; `false` if there is no room for it.
    pub(super) fn add(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        let header = if self.plus { DIRENT_PLUS } else { DIRENT };
        let size = (header + entry.name.len()).next_multiple_of(8);
        let Some(room) = self.room.checked_sub(size) else { return false };
        self.room = room;
        let described = entry.entry.filter(|entry| self.plus && entry.attributes.inode != Inode(0));
        self.entries.push(Listed {
            name: entry.name.to_owned(),
            inode: entry.inode,
            kind: entry.kind,
            next_offset: entry.next_offset,
            attributes: described.filter(|_| !is_dots(entry.name)).map(|entry| entry.attributes),
        });
        true
    }
}

/// `.` and `..` carry attributes but no lookup.
fn is_dots(name: &OsStr) -> bool {
    name == "." || name == ".."
}

impl Client {
    /// The entries of a directory, without `.` and `..`.
    pub fn list(&self, path: &OsStr) -> Result<Vec<ClientEntry>> {
        let _use = self.enter()?;
        let directory = self.resolve(path, true)?;
        let attributes = directory.attributes()?;
        if attributes.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        self.session.check_access(&attributes, Access::READ)?;
        let open = OpenDirectory::new(&self.session, &directory)?;
        open.entries()
    }
}

/// A directory that is open; RELEASEDIR when dropped.
struct OpenDirectory<'a> {
    session: &'a Arc<Session>,
    inode: Inode,
    /// `None` where OPENDIR is not there.
    handle: Option<Handle>,
}

impl<'a> OpenDirectory<'a> {
    fn new(session: &'a Arc<Session>, directory: &Node) -> Result<Self> {
        let inode = directory.inode();
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | O_LARGEFILE;
        let operation = Operation::Opendir { inode, flags };
        let handle = match session.ask_unless_absent(operation)? {
            Some(Reply::Opened(opened)) => Some(opened.handle),
            Some(_) => return Err(Errno::EIO),
            None => None,
        };
        Ok(Self { session, inode, handle })
    }

    fn entries(&self) -> Result<Vec<ClientEntry>> {
        let plus = self.session.lists_attributes();
        let (inode, handle) = (self.inode, self.handle.unwrap_or_default());
        let (mut all, mut offset) = (Vec::new(), 0);
        loop {
            let operation = if plus {
                Operation::Readdirplus { inode, handle, offset }
            } else {
                Operation::Readdir { inode, handle, offset }
            };
            let entries = self.session.ask_for_listing(operation, Listing::new(plus))?.entries;
            let Some(last) = entries.last() else { return Ok(all) };
            let before = std::mem::replace(&mut offset, last.next_offset);
            for entry in entries {
                if let Some(attributes) = entry.attributes {
                    // counted as a lookup, which is given back at once
                    drop(Node::looked_up(self.session, attributes));
                }
                if !is_dots(&entry.name) {
                    let Listed { name, inode, kind, attributes, .. } = entry;
                    all.push(ClientEntry { name, inode, kind, attributes });
                }
            }
            if offset == before {
                log::error!("readdir of inode {inode} does not go on from {offset}; EIO instead");
                return Err(Errno::EIO);
            }
        }
    }
}

impl Drop for OpenDirectory<'_> {
    fn drop(&mut self) {
        if let Some(handle) = self.handle {
            let operation = Operation::Releasedir {
                inode: self.inode,
                handle,
                flags: libc::O_RDONLY | libc::O_DIRECTORY,
            };
            // nobody can do anything about an error
            let _ = self.session.ask(operation);
        }
    }
}
