//! A native file system, and what tests do with it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(missing_docs, unreachable_pub, reason = "a test's helpers explain themselves")]

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use fusesg_fs::memory::{Memory, MemoryOptions};
use fusesg_fs::passthrough::{Passthrough, PassthroughOptions};
use fusesg_fs::{
    Attributes, Context, DirectoryEntry, DirectorySink, Entry, FileSystem, FileType, Handle, Inode,
    Opened, Result,
};
use tempfile::TempDir;

pub const ROOT_USER: Context = caller(0, 0);
pub const USER: Context = caller(1000, 1001);

pub const fn caller(uid: u32, gid: u32) -> Context {
    Context { uid, gid, unique: fusesg_fs::Unique(1), pid: 0, umask: 0 }
}

/// A file system; a passthrough has a directory to show.
pub struct Fixture<F = Passthrough, D = TempDir> {
    pub directory: D,
    pub fs: F,
}

/// Runs a test on tmpfs and on the file system of the temporary directory.
pub fn on_each_backing(test: impl Fn(&Fixture)) {
    on_each_backing_with(&PassthroughOptions::default(), test);
}

pub fn on_each_backing_with(options: &PassthroughOptions, test: impl Fn(&Fixture)) {
    for parent in [PathBuf::from("/dev/shm"), std::env::temp_dir()] {
        test(&Fixture::new_in(parent, options.clone()));
    }
}

pub fn os(name: &(impl AsRef<OsStr> + ?Sized)) -> &OsStr {
    name.as_ref()
}

impl Fixture {
    pub fn new_in(parent: impl Into<PathBuf>, options: PassthroughOptions) -> Self {
        let directory = TempDir::new_in(parent.into()).unwrap();
        let fs = Passthrough::open(directory.path(), options).unwrap();
        Self { directory, fs }
    }

    pub fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.directory.path().join(name.as_ref())
    }
}

impl Fixture<Memory, ()> {
    pub fn memory() -> Self {
        Self::memory_of(1 << 30, 10_000)
    }

    pub fn memory_of(size: u64, inodes: u64) -> Self {
        let (size, inodes) = (Some(size), Some(inodes));
        let options = MemoryOptions { size, inodes, uid: 0, gid: 0, mode: 0o755 };
        Self { directory: (), fs: Memory::new(&options).unwrap() }
    }
}

impl<F: FileSystem, D> Fixture<F, D> {
    pub fn lookup(&self, name: &str) -> Entry {
        self.fs.lookup(&ROOT_USER, Inode::ROOT, os(name)).unwrap()
    }

    pub fn create(&self, name: &str) -> (Inode, Handle) {
        self.create_as(&ROOT_USER, Inode::ROOT, name, 0o644)
    }

    pub fn create_as(
        &self,
        context: &Context,
        parent: Inode,
        name: &str,
        mode: u32,
    ) -> (Inode, Handle) {
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
        let mode = libc::S_IFREG | mode;
        let (entry, opened) = self.fs.create(context, parent, os(name), mode, flags).unwrap();
        (entry.attributes.inode, opened.handle)
    }

    pub fn mkdir(&self, name: &str, mode: u32) -> Inode {
        self.fs.mkdir(&ROOT_USER, Inode::ROOT, os(name), mode).unwrap().attributes.inode
    }

    pub fn attributes(&self, inode: Inode) -> Attributes {
        self.fs.getattr(&ROOT_USER, inode, None).unwrap().attributes
    }

    pub fn open(&self, inode: Inode, flags: i32) -> Result<Opened> {
        self.fs.open(&ROOT_USER, inode, flags)
    }

    pub fn write(&self, inode: Inode, handle: Handle, offset: u64, data: &[u8]) -> u32 {
        self.fs.write(&ROOT_USER, inode, handle, offset, data, false, false).unwrap()
    }

    pub fn read(&self, inode: Inode, handle: Handle, offset: u64, size: u32) -> Vec<u8> {
        let list = self.fs.read(&ROOT_USER, inode, handle, offset, size).unwrap();
        let mut bytes = vec![0; size as usize];
        let length = fusesg_sg::gather(&list, &mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    }

    /// A whole listing, `capacity` entries at a time.
    pub fn list(&self, inode: Inode, plus: bool, capacity: usize) -> Vec<Listed> {
        let handle = self.fs.opendir(&ROOT_USER, inode, 0).unwrap().handle;
        let mut all = Vec::new();
        loop {
            let offset = all.last().map_or(0, |listed: &Listed| listed.next_offset);
            let part = self.list_from(inode, handle, offset, plus, capacity);
            if part.is_empty() {
                break;
            }
            all.extend(part);
        }
        self.fs.releasedir(inode, handle).unwrap();
        all
    }

    pub fn list_from(
        &self,
        inode: Inode,
        handle: Handle,
        offset: u64,
        plus: bool,
        capacity: usize,
    ) -> Vec<Listed> {
        let mut sink = Sink { entries: Vec::new(), capacity };
        self.fs.readdir(&ROOT_USER, inode, handle, offset, plus, &mut sink).unwrap();
        sink.entries
    }
}

#[derive(Clone, Debug)]
pub struct Listed {
    pub name: OsString,
    pub inode: Inode,
    pub kind: FileType,
    pub next_offset: u64,
    pub entry: Option<Entry>,
}

impl Listed {
    pub fn is_dots(&self) -> bool {
        self.name == "." || self.name == ".."
    }
}

struct Sink {
    entries: Vec<Listed>,
    capacity: usize,
}

impl DirectorySink for Sink {
    fn add(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        if self.entries.len() == self.capacity {
            return false;
        }
        assert_ne!(entry.next_offset, 0);
        self.entries.push(Listed {
            name: entry.name.to_owned(),
            inode: entry.inode,
            kind: entry.kind.expect("native file systems know it"),
            next_offset: entry.next_offset,
            entry: entry.entry.copied(),
        });
        true
    }
}
