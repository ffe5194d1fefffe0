//! What was served: counts, errors, bytes and latencies per operation.
//!
//! Counters are spread over a few shards by thread, so that serving threads do not pull
//! one cache line back and forth; reading sums them up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fusesg_fs::OperationKind;
use fusesg_sg::{PoolStatistics, RequestStatistics, thread_number};

use crate::data_path::DataPathStatistics;
use crate::locks::LockStatistics;
use crate::notifier::NotificationStatistics;

const SHARDS: usize = 4;
/// Bucket `i` counts latencies of `[2^i, 2^(i+1))` nanoseconds; the last one all above.
pub const LATENCY_BUCKETS: usize = 36;

/// Numbers of one mount since it was made.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Operations that were asked for at least once.
    pub operations: Vec<OperationStatistics>,
    /// Requests being served now.
    pub in_flight: usize,
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
    /// Sum of all latencies, from a request's arrival to when its answer was sent.
    pub time: Duration,
    /// Latency histogram; see [`LATENCY_BUCKETS`].
    pub latency: [u64; LATENCY_BUCKETS],
}

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    shards: [Shard; SHARDS],
    pub(crate) interrupted: AtomicU64,
    pub(crate) timed_out: AtomicU64,
}

#[derive(Debug)]
struct Shard(Box<[Counters]>);

impl Default for Shard {
    fn default() -> Self {
        Self(std::iter::repeat_with(Counters::default).take(OperationKind::COUNT).collect())
    }
}

#[repr(align(128))]
#[derive(Debug)]
struct Counters {
    answers: AtomicU64,
    errors: AtomicU64,
    bytes: AtomicU64,
    nanoseconds: AtomicU64,
    latency: [AtomicU64; LATENCY_BUCKETS],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            answers: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
            latency: [const { AtomicU64::new(0) }; LATENCY_BUCKETS],
        }
    }
}

impl Metrics {
    /// Counts an answer that is about to be sent: whoever has it finds it in the numbers.
    pub(crate) fn count(&self, kind: OperationKind, failed: bool, bytes: u64) {
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

    /// Notes how long an answer that was counted took, sending it included.
    pub(crate) fn time(&self, kind: OperationKind, nanoseconds: u64) {
        let counters = self.counters(kind);
        counters.latency[bucket(nanoseconds)].fetch_add(1, Ordering::Relaxed);
        counters.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn counters(&self, kind: OperationKind) -> &Counters {
        &self.shards[thread_number() % SHARDS].0[kind as usize]
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
            time: Duration::ZERO,
            latency: [0; LATENCY_BUCKETS],
        };
        for shard in &self.shards {
            let counters = &shard.0[kind as usize];
            sum.count += counters.answers.load(Ordering::Relaxed);
            sum.errors += counters.errors.load(Ordering::Relaxed);
            sum.bytes += counters.bytes.load(Ordering::Relaxed);
            sum.time += Duration::from_nanos(counters.nanoseconds.load(Ordering::Relaxed));
            for (total, counter) in sum.latency.iter_mut().zip(&counters.latency) {
                *total += counter.load(Ordering::Relaxed);
            }
        }
        sum
    }
}

fn bucket(nanoseconds: u64) -> usize {
    (nanoseconds.max(1).ilog2() as usize).min(LATENCY_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_powers_of_two() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(1), 0);
        assert_eq!(bucket(1023), 9);
        assert_eq!(bucket(1024), 10);
        assert_eq!(bucket(u64::MAX), LATENCY_BUCKETS - 1);
    }

    #[test]
    fn counts_from_all_threads_add_up() {
        let metrics = Metrics::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        metrics.count(OperationKind::Read, false, 4096);
                        metrics.time(OperationKind::Read, 2000);
                    }
                    metrics.count(OperationKind::Read, true, 0);
                    metrics.time(OperationKind::Read, 2000);
                });
            }
        });
        let operations = metrics.operations();
        assert_eq!(operations.len(), 1);
        assert_eq!(operations[0].count, 8008);
        assert_eq!(operations[0].errors, 8);
        assert_eq!(operations[0].bytes, 8000 * 4096);
        assert_eq!(operations[0].latency[10], 8008);
    }
}
