//! The bytes of open files.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::sync::Barrier;

use fusesg_fs::passthrough::PassthroughOptions;
use fusesg_fs::{Errno, FileSystem, Handle, Inode, LockOwner};
use support::{Fixture, ROOT_USER, on_each_backing, on_each_backing_with};

#[test]
fn what_is_written_is_read() {
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("file");
        assert_eq!(fixture.write(inode, handle, 3, b"abc"), 3);
        assert_eq!(fixture.read(inode, handle, 0, 100), b"\0\0\0abc");
        assert_eq!(fixture.read(inode, handle, 5, 100), b"c");
        assert_eq!(fixture.read(inode, handle, 6, 100), b"");
        let beyond = fixture.fs.read(&ROOT_USER, inode, handle, u64::MAX - 5, 100);
        assert_eq!(beyond.unwrap_err(), Errno::EINVAL);
        fixture.fs.flush(&ROOT_USER, inode, handle, LockOwner(1)).unwrap();
        fixture.fs.fsync(&ROOT_USER, inode, handle, false).unwrap();
        fixture.fs.fsync(&ROOT_USER, inode, handle, true).unwrap();
        fixture.fs.release(inode, handle).unwrap();
        let late = fixture.fs.read(&ROOT_USER, inode, handle, 0, 1);
        assert_eq!(late.unwrap_err(), Errno::EBADF);
        assert_eq!(fixture.fs.release(inode, handle).unwrap_err(), Errno::EBADF);
    });
}

#[test]
fn a_read_in_flight_survives_release() {
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("file");
        fixture.write(inode, handle, 0, b"in flight");
        let list = fixture.fs.read(&ROOT_USER, inode, handle, 0, 9).unwrap();
        fixture.fs.release(inode, handle).unwrap();
        let mut bytes = [0; 9];
        assert_eq!(fusesg_sg::gather(&list, &mut bytes).unwrap(), 9);
        assert_eq!(&bytes, b"in flight");
    });
}

#[test]
fn access_modes_hold() {
    on_each_backing(|fixture| {
        let (inode, _) = fixture.create("file");
        let reading = fixture.open(inode, libc::O_RDONLY).unwrap().handle;
        let written = fixture.fs.write(&ROOT_USER, inode, reading, 0, b"x", false, false);
        assert_eq!(written.unwrap_err(), Errno::EBADF);
        let directory = fixture.mkdir("directory", 0o755);
        assert_eq!(fixture.open(directory, libc::O_RDONLY).unwrap_err(), Errno::EISDIR);
        let opened = fixture.fs.opendir(&ROOT_USER, inode, 0);
        assert_eq!(opened.unwrap_err(), Errno::ENOTDIR);
    });
}

#[test]
fn truncating_and_odd_flags_of_open() {
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("file");
        fixture.write(inode, handle, 0, b"content");
        // unaligned transfers work even where the caller goes around the page cache
        let flags = libc::O_RDWR | libc::O_DIRECT | libc::O_NOATIME | libc::O_NOFOLLOW;
        let direct = fixture.open(inode, flags | libc::O_SYNC | libc::O_NOCTTY).unwrap().handle;
        fixture.write(inode, direct, 1, b"ONTEN");
        assert_eq!(fixture.read(inode, direct, 1, 3), b"ONT");
        let truncated = fixture.open(inode, libc::O_WRONLY | libc::O_TRUNC).unwrap().handle;
        assert_eq!(fixture.attributes(inode).size, 0);
        fixture.fs.release(inode, truncated).unwrap();
    });
}

#[test]
fn appenders_lose_nothing() {
    on_each_backing(|fixture| {
        const WRITERS: usize = 4;
        const LINES: usize = 500;
        let (inode, _) = fixture.create("log");
        let barrier = Barrier::new(WRITERS);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let barrier = &barrier;
                scope.spawn(move || {
                    let flags = libc::O_WRONLY | libc::O_APPEND;
                    let handle = fixture.open(inode, flags).unwrap().handle;
                    barrier.wait();
                    for line in 0..LINES {
                        // the offset that the kernel believes in is wrong by now
                        let text = format!("{writer} {line}\n");
                        fixture.write(inode, handle, 0, text.as_bytes());
                    }
                    fixture.fs.release(inode, handle).unwrap();
                });
            }
        });
        let log = fs::read_to_string(fixture.path("log")).unwrap();
        assert_eq!(log.lines().count(), WRITERS * LINES);
        for writer in 0..WRITERS {
            let prefix = format!("{writer} ");
            let lines = log.lines().filter_map(|line| line.strip_prefix(&prefix));
            let numbers: Vec<usize> = lines.map(|line| line.parse().unwrap()).collect();
            assert_eq!(numbers, (0..LINES).collect::<Vec<_>>());
        }
    });
}

#[test]
fn mapped_pages_go_to_their_place_through_an_appending_handle() {
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("file");
        fixture.write(inode, handle, 0, b"0123456789");
        let appending = fixture.open(inode, libc::O_RDWR | libc::O_APPEND).unwrap().handle;
        let written = fixture.fs.write(&ROOT_USER, inode, appending, 2, b"ab", true, false);
        assert_eq!(written.unwrap(), 2);
        fixture.write(inode, appending, 0, b"!");
        assert_eq!(fs::read(fixture.path("file")).unwrap(), b"01ab456789!");
    });
}

#[test]
fn the_writeback_cache_reads_what_it_writes() {
    let options = PassthroughOptions { writeback: true, ..PassthroughOptions::default() };
    on_each_backing_with(&options, |fixture| {
        fs::write(fixture.path("file"), "0123").unwrap();
        let inode = fixture.lookup("file").attributes.inode;
        let flags = libc::O_WRONLY | libc::O_APPEND;
        let opened = fixture.open(inode, flags).unwrap();
        assert_eq!(fixture.read(inode, opened.handle, 0, 9), b"0123");
        let written = fixture.fs.write(&ROOT_USER, inode, opened.handle, 0, b"01234", true, false);
        assert_eq!(written.unwrap(), 5);
        assert_eq!(fs::read(fixture.path("file")).unwrap(), b"01234");
        assert!(opened.passthrough.is_none());
    });
}

#[test]
fn files_beyond_4_gib_are_sparse() {
    on_each_backing(|fixture| {
        const FAR: u64 = 5 << 30;
        let (inode, handle) = fixture.create("file");
        fixture.write(inode, handle, FAR, b"far");
        assert_eq!(fixture.read(inode, handle, FAR - 2, 10), b"\0\0far");
        let attributes = fixture.attributes(inode);
        assert_eq!(attributes.size, FAR + 3);
        assert!(attributes.blocks <= 64, "{} blocks", attributes.blocks);
        let seek = |offset, whence| fixture.fs.lseek(&ROOT_USER, inode, handle, offset, whence);
        assert_eq!(seek(0, libc::SEEK_DATA).unwrap(), FAR);
        assert_eq!(seek(0, libc::SEEK_HOLE).unwrap(), 0);
        assert_eq!(seek(FAR.cast_signed(), libc::SEEK_HOLE).unwrap(), FAR + 3);
        assert_eq!(seek((FAR + 3).cast_signed(), libc::SEEK_DATA).unwrap_err(), Errno::ENXIO);
    });
}

#[test]
fn fallocate_reserves_punches_and_zeroes() {
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("file");
        fixture.write(inode, handle, 0, &[7; 16384]);
        let allocate = |offset, length, mode| {
            fixture.fs.fallocate(&ROOT_USER, inode, handle, offset, length, mode)
        };
        let keep = libc::FALLOC_FL_KEEP_SIZE;
        allocate(4096, 4096, libc::FALLOC_FL_PUNCH_HOLE | keep).unwrap();
        assert_eq!(fixture.read(inode, handle, 4096, 4096), [0; 4096]);
        assert_eq!(fixture.read(inode, handle, 8192, 1), [7]);
        allocate(0, 32768, keep).unwrap();
        assert_eq!(fixture.attributes(inode).size, 16384);
        allocate(0, 20000, 0).unwrap();
        assert_eq!(fixture.attributes(inode).size, 20000);
        match allocate(8192, 4096, libc::FALLOC_FL_ZERO_RANGE) {
            Ok(()) => assert_eq!(fixture.read(inode, handle, 8192, 4096), [0; 4096]),
            // tmpfs cannot
            Err(errno) => assert_eq!(errno, Errno::ENOTSUP),
        }
        assert_eq!(allocate(u64::MAX, 1, 0).unwrap_err(), Errno::EINVAL);
    });
}

#[test]
fn copy_file_range_copies_between_handles() {
    on_each_backing(|fixture| {
        let (source, from) = fixture.create("source");
        fixture.write(source, from, 0, b"0123456789");
        let (_, to) = fixture.create("target");
        let copy =
            |length, flags| fixture.fs.copy_file_range(&ROOT_USER, from, 2, to, 1, length, flags);
        assert_eq!(copy(4, 0).unwrap(), 4);
        assert_eq!(fs::read(fixture.path("target")).unwrap(), b"\x002345");
        // more than a reply could count
        assert_eq!(copy(1 << 40, 0).unwrap(), 8);
        assert_eq!(copy(1, 1).unwrap_err(), Errno::EINVAL);
    });
}

fn flags_of(fixture: &Fixture, inode: Inode, handle: Handle) -> Result<u32, Errno> {
    const GETFLAGS: u32 = 0x8008_6601;
    let (result, data) = fixture.fs.ioctl(&ROOT_USER, inode, handle, GETFLAGS, &[], 4)?;
    assert_eq!(result, 0);
    Ok(u32::from_ne_bytes(data.try_into().unwrap()))
}

#[test]
fn inode_flags_pass_and_nothing_else() {
    const SETFLAGS: u32 = 0x4008_6602;
    const NODUMP: u32 = 0x40;
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("file");
        let flags = flags_of(fixture, inode, handle).unwrap() | NODUMP;
        let set = fixture.fs.ioctl(&ROOT_USER, inode, handle, SETFLAGS, &flags.to_ne_bytes(), 0);
        assert_eq!(set.unwrap(), (0, Vec::new()));
        assert_eq!(flags_of(fixture, inode, handle).unwrap(), flags);
        let directory = fixture.mkdir("directory", 0o755);
        let handle = fixture.fs.opendir(&ROOT_USER, directory, 0).unwrap().handle;
        flags_of(fixture, directory, handle).unwrap();
        let terminal = fixture.fs.ioctl(&ROOT_USER, inode, handle, 0x5401, &[], 4);
        assert_eq!(terminal.unwrap_err(), Errno::ENOTTY);
    });
}

#[test]
fn append_only_files_open_for_appending() {
    const SETFLAGS: u32 = 0x4008_6602;
    const APPEND_ONLY: u32 = 0x20;
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("file");
        let before = flags_of(fixture, inode, handle).unwrap();
        let set = |flags: u32| {
            let data = flags.to_ne_bytes();
            fixture.fs.ioctl(&ROOT_USER, inode, handle, SETFLAGS, &data, 0).unwrap();
        };
        set(before | APPEND_ONLY);
        let plain = fixture.open(inode, libc::O_WRONLY);
        let appending = fixture.open(inode, libc::O_WRONLY | libc::O_APPEND);
        let written = appending.map(|opened| fixture.write(inode, opened.handle, 0, b"line"));
        set(before);
        assert_eq!(plain.unwrap_err(), Errno::EPERM);
        assert_eq!(written.unwrap(), 4);
    });
}

#[test]
fn the_kernel_gets_one_backing_per_inode() {
    let options = PassthroughOptions { kernel_passthrough: true, ..PassthroughOptions::default() };
    on_each_backing_with(&options, |fixture| {
        fs::write(fixture.path("file"), "content").unwrap();
        let inode = fixture.lookup("file").attributes.inode;
        let reader = fixture.open(inode, libc::O_RDONLY).unwrap();
        let writer = fixture.open(inode, libc::O_WRONLY | libc::O_APPEND).unwrap();
        let (first, second) = (reader.passthrough.unwrap(), writer.passthrough.unwrap());
        assert!(std::sync::Arc::ptr_eq(&first, &second) && first.writable());
        // decided until the last release, whatever the mode becomes
        let mode = fusesg_fs::SetAttributes { mode: Some(0o755), ..Default::default() };
        fixture.fs.setattr(&ROOT_USER, inode, None, &mode).unwrap();
        let third = fixture.open(inode, libc::O_RDONLY).unwrap();
        assert!(third.passthrough.is_some());
        for handle in [reader.handle, writer.handle, third.handle] {
            fixture.fs.release(inode, handle).unwrap();
        }
        // execve elsewhere must not fail with ETXTBSY because somebody reads the file here
        let executable = fixture.open(inode, libc::O_RDONLY).unwrap();
        assert!(executable.passthrough.is_none());
        fixture.fs.release(inode, executable.handle).unwrap();
        let flags = libc::O_CREAT | libc::O_WRONLY;
        let created = fixture.fs.create(&ROOT_USER, Inode::ROOT, support::os("new"), 0o644, flags);
        let (_, opened) = created.unwrap();
        assert!(opened.passthrough.is_some());
    });
}
