//! The file system trait.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use fusesg_sg::SegmentList;

use super::names::NONE;
use super::node::{BLOCK_SIZE, Body, Node};
use super::{Tree, inode};
use crate::open_data::seek;
use crate::{
    AttributesReply, Context, DirectoryEntry, DirectorySink, Entry, Errno, FileSystem, FileType,
    FilesystemStatistics, Handle, Inode, Opened, OpenedFlags, OperationKind, OperationSet,
    Properties, Result,
};

/// How long the kernel may believe what never changes (136 years).
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);
/// Positions of `.` and `..` in a listing; those of the names follow.
const DOT: u64 = 1;
const DOT_DOT: u64 = 2;
const FIRST: u64 = 3;

/// What every tree implements. What is missing the kernel does by itself: it opens files and
/// directories without asking, keeps what it has cached of them, and refuses every change.
const ALWAYS: OperationSet = OperationSet::EMPTY
    .with(OperationKind::Lookup)
    .with(OperationKind::Getattr)
    .with(OperationKind::Readlink)
    .with(OperationKind::Read)
    .with(OperationKind::Statfs)
    .with(OperationKind::Readdir)
    .with(OperationKind::Readdirplus);

impl FileSystem for Tree {
    fn properties(&self) -> Properties {
        let mut implemented = ALWAYS;
        // where there is nothing to tell, the kernel asks once
        if self.has_xattrs {
            implemented = implemented.with(OperationKind::Getxattr).with(OperationKind::Listxattr);
        }
        if self.has_holes {
            implemented = implemented.with(OperationKind::Lseek);
        }
        Properties {
            implemented,
            readdirplus: true,
            parallel_directory_operations: true,
            cache_symlinks: true,
            keep_cache_without_open: true,
            read_only: true,
            ..Properties::default()
        }
    }

    fn lookup(&self, _context: &Context, parent: Inode, name: &OsStr) -> Result<Entry> {
        let (parent, node) = self.node(parent)?;
        if node.body.kind() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        match self.names.find(parent, name.as_bytes()) {
            Some(found) => Ok(self.entry(found)),
            // will not come into being either
            None => Ok(Entry { entry_timeout: Some(FOR_EVER), ..Entry::NEGATIVE }),
        }
    }

    fn getattr(
        &self,
        _context: &Context,
        inode: Inode,
        _handle: Option<Handle>,
    ) -> Result<AttributesReply> {
        let (_, node) = self.node(inode)?;
        Ok(AttributesReply { attributes: node.attributes(inode), timeout: Some(FOR_EVER) })
    }

    fn readlink(&self, _context: &Context, inode: Inode) -> Result<Vec<u8>> {
        match &self.node(inode)?.1.body {
            Body::SymbolicLink(target) => Ok(target.to_vec()),
            _ => Err(Errno::EINVAL),
        }
    }

    /// For who asks all the same: a class that overrides it, through `super()`.
    fn open(&self, _context: &Context, inode: Inode, flags: i32) -> Result<Opened> {
        if flags & libc::O_ACCMODE != libc::O_RDONLY {
            return Err(Errno::EROFS);
        }
        match self.node(inode)?.1.body.kind() {
            FileType::Directory => Err(Errno::EISDIR),
            FileType::SymbolicLink => Err(Errno::ELOOP),
            _ => Ok(Opened { flags: OpenedFlags::KEEP_CACHE, ..Opened::default() }),
        }
    }

    fn opendir(&self, _context: &Context, inode: Inode, _flags: i32) -> Result<Opened> {
        let flags = OpenedFlags::KEEP_CACHE | OpenedFlags::CACHE_DIRECTORY;
        match self.node(inode)?.1.body {
            Body::Directory { .. } => Ok(Opened { flags, ..Opened::default() }),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn read(
        &self,
        _context: &Context,
        inode: Inode,
        _handle: Handle,
        offset: u64,
        size: u32,
    ) -> Result<SegmentList> {
        match &self.node(inode)?.1.body {
            Body::Extent(extent) => {
                let size = extent.length.saturating_sub(offset).min(size.into());
                if size == 0 {
                    return Ok(SegmentList::new());
                }
                let backing = Arc::clone(&extent.backing);
                Ok(SegmentList::from_extent(backing, extent.offset + offset, size))
            }
            Body::Pieces(pieces) => Ok(pieces.list.slice(offset, size.into())),
            Body::Empty => Ok(SegmentList::new()),
            Body::Directory { .. } => Err(Errno::EISDIR),
            Body::SymbolicLink(_) => Err(Errno::EINVAL),
        }
    }

    fn lseek(
        &self,
        _context: &Context,
        inode: Inode,
        _handle: Handle,
        offset: i64,
        whence: i32,
    ) -> Result<u64> {
        if !matches!(whence, libc::SEEK_DATA | libc::SEEK_HOLE) {
            return Err(Errno::EINVAL);
        }
        let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        match &self.node(inode)?.1.body {
            Body::Pieces(pieces) => seek(&pieces.list, offset, whence),
            Body::Extent(extent) if offset < extent.length => {
                Ok(if whence == libc::SEEK_DATA { offset } else { extent.length })
            }
            Body::Extent(_) | Body::Empty => Err(Errno::ENXIO),
            Body::Directory { .. } | Body::SymbolicLink(_) => Err(Errno::EINVAL),
        }
    }

    fn readdir(
        &self,
        _context: &Context,
        inode: Inode,
        _handle: Handle,
        offset: u64,
        plus: bool,
        sink: &mut dyn DirectorySink,
    ) -> Result<()> {
        let (directory, node) = self.node(inode)?;
        let Body::Directory { parent, first, .. } = node.body else { return Err(Errno::ENOTDIR) };
        for (cookie, name, index) in [(DOT, ".", directory), (DOT_DOT, "..", parent)] {
            if offset < cookie && !sink.add(&dots(name, index, cookie)) {
                return Ok(());
            }
        }
        let mut next = match offset.checked_sub(FIRST) {
            None => first,
            Some(last) => {
                let last = u32::try_from(last).ok().and_then(|last| self.names.get(last));
                // a position of another directory, if somebody made it up
                let last = last.filter(|(name, _)| name.parent == directory);
                last.map_or(NONE, |(name, _)| name.next)
            }
        };
        while let Some((name, text)) = self.names.get(next) {
            let entry = plus.then(|| self.entry(name.node));
            let fits = sink.add(&DirectoryEntry {
                name: OsStr::from_bytes(text),
                inode: super::inode(name.node),
                kind: Some(self.nodes[name.node as usize].body.kind()),
                next_offset: u64::from(next) + FIRST,
                entry: entry.as_ref(),
            });
            if !fits {
                break;
            }
            next = name.next;
        }
        Ok(())
    }

    fn statfs(&self, _context: &Context, _inode: Inode) -> Result<FilesystemStatistics> {
        Ok(FilesystemStatistics {
            blocks: self.bytes.div_ceil(BLOCK_SIZE.into()),
            files: self.nodes.len() as u64,
            ..FilesystemStatistics::default()
        })
    }

    fn getxattr(&self, _context: &Context, inode: Inode, name: &OsStr) -> Result<Vec<u8>> {
        let xattrs = self.node(inode)?.1.xattrs();
        let found = xattrs.iter().find(|(known, _)| **known == *name.as_bytes());
        found.map(|(_, value)| value.to_vec()).ok_or(Errno::ENODATA)
    }

    fn listxattr(&self, _context: &Context, inode: Inode) -> Result<Vec<u8>> {
        let xattrs = self.node(inode)?.1.xattrs();
        Ok(xattrs.iter().flat_map(|(name, _)| [&**name, b"\0"].concat()).collect())
    }
}

impl Tree {
    fn entry(&self, index: u32) -> Entry {
        let node: &Node = &self.nodes[index as usize];
        Entry {
            attributes: node.attributes(inode(index)),
            generation: 0,
            entry_timeout: Some(FOR_EVER),
            attribute_timeout: Some(FOR_EVER),
        }
    }
}

fn dots(name: &str, index: u32, cookie: u64) -> DirectoryEntry<'_> {
    DirectoryEntry {
        name: OsStr::new(name),
        inode: inode(index),
        kind: Some(FileType::Directory),
        next_offset: cookie,
        entry: None,
    }
}
