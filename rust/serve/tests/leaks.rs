//! What many mounts leave behind: nothing. Alone in its program, because it counts what
//! the whole process has.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs;

use common::{Memory, MountPoint, eventually, mount, watchdog};

fn count(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

fn children() -> String {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok()).collect()
}

#[test]
fn fifty_mounts_leave_nothing() {
    watchdog();
    let point = MountPoint::new();
    let cycle = || {
        let (mount, _) = mount(Memory::new().with("file", b"text"), &point);
        assert_eq!(fs::read(point.path().join("file")).unwrap(), b"text");
        assert_eq!(children(), "", "the watcher is nobody's child");
        mount.unmount().unwrap();
    };
    // the first makes what lasts as long as the process
    cycle();
    let before = (count("/proc/self/fd"), count("/proc/self/task"));
    for _ in 0..50 {
        cycle();
    }
    eventually("the end of all threads", || {
        (count("/proc/self/fd"), count("/proc/self/task")) == before
    });
    assert_eq!(point.mounts(), 0);
    assert_eq!(children(), "");
}
