//! Operations through the kernel and back.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::ffi::CString;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirEntryExt as _, FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use common::{HoldReads, Memory, MountPoint, eventually, logged, mount, watchdog};
use fusesg_fs::{OperationKind, OperationSet, Reply};
use fusesg_serve::{Delivery, Mount, Native};
use fusesg_sg::{Segment, SegmentList};

fn errno(result: io::Result<impl std::fmt::Debug>) -> i32 {
    result.expect_err("refused").raw_os_error().expect("an error of the system")
}

#[test]
fn files_are_read_and_written() {
    watchdog();
    let point = MountPoint::new();
    let (mount, memory) = mount(Memory::new().with("greeting", b"hello, world"), &point);
    assert_eq!(fs::read(point.path().join("greeting")).unwrap(), b"hello, world");
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
    let path = point.path().join("new");
    fs::write(&path, &content).unwrap();
    assert!(fs::read(&path).unwrap() == content);
    let mut file = fs::File::open(&path).unwrap();
    file.seek(SeekFrom::Start(2_999_990)).unwrap();
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).unwrap();
    drop(file);
    assert_eq!(tail, &content[2_999_990..]);
    fs::remove_file(&path).unwrap();
    assert_eq!(errno(fs::metadata(&path)), libc::ENOENT);
    mount.unmount().unwrap();
    assert_eq!(point.mounts(), 0);
    assert_eq!(memory.destroyed.load(Ordering::SeqCst), 1);
}

#[test]
fn times_before_1970_arrive() {
    watchdog();
    let point = MountPoint::new();
    let (_mount, _) = mount(Memory::new().with("old", b""), &point);
    let path = point.path().join("old");
    let file = fs::File::options().write(true).open(&path).unwrap();
    for before in [Duration::from_millis(500), Duration::new(3, 999_999_999)] {
        let time = SystemTime::UNIX_EPOCH - before;
        file.set_modified(time).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), time);
    }
    // the earliest second there is: its sign cannot be turned
    let times = [libc::timespec { tv_sec: i64::MIN, tv_nsec: 0 }; 2];
    let c_path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is NUL-terminated and there are two times.
    let result = unsafe { libc::utimensat(libc::AT_FDCWD, c_path.as_ptr(), times.as_ptr(), 0) };
    assert_eq!(result, 0);
    assert_eq!(fs::metadata(&path).unwrap().mtime(), i64::MIN);
}

#[test]
fn listings_have_every_entry_once() {
    watchdog();
    for plus in [false, true] {
        let mut memory = Memory { plus, ..Memory::new() };
        for number in 0..3000 {
            memory = memory.with(&format!("file-{number:05}"), b"x");
        }
        memory = memory.with("bare", b"no attributes");
        let point = MountPoint::new();
        let (_mount, memory) = mount(memory, &point);
        let mut names = Vec::new();
        for entry in fs::read_dir(point.path()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            assert_eq!(entry.ino(), memory.inode(&name).0, "{name}");
            names.push(name);
        }
        names.sort_unstable();
        assert_eq!(names.len(), 3001);
        names.dedup();
        assert_eq!(names.len(), 3001);
        assert_eq!(fs::read(point.path().join("bare")).unwrap(), b"no attributes");
    }
}

#[test]
fn each_lookup_is_taken_back() {
    watchdog();
    let point = MountPoint::new();
    let memory = Memory { plus: true, ..Memory::new() }.with("a", b"").with("bare", b"");
    let (mount, memory) = mount(memory, &point);
    assert_eq!(fs::read_dir(point.path()).unwrap().count(), 2);
    // the dentries go, and with them the lookups
    fs::write("/proc/sys/vm/drop_caches", "2").unwrap();
    let a = memory.inode("a");
    eventually("a forget", || memory.forgotten.lock().iter().any(|(inode, _)| *inode == a));
    let bare = memory.inode("bare");
    assert!(!memory.forgotten.lock().iter().any(|(inode, _)| *inode == bare));
    mount.unmount().unwrap();
}

fn getxattr(path: &Path, name: &str, size: usize) -> io::Result<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let name = CString::new(name).unwrap();
    let mut value = vec![0_u8; size];
    // SAFETY: both strings are NUL-terminated and the buffer has the size that is given.
    let length = unsafe {
        libc::getxattr(path.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len())
    };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    if size == 0 {
        return Ok(vec![0; length]);
    }
    value.truncate(length);
    Ok(value)
}

#[test]
fn attribute_values_are_measured_and_bounded() {
    watchdog();
    let point = MountPoint::new();
    let (_mount, _) = mount(Memory::new().with("file", b""), &point);
    let path = point.path().join("file");
    assert_eq!(getxattr(&path, "user.color", 0).unwrap().len(), 4);
    assert_eq!(getxattr(&path, "user.color", 4).unwrap(), b"blue");
    assert_eq!(errno(getxattr(&path, "user.color", 3)), libc::ERANGE);
    assert_eq!(errno(getxattr(&path, "user.taste", 0)), libc::ENODATA);
}

#[test]
fn absent_operations_have_their_own_answers() {
    watchdog();
    let modifying = [
        OperationKind::Setattr,
        OperationKind::Create,
        OperationKind::Unlink,
        OperationKind::Write,
        OperationKind::Open,
        OperationKind::Release,
    ];
    let all = Memory::new();
    let implemented: OperationSet =
        modifying.into_iter().fold(all.implemented, OperationSet::without);
    let point = MountPoint::new();
    let (mount, _) = mount(Memory { implemented, ..all }.with("file", b"text"), &point);
    assert!(mount.config().read_only);
    assert_eq!(fs::read(point.path().join("file")).unwrap(), b"text");
    assert_eq!(errno(fs::create_dir(point.path().join("d"))), libc::EROFS);
    assert_eq!(errno(fs::write(point.path().join("file"), "x")), libc::EROFS);
    mount.unmount().unwrap();

    let point = MountPoint::new();
    let (_mount, _) = common::mount(Memory::new().with("file", b"text"), &point);
    assert_eq!(errno(fs::create_dir(point.path().join("d"))), libc::EPERM);
    assert_eq!(errno(fs::remove_dir(point.path().join("file"))), libc::ENOTDIR);
    assert_eq!(errno(fs::rename(point.path().join("file"), point.path().join("g"))), libc::EPERM);
    let file = fs::File::open(point.path().join("file")).unwrap();
    file.sync_all().expect("an absent fsync succeeds");
}

#[test]
fn a_panic_costs_one_request() {
    watchdog();
    let point = MountPoint::new();
    let (_mount, _) = mount(Memory::new().with("file", b"text"), &point);
    for _ in 0..4 {
        assert_eq!(errno(fs::metadata(point.path().join("panic"))), libc::EIO);
    }
    assert!(logged("lookup panicked"));
    assert_eq!(fs::read(point.path().join("file")).unwrap(), b"text");
}

#[test]
fn wrong_answers_are_refused() {
    watchdog();
    let point = MountPoint::new();
    let (dispatch, held) =
        HoldReads::new(Memory { direct_io: true, ..Memory::new() }.with("file", &[7; 4096]));
    let mount = Mount::new(dispatch, point.config()).unwrap();
    let path = point.path().join("file");
    let read = |answer: Option<Reply>| {
        let path = path.clone();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            fs::File::open(path).expect("it can be opened").read_at(&mut buffer, 0)
        });
        let (_, responder) = held.next();
        match answer {
            Some(reply) => assert_eq!(responder.answer(Ok(reply)), Delivery::Sent),
            None => drop(responder),
        }
        reader.join().unwrap()
    };
    let bytes = |length: u64| -> SegmentList { [Segment::Zeros(length)].into_iter().collect() };
    assert_eq!(read(Some(Reply::Data(bytes(10)))).unwrap(), 10);
    assert_eq!(errno(read(Some(Reply::Data(bytes(4097))))), libc::EIO);
    assert!(logged("4097 bytes, 4096 were asked for"));
    assert_eq!(errno(read(Some(Reply::Written(3)))), libc::EIO);
    assert!(logged("Written is no answer to it"));
    assert_eq!(errno(read(None)), libc::EIO);
    assert!(logged("was never answered"));
    mount.unmount().unwrap();
}

#[test]
fn what_is_served_is_counted() {
    watchdog();
    let point = MountPoint::new();
    let (mount, _) = mount(Memory::new().with("file", b"0123456789"), &point);
    let file = fs::File::open(point.path().join("file")).unwrap();
    assert_eq!(file.read_at(&mut [0; 10], 0).unwrap(), 10);
    assert_eq!(errno(fs::metadata(point.path().join("none"))), libc::ENOENT);
    drop(file);
    let count = |kind| mount.statistics().operations.into_iter().find(|op| op.kind == kind);
    eventually("the answers", || mount.statistics().in_flight == 0);
    let reads = count(OperationKind::Read).expect("it was read");
    assert_eq!((reads.count, reads.errors, reads.bytes), (1, 0, 10));
    assert_eq!(reads.latency.count(), 1);
    let lookups = count(OperationKind::Lookup).expect("it was looked up");
    assert_eq!((lookups.count, lookups.errors), (2, 0), "a name that is not there is no error");
    assert!(mount.statistics().pool.misses >= 1);
    mount.unmount().unwrap();
}

#[test]
fn invalidated_attributes_are_asked_for_again() {
    watchdog();
    let point = MountPoint::new();
    let memory = Arc::new(Memory::new().with("file", b"1"));
    let mut config = point.config();
    config.attribute_timeout = Duration::from_hours(1);
    let mount = Mount::new(Arc::new(Native::new(Arc::clone(&memory))), config).unwrap();
    let path = point.path().join("file");
    assert_eq!(fs::metadata(&path).unwrap().len(), 1);
    memory.set_data("file", b"22");
    assert_eq!(fs::metadata(&path).unwrap().len(), 1, "still believed");
    assert!(mount.notifier().invalidate_inode(memory.inode("file"), 0, 0));
    eventually("the new length", || fs::metadata(&path).unwrap().len() == 2);
    mount.unmount().unwrap();
    assert!(!mount.notifier().invalidate_inode(memory.inode("file"), 0, 0));
}

#[test]
fn traced_operations_are_logged() {
    watchdog();
    let point = MountPoint::new();
    let mut config = point.config();
    config.trace = true;
    let memory = Arc::new(Memory::new().with("traced-file", b"12"));
    let mount = Mount::new(Arc::new(Native::new(memory)), config).unwrap();
    assert_eq!(fs::read(point.path().join("traced-file")).unwrap(), b"12");
    mount.unmount().unwrap();
    assert!(logged("lookup(parent: Inode(1), name: \"traced-file\") = inode"));
    assert!(logged("= 2 bytes in 2 segments"));
}
