//! A small file system in memory, a dispatch that holds reads back, and mounts that go away
//! however a test ends.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use fusesg_fs::{
    Attributes, AttributesReply, Context, DirectoryEntry, DirectorySink, Entry, Errno, FileSystem,
    FileType, Handle, Inode, Opened, OpenedFlags, Operation, OperationKind, OperationSet,
    Properties, Result, SetAttributes, SetTime, Timestamp, Unique,
};
use fusesg_serve::{Dispatch, Mount, MountConfig, Native, Responder, log_record_is_expected};
use fusesg_sg::{Segment, SegmentList};
use parking_lot::Mutex;

/// A test program that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(2);
/// Everything that waits, waits this long at most.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps what is logged, but for what is no news.
struct Recorder(Mutex<Vec<String>>);

static RECORDER: Recorder = Recorder(Mutex::new(Vec::new()));

impl log::Log for Recorder {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("fusesg") || metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) && !log_record_is_expected(record) {
            let line = format!("{} {}: {}", record.level(), record.target(), record.args());
            self.0.lock().push(line);
        }
    }

    fn flush(&self) {}
}

/// Whether a line with `text` was logged.
pub fn logged(text: &str) -> bool {
    RECORDER.0.lock().iter().any(|line| line.contains(text))
}

/// Records the log, and ends the test process if a test hangs, so that its mounts go away with it.
pub fn watchdog() {
    if log::set_logger(&RECORDER).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
    thread::spawn(|| {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            thread::park_timeout(LIMIT);
        }
        std::process::abort();
    });
}

/// Files in one directory.
#[derive(Debug)]
pub struct Memory {
    pub files: Mutex<BTreeMap<OsString, File>>,
    pub next: AtomicU64,
    pub forgotten: Mutex<Vec<(Inode, u64)>>,
    pub released: AtomicUsize,
    pub destroyed: AtomicUsize,
    pub implemented: OperationSet,
    pub plus: bool,
    pub fail_init: bool,
    /// Reads pass the page cache by.
    pub direct_io: bool,
}

#[derive(Clone, Debug)]
pub struct File {
    pub inode: Inode,
    pub data: Vec<u8>,
    pub mode: u16,
    pub mtime: Timestamp,
}

impl Memory {
    pub fn new() -> Self {
        Self {
            files: Mutex::default(),
            next: AtomicU64::new(2),
            forgotten: Mutex::default(),
            released: AtomicUsize::new(0),
            destroyed: AtomicUsize::new(0),
            implemented: [
                OperationKind::Lookup,
                OperationKind::Getattr,
                OperationKind::Setattr,
                OperationKind::Create,
                OperationKind::Unlink,
                OperationKind::Open,
                OperationKind::Release,
                OperationKind::Read,
                OperationKind::Write,
                OperationKind::Readdir,
                OperationKind::Getxattr,
            ]
            .into_iter()
            .collect(),
            plus: false,
            fail_init: false,
            direct_io: false,
        }
    }

    pub fn with(self, name: &str, data: &[u8]) -> Self {
        self.add(OsStr::new(name), data.to_vec(), 0o644);
        self
    }

    fn add(&self, name: &OsStr, data: Vec<u8>, mode: u16) -> File {
        let inode = Inode(self.next.fetch_add(1, Ordering::Relaxed));
        let file = File { inode, data, mode, mtime: Timestamp::default() };
        self.files.lock().insert(name.to_owned(), file.clone());
        file
    }

    pub fn inode(&self, name: &str) -> Inode {
        self.files.lock()[OsStr::new(name)].inode
    }

    pub fn set_data(&self, name: &str, data: &[u8]) {
        self.files.lock().get_mut(OsStr::new(name)).expect("it is there").data = data.to_vec();
    }

    fn find<R>(&self, inode: Inode, use_it: impl FnOnce(&mut File) -> R) -> Result<R> {
        let mut files = self.files.lock();
        files.values_mut().find(|file| file.inode == inode).map(use_it).ok_or(Errno::ENOENT)
    }
}

fn attributes(file: &File) -> Attributes {
    Attributes {
        inode: file.inode,
        kind: FileType::Regular,
        permissions: file.mode,
        size: file.data.len() as u64,
        blocks: file.data.len().div_ceil(512) as u64,
        block_size: 4096,
        links: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        atime: file.mtime,
        mtime: file.mtime,
        ctime: file.mtime,
    }
}

fn root() -> Attributes {
    Attributes {
        inode: Inode::ROOT,
        kind: FileType::Directory,
        permissions: 0o755,
        size: 0,
        blocks: 0,
        block_size: 4096,
        links: 2,
        uid: 0,
        gid: 0,
        rdev: 0,
        atime: Timestamp::default(),
        mtime: Timestamp::default(),
        ctime: Timestamp::default(),
    }
}

fn entry(file: &File) -> Entry {
    Entry {
        attributes: attributes(file),
        generation: 0,
        entry_timeout: None,
        attribute_timeout: None,
    }
}

impl FileSystem for Memory {
    fn properties(&self) -> Properties {
        Properties {
            implemented: self.implemented,
            readdirplus: self.plus,
            parallel_directory_operations: true,
            ..Properties::default()
        }
    }

    fn init(&self) -> Result<()> {
        if self.fail_init { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    fn destroy(&self) {
        self.destroyed.fetch_add(1, Ordering::SeqCst);
    }

    fn lookup(&self, _: &Context, _: Inode, name: &OsStr) -> Result<Entry> {
        assert_ne!(name, "panic", "asked for it");
        self.files.lock().get(name).map(entry).ok_or(Errno::ENOENT)
    }

    fn forget(&self, inode: Inode, count: u64) {
        self.forgotten.lock().push((inode, count));
    }

    fn getattr(&self, _: &Context, inode: Inode, _: Option<Handle>) -> Result<AttributesReply> {
        let attributes =
            if inode == Inode::ROOT { root() } else { self.find(inode, |f| attributes(f))? };
        Ok(AttributesReply { attributes, timeout: None })
    }

    fn setattr(
        &self,
        _: &Context,
        inode: Inode,
        _: Option<Handle>,
        changes: &SetAttributes,
    ) -> Result<AttributesReply> {
        let attributes = self.find(inode, |file| {
            if let Some(size) = changes.size {
                file.data.resize(usize::try_from(size).expect("small"), 0);
            }
            if let Some(SetTime::At(time)) = changes.mtime {
                file.mtime = time;
            }
            attributes(file)
        })?;
        Ok(AttributesReply { attributes, timeout: None })
    }

    fn create(
        &self,
        _: &Context,
        _: Inode,
        name: &OsStr,
        mode: u32,
        _: i32,
    ) -> Result<(Entry, Opened)> {
        let mode = u16::try_from(mode & 0o7777).expect("12 bits");
        Ok((entry(&self.add(name, Vec::new(), mode)), Opened::default()))
    }

    fn unlink(&self, _: &Context, _: Inode, name: &OsStr) -> Result<()> {
        self.files.lock().remove(name).map(drop).ok_or(Errno::ENOENT)
    }

    fn open(&self, _: &Context, inode: Inode, _: i32) -> Result<Opened> {
        let flags = if self.direct_io { OpenedFlags::DIRECT_IO } else { OpenedFlags::empty() };
        self.find(inode, |_| Opened { flags, ..Opened::default() })
    }

    fn release(&self, _: Inode, _: Handle) -> Result<()> {
        self.released.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn read(
        &self,
        _: &Context,
        inode: Inode,
        _: Handle,
        offset: u64,
        size: u32,
    ) -> Result<SegmentList> {
        self.find(inode, |file| {
            // two segments, so that they are gathered
            let half = file.data.len() / 2;
            [file.data[..half].to_vec(), file.data[half..].to_vec()]
                .into_iter()
                .map(|data| Segment::Buffer(data.into()))
                .collect::<SegmentList>()
                .slice(offset, size.into())
        })
    }

    fn write(
        &self,
        _: &Context,
        inode: Inode,
        _: Handle,
        offset: u64,
        data: &[u8],
        _: bool,
        _: bool,
    ) -> Result<u32> {
        let offset = usize::try_from(offset).expect("small");
        self.find(inode, |file| {
            let end = offset + data.len();
            if file.data.len() < end {
                file.data.resize(end, 0);
            }
            file.data[offset..end].copy_from_slice(data);
        })?;
        Ok(u32::try_from(data.len()).expect("bounded by max_write"))
    }

    fn readdir(
        &self,
        _: &Context,
        _: Inode,
        _: Handle,
        offset: u64,
        plus: bool,
        sink: &mut dyn DirectorySink,
    ) -> Result<()> {
        let files = self.files.lock();
        let skip = usize::try_from(offset).expect("small");
        for (position, (name, file)) in files.iter().enumerate().skip(skip) {
            // names that start with "bare" come without attributes
            let described = entry(file);
            let bare = name.as_encoded_bytes().starts_with(b"bare");
            let item = DirectoryEntry {
                name,
                inode: file.inode,
                kind: Some(FileType::Regular),
                next_offset: position as u64 + 1,
                entry: (plus && !bare).then_some(&described),
            };
            if !sink.add(&item) {
                break;
            }
        }
        Ok(())
    }

    fn getxattr(&self, _: &Context, _: Inode, name: &OsStr) -> Result<Vec<u8>> {
        if name == "user.color" { Ok(b"blue".to_vec()) } else { Err(Errno::ENODATA) }
    }
}

/// Passes everything on but READs, or what else is to be held, whose responders the test gets.
pub struct HoldReads {
    pub native: Native<Memory>,
    kinds: OperationSet,
    held: Sender<(Context, Responder)>,
    cancelled: Sender<Unique>,
    on_read: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// What [`HoldReads`] gives to the test.
pub struct Held {
    pub reads: Receiver<(Context, Responder)>,
    pub cancelled: Receiver<Unique>,
}

impl HoldReads {
    pub fn new(memory: Memory) -> (Arc<Self>, Held) {
        Self::holding(OperationSet::EMPTY.with(OperationKind::Read), memory)
    }

    pub fn holding(kinds: OperationSet, mut memory: Memory) -> (Arc<Self>, Held) {
        memory.implemented = memory.implemented.union(kinds);
        let (held, reads) = channel();
        let (cancelled, cancellations) = channel();
        let native = Native::new(Arc::new(memory));
        let dispatch = Self { native, kinds, held, cancelled, on_read: Mutex::default() };
        (Arc::new(dispatch), Held { reads, cancelled: cancellations })
    }

    /// Runs `action` inside the callback of the next READ.
    pub fn on_read(&self, action: impl FnOnce() + Send + 'static) {
        *self.on_read.lock() = Some(Box::new(action));
    }
}

impl Held {
    pub fn next(&self) -> (Context, Responder) {
        self.reads.recv_timeout(PATIENCE).expect("a READ comes")
    }
}

impl Dispatch for HoldReads {
    fn properties(&self) -> Properties {
        self.native.properties()
    }

    fn init(&self) -> Result<()> {
        self.native.init()
    }

    fn dispatch(&self, context: Context, operation: Operation<'_>, responder: Responder) {
        if self.kinds.contains(operation.kind()) {
            let action = self.on_read.lock().take();
            if let Some(action) = action {
                action();
            }
            let _ = self.held.send((context, responder));
        } else {
            self.native.dispatch(context, operation, responder);
        }
    }

    fn forget(&self, inode: Inode, count: u64) {
        self.native.forget(inode, count);
    }

    fn cancelled(&self, unique: Unique) {
        let _ = self.cancelled.send(unique);
    }

    fn destroy(&self) {
        self.native.destroy();
    }
}

/// A directory to mount on. Whatever is mounted there goes away with it.
pub struct MountPoint {
    directory: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl MountPoint {
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("fusesg").tempdir().expect("a directory");
        let path = directory.path().canonicalize().expect("it exists");
        Self { directory: Some(directory), path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn config(&self) -> MountConfig {
        MountConfig::new(&self.path)
    }

    /// How many mounts are at the path.
    pub fn mounts(&self) -> usize {
        mounts_at(&self.path)
    }
}

impl Drop for MountPoint {
    fn drop(&mut self) {
        for _ in 0..mounts_at(&self.path) {
            let _ = std::process::Command::new("umount").arg("-l").arg(&self.path).status();
        }
        drop(self.directory.take());
    }
}

pub fn mounts_at(path: &Path) -> usize {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is there");
    let path = path.to_str().expect("a test's path");
    mountinfo.lines().filter(|line| line.split(' ').nth(4) == Some(path)).count()
}

pub fn zeros(length: u64) -> SegmentList {
    [Segment::Zeros(length)].into_iter().collect()
}

pub fn mount(memory: Memory, point: &MountPoint) -> (Mount, Arc<Memory>) {
    let memory = Arc::new(memory);
    let native = Native::new(Arc::clone(&memory));
    let mount = Mount::new(Arc::new(native), point.config()).expect("mounted");
    (mount, memory)
}

/// Waits until `condition` holds, by looking again and again: for states of the kernel and
/// of other processes, which send no event.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come about");
        thread::yield_now();
    }
}
