//! Mounts, unmounts, and what others do to a mount meanwhile.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{HoldReads, Memory, MountPoint, PATIENCE, eventually, logged, mount, watchdog};
use fusesg_fs::{Errno, Reply};
use fusesg_serve::{Delivery, Mount, MountConfig, Native};

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().expect("it can be run");
    assert!(status.success(), "{program} {arguments:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a test's path")
}

#[test]
fn an_outside_unmount_ends_the_mount() {
    watchdog();
    let point = MountPoint::new();
    let (mount, memory) = mount(Memory::new(), &point);
    assert!(mount.is_alive());
    assert!(!mount.wait(Some(Duration::ZERO)));
    run("umount", &[text(point.path())]);
    assert!(mount.wait(Some(PATIENCE)));
    assert!(!mount.is_alive());
    assert_eq!(memory.destroyed.load(Ordering::SeqCst), 1);
    mount.unmount().unwrap();
}

#[test]
fn what_somebody_mounted_over_it_is_left_alone() {
    watchdog();
    let point = MountPoint::new();
    let (mount, _) = mount(Memory::new(), &point);
    run("mount", &["-t", "tmpfs", "other", text(point.path())]);
    fs::write(point.path().join("theirs"), "text").unwrap();
    mount.unmount().unwrap();
    assert!(!mount.is_alive());
    assert_eq!(fs::read(point.path().join("theirs")).unwrap(), b"text");
}

#[test]
fn what_somebody_mounted_in_its_place_is_left_alone() {
    watchdog();
    // the kernel gives the next mount the number and the device of the one that went, so
    // that now and then both are the same
    for _ in 0..20 {
        let point = MountPoint::new();
        let (mount, _) = mount(Memory::new(), &point);
        run("umount", &[text(point.path())]);
        run("mount", &["-t", "tmpfs", "other", text(point.path())]);
        assert!(mount.wait(Some(PATIENCE)));
        mount.unmount().unwrap();
        drop(mount);
        assert_eq!(point.mounts(), 1);
    }
}

#[test]
fn a_busy_mount_is_detached_and_then_aborted() {
    watchdog();
    let point = MountPoint::new();
    let (mount, memory) = mount(Memory::new().with("file", b"text"), &point);
    let file = fs::File::open(point.path().join("file")).unwrap();
    mount.unmount().unwrap();
    assert_eq!(point.mounts(), 0);
    assert!(!mount.is_alive());
    assert_eq!(memory.destroyed.load(Ordering::SeqCst), 1);
    assert!(file.metadata().is_err());
}

#[test]
fn an_aborted_mount_leaves_nothing_behind() {
    watchdog();
    let point = MountPoint::new();
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b"text"));
    let mount = Mount::new(dispatch, point.config()).unwrap();
    let path = point.path().join("file");
    let reader = std::thread::spawn(move || fs::read(path));
    let (_, responder) = held.next();
    mount.abort();
    assert!(reader.join().unwrap().is_err());
    assert!(mount.wait(Some(PATIENCE)));
    assert_eq!(point.mounts(), 0);
    // an answer that comes after the end goes nowhere, quietly
    let _ = responder.answer(Err(Errno::EIO));
    assert!(!logged("fuser::reply"));
}

#[test]
fn unmounting_in_a_callback_does_not_wait_for_itself() {
    watchdog();
    let point = MountPoint::new();
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b"text"));
    let mount = Arc::new(Mount::new(Arc::clone(&dispatch) as Arc<_>, point.config()).unwrap());
    let handle = Arc::clone(&mount);
    dispatch.on_read(move || handle.unmount().unwrap());
    let path = point.path().join("file");
    let reader = std::thread::spawn(move || fs::read(path));
    let (_, responder) = held.next();
    assert_eq!(responder.answer(Ok(Reply::Data(common::zeros(4)))), Delivery::Sent);
    assert_eq!(reader.join().unwrap().unwrap(), [0; 4]);
    assert!(mount.wait(Some(PATIENCE)));
    assert_eq!(point.mounts(), 0);
}

#[test]
fn a_failing_init_takes_the_mount_away() {
    watchdog();
    let point = MountPoint::new();
    let memory = Memory { fail_init: true, ..Memory::new() };
    let error = Mount::new(Arc::new(Native::new(Arc::new(memory))), point.config()).unwrap_err();
    assert_eq!(error.errno, Some(libc::ENOSPC));
    assert_eq!(point.mounts(), 0);
}

#[test]
fn impossible_mount_points_are_explained() {
    let native = || Arc::new(Native::new(Arc::new(Memory::new())));
    let error = Mount::new(native(), MountConfig::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(error.errno, Some(libc::ENOENT));
    assert!(error.message.contains("mkdir -p /nowhere/at/all"), "{error}");
    let error = Mount::new(native(), MountConfig::new("/dev/null")).unwrap_err();
    assert!(error.message.contains("neither a directory nor a regular file"), "{error}");
}

#[test]
fn two_mounts_in_one_process() {
    watchdog();
    let points = [MountPoint::new(), MountPoint::new()];
    let mounts: Vec<_> = points
        .iter()
        .zip([b"first", b"other"])
        .map(|(point, text)| mount(Memory::new().with("file", text), point).0)
        .collect();
    assert_eq!(fs::read(points[0].path().join("file")).unwrap(), b"first");
    drop(mounts.into_iter().next());
    assert_eq!(points[0].mounts(), 0);
    assert_eq!(points[1].mounts(), 0);
}

#[test]
fn strange_names_of_mount_points() {
    watchdog();
    let parent = tempfile::tempdir().unwrap();
    for name in ["with space", "back\\slash", "new\nline", "$(touch x)", "-l", "a#b"] {
        let path = parent.path().canonicalize().unwrap().join(name);
        fs::create_dir(&path).unwrap();
        let memory = Arc::new(Memory::new().with("file", b"text"));
        let mount = Mount::new(Arc::new(Native::new(memory)), MountConfig::new(&path)).unwrap();
        assert_eq!(fs::read(path.join("file")).unwrap(), b"text", "{name:?}");
        mount.unmount().unwrap();
        fs::remove_dir(&path).unwrap_or_else(|error| panic!("{name:?} is still mounted: {error}"));
    }
}

/// The example program, a server in a process of its own.
fn hello(point: &Path, user: Option<u32>) -> Child {
    let mut command = Command::new(example());
    command.arg(point).stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let mut child = command.spawn().expect("the example is built with the tests");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).unwrap();
    assert!(line.starts_with("serving "), "{line:?}");
    child
}

fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/hello")
}

#[test]
fn a_killed_server_leaves_no_mount() {
    watchdog();
    for name in ["plain", "with space\nand \\ more"] {
        let point = MountPoint::new();
        let path = point.path().join(name);
        fs::create_dir(&path).unwrap();
        let mut server = hello(&path, None);
        let file = fs::File::open(path.join("hello")).unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
        // the directory is the plain one again once the mount is gone
        eventually("the end of the mount", || fs::remove_dir(&path).is_ok());
        assert!(file.read_at(&mut [0; 4], 4096).is_err() || file.metadata().is_err());
    }
}

#[test]
fn a_server_that_ends_leaves_no_mount_and_no_watcher() {
    watchdog();
    let point = MountPoint::new();
    let mut server = hello(point.path(), None);
    assert_eq!(fs::read(point.path().join("hello")).unwrap(), b"hello, world\n");
    drop(server.stdin.take());
    assert!(server.wait().unwrap().success());
    assert_eq!(point.mounts(), 0);
    eventually("the watcher's end", || watchers_of(point.path()).is_empty());
}

#[test]
fn a_stale_mount_is_explained() {
    watchdog();
    let point = MountPoint::new();
    let mut server = hello(point.path(), None);
    for watcher in watchers_of(point.path()) {
        run("kill", &["-9", &watcher]);
    }
    eventually("the watcher's end", || watchers_of(point.path()).is_empty());
    server.kill().unwrap();
    server.wait().unwrap();
    let native = Arc::new(Native::new(Arc::new(Memory::new())));
    let error = Mount::new(native, point.config()).unwrap_err();
    assert_eq!(error.errno, Some(libc::ENOTCONN));
    assert!(error.message.contains("fusermount3 -u"), "{error}");
}

fn watchers_of(point: &Path) -> Vec<String> {
    let point = text(point);
    let is_watcher = |process: &Path| {
        fs::read(process.join("cmdline")).is_ok_and(|line| {
            let line = String::from_utf8_lossy(&line);
            line.contains("fusesg-watcher") && line.contains(point)
        })
    };
    fs::read_dir("/proc")
        .unwrap()
        .map(|process| process.unwrap().path())
        .filter(|process| is_watcher(process))
        .map(|process| process.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// nobody: fusermount3 wants a user that has a name.
const USER: u32 = 65_534;

/// `/dev/fuse` with the permissions that udev gives it, which containers often leave out.
struct DeviceForAll {
    before: fs::Permissions,
}

impl DeviceForAll {
    fn new() -> Self {
        let before = fs::metadata("/dev/fuse").unwrap().permissions();
        fs::set_permissions("/dev/fuse", fs::Permissions::from_mode(0o666)).unwrap();
        Self { before }
    }
}

impl Drop for DeviceForAll {
    fn drop(&mut self) {
        let _ = fs::set_permissions("/dev/fuse", self.before.clone());
    }
}

#[test]
fn an_unprivileged_server_mounts_through_fusermount3() {
    watchdog();
    // reachable for the user, and their own
    let _device = DeviceForAll::new();
    let program = tempfile::Builder::new().prefix("fusesg").tempdir_in("/var/tmp").unwrap();
    run("chmod", &["755", text(program.path())]);
    let copy = program.path().join("hello");
    // in a process of its own: a program that some process has open for writing cannot run
    run("cp", &[text(&example()), text(&copy)]);
    let point = MountPoint::new();
    std::os::unix::fs::chown(point.path(), Some(USER), Some(USER)).unwrap();
    let start = || {
        let mut command = Command::new(&copy);
        command.arg(point.path()).uid(USER).gid(USER);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).unwrap();
        assert!(line.starts_with("serving "), "{line:?}");
        child
    };
    let as_user = |file: &Path| {
        let output = Command::new("cat").arg(file).uid(USER).gid(USER).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };

    let mut server = start();
    assert_eq!(point.mounts(), 1);
    assert_eq!(as_user(&point.path().join("hello")), b"hello, world\n");
    drop(server.stdin.take());
    assert!(server.wait().unwrap().success());
    assert_eq!(point.mounts(), 0);

    let mut server = start();
    server.kill().unwrap();
    server.wait().unwrap();
    eventually("the end of the mount", || point.mounts() == 0);
}
