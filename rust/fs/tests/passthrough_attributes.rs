//! Attributes: every field of setattr, with and without a handle.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::SystemTime;

use fusesg_fs::{Errno, FileSystem, Handle, Inode, SetAttributes, SetTime, Timestamp};
use support::{Fixture, ROOT_USER, on_each_backing};

fn set(fixture: &Fixture, inode: Inode, handle: Option<Handle>, changes: &SetAttributes) {
    let reply = fixture.fs.setattr(&ROOT_USER, inode, handle, changes).unwrap();
    let now = fixture.fs.getattr(&ROOT_USER, inode, handle).unwrap();
    assert_eq!(reply.attributes, now.attributes, "the answer is fresh");
}

fn at(seconds: i64, nanoseconds: u32) -> SetTime {
    SetTime::At(Timestamp { seconds, nanoseconds })
}

#[test]
fn mode_and_owner() {
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("file");
        for handle in [None, Some(handle)] {
            let mode = SetAttributes { mode: Some(0o4751), ..SetAttributes::default() };
            set(fixture, inode, handle, &mode);
            assert_eq!(fixture.attributes(inode).permissions, 0o4751);
            let uid = SetAttributes { uid: Some(12), ..SetAttributes::default() };
            set(fixture, inode, handle, &uid);
            let attributes = fixture.attributes(inode);
            // chown takes set-user-id away
            assert_eq!((attributes.uid, attributes.gid, attributes.permissions), (12, 0, 0o751));
            let both = SetAttributes {
                uid: Some(13),
                gid: Some(14),
                mode: Some(0o4755),
                ..SetAttributes::default()
            };
            set(fixture, inode, handle, &both);
            let metadata = fs::metadata(fixture.path("file")).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (13, 14));
            assert_eq!(metadata.mode(), libc::S_IFREG | 0o4755, "the mode comes last");
            let back = SetAttributes { uid: Some(0), gid: Some(0), ..SetAttributes::default() };
            set(fixture, inode, handle, &back);
        }
    });
}

#[test]
fn times_of_files_and_of_links_themselves() {
    on_each_backing(|fixture| {
        let (file, handle) = fixture.create("file");
        symlink("file", fixture.path("link")).unwrap();
        let link = fixture.lookup("link").attributes.inode;
        let cases = [(file, None), (file, Some(handle)), (link, None)];
        for (inode, handle) in cases {
            let times = SetAttributes {
                atime: Some(at(1_000_000, 1)),
                mtime: Some(at(-5, 999_999_999)),
                ..SetAttributes::default()
            };
            set(fixture, inode, handle, &times);
            let attributes = fixture.attributes(inode);
            assert_eq!(attributes.atime, Timestamp { seconds: 1_000_000, nanoseconds: 1 });
            assert_eq!(attributes.mtime, Timestamp { seconds: -5, nanoseconds: 999_999_999 });
            let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let only_access =
                SetAttributes { atime: Some(SetTime::Now), ..SetAttributes::default() };
            set(fixture, inode, handle, &only_access);
            let attributes = fixture.attributes(inode);
            // the kernel's clock for time stamps may be a tick behind
            assert!(attributes.atime.seconds + 1 >= before.as_secs().cast_signed());
            assert_eq!(attributes.mtime, Timestamp { seconds: -5, nanoseconds: 999_999_999 });
        }
        let link = fs::symlink_metadata(fixture.path("link")).unwrap();
        assert!(link.file_type().is_symlink());
        assert_eq!(link.mtime(), -5);
    });
}

#[test]
fn length_with_and_without_a_handle_that_may_write() {
    on_each_backing(|fixture| {
        let (inode, writing) = fixture.create("file");
        fixture.write(inode, writing, 0, b"0123456789");
        let reading = fixture.open(inode, libc::O_RDONLY).unwrap().handle;
        for (handle, size) in [(Some(writing), 8), (Some(reading), 6), (None, 4), (None, 20)] {
            let size = SetAttributes { size: Some(size), ..SetAttributes::default() };
            set(fixture, inode, handle, &size);
        }
        let mut expected = b"0123".to_vec();
        expected.resize(20, 0);
        assert_eq!(fs::read(fixture.path("file")).unwrap(), expected);
        let huge = SetAttributes { size: Some(u64::MAX), ..SetAttributes::default() };
        let reply = fixture.fs.setattr(&ROOT_USER, inode, None, &huge);
        assert_eq!(reply.unwrap_err(), Errno::EFBIG);
    });
}

#[test]
fn a_length_and_a_time_together_keep_the_time() {
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("file");
        let both =
            SetAttributes { size: Some(3), mtime: Some(at(77, 0)), ..SetAttributes::default() };
        set(fixture, inode, Some(handle), &both);
        let attributes = fixture.attributes(inode);
        assert_eq!((attributes.size, attributes.mtime.seconds), (3, 77));
    });
}

#[test]
fn a_deleted_file_lives_until_it_is_forgotten() {
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("file");
        fixture.write(inode, handle, 0, b"kept");
        fixture.fs.unlink(&ROOT_USER, Inode::ROOT, support::os("file")).unwrap();
        for handle in [None, Some(handle)] {
            assert_eq!(fixture.attributes(inode).links, 0);
            let changes = SetAttributes {
                mode: Some(0o600),
                size: Some(4),
                mtime: Some(at(5, 0)),
                ..SetAttributes::default()
            };
            set(fixture, inode, handle, &changes);
        }
        assert_eq!(fixture.read(inode, handle, 0, 9), b"kept");
        fixture.fs.release(inode, handle).unwrap();
        assert_eq!(fixture.attributes(inode).size, 4);
        fixture.fs.forget(inode, 1);
        let gone = fixture.fs.getattr(&ROOT_USER, inode, None);
        assert_eq!(gone.unwrap_err(), Errno::ESTALE);
    });
}

#[test]
fn statfs_counts_as_the_backing_does() {
    on_each_backing(|fixture| {
        let statistics = fixture.fs.statfs(&ROOT_USER, Inode::ROOT).unwrap();
        assert_eq!(statistics.name_max, 255);
        assert_eq!(statistics.fragment_size, 4096);
        assert!(statistics.blocks > 0);
        assert!((1..=statistics.blocks).contains(&statistics.blocks_free));
        assert!(statistics.blocks_available <= statistics.blocks_free);
        assert!((1..=statistics.files).contains(&statistics.files_free));
    });
}
