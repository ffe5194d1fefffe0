//! Which number has which name.

use fusesg_sg::{CompletionStatistics, PoolStatistics, RequestStatistics};

use super::Value;
use crate::data_path::DataPathStatistics;
use crate::histogram::Durations;
use crate::locks::LockStatistics;
use crate::metrics::{OldRequest, OperationStatistics, Statistics};
use crate::notifier::NotificationStatistics;

impl From<&Statistics> for Value {
    fn from(statistics: &Statistics) -> Self {
        let core = Self::from(&statistics.data_path)
            .with(Self::map([("requests", (&statistics.requests).into())]))
            .with(Self::map([("pool", (&statistics.pool).into())]));
        Self::map([
            ("operations", statistics.operations()),
            ("in_flight", statistics.in_flight.into()),
            ("parked", statistics.parked.into()),
            ("oldest", oldest(&statistics.oldest)),
            ("given_up", statistics.given_up()),
            ("interrupted", statistics.interrupted.into()),
            ("timed_out", statistics.timed_out.into()),
            ("notifications", (&statistics.notifications).into()),
            ("locks", (&statistics.locks).into()),
            ("pool", (&statistics.pool).into()),
            ("core", core),
        ])
    }
}

impl Statistics {
    /// Each operation's numbers, by its name.
    pub fn operations(&self) -> Value {
        let named = |operation: &OperationStatistics| (operation.kind.name(), operation.into());
        Value::Map(self.operations.iter().map(named).collect())
    }

    /// What runs on after it was answered.
    pub fn given_up(&self) -> Value {
        Value::map([("running", self.given_up.into()), ("oldest", oldest(&self.oldest_given_up))])
    }
}

impl From<&OperationStatistics> for Value {
    fn from(operation: &OperationStatistics) -> Self {
        let numbers = Self::map([
            ("count", operation.count.into()),
            ("errors", operation.errors.into()),
            ("bytes", operation.bytes.into()),
            ("latency", (&operation.latency).into()),
        ]);
        match &operation.callback {
            None => numbers,
            Some(callback) => numbers.with(Self::map([
                ("gil_wait", (&callback.gil_wait).into()),
                ("callback", (&callback.run).into()),
            ])),
        }
    }
}

impl From<&Durations> for Value {
    fn from(durations: &Durations) -> Self {
        let bucket = |(end, count): (u64, u64)| Self::List(vec![end.into(), count.into()]);
        Self::map([
            ("timed", durations.count().into()),
            ("seconds", durations.total.into()),
            ("p50", durations.quantile(0.5).into()),
            ("p90", durations.quantile(0.9).into()),
            ("p99", durations.quantile(0.99).into()),
            ("max", durations.longest.into()),
            ("buckets_ns", Self::List(durations.buckets().map(bucket).collect())),
        ])
    }
}

impl From<&OldRequest> for Value {
    fn from(request: &OldRequest) -> Self {
        Self::map([
            ("operation", request.kind.name().into()),
            ("seconds", request.age.into()),
            ("pid", request.pid.into()),
        ])
    }
}

impl From<&NotificationStatistics> for Value {
    fn from(notifications: &NotificationStatistics) -> Self {
        Self::map([
            ("sent", notifications.sent.into()),
            ("ignored", notifications.ignored.into()),
            ("merged", notifications.merged.into()),
            ("dropped", notifications.dropped.into()),
            ("failed", notifications.failed.into()),
            ("waiting", notifications.waiting.into()),
        ])
    }
}

impl From<&LockStatistics> for Value {
    fn from(locks: &LockStatistics) -> Self {
        Self::map([
            ("waiting", locks.waiting.into()),
            ("waited", locks.waited.into()),
            ("retries", locks.retries.into()),
        ])
    }
}

impl From<&RequestStatistics> for Value {
    fn from(requests: &RequestStatistics) -> Self {
        Self::map([
            ("allocated", requests.allocated.into()),
            ("outstanding", requests.outstanding.into()),
            ("inline", requests.inline.into()),
            ("heap", requests.heap.into()),
            ("pages_requested", requests.pages_requested.into()),
            ("pages_used", requests.pages_used.into()),
            ("reserved_uses", requests.reserved_uses.into()),
            ("waits", requests.waits.into()),
            ("failures", requests.failures.into()),
        ])
    }
}

impl From<&PoolStatistics> for Value {
    fn from(pool: &PoolStatistics) -> Self {
        Self::map([
            ("hits", pool.hits.into()),
            ("misses", pool.misses.into()),
            ("bytes_resident", pool.bytes_resident.into()),
            ("bytes_peak", pool.bytes_peak.into()),
            ("bytes_idle", pool.bytes_idle.into()),
            ("bytes_low_water", pool.bytes_low_water.into()),
        ])
    }
}

impl From<&CompletionStatistics> for Value {
    fn from(completions: &CompletionStatistics) -> Self {
        Self::map([
            ("ios", completions.ios.into()),
            ("parts", completions.parts.into()),
            ("holes", completions.holes.into()),
            ("errors", completions.errors.into()),
            ("cancelled", completions.cancelled.into()),
        ])
    }
}

impl From<&DataPathStatistics> for Value {
    fn from(path: &DataPathStatistics) -> Self {
        let packer = Self::map([
            ("contiguous", path.contiguous.into()),
            ("vectored", path.vectored.into()),
            ("reads", path.reads.into()),
            ("segments", path.moved.segments.into()),
            ("calls", path.moved.calls.into()),
        ]);
        let pipes = Self::map([
            ("made", path.pipes.made.into()),
            ("discarded", path.pipes.discarded.into()),
            ("idle", path.pipes.idle.into()),
            ("lent", path.pipes.lent.into()),
            ("lent_peak", path.pipes.lent_peak.into()),
        ]);
        let copier = Self::map([
            ("messages", path.moved.messages.into()),
            ("sources", path.moved.sources.into()),
            ("bytes_spliced", path.moved.bytes_spliced.into()),
            ("bytes_mapped", path.moved.bytes_mapped.into()),
            ("bytes_copied", path.moved.bytes_copied.into()),
            ("spliced", path.spliced.into()),
            ("not_spliced", by_reason(&path.not_spliced)),
            ("moves_offered", path.moves_offered.into()),
            ("not_moved", by_reason(&path.not_moved)),
            ("refused", path.refused.into()),
            ("pipes", pipes),
        ]);
        Self::map([("packer", packer), ("copier", copier)])
    }
}

fn oldest(requests: &[OldRequest]) -> Value {
    Value::List(requests.iter().map(Value::from).collect())
}

fn by_reason(counts: &[(&'static str, u64)]) -> Value {
    Value::Map(counts.iter().map(|(reason, count)| (*reason, (*count).into())).collect())
}
