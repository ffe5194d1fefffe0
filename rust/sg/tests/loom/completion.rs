//! The completion counter: submitting, completing, taking the result and cancelling at once.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use fusesg_sg::{CompletionCounters, Direction, Submission};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::every_order;

fn plain(result: io::Result<u64>) -> Result<u64, Option<i32>> {
    result.map_err(|error| error.raw_os_error())
}

#[test]
fn completing_races_with_submitting() {
    every_order(|| {
        let counters = Arc::new(CompletionCounters::default());
        let (mut submission, completion) = Submission::counted(Direction::Read, &counters);
        let parts = [1, 2].map(|bytes| {
            let part = submission.part(bytes);
            thread::spawn(move || part.complete(Ok(bytes)))
        });
        submission.finish();
        assert_eq!(plain(completion.wait()), Ok(3));
        assert_eq!(counters.statistics().ios, 1);
        for part in parts {
            part.join().unwrap();
        }
    });
}

#[test]
fn the_last_part_races_with_a_callback() {
    every_order(|| {
        let called = Arc::new(AtomicUsize::new(0));
        let (mut submission, completion) = Submission::new(Direction::Read);
        let part = submission.part(5);
        submission.finish();
        let last = thread::spawn(move || part.complete(Ok(4)));
        let for_callback = Arc::clone(&called);
        completion.on_complete(move |result| {
            assert_eq!(plain(result), Ok(4));
            for_callback.fetch_add(1, Ordering::SeqCst);
        });
        last.join().unwrap();
        assert_eq!(called.load(Ordering::SeqCst), 1);
    });
}

struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_last_part_races_with_a_poll() {
    every_order(|| {
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let (mut submission, completion) = Submission::new(Direction::Read);
        let part = submission.part(5);
        submission.finish();
        let last = thread::spawn(move || part.complete(Ok(5)));
        let mut completion = pin!(completion);
        let mut context = Context::from_waker(&waker);
        let early = completion.as_mut().poll(&mut context);
        last.join().unwrap();
        if early.is_pending() {
            assert_eq!(woken.0.load(Ordering::SeqCst), 1, "the waker was not lost");
            let Poll::Ready(result) = completion.as_mut().poll(&mut context) else {
                panic!("woken, but not ready");
            };
            assert_eq!(plain(result), Ok(5));
        }
    });
}

#[test]
fn the_last_part_races_with_a_wait_that_follows_a_poll() {
    every_order(|| {
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(woken);
        let (mut submission, mut completion) = Submission::new(Direction::Read);
        let part = submission.part(5);
        submission.finish();
        assert!(Pin::new(&mut completion).poll(&mut Context::from_waker(&waker)).is_pending());
        let last = thread::spawn(move || part.complete(Ok(5)));
        assert_eq!(plain(completion.wait()), Ok(5));
        last.join().unwrap();
    });
}

#[test]
fn cancelling_races_with_completing() {
    every_order(|| {
        let counters = Arc::new(CompletionCounters::default());
        let (mut submission, completion) = Submission::counted(Direction::Write, &counters);
        let part = submission.part(5);
        submission.finish();
        let canceller = completion.canceller();
        let cancelling = thread::spawn(move || canceller.cancel());
        let last = thread::spawn(move || part.complete(Ok(5)));
        let result = plain(completion.wait());
        cancelling.join().unwrap();
        last.join().unwrap();
        let statistics = counters.statistics();
        match result {
            Ok(5) => assert_eq!((statistics.ios, statistics.cancelled), (1, 0)),
            Err(Some(libc::ECANCELED)) => {
                assert_eq!((statistics.ios, statistics.cancelled), (1, 1));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn of_two_parts_that_fail_at_once_one_wins() {
    every_order(|| {
        let (mut submission, completion) = Submission::new(Direction::Read);
        let parts = [libc::EACCES, libc::ENOSPC].map(|errno| {
            let part = submission.part(1);
            thread::spawn(move || part.complete(Err(io::Error::from_raw_os_error(errno))))
        });
        submission.finish();
        let result = plain(completion.wait());
        assert!([Err(Some(libc::EACCES)), Err(Some(libc::ENOSPC))].contains(&result));
        for part in parts {
            part.join().unwrap();
        }
    });
}
