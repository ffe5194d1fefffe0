//! An inode.

use fusesg_sg::{Extent, Segment, SegmentList};

use super::names::NONE;
use crate::{Attributes, FileType, Inode, Timestamp};

/// Unit of `st_blocks`.
const BLOCK: u64 = 512;
/// `st_blksize`.
pub(super) const BLOCK_SIZE: u32 = 4096;

/// A file, directory or symbolic link.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) mtime: Timestamp,
    /// What most inodes do without.
    pub(super) extras: Option<Box<Extras>>,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// How many names lead here; for a directory 2 and one for each in it.
    pub(super) links: u32,
    pub(super) permissions: u16,
    /// A directory that was only named on the way to something in it.
    pub(super) implied: bool,
}

/// What an inode has by its kind.
#[derive(Debug)]
pub(super) enum Body {
    Directory {
        parent: u32,
        /// Names in it, or [`NONE`].
        first: u32,
        last: u32,
    },
    SymbolicLink(Box<[u8]>),
    /// A file without bytes.
    Empty,
    /// A file in one piece.
    Extent(Extent),
    /// A file in several pieces, or one in memory.
    Pieces(Box<Pieces>),
}

/// The bytes of a file.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) list: SegmentList,
    /// How many of them are no zeros.
    data: u64,
}

/// Name and value of an extended attribute.
pub type Xattr = (Box<[u8]>, Box<[u8]>);

/// Rare attributes.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) atime: Option<Timestamp>,
    pub(super) ctime: Option<Timestamp>,
    /// Names and values.
    pub(super) xattrs: Vec<Xattr>,
}

impl Body {
    pub(super) fn empty_directory(parent: u32) -> Self {
        Self::Directory { parent, first: NONE, last: NONE }
    }

    /// A file with these bytes.
    pub(super) fn file(list: SegmentList) -> Self {
        match list.segments() {
            [] => Self::Empty,
            [Segment::Extent(extent)] => Self::Extent(extent.clone()),
            segments => {
                let is_data = |segment: &&Segment| !matches!(segment, Segment::Zeros(_));
                let data = segments.iter().filter(is_data).map(Segment::len).sum();
                Self::Pieces(Box::new(Pieces { list, data }))
            }
        }
    }

    pub(super) fn kind(&self) -> FileType {
        match self {
            Self::Directory { .. } => FileType::Directory,
            Self::SymbolicLink(_) => FileType::SymbolicLink,
            Self::Empty | Self::Extent(_) | Self::Pieces(_) => FileType::Regular,
        }
    }

    /// Length, and how much of it takes place somewhere.
    pub(super) fn size(&self) -> (u64, u64) {
        match self {
            Self::Directory { .. } | Self::Empty => (0, 0),
            Self::SymbolicLink(target) => (target.len() as u64, 0),
            Self::Extent(extent) => (extent.length, extent.length),
            Self::Pieces(pieces) => (pieces.list.len(), pieces.data),
        }
    }
}

impl Node {
    pub(super) fn attributes(&self, inode: Inode) -> Attributes {
        let (size, allocated) = self.body.size();
        let extras = self.extras.as_deref();
        Attributes {
            inode,
            kind: self.body.kind(),
            permissions: self.permissions,
            size,
            blocks: allocated.div_ceil(BLOCK),
            block_size: BLOCK_SIZE,
            links: self.links,
            uid: self.uid,
            gid: self.gid,
            rdev: 0,
            atime: extras.and_then(|extras| extras.atime).unwrap_or(self.mtime),
            mtime: self.mtime,
            ctime: extras.and_then(|extras| extras.ctime).unwrap_or(self.mtime),
        }
    }

    /// Names and values of the extended attributes.
    pub(super) fn xattrs(&self) -> &[Xattr] {
        self.extras.as_deref().map_or(&[], |extras| &extras.xattrs)
    }
}
