//! Listings: getdents64 on a descriptor per open directory.
//!
//! Offsets are the backing's own cookies, so a listing goes on at any of them, after
//! entries were deleted and in another open of the directory.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use parking_lot::Mutex;

use super::attributes::kind;
use super::inode_numbers::Identity;
use super::{Passthrough, sys};
use crate::{DirectoryEntry, DirectorySink, Errno, FileType, Handle, Inode, Opened, Result};

/// What one getdents64 reads at most.
const BUFFER_SIZE: usize = 32 * 1024;
/// Where the name starts in `struct linux_dirent64`: after inode, offset, length and type.
const NAME_START: usize = 19;

/// An open directory of the mount.
#[derive(Debug)]
pub(super) struct DirectoryStream {
    fd: OwnedFd,
    /// Device the directory is on.
    device: u64,
    listing: Mutex<Listing>,
}

/// Records that were read and not yet asked for.
#[derive(Debug, Default)]
struct Listing {
    buffer: Vec<u8>,
    /// First record in `buffer` that is still to be listed.
    next: usize,
    /// Cookie of that record's predecessor: the offset it is asked for with.
    position: u64,
}

/// One record of getdents64.
pub(crate) struct Record<'a> {
    pub(crate) inode: u64,
    pub(crate) next_offset: u64,
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) name: &'a CStr,
}

impl DirectoryStream {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Listing {
    /// Makes `offset` the place to go on from. Offset 0 always reads anew (rewinddir).
    fn seek(&mut self, fd: BorrowedFd<'_>, offset: u64) -> Result<()> {
        if offset == 0 || offset != self.position {
            sys::lseek(fd, offset.cast_signed(), libc::SEEK_SET)?;
            self.buffer.clear();
            self.next = 0;
            self.position = offset;
        }
        Ok(())
    }

    /// The record at the position, `None` at the end of the directory.
    fn peek(&mut self, fd: BorrowedFd<'_>) -> Result<Option<Record<'_>>> {
        if self.next == self.buffer.len() {
            self.buffer.resize(BUFFER_SIZE, 0);
            let read = sys::getdents64(fd, &mut self.buffer);
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            self.next = 0;
            match read {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                // the directory was removed
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Record::parse(&self.buffer[self.next..]).map(Some).ok_or(Errno::EIO)
    }

    fn advance(&mut self, length: usize, next_offset: u64) {
        self.next += length;
        self.position = next_offset;
    }
}

impl<'a> Record<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let length = u16::from_ne_bytes(bytes.get(16..18)?.try_into().ok()?).into();
        Some(Self {
            inode: u64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?),
            next_offset: u64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?),
            length,
            kind: *bytes.get(18)?,
            name: CStr::from_bytes_until_nul(bytes.get(NAME_START..length)?).ok()?,
        })
    }
}

impl Passthrough {
    pub(super) fn open_directory(&self, inode: Inode) -> Result<Opened> {
        let node = self.inodes.get(inode)?;
        if node.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        let path = self.inodes.open(&node)?;
        let fd = self.links.reopen(path.as_fd(), libc::O_RDONLY | libc::O_DIRECTORY)?;
        let listing = Mutex::default();
        let handle =
            self.directories.insert(DirectoryStream { fd, device: node.device, listing })?;
        Ok(Opened { handle, ..Opened::default() })
    }

    /// Lists into `sink` from `offset` until it is full. One listing at a time per handle.
    pub(super) fn list(
        &self,
        handle: Handle,
        offset: u64,
        plus: bool,
        sink: &mut dyn DirectorySink,
    ) -> Result<()> {
        let stream = self.directories.get(handle)?;
        let mut listing = stream.listing.lock();
        listing.seek(stream.fd(), offset)?;
        let mut taken = 0_u64;
        loop {
            let record = match listing.peek(stream.fd()) {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(()),
                // what was listed before the error is not lost; the error comes again
                Err(_) if taken != 0 => return Ok(()),
                Err(errno) => return Err(errno),
            };
            let (length, next_offset) = (record.length, record.next_offset);
            if !self.list_one(&stream, &record, plus, sink) {
                return Ok(());
            }
            taken += 1;
            listing.advance(length, next_offset);
        }
    }

    /// Offers one record to the sink; `false` if it did not fit.
    fn list_one(
        &self,
        stream: &DirectoryStream,
        record: &Record<'_>,
        plus: bool,
        sink: &mut dyn DirectorySink,
    ) -> bool {
        let dots = matches!(record.name.to_bytes(), b"." | b"..");
        // a name that is gone or cannot be looked up now is listed without attributes
        let entry = if plus && !dots { self.entry_at(stream.fd(), record.name).ok() } else { None };
        let (inode, kind) = match &entry {
            Some(entry) => (entry.attributes.inode, entry.attributes.kind),
            None => (self.listed_number(stream, record.inode), stream.kind_of(record)),
        };
        let fits = sink.add(&DirectoryEntry {
            name: OsStr::from_bytes(record.name.to_bytes()),
            inode,
            kind: Some(kind),
            next_offset: record.next_offset,
            entry: entry.as_ref(),
        });
        if !fits && let Some(entry) = entry {
            self.inodes.forget(entry.attributes.inode, 1);
        }
        fits
    }

    /// `d_ino` of a record: what `st_ino` of the name is, also for the root.
    fn listed_number(&self, stream: &DirectoryStream, inode: u64) -> Inode {
        match self.inodes.number(Identity { device: stream.device, inode }) {
            Inode::ROOT => Inode(inode),
            number => number,
        }
    }

    pub(super) fn sync_directory(&self, handle: Handle, datasync: bool) -> Result<()> {
        let stream = self.directories.get(handle)?;
        Ok(sys::fsync(stream.fd(), datasync)?)
    }
}

impl DirectoryStream {
    /// The kind of a record, from the inode where the file system does not list it.
    fn kind_of(&self, record: &Record<'_>) -> FileType {
        FileType::from_dirent(record.kind)
            .or_else(|| kind(&sys::cached_statx(self.fd(), record.name).ok()?).ok())
            .unwrap_or(FileType::Regular)
    }
}
