//! The completion counter against the seed's worked examples, an oracle, and its own promises.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use fusesg_sg::{
    Completion, CompletionCounters, CompletionStatistics, Direction, Part, Submission,
};
use proptest::prelude::*;

use Direction::{Read, Write};

const K: u64 = 1024;

type Outcome = Result<u64, i32>;

fn error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

fn plain(result: io::Result<u64>) -> Outcome {
    result.map_err(|error| error.raw_os_error().expect("all errors here have a number"))
}

/// An I/O of parts of these lengths, all submitted.
fn submitted(direction: Direction, lengths: &[u64]) -> (Vec<Part>, Completion) {
    let (mut submission, completion) = Submission::new(direction);
    let parts = lengths.iter().map(|length| submission.part(*length)).collect();
    submission.finish();
    (parts, completion)
}

/// The result of parts that complete in the order given.
fn result_of(direction: Direction, parts: &[(u64, Outcome)]) -> Outcome {
    let lengths: Vec<_> = parts.iter().map(|(length, _)| *length).collect();
    let (submitted, completion) = submitted(direction, &lengths);
    for (part, (_, outcome)) in submitted.into_iter().zip(parts) {
        part.complete(outcome.map_err(error));
    }
    plain(completion.wait())
}

mod worked_examples {
    use super::*;

    #[test]
    fn full_and_1k_of_two_32k_reads_are_33792() {
        assert_eq!(result_of(Read, &[(32 * K, Ok(32 * K)), (32 * K, Ok(K))]), Ok(33_792));
    }

    #[test]
    fn data_behind_a_hole_is_dropped() {
        assert_eq!(result_of(Read, &[(32 * K, Ok(K)), (32 * K, Ok(32 * K))]), Ok(1024));
    }

    #[test]
    fn the_hole_nearest_to_the_start_wins() {
        let parts = [32 * K, 0, 5 * K, 32 * K].map(|bytes| (32 * K, Ok(bytes)));
        assert_eq!(result_of(Read, &parts), Ok(32_768));
    }

    #[test]
    fn nothing_in_the_first_part_is_nothing() {
        assert_eq!(result_of(Read, &[(32 * K, Ok(0)), (32 * K, Ok(32 * K))]), Ok(0));
    }

    #[test]
    fn any_short_write_is_eio() {
        assert_eq!(result_of(Write, &[(32 * K, Ok(32 * K)), (32 * K, Ok(K))]), Err(libc::EIO));
        assert_eq!(result_of(Write, &[(32 * K, Ok(0)), (32 * K, Ok(32 * K))]), Err(libc::EIO));
    }

    #[test]
    fn full_and_enospc_is_enospc() {
        let parts = [(32 * K, Ok(32 * K)), (32 * K, Err(libc::ENOSPC))];
        assert_eq!(result_of(Write, &parts), Err(libc::ENOSPC));
        assert_eq!(result_of(Read, &parts), Err(libc::ENOSPC));
    }

    #[test]
    fn short_and_error_is_the_error() {
        let parts = [(32 * K, Ok(K)), (32 * K, Err(libc::ENOSPC))];
        assert_eq!(result_of(Read, &parts), Err(libc::ENOSPC));
        assert_eq!(result_of(Write, &parts), Err(libc::ENOSPC));
    }

    #[test]
    fn of_two_errors_the_first_completed_wins() {
        let (mut parts, completion) = submitted(Read, &[K, K]);
        parts.pop().unwrap().complete(Err(error(libc::ENOSPC)));
        parts.pop().unwrap().complete(Err(error(libc::EACCES)));
        assert_eq!(plain(completion.wait()), Err(libc::ENOSPC));
    }

    #[test]
    fn a_write_reply_larger_than_the_request_is_eio() {
        assert_eq!(result_of(Write, &[(K, Ok(K + 1)), (K, Ok(K))]), Err(libc::EIO));
        assert_eq!(result_of(Read, &[(K, Ok(K)), (K, Ok(u64::MAX))]), Err(libc::EIO));
    }

    #[test]
    fn a_part_completed_before_the_next_is_submitted_does_not_complete_the_io() {
        let (mut submission, completion) = Submission::new(Read);
        let (deliver, delivered) = mpsc::channel();
        completion.on_complete(move |result| deliver.send(plain(result)).unwrap());
        submission.part(K).complete(Ok(K));
        assert!(delivered.try_recv().is_err(), "the submission is not over");
        submission.part(K).complete(Ok(K));
        assert!(delivered.try_recv().is_err(), "the submission is not over");
        submission.finish();
        assert_eq!(delivered.try_recv(), Ok(Ok(2 * K)));
        assert!(delivered.try_recv().is_err(), "exactly one completion");
    }
}

#[test]
fn an_io_without_parts_completes_with_0() {
    for direction in [Read, Write] {
        let (submission, completion) = Submission::new(direction);
        submission.finish();
        assert_eq!(plain(completion.wait()), Ok(0));
    }
}

#[test]
fn a_dropped_submission_is_a_finished_one() {
    let (mut submission, completion) = Submission::new(Read);
    let part = submission.part(K);
    drop(submission);
    part.complete(Ok(K));
    assert_eq!(plain(completion.wait()), Ok(K));
}

#[test]
fn a_submission_that_breaks_off_fails_once_its_parts_are_in() {
    let (mut submission, completion) = Submission::new(Write);
    let part = submission.part(K);
    submission.fail(error(libc::ENOMEM));
    assert!(part.is_cancelled());
    part.complete(Ok(K));
    assert_eq!(plain(completion.wait()), Err(libc::ENOMEM));
}

#[test]
fn a_dropped_part_has_failed() {
    let (parts, completion) = submitted(Read, &[K, K]);
    drop(parts);
    assert_eq!(plain(completion.wait()), Err(libc::EIO));
}

#[test]
fn parts_know_where_they_lie() {
    let (mut submission, _completion) = Submission::new(Read);
    let parts = [3, 0, 5].map(|length| submission.part(length));
    assert_eq!(
        parts.each_ref().map(|part| (part.position(), part.length())),
        [(0, 3), (3, 0), (3, 5)]
    );
}

#[test]
fn bytes_that_are_there_need_no_part() {
    let (mut submission, completion) = Submission::new(Read);
    submission.skip(K);
    let first = submission.part(K);
    submission.skip(7);
    let second = submission.part(K);
    submission.skip(K);
    assert_eq!((first.position(), second.position()), (K, 2 * K + 7));
    submission.finish();
    first.complete(Ok(K));
    second.complete(Ok(3));
    assert_eq!(plain(completion.wait()), Ok(2 * K + 10));
    let (mut submission, completion) = Submission::new(Write);
    submission.skip(u64::MAX);
    submission.skip(1);
    submission.finish();
    assert_eq!(plain(completion.wait()), Err(libc::EOVERFLOW));
}

#[test]
fn more_than_u64_max_bytes_overflow() {
    let (mut submission, completion) = Submission::new(Read);
    submission.part(u64::MAX).complete(Ok(u64::MAX));
    submission.part(0).complete(Ok(0));
    let part = submission.part(1);
    assert!(part.is_cancelled());
    part.complete(Ok(0));
    submission.finish();
    assert_eq!(plain(completion.wait()), Err(libc::EOVERFLOW));
}

#[test]
fn an_error_cancels_the_other_parts_at_once() {
    let (mut parts, completion) = submitted(Read, &[K, K]);
    assert!(!parts[0].is_cancelled());
    parts.pop().unwrap().complete(Err(error(libc::EACCES)));
    assert!(parts[0].is_cancelled());
    parts.pop().unwrap().complete(Ok(K));
    assert_eq!(plain(completion.wait()), Err(libc::EACCES));
}

#[test]
fn a_hole_cancels_nothing_since_an_error_would_still_win() {
    let (mut parts, completion) = submitted(Read, &[K, K]);
    let last = parts.pop().unwrap();
    parts.pop().unwrap().complete(Ok(0));
    assert!(!last.is_cancelled());
    last.complete(Err(error(libc::EACCES)));
    assert_eq!(plain(completion.wait()), Err(libc::EACCES));
}

#[test]
fn a_cancelled_io_waits_for_its_parts_and_is_ecanceled() {
    let (parts, completion) = submitted(Read, &[K, K]);
    let (deliver, delivered) = mpsc::channel();
    let canceller = completion.canceller();
    completion.on_complete(move |result| deliver.send(plain(result)).unwrap());
    canceller.cancel();
    for part in parts {
        assert!(part.is_cancelled());
        assert!(delivered.try_recv().is_err(), "a part may still use its memory");
        part.complete(Ok(K));
    }
    assert_eq!(delivered.try_recv(), Ok(Err(libc::ECANCELED)));
}

#[test]
fn cancelling_what_has_completed_changes_nothing() {
    let (mut parts, completion) = submitted(Read, &[K]);
    parts.pop().unwrap().complete(Ok(5));
    completion.cancel();
    assert_eq!(plain(completion.wait()), Ok(5));
}

#[test]
fn cancelling_what_has_failed_keeps_the_first_error() {
    let counters = Arc::new(CompletionCounters::default());
    let (mut submission, completion) = Submission::counted(Read, &counters);
    submission.part(K).complete(Err(error(libc::ENOSPC)));
    completion.cancel();
    submission.finish();
    assert_eq!(plain(completion.wait()), Err(libc::ENOSPC));
    let expected = CompletionStatistics { ios: 1, parts: 1, errors: 1, ..Default::default() };
    assert_eq!(counters.statistics(), expected);
}

#[test]
fn a_dropped_completion_detaches() {
    let counters = Arc::new(CompletionCounters::default());
    let (mut submission, completion) = Submission::counted(Read, &counters);
    let part = submission.part(K);
    submission.finish();
    drop(completion);
    assert!(!part.is_cancelled());
    part.complete(Ok(K));
    let expected = CompletionStatistics { ios: 1, parts: 1, ..Default::default() };
    assert_eq!(counters.statistics(), expected);
}

#[test]
fn counters_tell_what_became_of_each_io() {
    let counters = Arc::new(CompletionCounters::default());
    let run = |direction, outcomes: &[Outcome], cancel: bool| {
        let (mut submission, completion) = Submission::counted(direction, &counters);
        if cancel {
            completion.cancel();
        }
        for outcome in outcomes {
            submission.part(K).complete(outcome.map_err(error));
        }
        submission.finish();
        drop(completion);
    };
    run(Read, &[Ok(K); 16], false);
    let mut expected = CompletionStatistics { ios: 1, parts: 16, ..Default::default() };
    assert_eq!(counters.statistics(), expected);
    run(Read, &[Ok(K), Ok(1), Ok(0)], false);
    expected = CompletionStatistics { ios: 2, parts: 19, holes: 1, ..expected };
    assert_eq!(counters.statistics(), expected);
    run(Write, &[Ok(1)], false);
    expected = CompletionStatistics { ios: 3, parts: 20, holes: 2, errors: 1, ..expected };
    assert_eq!(counters.statistics(), expected);
    run(Read, &[Err(libc::EIO)], false);
    expected = CompletionStatistics { ios: 4, parts: 21, errors: 2, ..expected };
    assert_eq!(counters.statistics(), expected);
    run(Read, &[Ok(K)], true);
    expected = CompletionStatistics { ios: 5, parts: 22, cancelled: 1, ..expected };
    assert_eq!(counters.statistics(), expected);
}

mod deliveries {
    use super::*;

    /// Counts how often it wakes.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(completion: &mut Completion, waker: &Waker) -> Poll<Outcome> {
        Pin::new(completion).poll(&mut Context::from_waker(waker)).map(plain)
    }

    #[test]
    fn a_callback_after_completion_is_called_at_once() {
        let (submission, completion) = Submission::new(Read);
        submission.finish();
        let (deliver, delivered) = mpsc::channel();
        completion.on_complete(move |result| deliver.send(plain(result)).unwrap());
        assert_eq!(delivered.try_recv(), Ok(Ok(0)));
    }

    #[test]
    fn a_callback_runs_without_the_lock() {
        let (mut parts, completion) = submitted(Read, &[K]);
        let canceller = completion.canceller();
        let (deliver, delivered) = mpsc::channel();
        completion.on_complete(move |result| {
            canceller.cancel();
            deliver.send(plain(result)).unwrap();
        });
        parts.pop().unwrap().complete(Ok(K));
        assert_eq!(delivered.try_recv(), Ok(Ok(K)));
    }

    #[test]
    fn a_future_is_woken_once_and_only_by_its_latest_waker() {
        let (mut parts, mut completion) = submitted(Read, &[K, K]);
        let (early, late) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        assert_eq!(poll(&mut completion, &Waker::from(Arc::clone(&early))), Poll::Pending);
        let waker = Waker::from(Arc::clone(&late));
        assert_eq!(poll(&mut completion, &waker), Poll::Pending);
        parts.pop().unwrap().complete(Ok(K));
        assert_eq!(late.0.load(Ordering::SeqCst), 0);
        parts.pop().unwrap().complete(Ok(K));
        assert_eq!((early.0.load(Ordering::SeqCst), late.0.load(Ordering::SeqCst)), (0, 1));
        assert_eq!(poll(&mut completion, &waker), Poll::Ready(Ok(2 * K)));
    }

    /// Tells when its last clone is dropped.
    struct TellsItsEnd(mpsc::Sender<()>);

    impl Wake for TellsItsEnd {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for TellsItsEnd {
        fn drop(&mut self) {
            self.0.send(()).expect("the test listens");
        }
    }

    #[test]
    fn a_polled_future_may_be_waited_for_after_all() {
        let (mut parts, mut completion) = submitted(Read, &[K]);
        let (dropped, waits) = mpsc::channel();
        let waker = Waker::from(Arc::new(TellsItsEnd(dropped)));
        assert_eq!(poll(&mut completion, &waker), Poll::Pending);
        drop(waker);
        let waiting = thread::spawn(move || plain(completion.wait()));
        // the thread takes the waker's place, which could not wake it
        waits.recv_timeout(Duration::from_secs(20)).unwrap();
        parts.pop().unwrap().complete(Ok(K));
        assert_eq!(waiting.join().unwrap(), Ok(K));
    }

    #[test]
    fn a_dropped_future_gives_its_waker_back() {
        let (parts, mut completion) = submitted(Read, &[K]);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert_eq!(poll(&mut completion, &waker), Poll::Pending);
        drop(completion);
        drop(waker);
        assert_eq!(Arc::strong_count(&woken), 1);
        drop(parts);
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    }

    /// A waker that holds a part of the very I/O it waits for, as a task does that carries
    /// out parts itself.
    struct HoldsPart(#[expect(dead_code, reason = "dropping it is its use")] Part);

    impl Wake for HoldsPart {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn wakers_are_dropped_without_the_lock() {
        let (mut parts, mut completion) = submitted(Read, &[K, K]);
        let waker = Waker::from(Arc::new(HoldsPart(parts.pop().unwrap())));
        assert_eq!(poll(&mut completion, &waker), Poll::Pending);
        drop(waker);
        // takes the old waker's place, whose part completes with EIO
        assert_eq!(poll(&mut completion, Waker::noop()), Poll::Pending);
        parts.pop().unwrap().complete(Ok(K));
        assert_eq!(poll(&mut completion, Waker::noop()), Poll::Ready(Err(libc::EIO)));
    }
}

/// The obvious second implementation: all outcomes in the order in which they completed.
fn oracle(direction: Direction, parts: &[(u64, Outcome)], order: &[usize]) -> Outcome {
    let first_error = order.iter().find_map(|index| match parts[*index] {
        (_, Err(errno)) => Some(errno),
        (length, Ok(bytes)) if bytes > length => Some(libc::EIO),
        _ => None,
    });
    if let Some(errno) = first_error {
        return Err(errno);
    }
    let mut contiguous = 0;
    for (length, outcome) in parts {
        let bytes = outcome.expect("errors were looked for above");
        contiguous += bytes;
        if bytes < *length {
            return if direction == Write { Err(libc::EIO) } else { Ok(contiguous) };
        }
    }
    Ok(contiguous)
}

fn any_part() -> impl Strategy<Value = (u64, Outcome)> {
    let length = prop_oneof![Just(0), 1..10_u64, Just(128 * K), Just(u64::MAX / 64)];
    length.prop_flat_map(|length| {
        let outcome = prop_oneof![
            6 => Just(Ok(length)),
            2 => (0..=length).prop_map(Ok),
            1 => (length.saturating_add(1)..=u64::MAX).prop_map(Ok),
            1 => prop_oneof![Just(libc::EACCES), Just(libc::ENOSPC), Just(libc::EINTR)].prop_map(Err),
        ];
        (Just(length), outcome)
    })
}

fn any_io() -> impl Strategy<Value = (Direction, Vec<(u64, Outcome)>, Vec<usize>)> {
    let parts = prop::collection::vec(any_part(), 0..40);
    (prop_oneof![Just(Read), Just(Write)], parts).prop_flat_map(|(direction, parts)| {
        let order: Vec<_> = (0..parts.len()).collect();
        (Just(direction), Just(parts), Just(order).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn any_order_gives_what_the_oracle_says((direction, parts, order) in any_io()) {
        let lengths: Vec<_> = parts.iter().map(|(length, _)| *length).collect();
        let (submitted, completion) = submitted(direction, &lengths);
        let mut submitted: Vec<_> = submitted.into_iter().map(Some).collect();
        for index in &order {
            let part = submitted[*index].take().unwrap();
            part.complete(parts[*index].1.map_err(error));
        }
        prop_assert_eq!(plain(completion.wait()), oracle(direction, &parts, &order));
    }

    /// With several errors any may be first, so there is one errno here.
    #[test]
    fn any_threads_give_what_the_oracle_says(
        (direction, parts, order) in any_io(),
        threads in 1..6_usize,
    ) {
        let only = |outcome: Outcome| outcome.map_err(|_| libc::EIO);
        let parts: Vec<_> = parts.into_iter().map(|(l, outcome)| (l, only(outcome))).collect();
        let counters = Arc::new(CompletionCounters::default());
        let (mut submission, completion) = Submission::counted(direction, &counters);
        let start = Arc::new(Barrier::new(threads + 1));
        let (senders, workers): (Vec<_>, Vec<_>) = (0..threads).map(|_| {
            let (send, receive) = mpsc::channel::<(Part, Outcome)>();
            let start = Arc::clone(&start);
            (send, thread::spawn(move || {
                start.wait();
                for (part, outcome) in receive {
                    part.complete(outcome.map_err(error));
                }
            }))
        }).unzip();
        // completing races with submitting
        start.wait();
        for (index, (length, outcome)) in parts.iter().enumerate() {
            let part = submission.part(*length);
            senders[order[index] % threads].send((part, *outcome)).unwrap();
        }
        drop(senders);
        submission.finish();
        prop_assert_eq!(plain(completion.wait()), oracle(direction, &parts, &order));
        prop_assert_eq!(counters.statistics().ios, 1);
        prop_assert_eq!(counters.statistics().parts, parts.len() as u64);
        for worker in workers {
            worker.join().unwrap();
        }
    }
}
