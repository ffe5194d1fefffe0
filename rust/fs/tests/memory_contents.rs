//! The bytes of files in memory: holes, allocation, limits, and a naive model of it all.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use fusesg_fs::memory::Memory;
use fusesg_fs::{Errno, FileSystem, Handle, Inode, Result, SetAttributes};
use fusesg_sg::Segment;
use proptest::prelude::*;
use support::{Fixture, ROOT_USER, os};

const PAGE: u64 = 4096;
const KEEP_SIZE: i32 = libc::FALLOC_FL_KEEP_SIZE;
const PUNCH_HOLE: i32 = libc::FALLOC_FL_PUNCH_HOLE | KEEP_SIZE;
const ZERO_RANGE: i32 = libc::FALLOC_FL_ZERO_RANGE;

type Files = Fixture<Memory, ()>;
type File = (Inode, Handle);

trait Shorthand {
    fn put(&self, file: File, offset: u64, data: &[u8]) -> Result<u32>;
    fn get(&self, file: File, offset: u64, size: u32) -> Vec<u8>;
    fn resize(&self, file: File, size: u64) -> Result<()>;
    fn allocate(&self, file: File, offset: u64, length: u64, mode: i32) -> Result<()>;
    fn seek(&self, file: File, offset: i64, whence: i32) -> Result<u64>;
    fn copy(&self, from: (File, u64), to: (File, u64), length: u64) -> Result<u32>;
    fn pages(&self, file: File) -> u64;
    fn used(&self) -> u64;
}

impl Shorthand for Files {
    fn put(&self, (inode, handle): File, offset: u64, data: &[u8]) -> Result<u32> {
        self.fs.write(&ROOT_USER, inode, handle, offset, data, false, false)
    }

    fn get(&self, (inode, handle): File, offset: u64, size: u32) -> Vec<u8> {
        self.read(inode, handle, offset, size)
    }

    fn resize(&self, (inode, handle): File, size: u64) -> Result<()> {
        let changes = SetAttributes { size: Some(size), ..SetAttributes::default() };
        self.fs.setattr(&ROOT_USER, inode, Some(handle), &changes).map(drop)
    }

    fn allocate(&self, (inode, handle): File, offset: u64, length: u64, mode: i32) -> Result<()> {
        self.fs.fallocate(&ROOT_USER, inode, handle, offset, length, mode)
    }

    fn seek(&self, (inode, handle): File, offset: i64, whence: i32) -> Result<u64> {
        self.fs.lseek(&ROOT_USER, inode, handle, offset, whence)
    }

    fn copy(&self, from: (File, u64), to: (File, u64), length: u64) -> Result<u32> {
        let ((_, source), (_, target)) = (from.0, to.0);
        self.fs.copy_file_range(&ROOT_USER, source, from.1, target, to.1, length, 0)
    }

    /// Pages that a file takes.
    fn pages(&self, (inode, _): File) -> u64 {
        self.attributes(inode).blocks / 8
    }

    /// Pages that all take.
    fn used(&self) -> u64 {
        let shown = self.fs.statfs(&ROOT_USER, Inode::ROOT).unwrap();
        shown.blocks - shown.blocks_free
    }
}

#[test]
fn a_hole_takes_nothing_and_reads_as_zeros() {
    let fixture = Fixture::memory();
    let file = fixture.create("file");
    fixture.put(file, 1 << 40, b"far away").unwrap();
    assert_eq!((fixture.pages(file), fixture.used()), (1, 1));
    assert_eq!(fixture.attributes(file.0).size, (1 << 40) + 8);
    assert_eq!(fixture.get(file, (1 << 40) - 4, 100), b"\0\0\0\0far away");
    let list = fixture.fs.read(&ROOT_USER, file.0, file.1, 5, 1 << 20).unwrap();
    assert!(matches!(list.segments(), [Segment::Zeros(length)] if *length == 1 << 20));
    assert!(fixture.get(file, (1 << 40) + 8, 10).is_empty());
    assert!(fixture.get(file, u64::MAX, 10).is_empty());
}

#[test]
fn holes_and_data_are_found() {
    let fixture = Fixture::memory();
    let file = fixture.create("file");
    let (data, hole) = (libc::SEEK_DATA, libc::SEEK_HOLE);
    assert_eq!(fixture.seek(file, 0, data).unwrap_err(), Errno::ENXIO);
    fixture.put(file, 3 * PAGE + 5, b"x").unwrap();
    fixture.put(file, 1000 * PAGE, &[1; 2 * 4096]).unwrap();
    let size = 1010 * PAGE;
    fixture.resize(file, size).unwrap();
    let pages = |page: u64| i64::try_from(page * PAGE).unwrap();
    for (from, whence, found) in [
        (0, data, 3 * PAGE),
        (0, hole, 0),
        (pages(3) + 1, data, 3 * PAGE + 1),
        (pages(3), hole, 4 * PAGE),
        (pages(4), data, 1000 * PAGE),
        (pages(1001), hole, 1002 * PAGE),
        (pages(1009), hole, 1009 * PAGE),
    ] {
        assert_eq!(fixture.seek(file, from, whence), Ok(found), "{from} {whence}");
    }
    for (from, whence, errno) in [
        (pages(1002), data, Errno::ENXIO),
        (pages(1010), data, Errno::ENXIO),
        (pages(1010), hole, Errno::ENXIO),
        (-1, data, Errno::ENXIO),
        (0, libc::SEEK_SET, Errno::EINVAL),
    ] {
        assert_eq!(fixture.seek(file, from, whence), Err(errno), "{from} {whence}");
    }
    fixture.resize(file, 1000 * PAGE + 1).unwrap();
    assert_eq!(fixture.seek(file, pages(1000), hole), Ok(1000 * PAGE + 1), "the end");
}

#[test]
fn allocated_space_is_a_hole_that_is_paid_for() {
    let fixture = Fixture::memory();
    let file = fixture.create("file");
    fixture.allocate(file, 100, 3 * PAGE, KEEP_SIZE).unwrap();
    assert_eq!((fixture.pages(file), fixture.attributes(file.0).size), (4, 0));
    fixture.allocate(file, 100, 3 * PAGE, 0).unwrap();
    assert_eq!((fixture.pages(file), fixture.attributes(file.0).size), (4, 100 + 3 * PAGE));
    assert_eq!(fixture.seek(file, 0, libc::SEEK_DATA), Err(Errno::ENXIO));
    fixture.put(file, PAGE, b"x").unwrap();
    assert_eq!(fixture.seek(file, 0, libc::SEEK_DATA), Ok(PAGE));
    assert_eq!(fixture.pages(file), 4);
    // the range that is all of a disk is refused before anything is done
    assert_eq!(fixture.allocate(file, 0, 1 << 50, 0), Err(Errno::ENOSPC));
    assert_eq!(fixture.used(), 4);
}

#[test]
fn punching_frees_whole_pages_and_zeros_the_rest() {
    let fixture = Fixture::memory();
    let file = fixture.create("file");
    fixture.put(file, 0, &vec![7; 5 * 4096]).unwrap();
    fixture.allocate(file, PAGE / 2, 3 * PAGE, PUNCH_HOLE).unwrap();
    assert_eq!((fixture.pages(file), fixture.used()), (3, 3));
    let mut expected = vec![7; 5 * 4096];
    expected[2048..2048 + 3 * 4096].fill(0);
    assert_eq!(fixture.get(file, 0, 5 * 4096), expected);
    fixture.allocate(file, 0, 1 << 40, PUNCH_HOLE).unwrap();
    assert_eq!((fixture.pages(file), fixture.attributes(file.0).size), (0, 5 * PAGE));
}

#[test]
fn a_zeroed_range_stays_allocated() {
    let fixture = Fixture::memory();
    let file = fixture.create("file");
    fixture.put(file, 0, &[7; 2 * 4096]).unwrap();
    fixture.allocate(file, 10, 4 * PAGE, ZERO_RANGE | KEEP_SIZE).unwrap();
    assert_eq!((fixture.pages(file), fixture.attributes(file.0).size), (5, 2 * PAGE));
    let mut expected = vec![0; 2 * 4096];
    expected[..10].fill(7);
    assert_eq!(fixture.get(file, 0, 1 << 20), expected);
    fixture.allocate(file, 0, 4 * PAGE, ZERO_RANGE).unwrap();
    assert_eq!(fixture.attributes(file.0).size, 4 * PAGE);
}

#[test]
fn what_fallocate_cannot_do_is_said() {
    let fixture = Fixture::memory();
    let file = fixture.create("file");
    for mode in [
        libc::FALLOC_FL_COLLAPSE_RANGE,
        libc::FALLOC_FL_INSERT_RANGE,
        libc::FALLOC_FL_UNSHARE_RANGE,
        libc::FALLOC_FL_PUNCH_HOLE,
        PUNCH_HOLE | ZERO_RANGE,
    ] {
        assert_eq!(fixture.allocate(file, 0, PAGE, mode), Err(Errno::ENOTSUP), "{mode:#x}");
    }
    assert_eq!(fixture.allocate(file, 0, 0, 0), Err(Errno::EINVAL));
    assert_eq!(fixture.allocate(file, u64::MAX, PAGE, 0), Err(Errno::EFBIG));
    assert_eq!(fixture.allocate(file, 1 << 62, 1 << 62, PUNCH_HOLE), Err(Errno::EFBIG));
    assert_eq!(fixture.put(file, i64::MAX as u64, b"xx"), Err(Errno::EFBIG));
    assert_eq!(fixture.resize(file, u64::MAX), Err(Errno::EFBIG));
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let fixture = Fixture::memory();
    let file = fixture.create("file");
    fixture.put(file, 0, &[7; 10_000]).unwrap();
    fixture.allocate(file, 0, 20 * PAGE, KEEP_SIZE).unwrap();
    fixture.resize(file, 5000).unwrap();
    assert_eq!(fixture.pages(file), 2);
    fixture.resize(file, 10_000).unwrap();
    let mut expected = vec![7; 10_000];
    expected[5000..].fill(0);
    assert_eq!(fixture.get(file, 0, 20_000), expected);
}

#[test]
fn a_reply_keeps_the_content_it_was_planned_with() {
    let fixture = Fixture::memory();
    let file = fixture.create("file");
    fixture.put(file, 0, &[1; 3 * 4096]).unwrap();
    let reply = fixture.fs.read(&ROOT_USER, file.0, file.1, 0, 3 * 4096).unwrap();
    fixture.put(file, 10, &[2; 100]).unwrap();
    fixture.put(file, PAGE, &[3; 4096]).unwrap();
    fixture.resize(file, 2 * PAGE + 5).unwrap();
    let mut seen = vec![0; 3 * 4096];
    assert_eq!(fusesg_sg::gather(&reply, &mut seen).unwrap(), seen.len());
    assert_eq!(seen, vec![1; 3 * 4096]);
    fixture.fs.unlink(&ROOT_USER, Inode::ROOT, os("file")).unwrap();
    fixture.fs.release(file.0, file.1).unwrap();
    fixture.fs.forget(file.0, 1);
    assert_eq!(fixture.used(), 0);
    assert_eq!(fusesg_sg::gather(&reply, &mut seen).unwrap(), seen.len());
    assert_eq!(seen, vec![1; 3 * 4096], "also after the file");
}

#[test]
fn a_page_is_sent_from_where_it_is() {
    let fixture = Fixture::memory();
    let file = fixture.create("file");
    fixture.put(file, 0, &[1; 4096]).unwrap();
    let place = || {
        let reply = fixture.fs.read(&ROOT_USER, file.0, file.1, 0, 4096).unwrap();
        let [Segment::Buffer(bytes)] = reply.segments() else { panic!("one buffer") };
        bytes.as_ptr()
    };
    let first = place();
    assert_eq!(place(), first);
    fixture.put(file, 100, b"in place: nobody else refers to it").unwrap();
    assert_eq!(place(), first);
}

#[test]
fn copies_share_pages_until_one_is_written() {
    let fixture = Fixture::memory();
    let (from, to) = (fixture.create("from"), fixture.create("to"));
    fixture.put(from, 0, &[1; 4 * 4096]).unwrap();
    fixture.allocate(from, PAGE, PAGE, PUNCH_HOLE).unwrap();
    fixture.put(to, 9 * PAGE, &[9; 4096]).unwrap();
    assert_eq!(fixture.copy((from, 0), (to, 8 * PAGE), 1 << 30), Ok(4 * 4096));
    assert_eq!((fixture.pages(to), fixture.used()), (3, 6), "a hole takes a page's place");
    fixture.put(to, 8 * PAGE, &[2; 10]).unwrap();
    assert_eq!(fixture.get(from, 0, 10), [1; 10]);
    assert_eq!(fixture.get(to, 8 * PAGE, 12), [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1]);
    assert_eq!(fixture.get(to, 9 * PAGE, 4096), [0; 4096]);
    assert_eq!(fixture.copy((from, 4 * PAGE), (to, 0), 1), Ok(0));
    let flags = fixture.fs.copy_file_range(&ROOT_USER, from.1, 0, to.1, 0, 1, 1);
    assert_eq!(flags, Err(Errno::EINVAL));
}

#[test]
fn appended_data_goes_to_the_end_unless_it_comes_from_the_cache() {
    let fixture = Fixture::memory();
    let (inode, _) = fixture.create("file");
    let handle = fixture.open(inode, libc::O_WRONLY | libc::O_APPEND).unwrap().handle;
    let file = (inode, handle);
    fixture.put(file, 0, b"first ").unwrap();
    fixture.put(file, 0, b"second").unwrap();
    fixture.fs.write(&ROOT_USER, inode, handle, 0, b"F", true, false).unwrap();
    assert_eq!(fixture.get(file, 0, 99), b"First second");
    let truncating = fixture.open(inode, libc::O_RDWR | libc::O_TRUNC).unwrap().handle;
    assert!(fixture.get((inode, truncating), 0, 99).is_empty());
}

#[test]
fn a_full_file_system_changes_nothing() {
    let fixture = Files::memory_of(8 * PAGE, 100);
    let (file, other) = (fixture.create("file"), fixture.create("other"));
    fixture.put(file, 0, &vec![1; 5 * 4096]).unwrap();
    let before = fixture.attributes(file.0);
    assert_eq!(fixture.put(file, 5 * PAGE - 10, &[2; 4 * 4096]), Err(Errno::ENOSPC));
    assert_eq!(fixture.allocate(file, 0, 9 * PAGE, 0), Err(Errno::ENOSPC));
    assert_eq!(fixture.allocate(file, 0, 9 * PAGE, ZERO_RANGE), Err(Errno::ENOSPC));
    assert_eq!(fixture.copy((file, 0), (other, 0), 5 * PAGE), Err(Errno::ENOSPC));
    let value = vec![0; 4 * 4096];
    let attribute = fixture.fs.setxattr(&ROOT_USER, file.0, os("user.x"), &value, 0);
    assert_eq!(attribute, Err(Errno::ENOSPC));
    assert_eq!(fixture.attributes(file.0), before);
    assert_eq!(fixture.get(file, 0, 1 << 20), vec![1; 5 * 4096]);
    assert_eq!((fixture.pages(other), fixture.used()), (0, 5));
    fixture.put(file, 100 * PAGE, &[1; 3 * 4096]).unwrap();
    fixture.put(file, 0, &[3; 4096]).unwrap();
    assert_eq!(fixture.put(other, 0, b"x"), Err(Errno::ENOSPC));
    fixture.resize(file, PAGE).unwrap();
    fixture.put(other, 0, &vec![1; 7 * 4096]).unwrap();
}

#[test]
fn extended_attributes_and_links_are_paid_for() {
    let fixture = Files::memory_of(PAGE, 100);
    let left = || fixture.fs.statfs(&ROOT_USER, Inode::ROOT).unwrap().blocks_free;
    assert_eq!(left(), 1);
    let (inode, handle) = fixture.create("file");
    let set = |value: &[u8]| fixture.fs.setxattr(&ROOT_USER, inode, os("user.x"), value, 0);
    set(&[0; 100]).unwrap();
    set(&[0; 10]).unwrap();
    assert_eq!(left(), 0);
    assert_eq!(set(&[0; 4096]), Err(Errno::ENOSPC));
    assert_eq!(fixture.fs.getxattr(&ROOT_USER, inode, os("user.x")).unwrap().len(), 10);
    fixture.fs.removexattr(&ROOT_USER, inode, os("user.x")).unwrap();
    assert_eq!(left(), 1);
    set(b"x").unwrap();
    fixture.fs.unlink(&ROOT_USER, Inode::ROOT, os("file")).unwrap();
    fixture.fs.release(inode, handle).unwrap();
    fixture.fs.forget(inode, 1);
    assert_eq!(left(), 1);
    let target = "t".repeat(3000);
    fixture.fs.symlink(&ROOT_USER, Inode::ROOT, os("one"), os(&target)).unwrap();
    let second = fixture.fs.symlink(&ROOT_USER, Inode::ROOT, os("two"), os(&target));
    assert_eq!(second.unwrap_err(), Errno::ENOSPC);
    let shown = fixture.fs.statfs(&ROOT_USER, Inode::ROOT).unwrap();
    assert_eq!(shown.files - shown.files_free, 2, "the failed one left nothing");
}

#[test]
fn inodes_and_further_names_are_counted() {
    let fixture = Files::memory_of(1 << 20, 4);
    let free = || fixture.fs.statfs(&ROOT_USER, Inode::ROOT).unwrap().files_free;
    assert_eq!(free(), 3);
    let (file, _) = fixture.create("file");
    fixture.mkdir("directory", 0o755);
    fixture.fs.link(&ROOT_USER, file, Inode::ROOT, os("second")).unwrap();
    assert_eq!(free(), 0);
    let fs = &fixture.fs;
    assert_eq!(fs.link(&ROOT_USER, file, Inode::ROOT, os("x")).unwrap_err(), Errno::ENOSPC);
    assert_eq!(fs.mkdir(&ROOT_USER, Inode::ROOT, os("x"), 0).unwrap_err(), Errno::ENOSPC);
    let whiteout = fusesg_fs::RenameFlags::WHITEOUT;
    let (root, from, to) = (Inode::ROOT, os("file"), os("directory"));
    let replaced = fs.rename(&ROOT_USER, root, from, root, os("x"), whiteout);
    assert_eq!(replaced.unwrap_err(), Errno::ENOSPC);
    assert_eq!(fixture.attributes(file).links, 2);
    fs.unlink(&ROOT_USER, root, os("second")).unwrap();
    assert_eq!(free(), 1);
    fs.rmdir(&ROOT_USER, root, to).unwrap();
    fs.forget(fixture.lookup("file").attributes.inode, 1);
    assert_eq!(free(), 1, "the kernel still knows the directory");
}

#[derive(Clone, Debug)]
enum Step {
    Write { file: usize, offset: u64, length: usize, byte: u8 },
    Resize { file: usize, size: u64 },
    Allocate { file: usize, offset: u64, length: u64, mode: i32 },
    Copy { from: usize, offset: u64, to: usize, at: u64, length: u64 },
}

/// Offsets around the borders of pages, and of chunks of pages.
fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0..8 * PAGE,
        2 => (0..8_u64).prop_map(|page| page * PAGE),
        1 => 254 * PAGE..258 * PAGE,
    ]
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![1..3 * PAGE, (1..4_u64).prop_map(|page| page * PAGE)]
}

fn step() -> impl Strategy<Value = Step> {
    let file = || 0..2_usize;
    let mode =
        prop::sample::select(vec![0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE]);
    prop_oneof![
        4 => (file(), offset(), length(), 1..=255_u8).prop_map(|(file, offset, length, byte)| {
            Step::Write { file, offset, length: usize::try_from(length).unwrap(), byte }
        }),
        2 => (file(), offset()).prop_map(|(file, size)| Step::Resize { file, size }),
        3 => (file(), offset(), length(), mode).prop_map(|(file, offset, length, mode)| {
            Step::Allocate { file, offset, length, mode }
        }),
        3 => (file(), offset(), file(), offset(), length()).prop_map(
            |(from, offset, to, at, length)| Step::Copy { from, offset, to, at, length }
        ),
    ]
}

fn index(value: u64) -> usize {
    usize::try_from(value).unwrap()
}

/// Puts `data` into a file that is a vector.
fn put(file: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let end = index(offset) + data.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[index(offset)..end].copy_from_slice(data);
}

fn clear(file: &mut [u8], offset: u64, length: u64) {
    let end = index(offset + length).min(file.len());
    let start = index(offset).min(end);
    file[start..end].fill(0);
}

fn carry_out(fixture: &Files, files: &[File; 2], step: &Step) -> Result<()> {
    match *step {
        Step::Write { file, offset, length, byte } => {
            let written = fixture.put(files[file], offset, &vec![byte; length])?;
            assert_eq!(written as usize, length);
            Ok(())
        }
        Step::Resize { file, size } => fixture.resize(files[file], size),
        Step::Allocate { file, offset, length, mode } => {
            fixture.allocate(files[file], offset, length, mode)
        }
        Step::Copy { from, offset, to, at, length } => {
            fixture.copy((files[from], offset), (files[to], at), length).map(drop)
        }
    }
}

fn imagine(model: &mut [Vec<u8>; 2], step: &Step) {
    match *step {
        Step::Write { file, offset, length, byte } => {
            put(&mut model[file], offset, &vec![byte; length]);
        }
        Step::Resize { file, size } => model[file].resize(index(size), 0),
        Step::Allocate { file, offset, length, mode } => {
            let file = &mut model[file];
            if mode & (libc::FALLOC_FL_PUNCH_HOLE | ZERO_RANGE) != 0 {
                clear(file, offset, length);
            }
            let end = index(offset + length);
            if mode & KEEP_SIZE == 0 && file.len() < end {
                file.resize(end, 0);
            }
        }
        Step::Copy { from, offset, to, at, length } => {
            let end = index(offset + length).min(model[from].len());
            let data = model[from][index(offset).min(end)..end].to_vec();
            if !data.is_empty() {
                put(&mut model[to], at, &data);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn files_agree_with_vectors(steps in prop::collection::vec(step(), 1..40)) {
        // small enough to be full now and then
        let limit = 24;
        let fixture = Files::memory_of(limit * PAGE, 100);
        let files = [fixture.create("one"), fixture.create("two")];
        let mut model = [Vec::new(), Vec::new()];
        for step in &steps {
            match carry_out(&fixture, &files, step) {
                Ok(()) => imagine(&mut model, step),
                Err(errno) => {
                    // then all is as it was, which is checked below
                    prop_assert_eq!(errno, Errno::ENOSPC);
                    prop_assert!(fixture.used() + 4 > limit, "{:?}: there was room", step);
                }
            }
            for (file, expected) in files.iter().zip(&model) {
                prop_assert_eq!(fixture.attributes(file.0).size, expected.len() as u64);
                prop_assert!(
                    fixture.get(*file, 0, 4 << 20) == *expected,
                    "after {:?} the content differs", step
                );
            }
            let pages = files.iter().map(|file| fixture.pages(*file)).sum::<u64>();
            prop_assert_eq!(fixture.used(), pages);
        }
        for (file, expected) in files.iter().zip(&model) {
            check_holes(&fixture, *file, expected)?;
        }
    }
}

/// What SEEK_HOLE calls a hole is zero, and what is not zero is in what SEEK_DATA finds.
fn check_holes(
    fixture: &Files,
    file: File,
    content: &[u8],
) -> std::result::Result<(), TestCaseError> {
    let mut position = 0;
    loop {
        let data = match fixture.seek(file, position, libc::SEEK_DATA) {
            Ok(data) => index(data),
            Err(errno) => {
                prop_assert_eq!(errno, Errno::ENXIO);
                content.len()
            }
        };
        let from = usize::try_from(position).unwrap();
        prop_assert!(content[from.min(data)..data].iter().all(|byte| *byte == 0));
        if data == content.len() {
            return Ok(());
        }
        let start = i64::try_from(data).unwrap();
        let end = fixture.seek(file, start, libc::SEEK_HOLE);
        position = i64::try_from(end.unwrap()).unwrap();
        prop_assert!(position > start);
        if index(position.try_into().unwrap()) >= content.len() {
            return Ok(());
        }
    }
}
