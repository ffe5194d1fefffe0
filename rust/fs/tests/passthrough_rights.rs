//! Owners, umask, ACLs, and who loses set-user-id and set-group-id when.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::{Command, Stdio};

use fusesg_fs::{Attributes, Context, Errno, FileSystem, FileType, Handle, Inode, SetAttributes};
use support::{Fixture, ROOT_USER, USER, caller, on_each_backing, os};

const ACCESS_ACL: &str = "system.posix_acl_access";
const DEFAULT_ACL: &str = "system.posix_acl_default";

/// An ACL that gives user 5 `named`, and the rest as a mode would.
fn acl(owner: u16, named: u16, group: u16, mask: u16, other: u16) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [
        (0x01_u16, owner, NOBODY),
        (0x02, named, 5),
        (0x04, group, NOBODY),
        (0x10, mask, NOBODY),
        (0x20, other, NOBODY),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn with_umask(context: Context, umask: u32) -> Context {
    Context { umask, ..context }
}

fn owner(attributes: &Attributes) -> (u32, u32) {
    (attributes.uid, attributes.gid)
}

/// Makes one of each kind as `context`, below `parent`.
fn make_all(fixture: &Fixture, context: &Context, parent: Inode, mode: u32) -> Vec<Attributes> {
    let fs = &fixture.fs;
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    vec![
        fs.mknod(context, parent, os("node"), libc::S_IFREG | mode, 0).unwrap().attributes,
        fs.mknod(context, parent, os("null"), libc::S_IFCHR | mode, 0x103).unwrap().attributes,
        fs.mkdir(context, parent, os("directory"), mode).unwrap().attributes,
        fs.create(context, parent, os("file"), mode, flags).unwrap().0.attributes,
        fs.symlink(context, parent, os("link"), os("target")).unwrap().attributes,
    ]
}

#[test]
fn what_is_created_belongs_to_the_caller() {
    on_each_backing(|fixture| {
        // the caller could not write here itself: the kernel has decided that already
        let parent = fixture.mkdir("parent", 0o700);
        for attributes in make_all(fixture, &USER, parent, 0o640) {
            assert_eq!(owner(&attributes), (1000, 1001), "{attributes:?}");
        }
        let parent = fixture.mkdir("of_root", 0o700);
        for attributes in make_all(fixture, &ROOT_USER, parent, 0o640) {
            assert_eq!(owner(&attributes), (0, 0), "{attributes:?}");
        }
        let parent = fixture.mkdir("of_other_group", 0o700);
        for attributes in make_all(fixture, &caller(0, 7), parent, 0o640) {
            assert_eq!(owner(&attributes), (0, 7), "{attributes:?}");
        }
    });
}

#[test]
fn a_set_group_id_directory_gives_its_group() {
    on_each_backing(|fixture| {
        let parent = fixture.mkdir("parent", 0o777);
        chown(fixture.path("parent"), Some(3), Some(4)).unwrap();
        fs::set_permissions(fixture.path("parent"), Permissions::from_mode(0o2777)).unwrap();
        for attributes in make_all(fixture, &USER, parent, 0o750) {
            assert_eq!(owner(&attributes), (1000, 4), "{attributes:?}");
            let inherits = attributes.kind == FileType::Directory;
            assert_eq!(attributes.permissions & 0o2000 != 0, inherits, "{attributes:?}");
        }
    });
}

#[test]
fn the_callers_umask_holds_and_the_daemons_does_not() {
    on_each_backing(|fixture| {
        assert!(fixture.fs.properties().posix_acl, "needs a backing with ACLs");
        let directories = ["strict", "loose"].map(|name| fixture.mkdir(name, 0o777));
        for (parent, umask, expected) in
            [(directories[0], 0o077, 0o700), (directories[1], 0o002, 0o775)]
        {
            for attributes in make_all(fixture, &with_umask(USER, umask), parent, 0o777) {
                let link = attributes.kind == FileType::SymbolicLink;
                let expected = if link { 0o777 } else { expected };
                assert_eq!(attributes.permissions, expected, "{umask:o} {attributes:?}");
            }
        }
        assert_eq!(fixture.attributes(directories[0]).permissions, 0o777);
    });
}

#[test]
fn a_default_acl_takes_the_umasks_place() {
    on_each_backing(|fixture| {
        let parent = fixture.mkdir("parent", 0o777);
        let default = acl(7, 7, 5, 7, 0);
        fixture.fs.setxattr(&ROOT_USER, parent, os(DEFAULT_ACL), &default, 0).unwrap();
        for attributes in make_all(fixture, &with_umask(USER, 0o777), parent, 0o666) {
            match attributes.kind {
                FileType::SymbolicLink => continue,
                FileType::Directory => {
                    let inherited =
                        fixture.fs.getxattr(&USER, attributes.inode, os(DEFAULT_ACL)).unwrap();
                    assert_eq!(inherited, default);
                }
                _ => {}
            }
            assert_eq!(attributes.permissions, 0o660, "{attributes:?}");
            let access = fixture.fs.getxattr(&USER, attributes.inode, os(ACCESS_ACL)).unwrap();
            assert_eq!(access, acl(6, 7, 5, 6, 0));
        }
        fixture.fs.removexattr(&ROOT_USER, parent, os(DEFAULT_ACL)).unwrap();
        let plain = fixture.fs.mkdir(&with_umask(USER, 0o027), parent, os("plain"), 0o777);
        assert_eq!(plain.unwrap().attributes.permissions, 0o750);
    });
}

/// A file of the user's with `mode`, open for writing, and with a capability.
fn privileged(fixture: &Fixture, name: &str, mode: u32) -> (Inode, Handle) {
    let (inode, handle) = fixture.create_as(&USER, Inode::ROOT, name, 0o777);
    fixture.write(inode, handle, 0, b"content");
    fs::set_permissions(fixture.path(name), Permissions::from_mode(mode)).unwrap();
    // vfs_cap_data, version 2: CAP_NET_RAW, permitted and effective
    let mut capability = 0x0200_0001_u32.to_le_bytes().to_vec();
    capability.extend((1_u32 << 13).to_le_bytes());
    capability.extend([0; 12]);
    let name = os("security.capability");
    fixture.fs.setxattr(&ROOT_USER, inode, name, &capability, 0).unwrap();
    (inode, handle)
}

fn has_capability(fixture: &Fixture, inode: Inode) -> bool {
    fixture.fs.getxattr(&ROOT_USER, inode, os("security.capability")).is_ok()
}

/// Modes before, and after losing set-user-id and set-group-id.
const STRIPPED: [(u32, u16); 3] = [(0o6777, 0o777), (0o4755, 0o755), (0o6745, 0o2745)];

#[test]
fn a_write_with_the_kill_flag_strips() {
    on_each_backing(|fixture| {
        for (index, (before, after)) in STRIPPED.into_iter().enumerate() {
            let (inode, handle) = privileged(fixture, &format!("file{index}"), before);
            let plain = fixture.fs.write(&ROOT_USER, inode, handle, 0, b"x", false, false);
            assert_eq!(plain.unwrap(), 1);
            assert_eq!(u32::from(fixture.attributes(inode).permissions), before, "root keeps");
            assert!(!has_capability(fixture, inode), "the backing drops it on any write");
            let kill = fixture.fs.write(&USER, inode, handle, 0, b"x", true, true);
            assert_eq!(kill.unwrap(), 1);
            assert_eq!(fixture.attributes(inode).permissions, after);
        }
        let again = fs::metadata(fixture.path("file0")).unwrap();
        assert_eq!(again.mode() & 0o7777, 0o777);
    });
}

#[test]
fn a_setattr_that_kills_strips() {
    on_each_backing(|fixture| {
        for (index, (before, after)) in STRIPPED.into_iter().enumerate() {
            let (inode, handle) = privileged(fixture, &format!("file{index}"), before);
            let kill = SetAttributes { kill_suid_sgid: true, ..SetAttributes::default() };
            let handle = (index == 0).then_some(handle);
            let reply = fixture.fs.setattr(&USER, inode, handle, &kill).unwrap();
            assert_eq!(reply.attributes.permissions, after);
        }
    });
}

#[test]
fn set_group_id_without_execute_goes_unless_the_caller_is_in_the_group() {
    on_each_backing(|fixture| {
        let stranger = caller(1002, 1002);
        for (name, context, after) in [("member", USER, 0o2666), ("stranger", stranger, 0o666)] {
            let (inode, handle) = privileged(fixture, name, 0o6666);
            fixture.fs.write(&context, inode, handle, 0, b"x", false, true).unwrap();
            assert_eq!(fixture.attributes(inode).permissions, after, "{name}");
        }
    });
}

#[test]
fn chown_by_the_owner_costs_the_bit_of_a_group_that_is_not_the_owners() {
    on_each_backing(|fixture| {
        let outside = Context { gid: 1002, ..USER };
        let gid = SetAttributes { gid: Some(1002), ..SetAttributes::default() };
        for (name, context, after) in [("member", USER, 0o2666), ("outside", outside, 0o666)] {
            let (inode, _) = privileged(fixture, name, 0o6666);
            let reply = fixture.fs.setattr(&context, inode, None, &gid).unwrap();
            assert_eq!(reply.attributes.permissions, after, "{name}");
        }
    });
}

#[test]
fn only_the_owner_clears_bits_of_a_file_that_nobody_writes() {
    on_each_backing(|fixture| {
        let kill = SetAttributes { kill_suid_sgid: true, ..SetAttributes::default() };
        let (inode, handle) = privileged(fixture, "file", 0o6777);
        fixture.fs.release(inode, handle).unwrap();
        let refused = fixture.fs.setattr(&caller(1002, 1002), inode, None, &kill);
        assert_eq!(refused.unwrap_err(), Errno::EPERM);
        assert_eq!(fixture.attributes(inode).permissions, 0o6777);
        let reply = fixture.fs.setattr(&USER, inode, None, &kill).unwrap();
        assert_eq!(reply.attributes.permissions, 0o777);
    });
}

#[test]
fn a_truncate_strips_for_all_but_root() {
    on_each_backing(|fixture| {
        let size = SetAttributes { size: Some(1), ..SetAttributes::default() };
        for (index, (context, after)) in
            [(ROOT_USER, 0o6777), (USER, 0o777), (caller(1002, 1002), 0o777)].iter().enumerate()
        {
            for with_handle in [false, true] {
                let name = format!("file{index}{with_handle}");
                let (inode, handle) = privileged(fixture, &name, 0o6777);
                let handle = with_handle.then_some(handle);
                let reply = fixture.fs.setattr(context, inode, handle, &size).unwrap();
                assert_eq!(reply.attributes.permissions, *after, "{context:?}");
                assert_eq!(reply.attributes.size, 1);
                assert!(!has_capability(fixture, inode));
            }
        }
    });
}

#[test]
fn opening_with_truncation_strips_for_all_but_root() {
    on_each_backing(|fixture| {
        for (name, context, after) in [("root", ROOT_USER, 0o6755), ("user", USER, 0o755)] {
            let (inode, _) = privileged(fixture, name, 0o6755);
            let flags = libc::O_WRONLY | libc::O_TRUNC;
            fixture.fs.open(&context, inode, flags).unwrap();
            let attributes = fixture.attributes(inode);
            assert_eq!((attributes.size, attributes.permissions), (0, after));
        }
    });
}

#[test]
fn chown_and_fallocate_strip() {
    on_each_backing(|fixture| {
        let (inode, _) = privileged(fixture, "chown", 0o6755);
        let gid = SetAttributes { gid: Some(1001), ..SetAttributes::default() };
        let reply = fixture.fs.setattr(&USER, inode, None, &gid).unwrap();
        assert_eq!(reply.attributes.permissions, 0o755);
        assert!(!has_capability(fixture, inode));
        let (inode, handle) = privileged(fixture, "fallocate", 0o6755);
        fixture.fs.fallocate(&ROOT_USER, inode, handle, 0, 100, 0).unwrap();
        assert_eq!(fixture.attributes(inode).permissions, 0o6755);
        fixture.fs.fallocate(&USER, inode, handle, 0, 200, 0).unwrap();
        assert_eq!(fixture.attributes(inode).permissions, 0o755);
    });
}

#[test]
fn setting_an_acl_is_a_chmod_that_may_cost_set_group_id() {
    on_each_backing(|fixture| {
        // a caller in the file's group by a supplementary group, as only /proc tells
        let mut member = Command::new("setpriv")
            .args(["--reuid=1000", "--regid=1001", "--groups=77", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("needs setpriv of util-linux");
        // an echo means that it has become the user
        let mut echo = String::new();
        member.stdin.as_ref().unwrap().write_all(b"ready\n").unwrap();
        BufReader::new(member.stdout.take().unwrap()).read_line(&mut echo).unwrap();
        assert_eq!(echo, "ready\n");
        let in_group = Context { pid: member.id(), ..USER };
        let cases =
            [(ROOT_USER, 0o2764), (caller(1000, 77), 0o2764), (in_group, 0o2764), (USER, 0o764)];
        for (index, (context, after)) in cases.iter().enumerate() {
            let name = format!("file{index}");
            let (inode, _) = fixture.create_as(&USER, Inode::ROOT, &name, 0o770);
            chown(fixture.path(&name), Some(1000), Some(77)).unwrap();
            fs::set_permissions(fixture.path(&name), Permissions::from_mode(0o2770)).unwrap();
            let value = acl(7, 6, 4, 6, 4);
            fixture.fs.setxattr(context, inode, os(ACCESS_ACL), &value, 0).unwrap();
            assert_eq!(fixture.attributes(inode).permissions, *after, "{context:?}");
            assert_eq!(fixture.fs.getxattr(context, inode, os(ACCESS_ACL)).unwrap(), value);
        }
        drop(member.stdin.take());
        member.wait().unwrap();
    });
}

#[test]
fn extended_attributes_of_every_namespace() {
    on_each_backing(|fixture| {
        let (inode, _) = fixture.create("file");
        let fs = &fixture.fs;
        let big = vec![7; 2000];
        fs.setxattr(&ROOT_USER, inode, os("user.big"), &big, libc::XATTR_CREATE).unwrap();
        assert_eq!(fs.getxattr(&ROOT_USER, inode, os("user.big")).unwrap(), big);
        let again = fs.setxattr(&ROOT_USER, inode, os("user.big"), b"", libc::XATTR_CREATE);
        assert_eq!(again.unwrap_err(), fusesg_fs::Errno::EEXIST);
        fs.setxattr(&ROOT_USER, inode, os("user.empty"), b"", 0).unwrap();
        assert_eq!(fs.getxattr(&ROOT_USER, inode, os("user.empty")).unwrap(), b"");
        fs.setxattr(&ROOT_USER, inode, os("trusted.secret"), b"s", 0).unwrap();
        let listed = |context: &Context| {
            let names = String::from_utf8(fs.listxattr(context, inode).unwrap()).unwrap();
            let mut names: Vec<String> = names.split_terminator('\0').map(String::from).collect();
            names.sort();
            names
        };
        assert_eq!(listed(&ROOT_USER), ["trusted.secret", "user.big", "user.empty"]);
        assert_eq!(listed(&USER), ["user.big", "user.empty"]);
        fs.removexattr(&ROOT_USER, inode, os("user.big")).unwrap();
        let gone = fs.getxattr(&ROOT_USER, inode, os("user.big"));
        assert_eq!(gone.unwrap_err(), fusesg_fs::Errno::ENODATA);
        let link = fs.symlink(&ROOT_USER, Inode::ROOT, os("link"), os("file")).unwrap();
        let link = link.attributes.inode;
        fs.setxattr(&ROOT_USER, link, os("trusted.of_link"), b"l", 0).unwrap();
        assert_eq!(fs.getxattr(&ROOT_USER, link, os("trusted.of_link")).unwrap(), b"l");
        let on_target = fs.getxattr(&ROOT_USER, inode, os("trusted.of_link"));
        assert_eq!(on_target.unwrap_err(), fusesg_fs::Errno::ENODATA);
        let user = fs.setxattr(&ROOT_USER, link, os("user.no"), b"", 0);
        assert_eq!(user.unwrap_err(), fusesg_fs::Errno::EPERM);
    });
}

#[test]
fn the_threads_own_credentials_are_back_afterwards() {
    let credentials = || -> Vec<String> {
        let status = BufReader::new(File::open("/proc/thread-self/status").unwrap());
        let lines = status.lines().map(|line| line.unwrap());
        lines.filter(|line| ["Uid", "Gid", "Cap"].iter().any(|key| line.starts_with(key))).collect()
    };
    let before = credentials();
    assert_eq!(before.len(), 7);
    on_each_backing(|fixture| {
        make_all(fixture, &USER, Inode::ROOT, 0o777);
        let full = fixture.fs.mkdir(&USER, Inode::ROOT, os("directory"), 0o777);
        assert_eq!(full.unwrap_err(), fusesg_fs::Errno::EEXIST);
        assert_eq!(credentials(), before);
    });
}
