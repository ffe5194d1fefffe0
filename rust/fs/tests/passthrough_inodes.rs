//! Inodes that the kernel knows: descriptors, file handles, numbers, lookups and forgets.
//!
//! One test at a time: the descriptors of the whole process are counted.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use fusesg_fs::passthrough::{Passthrough, PassthroughOptions};
use fusesg_fs::{Errno, FileSystem, Inode, RenameFlags};
use support::{Fixture, ROOT_USER, on_each_backing, on_each_backing_with, os};

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A budget that makes every inode keep a file handle.
fn handles_only() -> PassthroughOptions {
    PassthroughOptions { descriptor_budget: Some(0), ..PassthroughOptions::default() }
}

#[test]
fn forgetting_closes_every_descriptor() {
    let _alone = alone();
    on_each_backing(|fixture| {
        for index in 0..100 {
            File::create(fixture.path(format!("{index}"))).unwrap();
        }
        let before = descriptors();
        let listed = fixture.list(Inode::ROOT, true, 1000);
        assert_eq!(descriptors(), before + 100);
        let again = fixture.lookup("7").attributes.inode;
        assert_eq!(descriptors(), before + 100);
        for entry in listed.iter().filter_map(|entry| entry.entry) {
            fixture.fs.forget(entry.attributes.inode, 1);
        }
        assert_eq!(fixture.fs.known_inodes(), 1);
        assert_eq!(fixture.attributes(again).inode, again);
        fixture.fs.forget(again, 1);
        assert_eq!(descriptors(), before);
        fixture.fs.forget(Inode::ROOT, 1000);
        fixture.attributes(Inode::ROOT);
    });
}

#[test]
fn failures_and_open_files_leave_no_descriptor() {
    let _alone = alone();
    on_each_backing(|fixture| {
        let before = descriptors();
        for name in ["missing", ".."] {
            fixture.fs.lookup(&ROOT_USER, Inode::ROOT, os(name)).unwrap_err();
        }
        let (inode, handle) = fixture.create("file");
        let directory = fixture.mkdir("directory", 0o755);
        let listing = fixture.fs.opendir(&ROOT_USER, directory, 0).unwrap().handle;
        fixture.fs.link(&ROOT_USER, inode, directory, os("second")).unwrap();
        fixture.fs.link(&ROOT_USER, inode, directory, os("second")).unwrap_err();
        fixture.fs.release(inode, handle).unwrap();
        fixture.fs.releasedir(directory, listing).unwrap();
        fixture.fs.forget(inode, 2);
        fixture.fs.forget(directory, 1);
        assert_eq!(descriptors(), before);
    });
    // a file system that is dropped with everything open
    let before = descriptors();
    on_each_backing(|fixture| {
        fixture.create("file");
        fixture.fs.opendir(&ROOT_USER, Inode::ROOT, 0).unwrap();
    });
    assert_eq!(descriptors(), before);
}

#[test]
fn beyond_the_budget_inodes_need_no_descriptor() {
    let _alone = alone();
    on_each_backing_with(&handles_only(), |fixture| {
        for index in 0..1000 {
            fs::write(fixture.path(format!("{index}")), index.to_string()).unwrap();
        }
        let before = descriptors();
        let listed = fixture.list(Inode::ROOT, true, 10_000);
        assert_eq!(descriptors(), before);
        assert_eq!(fixture.fs.known_inodes(), 1000);
        for entry in listed.iter().filter(|entry| entry.entry.is_some()) {
            let handle = fixture.open(entry.inode, libc::O_RDONLY).unwrap().handle;
            let content = fixture.read(entry.inode, handle, 0, 10);
            assert_eq!(content, entry.name.as_encoded_bytes());
            fixture.fs.release(entry.inode, handle).unwrap();
        }
        let directory = fixture.mkdir("directory", 0o755);
        let (inode, handle) = fixture.create_as(&ROOT_USER, directory, "file", 0o644);
        fixture.write(inode, handle, 0, b"x");
        fixture.fs.link(&ROOT_USER, inode, directory, os("second")).unwrap();
        assert_eq!(fixture.attributes(inode).links, 2);
        let link = fixture.fs.symlink(&ROOT_USER, directory, os("link"), os("target")).unwrap();
        let target = fixture.fs.readlink(&ROOT_USER, link.attributes.inode).unwrap();
        assert_eq!(target, b"target");
    });
}

#[test]
fn beyond_the_budget_deleted_inodes_live_on() {
    let _alone = alone();
    on_each_backing_with(&handles_only(), |fixture| {
        for name in ["removed", "replaced", "replacing"] {
            fs::write(fixture.path(name), name).unwrap();
        }
        let removed = fixture.lookup("removed").attributes.inode;
        let replaced = fixture.lookup("replaced").attributes.inode;
        let directory = fixture.mkdir("directory", 0o755);
        fixture.fs.unlink(&ROOT_USER, Inode::ROOT, os("removed")).unwrap();
        fixture.fs.rmdir(&ROOT_USER, Inode::ROOT, os("directory")).unwrap();
        let (from, to, none) = (os("replacing"), os("replaced"), RenameFlags::empty());
        fixture.fs.rename(&ROOT_USER, Inode::ROOT, from, Inode::ROOT, to, none).unwrap();
        for inode in [removed, replaced, directory] {
            assert_eq!(fixture.attributes(inode).links, 0);
            fixture.fs.forget(inode, 1);
            let gone = fixture.fs.getattr(&ROOT_USER, inode, None);
            assert_eq!(gone.unwrap_err(), Errno::ESTALE);
        }
    });
}

#[test]
fn a_number_in_use_again_is_another_generation() {
    let _alone = alone();
    // only ext4 among the backings gives a number out again at once
    let fixture = Fixture::new_in(std::env::temp_dir(), handles_only());
    let mut reused = 0;
    for round in 0..100 {
        let name = format!("{round}");
        fs::write(fixture.path(&name), "first").unwrap();
        let first = fixture.lookup(&name);
        // behind the mount's back
        fs::remove_file(fixture.path(&name)).unwrap();
        fs::write(fixture.path(&name), "second time").unwrap();
        let second = fixture.lookup(&name);
        let inode = second.attributes.inode;
        assert_eq!(fixture.attributes(inode).size, 11);
        if first.attributes.inode == inode {
            reused += 1;
            assert_ne!(first.generation, second.generation);
            fixture.fs.forget(inode, 1);
            assert_eq!(fixture.attributes(inode).size, 11);
        } else {
            fixture.fs.forget(first.attributes.inode, 1);
        }
        fixture.fs.forget(inode, 1);
        fs::remove_file(fixture.path(&name)).unwrap();
    }
    assert_eq!(fixture.fs.known_inodes(), 0);
    assert!(reused > 0, "the case was not met");
}

/// A tmpfs, unmounted when dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(path: &Path) -> Self {
        let target = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        let (name, none) = (c"tmpfs".as_ptr(), std::ptr::null());
        // SAFETY: C strings that live through the call.
        let result = unsafe { libc::mount(name, target.as_ptr(), name, 0, none) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        Self(path.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let target = CString::new(self.0.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: a C string that lives through the call.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

#[test]
fn mounts_below_the_source_are_renumbered_for_good() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let outer = Tmpfs::mount(directory.path());
    let inner: Vec<_> = ["one", "two"]
        .iter()
        .map(|name| {
            let path = directory.path().join(name);
            fs::create_dir(&path).unwrap();
            let mount = Tmpfs::mount(&path);
            fs::write(path.join("file"), name).unwrap();
            mount
        })
        .collect();
    // all roots have number 1, all first files the same number
    assert_eq!(fs::metadata(directory.path()).unwrap().ino(), 1);
    let fs = Passthrough::open(directory.path(), PassthroughOptions::default()).unwrap();
    let lookup = |parent: Inode, name: &str| {
        fs.lookup(&ROOT_USER, parent, os(name)).unwrap().attributes.inode
    };
    let walk = || {
        let roots = [lookup(Inode::ROOT, "one"), lookup(Inode::ROOT, "two")];
        let files = [lookup(roots[0], "file"), lookup(roots[1], "file")];
        [roots, files].concat()
    };
    let first = walk();
    let distinct: std::collections::HashSet<_> = first.iter().collect();
    assert_eq!(distinct.len(), 4);
    assert!(!first.contains(&Inode::ROOT));
    for inode in &first {
        let attributes = fs.getattr(&ROOT_USER, *inode, None).unwrap().attributes;
        assert_eq!(attributes.inode, *inode, "st_ino is the number the kernel knows");
        fs.forget(*inode, 1);
    }
    assert_eq!(fs.known_inodes(), 0);
    // in the other order
    let two = lookup(Inode::ROOT, "two");
    assert_eq!((two, walk()), (first[1], first));
    let across = fs.link(&ROOT_USER, lookup(two, "file"), Inode::ROOT, os("link"));
    assert_eq!(across.unwrap_err(), Errno::EXDEV);
    drop(fs);
    drop(inner);
    drop(outer);
}

#[test]
fn lookups_and_forgets_at_the_same_time() {
    let _alone = alone();
    for options in [PassthroughOptions::default(), handles_only()] {
        on_each_backing_with(&options, |fixture| {
            for index in 0..4 {
                File::create(fixture.path(format!("{index}"))).unwrap();
            }
            let before = descriptors();
            let stop = AtomicBool::new(false);
            let stop = &stop;
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    scope.spawn(move || {
                        for round in 0..5000 {
                            let name = format!("{}", (thread + round) % 4);
                            let entry = fixture.lookup(&name);
                            let inode = entry.attributes.inode;
                            // what was looked up and not yet forgotten is there
                            assert_eq!(fixture.attributes(inode).inode, inode);
                            fixture.fs.forget(inode, 1);
                        }
                        stop.store(true, Ordering::Relaxed);
                    });
                }
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        for entry in fixture.list(Inode::ROOT, true, 2) {
                            if let Some(entry) = entry.entry {
                                fixture.fs.forget(entry.attributes.inode, 1);
                            }
                        }
                    }
                });
            });
            assert_eq!(fixture.fs.known_inodes(), 0);
            assert_eq!(descriptors(), before);
        });
    }
}

#[test]
fn two_file_systems_in_one_process_do_not_meet() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "x").unwrap();
    let open = || Passthrough::open(directory.path(), PassthroughOptions::default()).unwrap();
    let (first, second) = (open(), open());
    let entry = first.lookup(&ROOT_USER, Inode::ROOT, os("file")).unwrap();
    let unknown = second.getattr(&ROOT_USER, entry.attributes.inode, None);
    assert_eq!(unknown.unwrap_err(), Errno::ESTALE);
}

#[test]
fn a_source_that_cannot_be_served_is_an_error() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let missing = Passthrough::open(&directory.path().join("x"), PassthroughOptions::default());
    assert_eq!(missing.unwrap_err().kind(), std::io::ErrorKind::NotFound);
    let file = directory.path().join("file");
    File::create(&file).unwrap();
    let not_a_directory = Passthrough::open(&file, PassthroughOptions::default());
    assert_eq!(not_a_directory.unwrap_err().kind(), std::io::ErrorKind::NotADirectory);
}
