//! Listings.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};

use fusesg_fs::passthrough::PassthroughOptions;
use fusesg_fs::{Errno, FileSystem, FileType, Inode};
use support::{Fixture, Listed, ROOT_USER, on_each_backing, os};

fn names(listed: &[Listed]) -> HashSet<OsString> {
    listed.iter().filter(|entry| !entry.is_dots()).map(|entry| entry.name.clone()).collect()
}

#[test]
fn entries_carry_what_stat_shows() {
    on_each_backing(|fixture| {
        fs::write(fixture.path("file"), "x").unwrap();
        fs::create_dir(fixture.path("directory")).unwrap();
        symlink("file", fixture.path("link")).unwrap();
        for plus in [false, true] {
            let listed = fixture.list(Inode::ROOT, plus, 100);
            assert_eq!(listed.len(), 5);
            // ".." of the root is above the mount
            for entry in listed.iter().filter(|entry| entry.name != "..") {
                let metadata = fs::symlink_metadata(fixture.path(&entry.name)).unwrap();
                assert_eq!(entry.inode, Inode(metadata.ino()), "{entry:?}");
                assert_eq!(entry.kind.mode(), metadata.mode() & libc::S_IFMT, "{entry:?}");
                assert_eq!(entry.entry.is_some(), plus && !entry.is_dots());
                if let Some(with) = entry.entry {
                    assert_eq!(with.attributes.inode, entry.inode);
                    assert_eq!(with.attributes.size, metadata.len());
                }
            }
        }
        assert_eq!(fixture.fs.known_inodes(), 3, "dots are not looked up");
        let file = fixture.lookup("file").attributes.inode;
        assert_eq!(fixture.fs.opendir(&ROOT_USER, file, 0).unwrap_err(), Errno::ENOTDIR);
    });
}

#[test]
fn a_hundred_thousand_entries_through_small_buffers() {
    for (backing, entries) in [("/dev/shm".into(), 100_000), (std::env::temp_dir(), 20_000)] {
        let fixture = Fixture::new_in(backing, PassthroughOptions::default());
        let many = fixture.mkdir("many", 0o755);
        for index in 0..entries {
            File::create(fixture.path(format!("many/{index}"))).unwrap();
        }
        let listed = fixture.list(many, false, 37);
        assert_eq!(listed.len(), entries + 2);
        assert_eq!(names(&listed).len(), entries, "each once");
    }
}

#[test]
fn an_entry_that_did_not_fit_is_neither_lost_nor_looked_up() {
    on_each_backing(|fixture| {
        for index in 0..100 {
            File::create(fixture.path(format!("{index}"))).unwrap();
        }
        let listed = fixture.list(Inode::ROOT, true, 1);
        assert_eq!(names(&listed).len(), 100);
        let mut lookups: HashMap<Inode, u64> = HashMap::new();
        for entry in listed.iter().filter_map(|entry| entry.entry) {
            *lookups.entry(entry.attributes.inode).or_default() += 1;
        }
        assert_eq!(fixture.fs.known_inodes(), 100);
        for (inode, count) in lookups {
            fixture.fs.forget(inode, count);
        }
        assert_eq!(fixture.fs.known_inodes(), 0, "what was counted was handed out");
    });
}

#[test]
fn any_offset_can_be_returned_to() {
    on_each_backing(|fixture| {
        for index in 0..500 {
            File::create(fixture.path(format!("{index}"))).unwrap();
        }
        let all = fixture.list(Inode::ROOT, false, 1000);
        let handle = fixture.fs.opendir(&ROOT_USER, Inode::ROOT, 0).unwrap().handle;
        for position in [0, 499, 3, 250, 250, 0, 100] {
            let offset = if position == 0 { 0 } else { all[position - 1].next_offset };
            let part = fixture.list_from(Inode::ROOT, handle, offset, false, 2);
            assert_eq!(part[0].name, all[position].name);
            assert_eq!(part[1].name, all[position + 1].name);
        }
        let end = fixture.list_from(Inode::ROOT, handle, all[501].next_offset, false, 2);
        assert!(end.is_empty());
        // rewinddir shows what is new
        File::create(fixture.path("new")).unwrap();
        let again = fixture.list_from(Inode::ROOT, handle, 0, false, 1000);
        assert_eq!(again.len(), 503);
        fixture.fs.fsyncdir(&ROOT_USER, Inode::ROOT, handle, false).unwrap();
        fixture.fs.releasedir(Inode::ROOT, handle).unwrap();
        assert_eq!(fixture.fs.releasedir(Inode::ROOT, handle).unwrap_err(), Errno::EBADF);
    });
}

#[test]
fn deleting_while_listing_skips_nothing() {
    on_each_backing(|fixture| {
        for index in 0..2000 {
            File::create(fixture.path(format!("{index}"))).unwrap();
        }
        let handle = fixture.fs.opendir(&ROOT_USER, Inode::ROOT, 0).unwrap().handle;
        let (mut offset, mut removed) = (0, 0);
        loop {
            let part = fixture.list_from(Inode::ROOT, handle, offset, false, 7);
            let Some(last) = part.last() else { break };
            offset = last.next_offset;
            for entry in part.iter().filter(|entry| !entry.is_dots()) {
                fixture.fs.unlink(&ROOT_USER, Inode::ROOT, &entry.name).unwrap();
                removed += 1;
            }
        }
        assert_eq!(removed, 2000);
        assert_eq!(fs::read_dir(fixture.directory.path()).unwrap().count(), 0);
    });
}

#[test]
fn a_removed_directory_lists_as_empty() {
    on_each_backing(|fixture| {
        let inode = fixture.mkdir("directory", 0o755);
        let handle = fixture.fs.opendir(&ROOT_USER, inode, 0).unwrap().handle;
        fixture.fs.rmdir(&ROOT_USER, Inode::ROOT, os("directory")).unwrap();
        assert!(fixture.list_from(inode, handle, 0, true, 10).iter().all(Listed::is_dots));
    });
}

#[test]
fn listings_of_one_handle_at_the_same_time() {
    on_each_backing(|fixture| {
        for index in 0..1000 {
            fs::create_dir(fixture.path(format!("{index}"))).unwrap();
        }
        let handle = fixture.fs.opendir(&ROOT_USER, Inode::ROOT, 0).unwrap().handle;
        std::thread::scope(|scope| {
            for capacity in [1, 10, 100] {
                scope.spawn(move || {
                    let mut seen = HashSet::new();
                    let mut offset = 0;
                    loop {
                        let plus = capacity == 10;
                        let part = fixture.list_from(Inode::ROOT, handle, offset, plus, capacity);
                        let Some(last) = part.last() else { break };
                        offset = last.next_offset;
                        assert!(part.iter().all(|entry| entry.kind == FileType::Directory));
                        seen.extend(names(&part));
                    }
                    assert_eq!(seen.len(), 1000);
                });
            }
        });
    });
}
