//! An inode.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::contents::Contents;
use super::directory::Directory;
use super::limits::Limits;
use super::metadata::{Metadata, first_links, now, permissions};
use super::xattr;
use crate::{Attributes, Errno, FileType, Inode, Result};

/// Unit of `st_blocks`.
const BLOCK: u64 = 512;
/// `st_blksize`, and the unit of what statfs shows.
pub(super) const BLOCK_SIZE: u32 = 4096;

/// A file, directory, link or device. It lives as long as a name leads to it, the kernel
/// knows it or it is open, whichever is longest, and then gives back what it took.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) number: Inode,
    pub(super) body: Body,
    metadata: Mutex<Metadata>,
    /// It was read after it last changed: reading it again changes no time.
    read_since: AtomicBool,
    /// How many open files may write it.
    pub(super) writers: AtomicU32,
    pub(super) limits: Arc<Limits>,
}

/// What an inode has by its kind, which never changes.
#[derive(Debug)]
pub(super) enum Body {
    Regular(RwLock<Contents>),
    Directory(Box<Directory>),
    SymbolicLink(Box<[u8]>),
    /// A FIFO, socket or device, with its number.
    Special(FileType, u32),
}

/// Who owns a new inode, and who may use it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

impl Node {
    /// A node without a name; ENOSPC if there is no room for it.
    pub(super) fn new(
        limits: &Arc<Limits>,
        number: Inode,
        body: Body,
        owner: Owner,
    ) -> Result<Arc<Self>> {
        let bytes = body.fixed_bytes();
        limits.inodes.take(1)?;
        if let Err(errno) = limits.bytes.take(bytes) {
            limits.inodes.give_back(1);
            return Err(errno);
        }
        let time = now();
        let metadata = Metadata {
            permissions: permissions(owner.mode),
            links: first_links(body.kind()),
            uid: owner.uid,
            gid: owner.gid,
            atime: time,
            mtime: time,
            ctime: time,
            xattrs: None,
        };
        Ok(Arc::new(Self {
            number,
            body,
            metadata: Mutex::new(metadata),
            read_since: AtomicBool::new(false),
            writers: AtomicU32::new(0),
            limits: Arc::clone(limits),
        }))
    }

    pub(super) fn kind(&self) -> FileType {
        self.body.kind()
    }

    /// The directory that it is.
    pub(super) fn directory(&self) -> Result<&Directory> {
        match &self.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// The file that it is, to be opened or truncated.
    pub(super) fn contents(&self) -> Result<&RwLock<Contents>> {
        match &self.body {
            Body::Regular(contents) => Ok(contents),
            Body::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    pub(super) fn read_contents(&self) -> Result<RwLockReadGuard<'_, Contents>> {
        self.contents().map(RwLock::read)
    }

    pub(super) fn write_contents(&self) -> Result<RwLockWriteGuard<'_, Contents>> {
        self.contents().map(RwLock::write)
    }

    pub(super) fn metadata(&self) -> MutexGuard<'_, Metadata> {
        self.metadata.lock()
    }

    /// The metadata was changed: sets ctime, and lets the next read count as one.
    pub(super) fn note_change(&self, metadata: &mut MutexGuard<'_, Metadata>) {
        metadata.ctime = now();
        // with the lock held, or a read in between could claim to have come later
        self.read_since.store(false, Ordering::Relaxed);
    }

    /// The content was changed, or the names in it.
    pub(super) fn note_content_change(&self, metadata: &mut MutexGuard<'_, Metadata>) {
        self.note_change(metadata);
        metadata.mtime = metadata.ctime;
    }

    /// Sets the access time as a mount with `relatime` does: where it is not later than the
    /// last change. (The kernel leaves access times to the file system.)
    pub(super) fn was_read(&self) {
        if self.read_since.load(Ordering::Relaxed) {
            return;
        }
        let mut metadata = self.metadata.lock();
        metadata.atime = now();
        self.read_since.store(true, Ordering::Relaxed);
    }

    pub(super) fn attributes(&self) -> Attributes {
        // held together with the metadata, so that size and times belong to each other
        let contents = self.read_contents().ok();
        let (size, bytes) = match &self.body {
            Body::Regular(_) => {
                contents.as_ref().map_or((0, 0), |file| (file.size(), file.allocated()))
            }
            Body::SymbolicLink(target) => (target.len() as u64, 0),
            Body::Directory(_) | Body::Special(..) => (0, 0),
        };
        let metadata = self.metadata.lock();
        Attributes {
            inode: self.number,
            kind: self.kind(),
            permissions: metadata.permissions,
            size,
            blocks: bytes / BLOCK,
            block_size: BLOCK_SIZE,
            links: metadata.links,
            uid: metadata.uid,
            gid: metadata.gid,
            rdev: match self.body {
                Body::Special(_, rdev) => rdev,
                _ => 0,
            },
            atime: metadata.atime,
            mtime: metadata.mtime,
            ctime: metadata.ctime,
        }
    }
}

impl Body {
    pub(super) fn empty_file() -> Self {
        Self::Regular(RwLock::default())
    }

    fn kind(&self) -> FileType {
        match self {
            Self::Regular(_) => FileType::Regular,
            Self::Directory(_) => FileType::Directory,
            Self::SymbolicLink(_) => FileType::SymbolicLink,
            Self::Special(kind, _) => *kind,
        }
    }

    /// Bytes that it takes as long as it is there.
    fn fixed_bytes(&self) -> u64 {
        match self {
            Self::SymbolicLink(target) => target.len() as u64,
            _ => 0,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let pages = match &mut self.body {
            Body::Regular(contents) => contents.get_mut().allocated(),
            _ => 0,
        };
        let xattrs = self.metadata.get_mut().xattrs.as_deref().map_or(0, xattr::bytes);
        self.limits.bytes.give_back(self.body.fixed_bytes() + pages + xattrs);
        self.limits.inodes.give_back(1);
    }
}
