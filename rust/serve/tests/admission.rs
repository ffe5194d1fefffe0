//! Requests for operations: with all of them taken files still close, everything else waits
//! its turn, and whoever waits is answered.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use common::{Held, HoldReads, Memory, MountPoint, PATIENCE, eventually, watchdog, zeros};
use fusesg_fs::{OperationKind, OperationSet, Reply};
use fusesg_serve::{Delivery, Mount, MountConfig, Responder};
use fusesg_sg::RequestStatistics;

/// A mount of files whose READs are held, with so many requests.
struct Scene {
    point: MountPoint,
    mount: Mount,
    dispatch: Arc<HoldReads>,
    held: Held,
}

const FILES: [&str; 5] = ["a", "b", "c", "d", "e"];

impl Scene {
    fn new(max_requests: usize) -> Self {
        let kinds = OperationSet::EMPTY.with(OperationKind::Read);
        Self::with(kinds, |config| config.max_requests = max_requests)
    }

    fn with(kinds: OperationSet, change: impl FnOnce(&mut MountConfig)) -> Self {
        watchdog();
        let point = MountPoint::new();
        let mut memory = Memory { direct_io: true, ..Memory::new() };
        for name in FILES {
            memory = memory.with(name, b"text");
        }
        let (dispatch, held) = HoldReads::holding(kinds, memory);
        let mut config = point.config();
        // so that only the tests' own operations come
        config.entry_timeout = PATIENCE;
        config.attribute_timeout = PATIENCE;
        change(&mut config);
        let mount = Mount::new(dispatch.clone(), config).unwrap();
        Self { point, mount, dispatch, held }
    }

    fn open(&self, name: &str) -> File {
        File::open(self.point.path().join(name)).unwrap()
    }

    fn requests(&self) -> RequestStatistics {
        self.mount.statistics().requests
    }

    /// Until the last answers have returned their requests.
    fn nothing_outstanding(&self) {
        eventually("every request is returned", || {
            let statistics = self.mount.statistics();
            (statistics.requests.outstanding, statistics.in_flight) == (0, 0)
        });
    }

    /// Starts to read, and waits until the READ is held.
    fn read_held(&self, file: File) -> (Reader, Responder) {
        let reader = Reader::start(file);
        let (_, responder) = self.held.next();
        (reader, responder)
    }

    /// Starts to read, and waits until the READ is parked.
    fn read_parked(&self, file: File) -> Reader {
        let before = self.requests().waits;
        let reader = Reader::start(file);
        eventually("the READ is parked", || self.requests().waits == before + 1);
        reader
    }

    fn answer_next(&self) {
        let (_, responder) = self.held.next();
        answer(responder);
    }
}

fn answer(responder: Responder) {
    assert_eq!(responder.answer(Ok(Reply::Data(zeros(4)))), Delivery::Sent);
}

/// A thread that reads a file and leaves it open.
struct Reader(JoinHandle<(io::Result<usize>, File)>);

impl Reader {
    fn start(mut file: File) -> Self {
        Self(thread::spawn(move || (file.read(&mut [0; 4]), file)))
    }

    fn join(self) -> (io::Result<usize>, File) {
        self.0.join().unwrap()
    }

    fn succeeds(self) {
        assert_eq!(self.join().0.unwrap(), 4);
    }
}

#[test]
fn with_every_request_taken_and_two_reads_stuck_a_file_still_closes() {
    let scene = Scene::new(1);
    let [first, second, closed] = ["a", "b", "c"].map(|name| scene.open(name));
    let (reader, responder) = scene.read_held(first);
    let parked = scene.read_parked(second);
    let before = scene.requests();
    assert_eq!((before.outstanding, before.reserved_uses), (1, 0));
    drop(closed);
    eventually("the file is released", || {
        scene.dispatch.native.file_system().released.load(std::sync::atomic::Ordering::SeqCst) == 1
    });
    eventually("the reserved request is returned", || scene.requests().outstanding == 1);
    // one for its FLUSH and one for its RELEASE
    assert_eq!(scene.requests().reserved_uses, 2);
    answer(responder);
    scene.answer_next();
    for reader in [reader, parked] {
        reader.succeeds();
    }
    scene.nothing_outstanding();
    scene.mount.unmount().unwrap();
}

#[test]
fn a_second_file_waits_for_the_reserved_request() {
    let kinds = OperationSet::EMPTY.with(OperationKind::Read).with(OperationKind::Flush);
    let scene = Scene::with(kinds, |config| config.max_requests = 1);
    let [stuck, first, second] = ["a", "b", "c"].map(|name| scene.open(name));
    let (reader, read) = scene.read_held(stuck);
    let close = |file: File| thread::spawn(move || drop(file));
    let closing_first = close(first);
    let (_, flush) = scene.held.next();
    assert_eq!(flush.kind(), OperationKind::Flush);
    let before = scene.requests().waits;
    let closing_second = close(second);
    eventually("the second FLUSH is parked", || scene.requests().waits == before + 1);
    eventually("it is in the line", || scene.mount.statistics().parked == 1);
    assert_eq!(scene.requests().reserved_uses, 1);
    assert_eq!(flush.answer(Ok(Reply::Done)), Delivery::Sent);
    closing_first.join().unwrap();
    // the reserved request is the only one that can have come to it
    let (_, flush) = scene.held.next();
    assert!(scene.mount.statistics().parked <= 1, "at most the RELEASE of the first file");
    assert_eq!(flush.answer(Ok(Reply::Done)), Delivery::Sent);
    closing_second.join().unwrap();
    answer(read);
    let (result, file) = reader.join();
    assert_eq!(result.unwrap(), 4);
    let closing = close(file);
    let (_, flush) = scene.held.next();
    assert_eq!(flush.answer(Ok(Reply::Done)), Delivery::Sent);
    closing.join().unwrap();
    scene.nothing_outstanding();
    scene.mount.unmount().unwrap();
}

#[test]
fn who_waits_is_served_in_order_of_arrival() {
    let scene = Scene::new(1);
    let files = FILES.map(|name| scene.open(name));
    let [first, rest @ ..] = files;
    let (reader, responder) = scene.read_held(first);
    let mut readers = vec![reader];
    readers.extend(rest.map(|file| scene.read_parked(file)));
    let mut last = responder.unique();
    answer(responder);
    for _ in 1..FILES.len() {
        let (_, responder) = scene.held.next();
        assert!(responder.unique() > last);
        last = responder.unique();
        assert_eq!(scene.requests().outstanding, 1);
        answer(responder);
    }
    readers.into_iter().for_each(Reader::succeeds);
    scene.nothing_outstanding();
    scene.mount.unmount().unwrap();
}

#[test]
fn a_callback_that_blocks_does_not_hold_up_those_behind_it() {
    let scene = Scene::new(2);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| scene.open(name));
    let (first, first_responder) = scene.read_held(a);
    let (second, second_responder) = scene.read_held(b);
    let third = scene.read_parked(c);
    let fourth = scene.read_parked(d);
    let (go_on, blocked) = channel::<()>();
    let (inside, is_inside) = channel();
    scene.dispatch.on_read(move || {
        inside.send(()).unwrap();
        let _ = blocked.recv();
    });
    answer(first_responder);
    is_inside.recv_timeout(PATIENCE).unwrap();
    answer(second_responder);
    scene.answer_next();
    fourth.succeeds();
    go_on.send(()).unwrap();
    scene.answer_next();
    for reader in [first, second, third] {
        reader.succeeds();
    }
    scene.nothing_outstanding();
    scene.mount.unmount().unwrap();
}

#[test]
fn a_caller_that_is_killed_while_it_waits_dies() {
    let scene = Scene::new(1);
    let (reader, responder) = scene.read_held(scene.open("a"));
    let before = scene.requests().waits;
    let mut caller = Command::new("cat")
        .arg(scene.point.path().join("b"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("its first operation is parked", || scene.requests().waits == before + 1);
    caller.kill().unwrap();
    assert_eq!(caller.wait().unwrap().signal(), Some(libc::SIGKILL));
    eventually("it is out of the table", || scene.mount.statistics().in_flight == 1);
    assert_eq!(scene.mount.statistics().interrupted, 1);
    assert!(scene.held.reads.try_recv().is_err(), "the file system never saw it");
    answer(responder);
    reader.succeeds();
    scene.nothing_outstanding();
    scene.mount.unmount().unwrap();
}

#[test]
fn the_deadline_answers_who_waits_and_the_next_one_is_served() {
    let kinds = OperationSet::EMPTY.with(OperationKind::Read);
    let scene = Scene::with(kinds, |config| {
        config.max_requests = 1;
        config.request_timeout = Some(Duration::from_millis(200));
    });
    let [first, second, third] = ["a", "b", "c"].map(|name| scene.open(name));
    let (reader, responder) = scene.read_held(first);
    let parked = scene.read_parked(second);
    for reader in [reader, parked] {
        assert_eq!(reader.join().0.unwrap_err().raw_os_error(), Some(libc::ETIMEDOUT));
    }
    // the callback that is late still has the request
    eventually("the other one is out of the line", || scene.mount.statistics().given_up == 1);
    assert_eq!(responder.answer(Ok(Reply::Data(zeros(4)))), Delivery::Dropped);
    let (reader, responder) = scene.read_held(third);
    answer(responder);
    reader.succeeds();
    scene.nothing_outstanding();
    scene.mount.unmount().unwrap();
}

#[test]
fn unmounting_answers_who_waits() {
    let kinds = OperationSet::EMPTY.with(OperationKind::Read);
    let scene = Scene::with(kinds, |config| {
        config.max_requests = 1;
        config.unmount_grace = Duration::ZERO;
    });
    let [first, second] = ["a", "b"].map(|name| scene.open(name));
    let (reader, responder) = scene.read_held(first);
    let parked = scene.read_parked(second);
    scene.mount.unmount().unwrap();
    for reader in [reader, parked] {
        reader.join().0.unwrap_err();
    }
    assert_eq!(scene.mount.statistics().in_flight, 1, "the one that the test holds");
    drop(responder);
    scene.nothing_outstanding();
    assert_eq!(scene.point.mounts(), 0);
}

#[test]
fn answers_count_the_pages_that_they_need() {
    let scene = Scene::new(16);
    fs::write(scene.point.path().join("new"), [7; 5000]).unwrap();
    scene.nothing_outstanding();
    let before = scene.requests();
    let (reader, responder) = scene.read_held(scene.open("a"));
    answer(responder);
    reader.succeeds();
    scene.nothing_outstanding();
    let after = scene.requests();
    // a READ has room for a page; zeros are sent from where they are or from one
    assert_eq!(after.pages_requested - before.pages_requested, 1);
    assert!(after.pages_used - before.pages_used <= 1);
    assert!(before.pages_used >= 2, "the WRITE brought two");
    assert_eq!((after.failures, after.reserved_uses), (0, 0));
    scene.mount.unmount().unwrap();
}
