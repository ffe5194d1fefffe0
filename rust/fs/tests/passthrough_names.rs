//! Names: lookup, creation, links, renames, removal.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};

use fusesg_fs::{Errno, FileSystem, FileType, Inode, RenameFlags};
use support::{ROOT_USER, on_each_backing, os};

#[test]
fn lookup_shows_the_backings_inode() {
    on_each_backing(|fixture| {
        fs::write(fixture.path("file"), "content").unwrap();
        let entry = fixture.lookup("file");
        let metadata = fs::metadata(fixture.path("file")).unwrap();
        assert_eq!(entry.attributes.inode, Inode(metadata.ino()));
        assert_eq!(entry.attributes.size, 7);
        assert_eq!(entry.attributes.mode(), metadata.mode());
        let missing = fixture.fs.lookup(&ROOT_USER, Inode::ROOT, os("missing"));
        assert_eq!(missing.unwrap_err(), Errno::ENOENT);
        let inside = fixture.fs.lookup(&ROOT_USER, entry.attributes.inode, os("x"));
        assert_eq!(inside.unwrap_err(), Errno::ENOTDIR);
        let unknown = fixture.fs.lookup(&ROOT_USER, Inode(u64::MAX), os("x"));
        assert_eq!(unknown.unwrap_err(), Errno::ESTALE);
    });
}

#[test]
fn the_root_is_1_and_shows_the_backings_number() {
    on_each_backing(|fixture| {
        let metadata = fs::metadata(fixture.directory.path()).unwrap();
        assert_eq!(fixture.attributes(Inode::ROOT).inode, Inode(metadata.ino()));
    });
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    on_each_backing(|fixture| {
        for name in ["", ".", "..", "a/b", "/", "a\0b"] {
            let name = OsStr::new(name);
            let looked_up = fixture.fs.lookup(&ROOT_USER, Inode::ROOT, name);
            assert_eq!(looked_up.unwrap_err(), Errno::EINVAL, "{name:?}");
            let removed = fixture.fs.unlink(&ROOT_USER, Inode::ROOT, name);
            assert_eq!(removed.unwrap_err(), Errno::EINVAL, "{name:?}");
        }
    });
}

#[test]
fn mknod_makes_every_kind() {
    on_each_backing(|fixture| {
        let make = |name: &str, mode: u32, rdev: u32| {
            fixture.fs.mknod(&ROOT_USER, Inode::ROOT, os(name), mode, rdev).unwrap().attributes
        };
        assert_eq!(make("file", libc::S_IFREG | 0o640, 0).permissions, 0o640);
        assert_eq!(make("fifo", libc::S_IFIFO | 0o600, 0).kind, FileType::Fifo);
        assert_eq!(make("socket", libc::S_IFSOCK | 0o600, 0).kind, FileType::Socket);
        // minor 0x12345 needs both parts of the kernel's encoding
        let rdev = 0x45 | 7 << 8 | 0x1_2300 << 12;
        let device = make("device", libc::S_IFCHR | 0o600, rdev);
        assert_eq!((device.kind, device.rdev), (FileType::CharacterDevice, rdev));
        let metadata = fs::metadata(fixture.path("device")).unwrap();
        assert!(metadata.file_type().is_char_device());
        assert_eq!((libc::major(metadata.rdev()), libc::minor(metadata.rdev())), (7, 0x1_2345));
        assert_eq!(make("disk", libc::S_IFBLK | 0o600, 0x0703).kind, FileType::BlockDevice);
        let again = fixture.fs.mknod(&ROOT_USER, Inode::ROOT, os("fifo"), libc::S_IFIFO, 0);
        assert_eq!(again.unwrap_err(), Errno::EEXIST);
        // what the kernel opens by itself is never opened here
        let fifo = fixture.lookup("fifo").attributes.inode;
        assert_eq!(fixture.open(fifo, libc::O_RDWR).unwrap_err(), Errno::ENXIO);
    });
}

#[test]
fn directories_come_and_go() {
    on_each_backing(|fixture| {
        let outer = fixture.mkdir("outer", 0o751);
        assert_eq!(fixture.attributes(outer).mode(), libc::S_IFDIR | 0o751);
        let inner = fixture.fs.mkdir(&ROOT_USER, outer, os("inner"), 0o700).unwrap();
        assert_eq!(inner.attributes.links, 2);
        assert_eq!(fixture.attributes(outer).links, 3);
        let full = fixture.fs.rmdir(&ROOT_USER, Inode::ROOT, os("outer"));
        assert_eq!(full.unwrap_err(), Errno::ENOTEMPTY);
        let wrong = fixture.fs.unlink(&ROOT_USER, Inode::ROOT, os("outer"));
        assert_eq!(wrong.unwrap_err(), Errno::EISDIR);
        fixture.fs.rmdir(&ROOT_USER, outer, os("inner")).unwrap();
        fixture.fs.rmdir(&ROOT_USER, Inode::ROOT, os("outer")).unwrap();
        // the kernel may still have it as a working directory
        assert_eq!(fixture.attributes(outer).links, 0);
        let late = fixture.fs.mkdir(&ROOT_USER, outer, os("late"), 0o700);
        assert_eq!(late.unwrap_err(), Errno::ENOENT);
    });
}

#[test]
fn symbolic_links_are_never_followed() {
    on_each_backing(|fixture| {
        let target = OsString::from_vec(b"/etc/\xff\xfe".to_vec());
        let entry = fixture.fs.symlink(&ROOT_USER, Inode::ROOT, os("link"), &target).unwrap();
        let link = entry.attributes.inode;
        assert_eq!(entry.attributes.kind, FileType::SymbolicLink);
        assert_eq!(fixture.fs.readlink(&ROOT_USER, link).unwrap(), target.as_bytes());
        assert_eq!(fs::read_link(fixture.path("link")).unwrap(), target);
        assert_eq!(fixture.open(link, libc::O_RDONLY).unwrap_err(), Errno::ELOOP);
        symlink("/", fixture.path("up")).unwrap();
        let up = fixture.lookup("up").attributes;
        assert_eq!(up.kind, FileType::SymbolicLink);
        let through = fixture.fs.lookup(&ROOT_USER, up.inode, os("etc"));
        assert_eq!(through.unwrap_err(), Errno::ENOTDIR);
        let long = "x".repeat(4095);
        let entry = fixture.fs.symlink(&ROOT_USER, Inode::ROOT, os("long"), os(&long)).unwrap();
        let read = fixture.fs.readlink(&ROOT_USER, entry.attributes.inode).unwrap();
        assert_eq!(read, long.as_bytes());
        fixture.create("file");
        let file = fixture.lookup("file").attributes.inode;
        assert_eq!(fixture.fs.readlink(&ROOT_USER, file).unwrap_err(), Errno::EINVAL);
    });
}

#[test]
fn hard_links_are_one_inode() {
    on_each_backing(|fixture| {
        let (inode, handle) = fixture.create("first");
        fixture.write(inode, handle, 0, b"shared");
        let directory = fixture.mkdir("directory", 0o755);
        let entry = fixture.fs.link(&ROOT_USER, inode, directory, os("second")).unwrap();
        assert_eq!(entry.attributes.inode, inode);
        assert_eq!(entry.attributes.links, 2);
        assert_eq!(fs::read(fixture.path("directory/second")).unwrap(), b"shared");
        let again = fixture.fs.link(&ROOT_USER, inode, directory, os("second"));
        assert_eq!(again.unwrap_err(), Errno::EEXIST);
        // a link to a symbolic link, not to its target
        let link = fixture.fs.symlink(&ROOT_USER, Inode::ROOT, os("soft"), os("first")).unwrap();
        let link = link.attributes.inode;
        let entry = fixture.fs.link(&ROOT_USER, link, Inode::ROOT, os("soft2")).unwrap();
        assert_eq!(entry.attributes.inode, link);
        assert_eq!(entry.attributes.kind, FileType::SymbolicLink);
        let of_directory = fixture.fs.link(&ROOT_USER, directory, Inode::ROOT, os("no"));
        assert_eq!(of_directory.unwrap_err(), Errno::EPERM);
    });
}

#[test]
fn rename_with_every_flag() {
    on_each_backing(|fixture| {
        let rename = |from: &str, to: &str, flags: RenameFlags| {
            fixture.fs.rename(&ROOT_USER, Inode::ROOT, os(from), Inode::ROOT, os(to), flags)
        };
        let (a, _) = fixture.create("a");
        let (b, _) = fixture.create("b");
        assert_eq!(rename("a", "b", RenameFlags::NOREPLACE).unwrap_err(), Errno::EEXIST);
        rename("a", "b", RenameFlags::EXCHANGE).unwrap();
        assert_eq!(fixture.lookup("a").attributes.inode, b);
        assert_eq!(fixture.lookup("b").attributes.inode, a);
        rename("a", "c", RenameFlags::NOREPLACE).unwrap();
        assert_eq!(fixture.lookup("c").attributes.inode, b);
        let unknown = RenameFlags::from_bits_retain(1 << 20);
        assert_eq!(rename("c", "d", unknown).unwrap_err(), Errno::EINVAL);
        let directory = fixture.mkdir("directory", 0o755);
        let none = RenameFlags::empty();
        fixture.fs.rename(&ROOT_USER, Inode::ROOT, os("c"), directory, os("c"), none).unwrap();
        assert_eq!(fs::metadata(fixture.path("directory/c")).unwrap().ino(), b.0);
        let into_itself =
            fixture.fs.rename(&ROOT_USER, Inode::ROOT, os("directory"), directory, os("x"), none);
        assert_eq!(into_itself.unwrap_err(), Errno::EINVAL);
    });
}

#[test]
fn a_file_replaced_by_rename_stays_readable() {
    on_each_backing(|fixture| {
        let (old, handle) = fixture.create("name");
        fixture.write(old, handle, 0, b"old");
        fixture.create("other");
        let none = RenameFlags::empty();
        let (from, to) = (os("other"), os("name"));
        fixture.fs.rename(&ROOT_USER, Inode::ROOT, from, Inode::ROOT, to, none).unwrap();
        assert_eq!(fixture.read(old, handle, 0, 10), b"old");
        assert_eq!(fixture.attributes(old).links, 0);
        assert_ne!(fixture.lookup("name").attributes.inode, old);
        // the kernel may open it again through /proc/PID/fd
        let again = fixture.open(old, libc::O_RDWR).unwrap().handle;
        assert_eq!(fixture.read(old, again, 0, 10), b"old");
        fixture.fs.release(old, again).unwrap();
        fixture.fs.release(old, handle).unwrap();
    });
}

#[test]
fn names_are_bytes_of_any_kind_and_up_to_255() {
    on_each_backing(|fixture| {
        let wild = OsString::from_vec((1..=255).filter(|byte| *byte != b'/').collect());
        for name in [wild, OsString::from("x".repeat(255)), OsString::from("\n"), "...".into()] {
            let made = fixture.fs.mkdir(&ROOT_USER, Inode::ROOT, &name, 0o700).unwrap();
            let found = fixture.fs.lookup(&ROOT_USER, Inode::ROOT, &name).unwrap();
            assert_eq!(found.attributes.inode, made.attributes.inode);
            let listed = fixture.list(Inode::ROOT, true, 100);
            assert!(listed.iter().any(|entry| entry.name == name), "{name:?}");
        }
        let long = "x".repeat(256);
        let made = fixture.fs.mkdir(&ROOT_USER, Inode::ROOT, os(&long), 0o700);
        assert_eq!(made.unwrap_err(), Errno::ENAMETOOLONG);
    });
}

#[test]
fn paths_may_be_longer_than_path_max() {
    on_each_backing(|fixture| {
        let name = "d".repeat(250);
        let mut chain = vec![Inode::ROOT];
        for _ in 0..40 {
            let parent = *chain.last().unwrap();
            let entry = fixture.fs.mkdir(&ROOT_USER, parent, os(&name), 0o700).unwrap();
            chain.push(entry.attributes.inode);
        }
        let deepest = *chain.last().unwrap();
        let (inode, handle) = fixture.create_as(&ROOT_USER, deepest, "file", 0o600);
        fixture.write(inode, handle, 0, b"deep");
        assert_eq!(fixture.read(inode, handle, 0, 9), b"deep");
        let xattr = os("user.key");
        fixture.fs.setxattr(&ROOT_USER, inode, xattr, b"value", 0).unwrap();
        assert_eq!(fixture.fs.getxattr(&ROOT_USER, inode, xattr).unwrap(), b"value");
        fixture.fs.release(inode, handle).unwrap();
        fixture.fs.unlink(&ROOT_USER, deepest, os("file")).unwrap();
        // TempDir could not remove it
        for parent in chain.iter().rev().skip(1) {
            fixture.fs.rmdir(&ROOT_USER, *parent, os(&name)).unwrap();
        }
    });
}

#[test]
fn create_makes_or_leaves_the_decision_to_the_kernel() {
    on_each_backing(|fixture| {
        fs::write(fixture.path("there"), "precious").unwrap();
        let create = |name: &str, flags: i32| {
            fixture.fs.create(&ROOT_USER, Inode::ROOT, os(name), 0o600, flags | libc::O_CREAT)
        };
        let exclusive = create("there", libc::O_RDWR | libc::O_EXCL);
        assert_eq!(exclusive.unwrap_err(), Errno::EEXIST);
        let truncating = create("there", libc::O_RDWR | libc::O_TRUNC);
        assert_eq!(truncating.unwrap_err(), Errno::ESTALE);
        symlink("/etc/passwd", fixture.path("link")).unwrap();
        assert_eq!(create("link", libc::O_RDWR).unwrap_err(), Errno::ESTALE);
        assert_eq!(fs::read(fixture.path("there")).unwrap(), b"precious");
        let (entry, opened) = create("new", libc::O_WRONLY | libc::O_TRUNC).unwrap();
        let inode = entry.attributes.inode;
        assert_eq!(fixture.write(inode, opened.handle, 0, b"x"), 1);
        assert_eq!(entry.attributes.mode(), libc::S_IFREG | 0o600);
        // a mode that forbids what the creator goes on to do
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY;
        let (entry, opened) =
            fixture.fs.create(&support::USER, Inode::ROOT, os("locked"), 0, flags).unwrap();
        assert_eq!(fixture.write(entry.attributes.inode, opened.handle, 0, b"x"), 1);
    });
}
