//! Callers that are killed, and callbacks that take too long.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{HoldReads, Memory, MountPoint, PATIENCE, logged, watchdog, zeros};
use fusesg_fs::Reply;
use fusesg_serve::{Delivery, Mount};

#[test]
fn a_killed_caller_of_a_slow_callback_dies() {
    watchdog();
    // through the page cache the caller leaves its request behind, past it it waits
    let signals = [libc::SIGKILL, libc::SIGTERM, libc::SIGINT];
    for (signal, direct_io) in
        signals.map(|s| (s, true)).into_iter().chain([(libc::SIGKILL, false)])
    {
        let point = MountPoint::new();
        let memory = Memory { direct_io, ..Memory::new() };
        let (dispatch, held) = HoldReads::new(memory.with("file", b"text"));
        let mount = Mount::new(dispatch, point.config()).unwrap();
        // the kernel lets a caller go that waits for the page cache, but not one that
        // waits for its own request
        let mut caller = Command::new("cat")
            .arg(point.path().join("file"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (_, responder) = held.next();
        let cancellation = responder.cancellation();
        assert!(!cancellation.is_cancelled());
        let pid = i32::try_from(caller.id()).unwrap();
        // SAFETY: the process is our child and was not waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
        assert_eq!(caller.wait().unwrap().signal(), Some(signal));
        let unique = held.cancelled.recv_timeout(PATIENCE).unwrap();
        assert_eq!(unique, responder.unique());
        assert!(cancellation.is_cancelled());
        assert_eq!(responder.answer(Ok(Reply::Data(zeros(4)))), Delivery::Dropped);
        assert_eq!(mount.statistics().interrupted, 1);
        mount.unmount().unwrap();
        assert!(!logged("fuser::reply"), "what we brought about ourselves is no news");
    }
}

#[test]
fn nobody_else_is_interrupted() {
    watchdog();
    let point = MountPoint::new();
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b"text"));
    let mut config = point.config();
    config.slow_request_warning = Some(Duration::from_millis(300));
    let mount = Mount::new(dispatch, config).unwrap();
    let path = point.path().join("file");
    let reader = std::thread::spawn(move || fs::read(path));
    let (_, responder) = held.next();
    // the sweeper has looked at it by the time that it warns
    common::eventually("the warning", || {
        logged(&format!("read (request {}) has been served for", responder.unique()))
    });
    assert_eq!(responder.answer(Ok(Reply::Data(zeros(4)))), Delivery::Sent);
    assert_eq!(reader.join().unwrap().unwrap(), [0; 4]);
    assert_eq!(mount.statistics().interrupted, 0);
    mount.unmount().unwrap();
}

#[test]
fn a_deadline_answers_in_the_callbacks_place() {
    watchdog();
    let point = MountPoint::new();
    let (dispatch, held) = HoldReads::new(Memory::new().with("file", b"text"));
    let mut config = point.config();
    config.request_timeout = Some(Duration::from_millis(200));
    let mount = Mount::new(dispatch, config).unwrap();
    let error = fs::read(point.path().join("file")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
    let (_, responder) = held.next();
    assert_eq!(responder.answer(Ok(Reply::Data(zeros(4)))), Delivery::Dropped);
    assert!(mount.statistics().timed_out >= 1);
    mount.unmount().unwrap();
}
