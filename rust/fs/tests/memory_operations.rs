//! What a file system in memory does that a passthrough leaves to its backing.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::ffi::OsStr;

use fusesg_fs::memory::{Memory, MemoryOptions};
use fusesg_fs::{
    Context, Errno, FileSystem, FileType, Inode, RenameFlags, SetAttributes, SetTime, Timestamp,
};
use support::{Fixture, ROOT_USER, USER, caller, os};

const FILE: u32 = libc::S_IFREG | 0o644;

fn in_group(uid: u32, gid: u32) -> Context {
    caller(uid, gid)
}

#[test]
fn the_root_is_as_asked_for() {
    let options =
        MemoryOptions { size: Some(1 << 20), inodes: Some(9), uid: 7, gid: 8, mode: 0o1751 };
    let fs = Memory::new(&options).unwrap();
    let root = fs.getattr(&ROOT_USER, Inode::ROOT, None).unwrap().attributes;
    assert_eq!((root.inode, root.kind, root.links), (Inode::ROOT, FileType::Directory, 2));
    assert_eq!((root.uid, root.gid, root.permissions), (7, 8, 0o1751));
    assert!(root.mtime > Timestamp::default());
}

#[test]
fn limits_by_default_follow_the_machine() {
    let options = MemoryOptions { size: None, inodes: None, uid: 0, gid: 0, mode: 0o755 };
    let fs = Memory::new(&options).unwrap();
    let shown = fs.statfs(&ROOT_USER, Inode::ROOT).unwrap();
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kib: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(shown.blocks, kib / 4 / 2);
    assert_eq!(shown.files, shown.blocks);
}

#[test]
fn an_unlinked_file_lives_until_it_is_released_and_forgotten() {
    let fixture = Fixture::memory();
    let (inode, handle) = fixture.create("file");
    fixture.write(inode, handle, 0, &[1; 8192]);
    fixture.fs.unlink(&ROOT_USER, Inode::ROOT, os("file")).unwrap();
    let missing = fixture.fs.lookup(&ROOT_USER, Inode::ROOT, os("file"));
    assert_eq!(missing.unwrap_err(), Errno::ENOENT);
    fixture.fs.forget(inode, 1);
    assert_eq!(fixture.fs.known_inodes(), 0);
    let reply = fixture.fs.getattr(&ROOT_USER, inode, Some(handle)).unwrap();
    assert_eq!(reply.attributes.links, 0);
    assert_eq!(fixture.read(inode, handle, 0, 8192), [1; 8192]);
    let used = |fixture: &Fixture<Memory, ()>| {
        let shown = fixture.fs.statfs(&ROOT_USER, Inode::ROOT).unwrap();
        (shown.blocks - shown.blocks_free, shown.files - shown.files_free)
    };
    assert_eq!(used(&fixture), (2, 2));
    fixture.fs.release(inode, handle).unwrap();
    assert_eq!(used(&fixture), (0, 1));
    assert_eq!(fixture.fs.getattr(&ROOT_USER, inode, Some(handle)).unwrap_err(), Errno::EBADF);
    let gone = fixture.fs.link(&ROOT_USER, inode, Inode::ROOT, os("again"));
    assert_eq!(gone.unwrap_err(), Errno::ESTALE);
}

#[test]
fn a_file_without_names_gets_none_again() {
    let fixture = Fixture::memory();
    let (inode, _) = fixture.create("file");
    fixture.fs.unlink(&ROOT_USER, Inode::ROOT, os("file")).unwrap();
    let linked = fixture.fs.link(&ROOT_USER, inode, Inode::ROOT, os("again"));
    assert_eq!(linked.unwrap_err(), Errno::ENOENT);
}

#[test]
fn nothing_is_put_into_a_removed_directory() {
    let fixture = Fixture::memory();
    let (directory, other) = (fixture.mkdir("directory", 0o755), fixture.mkdir("other", 0o755));
    let (file, _) = fixture.create("file");
    fixture.fs.rmdir(&ROOT_USER, Inode::ROOT, os("directory")).unwrap();
    let fs = &fixture.fs;
    let made = fs.mknod(&ROOT_USER, directory, os("x"), FILE, 0);
    assert_eq!(made.unwrap_err(), Errno::ENOENT);
    assert_eq!(fs.link(&ROOT_USER, file, directory, os("x")).unwrap_err(), Errno::ENOENT);
    let none = RenameFlags::empty();
    let moved = fs.rename(&ROOT_USER, Inode::ROOT, os("file"), directory, os("x"), none);
    assert_eq!(moved.unwrap_err(), Errno::ENOENT);
    assert_eq!(fixture.lookup("file").attributes.links, 1);
    // also one that went by being replaced
    fs.rename(&ROOT_USER, Inode::ROOT, os("other"), Inode::ROOT, os("new"), none).unwrap();
    let empty = fixture.mkdir("empty", 0o755);
    fs.rename(&ROOT_USER, Inode::ROOT, os("new"), Inode::ROOT, os("empty"), none).unwrap();
    assert_eq!(fs.mkdir(&ROOT_USER, empty, os("x"), 0o755).unwrap_err(), Errno::ENOENT);
    assert!(fs.mkdir(&ROOT_USER, other, os("x"), 0o755).is_ok());
    let names: Vec<_> = fixture.list(directory, false, 9).into_iter().map(|l| l.name).collect();
    assert_eq!(names, [".", ".."]);
}

#[test]
fn names_have_255_bytes_at_most() {
    let fixture = Fixture::memory();
    let (fits, long) = ("n".repeat(255), "n".repeat(256));
    let fs = &fixture.fs;
    let root = Inode::ROOT;
    fs.mkdir(&ROOT_USER, root, os(&fits), 0o755).unwrap();
    let none = RenameFlags::empty();
    let file = fixture.create("file").0;
    assert_eq!(fs.lookup(&ROOT_USER, root, os(&long)).unwrap_err(), Errno::ENAMETOOLONG);
    assert_eq!(fs.mkdir(&ROOT_USER, root, os(&long), 0).unwrap_err(), Errno::ENAMETOOLONG);
    assert_eq!(fs.link(&ROOT_USER, file, root, os(&long)).unwrap_err(), Errno::ENAMETOOLONG);
    let moved = fs.rename(&ROOT_USER, root, os("file"), root, os(&long), none);
    assert_eq!(moved.unwrap_err(), Errno::ENAMETOOLONG);
    let target = "t".repeat(4096);
    let linked = fs.symlink(&ROOT_USER, root, os("link"), os(&target));
    assert_eq!(linked.unwrap_err(), Errno::ENAMETOOLONG);
    for name in ["", ".", "..", "a/b", "a\0b"] {
        let made = fs.mknod(&ROOT_USER, root, OsStr::new(name), FILE, 0);
        assert_eq!(made.unwrap_err(), Errno::EINVAL, "{name:?}");
    }
}

#[test]
fn a_set_group_id_directory_gives_its_group() {
    let fixture = Fixture::memory();
    let directory = fixture.mkdir("directory", 0o777);
    let changes = SetAttributes { gid: Some(77), mode: Some(0o2777), ..SetAttributes::default() };
    fixture.fs.setattr(&ROOT_USER, directory, None, &changes).unwrap();
    let (file, _) = fixture.create_as(&USER, directory, "file", 0o644);
    assert_eq!((fixture.attributes(file).uid, fixture.attributes(file).gid), (1000, 77));
    let inner = fixture.fs.mkdir(&USER, directory, os("inner"), 0o755).unwrap().attributes;
    assert_eq!((inner.gid, inner.permissions), (77, 0o2755));
    let outside = fixture.create_as(&USER, Inode::ROOT, "outside", 0o644).0;
    assert_eq!(fixture.attributes(outside).gid, 1001);
}

#[test]
fn set_id_bits_go_with_changes() {
    let fixture = Fixture::memory();
    let (inode, handle) = fixture.create("file");
    let set = |mode: u32| {
        let changes = SetAttributes { mode: Some(mode), ..SetAttributes::default() };
        fixture.fs.setattr(&ROOT_USER, inode, None, &changes).unwrap();
    };
    let permissions = || fixture.attributes(inode).permissions;
    let stranger = in_group(1000, 1001);
    let write = |context: &Context, kill: bool| {
        fixture.fs.write(context, inode, handle, 0, b"x", false, kill).unwrap();
    };
    set(0o6755);
    write(&stranger, false);
    assert_eq!(permissions(), 0o6755, "the kernel did not ask for it");
    write(&stranger, true);
    assert_eq!(permissions(), 0o755);
    set(0o6745);
    write(&in_group(1000, 0), true);
    assert_eq!(permissions(), 0o2745, "means nothing without group-execute");
    write(&stranger, true);
    assert_eq!(permissions(), 0o745);
    let shorter = SetAttributes { size: Some(0), ..SetAttributes::default() };
    set(0o6755);
    fixture.fs.setattr(&ROOT_USER, inode, None, &shorter).unwrap();
    assert_eq!(permissions(), 0o6755, "root may");
    fixture.fs.setattr(&stranger, inode, Some(handle), &shorter).unwrap();
    assert_eq!(permissions(), 0o755);
    set(0o6755);
    fixture.fs.open(&stranger, inode, libc::O_WRONLY | libc::O_TRUNC).unwrap();
    assert_eq!(permissions(), 0o755);
    set(0o6755);
    fixture.fs.fallocate(&stranger, inode, handle, 0, 10, 0).unwrap();
    assert_eq!(permissions(), 0o755);
    set(0o6755);
    let owner = SetAttributes { uid: Some(5), ..SetAttributes::default() };
    fixture.fs.setattr(&ROOT_USER, inode, None, &owner).unwrap();
    assert_eq!(permissions(), 0o755, "chown clears them for root, too");
    let directory = fixture.mkdir("directory", 0o755);
    let both = SetAttributes { mode: Some(0o2755), ..owner };
    fixture.fs.setattr(&ROOT_USER, directory, None, &both).unwrap();
    fixture.fs.setattr(&ROOT_USER, directory, None, &owner).unwrap();
    assert_eq!(fixture.attributes(directory).permissions, 0o2755);
}

#[test]
fn who_may_not_write_clears_no_set_id_bits() {
    let fixture = Fixture::memory();
    let (inode, handle) = fixture.create("file");
    let mode = SetAttributes { mode: Some(0o6755), ..SetAttributes::default() };
    fixture.fs.setattr(&ROOT_USER, inode, None, &mode).unwrap();
    fixture.fs.release(inode, handle).unwrap();
    let kill = SetAttributes { kill_suid_sgid: true, ..SetAttributes::default() };
    let asked = fixture.fs.setattr(&USER, inode, None, &kill);
    assert_eq!(asked.unwrap_err(), Errno::EPERM);
    let reader = fixture.open(inode, libc::O_RDONLY).unwrap();
    assert_eq!(fixture.fs.setattr(&USER, inode, None, &kill).unwrap_err(), Errno::EPERM);
    fixture.fs.release(inode, reader.handle).unwrap();
    fixture.open(inode, libc::O_WRONLY).unwrap();
    let cleared = fixture.fs.setattr(&USER, inode, None, &kill).unwrap();
    assert_eq!(cleared.attributes.permissions, 0o755);
}

#[test]
fn every_change_of_content_drops_file_capabilities() {
    let fixture = Fixture::memory();
    let (inode, handle) = fixture.create("file");
    let capability = os("security.capability");
    let give = || fixture.fs.setxattr(&ROOT_USER, inode, capability, b"cap", 0).unwrap();
    let has = || fixture.fs.getxattr(&ROOT_USER, inode, capability).is_ok();
    let before = fixture.fs.statfs(&ROOT_USER, Inode::ROOT).unwrap();
    give();
    assert!(has());
    fixture.write(inode, handle, 0, b"x");
    assert!(!has(), "write");
    give();
    let cut = SetAttributes { size: Some(0), ..SetAttributes::default() };
    fixture.fs.setattr(&ROOT_USER, inode, None, &cut).unwrap();
    assert!(!has(), "truncate");
    give();
    let owner = SetAttributes { gid: Some(5), ..SetAttributes::default() };
    fixture.fs.setattr(&ROOT_USER, inode, None, &owner).unwrap();
    assert!(!has(), "chown");
    assert_eq!(fixture.fs.statfs(&ROOT_USER, Inode::ROOT).unwrap(), before, "given back");
}

#[test]
fn times_tell_what_happened() {
    let fixture = Fixture::memory();
    let (inode, handle) = fixture.create("file");
    let old = Timestamp { seconds: -5, nanoseconds: 7 };
    let reset = |inode: Inode| {
        let (atime, mtime) = (Some(SetTime::At(old)), Some(SetTime::At(old)));
        // the change time is what the writeback cache sends
        let changes = SetAttributes { atime, mtime, ctime: Some(old), ..SetAttributes::default() };
        fixture.fs.setattr(&ROOT_USER, inode, None, &changes).unwrap();
    };
    let changed = |inode: Inode| {
        let now = fixture.attributes(inode);
        (now.atime != old, now.mtime != old, now.ctime != old)
    };
    let check = |inode: Inode, what: &str, expected: (bool, bool, bool), act: &dyn Fn()| {
        reset(inode);
        assert_eq!(changed(inode), (false, false, false));
        act();
        assert_eq!(changed(inode), expected, "{what}");
    };
    let (root, fs) = (Inode::ROOT, &fixture.fs);
    let set = |changes: SetAttributes| {
        fs.setattr(&ROOT_USER, inode, None, &changes).unwrap();
    };
    let read = (true, false, false);
    let content = (false, true, true);
    let status = (false, false, true);
    let with = SetAttributes::default;
    check(inode, "read", read, &|| drop(fixture.read(inode, handle, 0, 10)));
    check(inode, "write", content, &|| {
        fixture.write(inode, handle, 0, b"x");
    });
    check(inode, "an empty write", (false, false, false), &|| {
        fixture.write(inode, handle, 0, b"");
    });
    check(inode, "truncate", content, &|| set(SetAttributes { size: Some(9), ..with() }));
    check(inode, "chmod", status, &|| set(SetAttributes { mode: Some(0), ..with() }));
    check(inode, "chown", status, &|| set(SetAttributes { gid: Some(1), ..with() }));
    check(inode, "utimens", (true, false, true), &|| {
        set(SetAttributes { atime: Some(SetTime::Now), ..with() });
    });
    check(inode, "setxattr", status, &|| {
        fs.setxattr(&ROOT_USER, inode, os("user.x"), b"1", 0).unwrap();
    });
    check(inode, "link", status, &|| {
        fs.link(&ROOT_USER, inode, root, os("two")).unwrap();
    });
    check(root, "create", content, &|| {
        fixture.create("new");
    });
    let none = RenameFlags::empty();
    let rename = || fs.rename(&ROOT_USER, root, os("new"), root, os("newer"), none).unwrap();
    check(root, "rename", content, &rename);
    check(root, "unlink", content, &|| fs.unlink(&ROOT_USER, root, os("newer")).unwrap());
    check(inode, "unlink", status, &|| fs.unlink(&ROOT_USER, root, os("two")).unwrap());
    check(root, "list", read, &|| drop(fixture.list(root, false, 9)));
    check(root, "lookup", (false, false, false), &|| {
        fixture.lookup("file");
    });
}

#[test]
fn access_times_are_those_of_relatime() {
    let fixture = Fixture::memory();
    let (inode, handle) = fixture.create("file");
    fixture.write(inode, handle, 0, b"content");
    fixture.read(inode, handle, 0, 1);
    let first = fixture.attributes(inode);
    assert!(first.atime >= first.mtime);
    fixture.read(inode, handle, 0, 1);
    assert_eq!(fixture.attributes(inode).atime, first.atime, "read since the last change");
    fixture.write(inode, handle, 0, b"x");
    let silent = fixture.open(inode, libc::O_RDONLY | libc::O_NOATIME).unwrap().handle;
    fixture.read(inode, silent, 0, 1);
    assert_eq!(fixture.attributes(inode).atime, first.atime, "O_NOATIME");
    fixture.read(inode, handle, 0, 1);
    assert!(fixture.attributes(inode).atime > first.atime);
}

#[test]
fn kinds_of_files_are_what_they_were_made_as() {
    let fixture = Fixture::memory();
    let make = |name: &str, mode: u32, rdev: u32| {
        fixture.fs.mknod(&USER, Inode::ROOT, os(name), mode, rdev).unwrap().attributes
    };
    let device = make("device", libc::S_IFCHR | 0o600, 0x0103);
    assert_eq!((device.kind, device.rdev), (FileType::CharacterDevice, 0x0103));
    assert_eq!(make("fifo", libc::S_IFIFO | 0o600, 9).rdev, 0);
    assert_eq!(make("socket", libc::S_IFSOCK | 0o600, 0).kind, FileType::Socket);
    assert_eq!(make("plain", 0o600, 0).kind, FileType::Regular);
    let refused =
        |mode: u32| fixture.fs.mknod(&ROOT_USER, Inode::ROOT, os("x"), mode, 0).unwrap_err();
    assert_eq!(refused(libc::S_IFDIR), Errno::EPERM);
    assert_eq!(refused(libc::S_IFLNK), Errno::EINVAL);
    let link = fixture.fs.symlink(&ROOT_USER, Inode::ROOT, os("link"), os("a\u{e9}/b")).unwrap();
    assert_eq!((link.attributes.size, link.attributes.permissions), (5, 0o777));
    let inode = link.attributes.inode;
    assert_eq!(fixture.fs.readlink(&ROOT_USER, inode).unwrap(), "a\u{e9}/b".as_bytes());
    assert_eq!(fixture.open(inode, 0).unwrap_err(), Errno::ELOOP);
    assert_eq!(fixture.open(device.inode, 0).unwrap_err(), Errno::ENXIO);
    assert_eq!(fixture.open(Inode::ROOT, 0).unwrap_err(), Errno::EISDIR);
    let size = SetAttributes { size: Some(0), ..SetAttributes::default() };
    let cut = |inode| fixture.fs.setattr(&ROOT_USER, inode, None, &size).unwrap_err();
    assert_eq!(cut(Inode::ROOT), Errno::EISDIR);
    assert_eq!(cut(inode), Errno::EINVAL);
}

#[test]
fn a_file_that_exists_is_not_created_again() {
    let fixture = Fixture::memory();
    fixture.create("file");
    let create = |flags: i32| {
        fixture.fs.create(&ROOT_USER, Inode::ROOT, os("file"), FILE, flags).unwrap_err()
    };
    assert_eq!(create(libc::O_CREAT | libc::O_EXCL), Errno::EEXIST);
    assert_eq!(create(libc::O_CREAT), Errno::ESTALE, "the kernel looks again");
}

#[test]
fn what_is_open_for_reading_is_not_written() {
    let fixture = Fixture::memory();
    let (inode, _) = fixture.create("file");
    let handle = fixture.open(inode, libc::O_RDONLY).unwrap().handle;
    let written = fixture.fs.write(&ROOT_USER, inode, handle, 0, b"x", false, false);
    assert_eq!(written.unwrap_err(), Errno::EBADF);
    let allocated = fixture.fs.fallocate(&ROOT_USER, inode, handle, 0, 1, 0);
    assert_eq!(allocated.unwrap_err(), Errno::EBADF);
}

#[test]
fn extended_attributes_are_kept_by_namespace() {
    let fixture = Fixture::memory();
    let (inode, _) = fixture.create("file");
    let fs = &fixture.fs;
    let set = |name: &str, value: &[u8], flags: i32| {
        fs.setxattr(&ROOT_USER, inode, os(name), value, flags)
    };
    let get = |name: &str| fs.getxattr(&ROOT_USER, inode, os(name));
    assert_eq!(get("user.a").unwrap_err(), Errno::ENODATA);
    assert_eq!(set("user.a", b"1", libc::XATTR_REPLACE).unwrap_err(), Errno::ENODATA);
    set("user.a", b"1", libc::XATTR_CREATE).unwrap();
    assert_eq!(set("user.a", b"2", libc::XATTR_CREATE).unwrap_err(), Errno::EEXIST);
    set("user.a", b"3", libc::XATTR_REPLACE).unwrap();
    set("trusted.b", b"", 0).unwrap();
    set("security.c", b"\0\xff", 0).unwrap();
    assert_eq!(get("user.a").unwrap(), b"3");
    assert_eq!(get("security.c").unwrap(), b"\0\xff");
    for name in ["system.posix_acl_access", "os2.x", "nothing"] {
        assert_eq!(set(name, b"", 0).unwrap_err(), Errno::ENOTSUP, "{name}");
    }
    assert_eq!(set("user.", b"", 0).unwrap_err(), Errno::EINVAL);
    let list = |context: &Context| fs.listxattr(context, inode).unwrap();
    assert_eq!(list(&ROOT_USER), b"security.c\0trusted.b\0user.a\0");
    assert_eq!(list(&USER), b"security.c\0user.a\0");
    fs.removexattr(&ROOT_USER, inode, os("user.a")).unwrap();
    let again = fs.removexattr(&ROOT_USER, inode, os("user.a"));
    assert_eq!(again.unwrap_err(), Errno::ENODATA);
    let none: &[u8] = b"";
    assert_eq!(fs.listxattr(&ROOT_USER, Inode::ROOT).unwrap(), none);
}

#[test]
fn names_of_attributes_fit_the_kernels_list() {
    let fixture = Fixture::memory();
    let (inode, _) = fixture.create("file");
    let set = |index: u32| {
        let name = format!("user.{index:0250}");
        fixture.fs.setxattr(&ROOT_USER, inode, os(&name), b"", 0)
    };
    let count = (0..1000).find(|index| set(*index).is_err()).unwrap();
    assert_eq!(set(count).unwrap_err(), Errno::ENOSPC);
    assert!(fixture.fs.listxattr(&ROOT_USER, inode).unwrap().len() <= 65536);
    assert_eq!(count, 65536 / 256);
    set(0).unwrap();
}

#[test]
fn the_tree_stays_from_one_mount_to_the_next() {
    let fixture = Fixture::memory();
    fixture.fs.init().unwrap();
    let (inode, handle) = fixture.create("kept");
    fixture.write(inode, handle, 0, b"content");
    let (lost, _) = fixture.create("lost");
    fixture.fs.unlink(&ROOT_USER, Inode::ROOT, os("lost")).unwrap();
    assert!(!fixture.fs.has_ended());
    fixture.fs.destroy();
    assert!(fixture.fs.has_ended());
    assert_eq!(fixture.fs.known_inodes(), 0);
    let again = Fixture { directory: (), fs: fixture.fs.reopen() };
    assert!(!again.fs.has_ended());
    assert_eq!(again.fs.getattr(&ROOT_USER, lost, None).unwrap_err(), Errno::ESTALE);
    let shown = again.fs.statfs(&ROOT_USER, Inode::ROOT).unwrap();
    assert_eq!(shown.files - shown.files_free, 2);
    let entry = again.lookup("kept");
    assert_eq!(entry.attributes.inode, inode);
    // what is given back late to the ended mount does not count for the new one
    fixture.fs.forget(inode, 1);
    let handle = again.open(inode, libc::O_RDONLY).unwrap().handle;
    assert_eq!(again.read(inode, handle, 0, 9), b"content");
}

#[test]
fn lookups_are_counted() {
    let fixture = Fixture::memory();
    let (inode, handle) = fixture.create("file");
    fixture.lookup("file");
    assert!(fixture.fs.retain(inode));
    fixture.fs.forget(inode, 2);
    assert_eq!(fixture.fs.known_inodes(), 1);
    fixture.fs.forget(inode, 1);
    assert_eq!(fixture.fs.known_inodes(), 0);
    assert!(!fixture.fs.retain(inode));
    assert_eq!(fixture.fs.getattr(&ROOT_USER, inode, None).unwrap_err(), Errno::ESTALE);
    assert!(fixture.fs.getattr(&ROOT_USER, inode, Some(handle)).is_ok());
    assert!(fixture.fs.retain(Inode::ROOT));
    assert_eq!(fixture.lookup("file").attributes.inode, inode, "the same number again");
}

#[test]
fn a_tree_as_deep_as_you_like_can_be_dropped() {
    let fixture = Fixture::memory_of(1 << 20, 200_000);
    let mut parent = Inode::ROOT;
    for _ in 0..100_000 {
        let made = fixture.fs.mkdir(&ROOT_USER, parent, os("d"), 0o755).unwrap();
        if parent != Inode::ROOT {
            fixture.fs.forget(parent, 1);
        }
        parent = made.attributes.inode;
    }
    // a recursion would end the test's thread here
    drop(fixture);
}
