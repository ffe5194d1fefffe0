//! READs answered by every kind of segment list, through the kernel, against an oracle that
//! is one plain vector of bytes.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use common::{HoldReads, Memory, MountPoint, PATIENCE, logged, watchdog};
use fusesg_fs::{
    Attributes, AttributesReply, Context, Entry, Errno, FileSystem, FileType, Handle, Inode,
    Opened, OpenedFlags, OperationKind, Properties, Reply, Result, Timestamp,
};
use fusesg_serve::{DataPathStatistics, Delivery, Mount, MountConfig, Native};
use fusesg_sg::{Backing, Extent, Segment, SegmentList};

const MIB: usize = 1 << 20;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// Never 0, so that a zero is known to be none of it.
fn pattern(file: usize, offset: usize) -> u8 {
    u8::try_from((offset * 31 + offset / 241 + file * 97) % 255 + 1).unwrap()
}

fn patterned(file: usize, size: usize) -> Vec<u8> {
    (0..size).map(|offset| pattern(file, offset)).collect()
}

fn backing(file: &File) -> Arc<Backing> {
    Arc::new(Backing::new(file.try_clone().unwrap().into(), false, false))
}

fn extent(backing: &Arc<Backing>, offset: usize, length: usize) -> Segment {
    let (offset, length) = (offset as u64, length as u64);
    Segment::Extent(Extent { backing: Arc::clone(backing), offset, length })
}

/// Read-only files, named by number, whose contents are segment lists.
struct Lists {
    files: Vec<(SegmentList, u64)>,
    flags: OpenedFlags,
}

impl Lists {
    fn mount(self, config: MountConfig) -> Mount {
        Mount::new(Arc::new(Native::new(Arc::new(self))), config).unwrap()
    }

    fn attributes(&self, inode: Inode) -> Attributes {
        let size = match usize::try_from(inode.0).unwrap().checked_sub(2) {
            Some(number) => self.files[number].1,
            None => 0,
        };
        Attributes {
            inode,
            kind: if inode == Inode::ROOT { FileType::Directory } else { FileType::Regular },
            permissions: 0o755,
            size,
            blocks: size.div_ceil(512),
            block_size: 4096,
            links: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            atime: Timestamp::default(),
            mtime: Timestamp::default(),
            ctime: Timestamp::default(),
        }
    }
}

impl FileSystem for Lists {
    fn properties(&self) -> Properties {
        use OperationKind::{Getattr, Lookup, Open, Read};
        Properties {
            implemented: [Lookup, Getattr, Open, Read].into_iter().collect(),
            ..Properties::default()
        }
    }

    fn lookup(&self, _: &Context, _: Inode, name: &OsStr) -> Result<Entry> {
        let number: usize = name.to_str().unwrap().parse().map_err(|_| Errno::ENOENT)?;
        let attributes = self.attributes(Inode(number as u64 + 2));
        Ok(Entry { attributes, generation: 0, entry_timeout: None, attribute_timeout: None })
    }

    fn getattr(&self, _: &Context, inode: Inode, _: Option<Handle>) -> Result<AttributesReply> {
        Ok(AttributesReply { attributes: self.attributes(inode), timeout: None })
    }

    fn open(&self, _: &Context, _: Inode, _: i32) -> Result<Opened> {
        Ok(Opened { flags: self.flags, ..Opened::default() })
    }

    fn read(
        &self,
        _: &Context,
        inode: Inode,
        _: Handle,
        offset: u64,
        size: u32,
    ) -> Result<SegmentList> {
        let number = usize::try_from(inode.0).unwrap() - 2;
        Ok(self.files[number].0.slice(offset, size.into()))
    }
}

/// Two files on different file systems, one of them shorter than extents may claim.
struct Sources {
    backings: Vec<Arc<Backing>>,
    contents: Vec<Vec<u8>>,
}

impl Sources {
    fn new() -> Self {
        let contents = vec![patterned(0, 3 * MIB + 77), patterned(1, 700_001)];
        let directories = ["/dev/shm", "/var/tmp"];
        let backings = contents.iter().zip(directories).map(|(content, directory)| {
            let mut file = tempfile::tempfile_in(directory).unwrap();
            file.write_all(content).unwrap();
            backing(&file)
        });
        Self { backings: backings.collect(), contents }
    }

    /// Segments of together at most `limit` bytes, their bytes one after another, and for
    /// each piece where it ends, how many of its bytes are there.
    fn random(&self, numbers: &mut Numbers, limit: usize, short: bool) -> (SegmentList, Vec<u8>) {
        let mut list = SegmentList::new();
        let mut bytes = Vec::new();
        let mut hole = None;
        let largest = [500, 5000, 50_000, 500_000][numbers.below(4)];
        let only_extents = numbers.below(2) == 0;
        let mut next = 0;
        while bytes.len() < limit && numbers.below(20) != 0 {
            let length = 1 + numbers.below(largest.min(limit - bytes.len()));
            match if only_extents { 2 } else { numbers.below(4) } {
                0 => {
                    list.push(Segment::Zeros(length as u64));
                    bytes.resize(bytes.len() + length, 0);
                }
                1 => {
                    let buffer = patterned(numbers.below(100), length);
                    bytes.extend(&buffer);
                    list.push(Segment::Buffer(Bytes::from(buffer)));
                }
                _ => {
                    let file = numbers.below(2);
                    let content = &self.contents[file];
                    // often where the last extent ended, sometimes on a page
                    let offset = match numbers.below(4) {
                        0 => numbers.below(content.len() / 4096) * 4096,
                        1 => numbers.below(content.len()),
                        _ => next,
                    };
                    let there = length.min(content.len().saturating_sub(offset));
                    if there < length && !short {
                        continue;
                    }
                    list.push(extent(&self.backings[file], offset, length));
                    next = offset + length;
                    if there < length {
                        hole.get_or_insert(bytes.len() + there);
                    }
                    bytes.extend(content.iter().skip(offset).take(there));
                    bytes.resize(bytes.len() + length - there, 0);
                }
            }
        }
        bytes.truncate(hole.unwrap_or(usize::MAX));
        (list, bytes)
    }
}

fn ways(mount: &Mount) -> DataPathStatistics {
    mount.statistics().data_path
}

fn reason(statistics: &DataPathStatistics, name: &str) -> u64 {
    statistics.not_spliced.iter().find(|(reason, _)| *reason == name).unwrap().1
}

fn read_at(file: &File, offset: usize, size: usize) -> Vec<u8> {
    // on a page: some source or other may be read past every cache
    let mut buffer = vec![0xAA_u8; size + 4096];
    let start = buffer.as_ptr().align_offset(4096);
    let slice = &mut buffer[start..start + size];
    let length = file.read_at(slice, offset as u64).unwrap();
    slice[..length].to_vec()
}

#[test]
fn random_lists_read_through_the_page_cache_and_past_it() {
    watchdog();
    let sources = Sources::new();
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for (flags, open_flags) in [
        (OpenedFlags::empty(), 0),
        (OpenedFlags::empty(), libc::O_DIRECT),
        (OpenedFlags::DIRECT_IO, 0),
    ] {
        // the kernel takes a short answer for the end of a file that it caches
        let short = flags.contains(OpenedFlags::DIRECT_IO);
        let lists: Vec<_> = (0..120)
            .map(|_| {
                let limit = 1 + numbers.below(1_000_000);
                sources.random(&mut numbers, limit, short)
            })
            .collect();
        let files = lists.iter().map(|(list, _)| (list.clone(), list.len())).collect();
        let point = MountPoint::new();
        let mount = Lists { files, flags }.mount(point.config());
        for (number, (list, expected)) in lists.iter().enumerate() {
            let path = point.path().join(number.to_string());
            let mut options = OpenOptions::new();
            let mut file = options.read(true).custom_flags(open_flags).open(path).unwrap();
            let whole = read_at(&file, 0, MIB);
            assert!(whole == *expected, "list {number} {list:?}");
            if short {
                continue;
            }
            for _ in 0..4 {
                let (start, size) = (numbers.below(expected.len() + 10), numbers.below(300_000));
                let (start, size) = match open_flags {
                    libc::O_DIRECT => (start & !4095, size & !4095),
                    _ => (start, size),
                };
                let end = (start + size).min(expected.len());
                let part = expected.get(start..end).unwrap_or_default();
                assert!(read_at(&file, start, size) == part, "{start} {size} of {list:?}");
            }
            if open_flags == 0 {
                let mut all = Vec::new();
                file.read_to_end(&mut all).unwrap();
                assert!(all == *expected);
            }
        }
        mount.unmount().unwrap();
        let ways = ways(&mount);
        assert!(ways.contiguous > 0 && ways.vectored > 0 && ways.spliced > 0, "{ways:?}");
        assert!(reason(&ways, "in_memory") > 0, "{ways:?}");
        assert_eq!((ways.refused, ways.pipes.idle), (0, 0), "{ways:?}");
        assert!(!logged("fuser::reply"), "what we brought about ourselves is no news");
    }
}

#[test]
fn the_way_is_the_one_that_the_list_asks_for() {
    watchdog();
    let sources = Sources::new();
    let [big, small] = [0, 1].map(|number| &sources.backings[number]);
    let scattered =
        |length| -> SegmentList { (0..16).map(|n| extent(big, n * 100_000, length)).collect() };
    let buffers = (0..3).map(|n| Segment::Buffer(Bytes::from(vec![n; 20_000]))).collect();
    let ending: SegmentList =
        [extent(small, 600_000, 100_001), extent(small, 650_000, 60_000)].into_iter().collect();
    let files: Vec<SegmentList> = vec![
        SegmentList::from_extent(Arc::clone(big), 5, 32 * 1024),
        SegmentList::from_extent(Arc::clone(big), 5, 32 * 1024 - 1),
        scattered(8192),
        scattered(2050),
        buffers,
        [Segment::Zeros(900_000)].into_iter().collect(),
        ending,
    ];
    let point = MountPoint::new();
    let sizes = files.iter().map(|list| (list.clone(), list.len())).collect();
    let mount = Lists { files: sizes, flags: OpenedFlags::DIRECT_IO }.mount(point.config());
    let read = |number: usize| {
        let before = ways(&mount);
        let file = File::open(point.path().join(number.to_string())).unwrap();
        let length = read_at(&file, 0, 1_000_000).len();
        // an answer is counted when it was sent, which wakes the reader
        let sent = |ways: &DataPathStatistics| ways.contiguous + ways.vectored + ways.spliced;
        common::eventually("the count", || sent(&ways(&mount)) > sent(&before));
        let after = ways(&mount);
        let way = [
            after.contiguous - before.contiguous,
            after.vectored - before.vectored,
            after.spliced - before.spliced,
        ];
        (length, way, after.reads - before.reads, reason(&after, "scattered"))
    };
    assert_eq!(read(0), (32 * 1024, [0, 0, 1], 0, 0), "at the threshold");
    assert_eq!(read(1), (32 * 1024 - 1, [1, 0, 0], 1, 0), "below it");
    assert_eq!(read(2), (131_072, [0, 0, 1], 0, 0), "sixteen scattered extents, one message");
    assert_eq!(read(3), (32_800, [1, 0, 0], 16, 1), "pieces of less than a page");
    assert_eq!(read(4), (60_000, [0, 1, 0], 0, 1), "buffers");
    assert_eq!(read(5), (900_000, [0, 1, 0], 0, 1), "zeros");
    assert_eq!(read(6), (150_002, [0, 0, 1], 0, 1), "up to the first hole");
    assert_eq!(ways(&mount).pipes.made, 1, "one pipe for all");
    mount.unmount().unwrap();

    let mut config = point.config();
    config.splice_threshold = u32::MAX;
    let files = vec![(scattered(8192), 131_072)];
    let mount = Lists { files, flags: OpenedFlags::DIRECT_IO }.mount(config);
    let file = File::open(point.path().join("0")).unwrap();
    assert_eq!(read_at(&file, 0, MIB).len(), 131_072);
    drop(file);
    mount.unmount().unwrap();
    assert_eq!((ways(&mount).spliced, ways(&mount).pipes.made), (0, 0));
}

#[test]
fn a_whole_request_is_spliced_from_wherever_it_begins() {
    watchdog();
    let content = patterned(0, 2 * MIB);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content).unwrap();
    let backing = backing(&file);
    // at a page, at a block of a tar archive, at the end of a page
    let starts = [4096, 512, 4095];
    let list = |start| (SegmentList::from_extent(Arc::clone(&backing), start, MIB as u64), 1 << 20);
    let point = MountPoint::new();
    let config = point.config();
    let largest = config.max_write as usize;
    let files = starts.map(list).to_vec();
    let mount = Lists { files, flags: OpenedFlags::DIRECT_IO }.mount(config);
    for (number, start) in starts.into_iter().enumerate() {
        let file = File::open(point.path().join(number.to_string())).unwrap();
        let start = usize::try_from(start).unwrap();
        assert!(read_at(&file, 0, largest) == content[start..start + largest], "from {start}");
    }
    mount.unmount().unwrap();
    let ways = ways(&mount);
    assert_eq!((ways.spliced, ways.contiguous, ways.vectored), (3, 0, 0), "{ways:?}");
    assert_eq!(reason(&ways, "too_long"), 0, "{ways:?}");
}

#[test]
fn a_source_that_cannot_be_spliced_is_copied() {
    watchdog();
    // the kernel's text files have no pages to give away
    let text = File::open("/proc/kallsyms").unwrap();
    let list = SegmentList::from_extent(backing(&text), 0, 100_000);
    let mut expected = vec![0; 100_000];
    text.read_exact_at(&mut expected, 0).unwrap();
    let zero = File::open("/dev/zero").unwrap();
    let files =
        vec![(list, 100_000), (SegmentList::from_extent(backing(&zero), 0, 100_000), 100_000)];
    let point = MountPoint::new();
    let mount = Lists { files, flags: OpenedFlags::DIRECT_IO }.mount(point.config());
    let file = File::open(point.path().join("0")).unwrap();
    for _ in 0..3 {
        assert!(read_at(&file, 0, 100_000) == expected);
    }
    assert!(read_at(&File::open(point.path().join("1")).unwrap(), 0, 100_000) == vec![0; 100_000]);
    drop(file);
    mount.unmount().unwrap();
}

#[test]
fn a_read_that_fails_late_is_an_error_and_no_end_of_file() {
    watchdog();
    let sources = Sources::new();
    let directory = File::open("/").unwrap();
    let list = |start| -> SegmentList {
        [start, extent(&backing(&directory), 0, 50_000)].into_iter().collect()
    };
    let files = vec![
        (list(extent(&sources.backings[0], 0, 50_000)), 100_000),
        (list(Segment::Zeros(50_000)), 100_000),
    ];
    let point = MountPoint::new();
    let mount = Lists { files, flags: OpenedFlags::DIRECT_IO }.mount(point.config());
    for name in ["0", "1"] {
        let file = File::open(point.path().join(name)).unwrap();
        let error = file.read_at(&mut vec![0; 100_000], 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
        assert_eq!(read_at(&file, 0, 50_000).len(), 50_000);
    }
    mount.unmount().unwrap();
}

const SIZE: usize = 400_000;

/// Stops a thread also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Truncates and writes `file` again and again.
fn shrink_and_grow(file: &File, content: &[u8], stop: &AtomicBool) -> io::Result<()> {
    let mut numbers = Numbers(77);
    while !stop.load(Ordering::Relaxed) {
        let length = numbers.below(content.len());
        file.set_len(length as u64)?;
        file.write_all_at(&content[length..], length as u64)?;
    }
    Ok(())
}

#[test]
fn a_file_that_is_truncated_meanwhile_gives_a_short_answer_without_garbage() {
    watchdog();
    for directory in ["/dev/shm", "/var/tmp"] {
        let content = patterned(5, SIZE);
        let mut source = tempfile::tempfile_in(directory).unwrap();
        source.write_all(&content).unwrap();
        let whole = SegmentList::from_extent(backing(&source), 0, SIZE as u64);
        let point = MountPoint::new();
        let files = vec![(whole, SIZE as u64)];
        let mount = Lists { files, flags: OpenedFlags::DIRECT_IO }.mount(point.config());
        let stop = AtomicBool::new(false);
        let mut short = 0;
        thread::scope(|scope| {
            let writer = scope.spawn(|| shrink_and_grow(&source, &content, &stop));
            let stop = Stop(&stop);
            let file = File::open(point.path().join("0")).unwrap();
            let mut numbers = Numbers(99);
            for _ in 0..1500 {
                let start = numbers.below(SIZE - 1);
                let size = 1 + numbers.below(SIZE - start);
                let bytes = read_at(&file, start, size);
                short += usize::from(bytes.len() < size);
                // the file system below clears the rest of a page that it cuts
                let garbage = bytes
                    .iter()
                    .enumerate()
                    .find(|(n, byte)| **byte != 0 && **byte != content[start + n]);
                assert_eq!(garbage, None, "{start} {size}");
            }
            drop(stop);
            writer.join().unwrap().unwrap();
        });
        assert!(ways(&mount).spliced > 0);
        assert!(short > 0, "never met a truncated file");
        mount.unmount().unwrap();
        assert_eq!(ways(&mount).refused, 0);
    }
}

#[test]
fn killed_readers_leave_nothing_behind() {
    watchdog();
    let sources = Sources::new();
    let list = |n: usize| -> SegmentList {
        let first = extent(&sources.backings[0], n * 1000, 500_000);
        [first, extent(&sources.backings[1], 100, 300_000)].into_iter().collect()
    };
    let lists: Vec<SegmentList> = (0..4).map(list).collect();
    let files = lists.iter().map(|list| (list.clone(), list.len())).collect();
    let point = MountPoint::new();
    let mount = Lists { files, flags: OpenedFlags::DIRECT_IO }.mount(point.config());
    let path = |n: usize| point.path().join(n.to_string());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for number in 0..2_usize {
            let (stop, path, sources) = (&stop, path(number), &sources);
            scope.spawn(move || {
                let file = File::open(path).unwrap();
                let mut numbers = Numbers(number as u64 + 3);
                let mut expected = sources.contents[0][number * 1000..][..500_000].to_vec();
                expected.extend(&sources.contents[1][100..300_100]);
                while !stop.load(Ordering::Relaxed) {
                    let (start, size) = (numbers.below(800_000), 1 + numbers.below(400_000));
                    let end = (start + size).min(expected.len());
                    assert!(read_at(&file, start, size) == expected[start..end]);
                }
            });
        }
        for n in 0..60 {
            let mut reader = Command::new("cat");
            // endless: the same files over and over
            reader.args((0..2000).map(|n| path(n % 4))).stdout(Stdio::piped());
            let mut reader = reader.spawn().unwrap();
            let mut some = vec![0; 1 + n * 7919];
            reader.stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
            assert_eq!(some[0], sources.contents[0][0]);
            reader.kill().unwrap();
            reader.wait().unwrap();
        }
    });
    mount.unmount().unwrap();
    let ways = ways(&mount);
    assert!(ways.spliced > 60);
    assert_eq!((ways.refused, ways.pipes.idle), (0, 0), "{ways:?}");
    assert!(!logged("fuser::reply"));
}

#[test]
fn an_answer_that_comes_too_late_is_thrown_away_with_its_pipe() {
    watchdog();
    let sources = Sources::new();
    let point = MountPoint::new();
    let memory = Memory { direct_io: true, ..Memory::new() };
    let (dispatch, held) = HoldReads::new(memory.with("file", b"text"));
    let mut config = point.config();
    config.request_timeout = Some(Duration::from_millis(100));
    let mount = Mount::new(dispatch, config).unwrap();
    let file = File::open(point.path().join("file")).unwrap();
    let error = file.read_at(&mut vec![0; 100_000], 0).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
    let answer = || SegmentList::from_extent(Arc::clone(&sources.backings[0]), 0, 100_000);
    let (_, late) = held.next();
    assert_eq!(late.answer(Ok(Reply::Data(answer()))), Delivery::Dropped);
    assert_eq!((ways(&mount).spliced, ways(&mount).pipes.discarded), (0, 1));

    // the next message does not begin with what was left
    let reader = thread::spawn(move || read_at(&file, 0, 100_000));
    let (_, responder) = held.reads.recv_timeout(PATIENCE).unwrap();
    assert_eq!(responder.answer(Ok(Reply::Data(answer()))), Delivery::Sent);
    assert!(reader.join().unwrap() == sources.contents[0][..100_000]);
    assert!(!logged("fuser::reply"));
    mount.unmount().unwrap();
}
