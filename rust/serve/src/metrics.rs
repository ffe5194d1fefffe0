//! What was served: counts, errors, bytes and latencies per operation.
//!
//! Counters are spread over a few shards by thread, so that serving threads do not pull
//! one cache line back and forth; reading sums them up.
//!
//! Every operation is counted, but not every one is timed: reading the clock twice would cost
//! more than all the rest. The first [`ALWAYS_TIMED`] of each operation are, and after that
//! one in [`TIMED_ONE_IN`]. Whatever takes longer than a few milliseconds is noticed all the
//! same, by the coarse clock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fusesg_fs::OperationKind;
use fusesg_sg::{PoolStatistics, RequestStatistics, thread_number};

use crate::clock;
use crate::data_path::DataPathStatistics;
use crate::histogram::{Durations, Histogram};
use crate::in_flight::Pending;
use crate::locks::LockStatistics;
use crate::notifier::NotificationStatistics;

const SHARDS: usize = 4;
/// Operations of each kind, and of each shard, that are timed before any is left out.
const ALWAYS_TIMED: u64 = 1024;
/// A power of two.
const TIMED_ONE_IN: u64 = 8;

/// Numbers of one mount since it was made.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Operations that were asked for at least once.
    pub operations: Vec<OperationStatistics>,
    /// Requests that have not been answered.
    pub in_flight: usize,
    /// Those of them that wait until others have ended.
    pub parked: usize,
    /// Those of them that were asked for first, the oldest first.
    pub oldest: Vec<OldRequest>,
    /// Requests that were answered in their callback's place, which still runs.
    pub given_up: usize,
    /// Those of them that were asked for first, the oldest first.
    pub oldest_given_up: Vec<OldRequest>,
    /// Requests answered EINTR because their caller was killed.
    pub interrupted: u64,
    /// Requests answered ETIMEDOUT because of the mount's deadline.
    pub timed_out: u64,
    /// The requests that operations are served with.
    pub requests: RequestStatistics,
    /// The pools of reply buffers.
    pub pool: PoolStatistics,
    /// What the kernel was told unasked.
    pub notifications: NotificationStatistics,
    /// Those who wait for POSIX locks.
    pub locks: LockStatistics,
    /// Which way the data of READs went.
    pub data_path: DataPathStatistics,
}

/// Numbers of one operation.
#[derive(Clone, Debug)]
pub struct OperationStatistics {
    /// Which operation.
    pub kind: OperationKind,
    /// Answers given, errors included.
    pub count: u64,
    /// Answers that were an error.
    pub errors: u64,
    /// Bytes of file data and attribute values that were moved.
    pub bytes: u64,
    /// From a request's arrival to when its answer was sent, of those that were timed.
    pub latency: Durations,
    /// Of callbacks in Python, if there were any.
    pub callback: Option<CallbackStatistics>,
}

/// Where the time of an operation's callbacks went, of those that were timed.
#[derive(Clone, Debug, Default)]
pub struct CallbackStatistics {
    /// Waiting for the interpreter.
    pub gil_wait: Durations,
    /// In the method; of one that is awaited, from its call to its end.
    pub run: Durations,
}

/// A request whose callback runs.
#[derive(Clone, Copy, Debug)]
pub struct OldRequest {
    /// Its operation.
    pub kind: OperationKind,
    /// How long ago it came.
    pub age: Duration,
    /// Thread that waits for it; 0 if that is not known here.
    pub pid: u32,
}

impl From<Pending> for OldRequest {
    fn from(request: Pending) -> Self {
        Self { kind: request.kind, age: request.age, pid: request.pid }
    }
}

/// The counters of one mount.
#[derive(Debug, Default)]
pub struct Metrics {
    shards: [Shard; SHARDS],
    pub(crate) interrupted: AtomicU64,
    pub(crate) timed_out: AtomicU64,
}

/// When an operation began: nanoseconds on the clocks of `clock.rs`, and in the topmost bit
/// whether it is timed. If not, the time is never too early, and late by two ticks at most.
#[derive(Clone, Copy, Debug)]
pub struct Started(u64);

const TIMED: u64 = 1 << 63;

impl Started {
    /// Now; its end will be timed.
    pub(crate) fn now() -> Self {
        Self(clock::now() | TIMED)
    }

    /// At a time that was noted before.
    pub(crate) fn untimed(at: u64) -> Self {
        Self(at & !TIMED)
    }

    /// All that there is to know, for an atomic.
    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    /// The same again.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// When that was.
    pub(crate) fn at(self) -> u64 {
        self.0 & !TIMED
    }

    /// How long ago that was.
    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_nanos(clock::now().saturating_sub(self.at()))
    }

    /// Whether it is known exactly.
    pub(crate) fn is_timed(self) -> bool {
        self.0 & TIMED != 0
    }
}

/// Of the operations of some threads; of those that never come there is nothing.
#[derive(Debug)]
struct Shard([OnceLock<Box<Counters>>; OperationKind::COUNT]);

impl Default for Shard {
    fn default() -> Self {
        Self([const { OnceLock::new() }; OperationKind::COUNT])
    }
}

#[repr(align(128))]
#[derive(Debug, Default)]
struct Counters {
    answers: AtomicU64,
    errors: AtomicU64,
    bytes: AtomicU64,
    latency: Histogram,
    callback: OnceLock<Box<CallbackTimes>>,
}

#[derive(Debug, Default)]
struct CallbackTimes {
    gil_wait: Histogram,
    run: Histogram,
}

impl Metrics {
    /// An operation begins. `number` tells it from others of its kind.
    pub fn begin(&self, kind: OperationKind, number: u64) -> Started {
        if self.counters(kind).answers.load(Ordering::Relaxed) < ALWAYS_TIMED || is_drawn(number) {
            return Started::now();
        }
        Started::untimed(clock::coarse() + clock::tick())
    }

    /// Counts an answer that is about to be sent: whoever has it finds it in the numbers.
    pub fn count(&self, kind: OperationKind, failed: bool, bytes: u64) {
        let counters = self.counters(kind);
        counters.answers.fetch_add(1, Ordering::Relaxed);
        if failed {
            counters.errors.fetch_add(1, Ordering::Relaxed);
        }
        if bytes != 0 {
            counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// An answer that was counted as good could not be sent.
    pub(crate) fn count_unsent(&self, kind: OperationKind) {
        self.counters(kind).errors.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer was sent. Returns how many nanoseconds that took from the beginning, if it
    /// was timed.
    pub fn end(&self, kind: OperationKind, started: Started) -> Option<u64> {
        let latency = &self.counters(kind).latency;
        if started.is_timed() {
            let nanoseconds = clock::now().saturating_sub(started.at());
            latency.record(nanoseconds);
            return Some(nanoseconds);
        }
        latency.note(clock::coarse().saturating_sub(started.at()));
        None
    }

    /// Notes where the time of a callback went.
    pub(crate) fn time_callback(&self, kind: OperationKind, gil_wait: Option<u64>, run: u64) {
        let times = self.counters(kind).callback.get_or_init(Box::default);
        if let Some(gil_wait) = gil_wait {
            times.gil_wait.record(gil_wait);
        }
        times.run.record(run);
    }

    fn counters(&self, kind: OperationKind) -> &Counters {
        self.shards[thread_number() % SHARDS].0[kind as usize].get_or_init(Box::default)
    }

    /// The sums.
    pub(crate) fn operations(&self) -> Vec<OperationStatistics> {
        let sums = OperationKind::ALL.iter().map(|kind| self.operation(*kind));
        sums.filter(|operation| operation.count > 0).collect()
    }

    fn operation(&self, kind: OperationKind) -> OperationStatistics {
        let mut sum = OperationStatistics {
            kind,
            count: 0,
            errors: 0,
            bytes: 0,
            latency: Durations::default(),
            callback: None,
        };
        for counters in self.shards.iter().filter_map(|shard| shard.0[kind as usize].get()) {
            sum.count += counters.answers.load(Ordering::Relaxed);
            sum.errors += counters.errors.load(Ordering::Relaxed);
            sum.bytes += counters.bytes.load(Ordering::Relaxed);
            counters.latency.add_to(&mut sum.latency);
            if let Some(times) = counters.callback.get() {
                let callback = sum.callback.get_or_insert_default();
                times.gil_wait.add_to(&mut callback.gil_wait);
                times.run.add_to(&mut callback.run);
            }
        }
        sum
    }
}

/// Whether that number is one of those that are timed. Those that are next to each other, and
/// those that are any other distance apart, are drawn equally often: a program that asks for
/// the same few operations over and over has each of them timed.
fn is_drawn(number: u64) -> bool {
    const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
    number.wrapping_mul(GOLDEN_RATIO) >> (u64::BITS - TIMED_ONE_IN.ilog2()) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(metrics: &Metrics, kind: OperationKind, number: u64, failed: bool, bytes: u64) {
        let started = metrics.begin(kind, number);
        metrics.count(kind, failed, bytes);
        metrics.end(kind, started);
    }

    #[test]
    fn counts_from_all_threads_add_up() {
        let metrics = Metrics::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in 0..100 {
                        serve(&metrics, OperationKind::Read, number, false, 4096);
                    }
                    serve(&metrics, OperationKind::Read, 0, true, 0);
                });
            }
        });
        let operations = metrics.operations();
        assert_eq!(operations.len(), 1);
        assert_eq!(operations[0].count, 808);
        assert_eq!(operations[0].errors, 8);
        assert_eq!(operations[0].bytes, 800 * 4096);
        assert_eq!(operations[0].latency.count(), 808, "so few are all timed");
        assert!(operations[0].callback.is_none());
    }

    #[test]
    fn of_many_one_in_eight_is_timed() {
        const MORE: u64 = 80_000;
        let metrics = Metrics::default();
        // the kernel's numbers are even
        for number in 0..ALWAYS_TIMED + MORE {
            serve(&metrics, OperationKind::Getattr, number * 2, false, 0);
        }
        let operation = &metrics.operations()[0];
        assert_eq!(operation.count, ALWAYS_TIMED + MORE);
        let drawn = operation.latency.count() - ALWAYS_TIMED;
        assert!(drawn.abs_diff(MORE / TIMED_ONE_IN) < MORE / 1000, "{drawn}");
    }

    #[test]
    fn whatever_the_pattern_each_operation_of_it_is_timed() {
        for distance in 1..=64 {
            for first in 0..8 {
                let drawn = (0..8000).filter(|n| is_drawn(first + n * distance)).count();
                assert!((700..1300).contains(&drawn), "{drawn} of every {distance}th");
            }
        }
    }

    #[test]
    fn what_is_not_timed_is_noticed_if_it_takes_long() {
        let metrics = Metrics::default();
        let kind = OperationKind::Lookup;
        let long_ago = Started::untimed(clock::now() - 1_000_000_000);
        metrics.count(kind, false, 0);
        assert_eq!(metrics.end(kind, long_ago), None);
        let latency = &metrics.operations()[0].latency;
        assert_eq!(latency.count(), 0);
        assert!(latency.longest >= Duration::from_millis(950), "{:?}", latency.longest);
    }

    #[test]
    fn the_times_of_callbacks_are_kept_apart() {
        let metrics = Metrics::default();
        metrics.count(OperationKind::Open, false, 0);
        metrics.time_callback(OperationKind::Open, Some(1000), 5000);
        metrics.time_callback(OperationKind::Open, None, 5000);
        let callback = metrics.operations()[0].callback.clone().expect("was timed");
        assert_eq!(callback.gil_wait.total, Duration::from_micros(1));
        assert_eq!(callback.run.total, Duration::from_micros(10));
    }
}
