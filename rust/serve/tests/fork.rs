//! Children of a server that were forked without exec. Alone in its program, because a
//! forked child would inherit what other tests have open.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs;

use common::{Memory, MountPoint, mount, watchdog};

#[test]
fn a_forked_child_has_no_part_in_the_mount() {
    watchdog();
    let point = MountPoint::new();
    let (mount, _) = mount(Memory::new().with("file", b"text"), &point);
    let (wait, release) = std::io::pipe().unwrap();
    // SAFETY: the child makes async-signal-safe calls alone, and does not return.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // neither of them waits or unmounts here
        let unmounted = mount.unmount().is_ok() && mount.wait(None) && !mount.is_alive();
        drop(mount);
        drop(release);
        let mut byte = 0_u8;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&wait);
        // SAFETY: the buffer has one byte.
        unsafe { libc::read(descriptor, (&raw mut byte).cast(), 1) };
        // SAFETY: ends the child without the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!unmounted)) };
    }
    assert!(child > 0);
    let devices = |pid: i32| {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.ends_with("fuse"))
            .count()
    };
    common::eventually("the child's own descriptors", || devices(child) == 0);
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(devices(own) >= 2);
    drop(wait);
    drop(release);
    let mut status = 0;
    // SAFETY: waits for our own child; the status has its type.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "unmount, wait and drop did nothing in the child");
    assert_eq!(fs::read(point.path().join("file")).unwrap(), b"text");
    mount.unmount().unwrap();
}
