//! The numbers of a mount as a dict.

use fusesg_fs::PathTable;
use fusesg_serve::{
    DataPathStatistics, LockStatistics, NotificationStatistics, OperationStatistics, Statistics,
};
use fusesg_sg::{CompletionStatistics, PoolStatistics, RequestStatistics};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::dispatch::dispatcher::Core;

/// A dict of plain numbers, dicts and lists.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    statistics: &Statistics,
    core: &Core,
) -> PyResult<Bound<'py, PyDict>> {
    let operations = operations_to_python(py, statistics)?;
    let pool = pool_to_python(py, &statistics.pool)?;
    let moved = data_path_to_python(py, &statistics.data_path)?;
    moved.set_item("requests", requests_to_python(py, &statistics.requests)?)?;
    moved.set_item("pool", &pool)?;
    let write_pool = pool_to_python(py, &core.pools.statistics())?;
    moved.set_item("completions", completions_to_python(py, &core.fetches.completions())?)?;
    let (threads, peak, queued) = core.executor_statistics();
    let python = PyDict::new(py);
    python.set_item("threads", threads)?;
    python.set_item("threads_peak", peak)?;
    python.set_item("queued", queued)?;
    python.set_item("callbacks", core.callbacks())?;
    python.set_item("handles", core.handles.len())?;
    python.set_item("paths", core.paths.as_deref().map_or(0, PathTable::len))?;
    python.set_item("event_loop", loop_to_python(py, core)?)?;
    python.set_item("fetches", fetches_to_python(py, core)?)?;
    python.set_item("write_pool", write_pool)?;
    let all = PyDict::new(py);
    all.set_item("operations", operations)?;
    all.set_item("in_flight", statistics.in_flight)?;
    all.set_item("interrupted", statistics.interrupted)?;
    all.set_item("timed_out", statistics.timed_out)?;
    all.set_item("notifications", notifications_to_python(py, &statistics.notifications)?)?;
    all.set_item("locks", locks_to_python(py, &statistics.locks)?)?;
    all.set_item("pool", pool)?;
    all.set_item("core", moved)?;
    all.set_item("python", python)?;
    Ok(all)
}

/// What became of notifications.
fn notifications_to_python<'py>(
    py: Python<'py>,
    notifications: &NotificationStatistics,
) -> PyResult<Bound<'py, PyDict>> {
    let numbers = PyDict::new(py);
    numbers.set_item("sent", notifications.sent)?;
    numbers.set_item("ignored", notifications.ignored)?;
    numbers.set_item("merged", notifications.merged)?;
    numbers.set_item("dropped", notifications.dropped)?;
    numbers.set_item("failed", notifications.failed)?;
    numbers.set_item("waiting", notifications.waiting)?;
    Ok(numbers)
}

/// Those who wait for locks.
fn locks_to_python<'py>(py: Python<'py>, locks: &LockStatistics) -> PyResult<Bound<'py, PyDict>> {
    let numbers = PyDict::new(py);
    numbers.set_item("waiting", locks.waiting)?;
    numbers.set_item("waited", locks.waited)?;
    numbers.set_item("retries", locks.retries)?;
    Ok(numbers)
}

/// What operations were served with.
pub(crate) fn requests_to_python<'py>(
    py: Python<'py>,
    requests: &RequestStatistics,
) -> PyResult<Bound<'py, PyDict>> {
    let numbers = PyDict::new(py);
    numbers.set_item("allocated", requests.allocated)?;
    numbers.set_item("outstanding", requests.outstanding)?;
    numbers.set_item("inline", requests.inline)?;
    numbers.set_item("heap", requests.heap)?;
    numbers.set_item("pages_requested", requests.pages_requested)?;
    numbers.set_item("pages_used", requests.pages_used)?;
    numbers.set_item("reserved_uses", requests.reserved_uses)?;
    numbers.set_item("waits", requests.waits)?;
    numbers.set_item("failures", requests.failures)?;
    Ok(numbers)
}

/// What buffers were lent.
pub(crate) fn pool_to_python<'py>(
    py: Python<'py>,
    pool: &PoolStatistics,
) -> PyResult<Bound<'py, PyDict>> {
    let numbers = PyDict::new(py);
    numbers.set_item("hits", pool.hits)?;
    numbers.set_item("misses", pool.misses)?;
    numbers.set_item("bytes_resident", pool.bytes_resident)?;
    numbers.set_item("bytes_idle", pool.bytes_idle)?;
    numbers.set_item("bytes_low_water", pool.bytes_low_water)?;
    Ok(numbers)
}

/// Callbacks that are awaited, and those that wait for the loop.
pub(crate) fn loop_to_python<'py>(py: Python<'py>, core: &Core) -> PyResult<Bound<'py, PyDict>> {
    let statistics = core.event_loop.statistics();
    let numbers = PyDict::new(py);
    numbers.set_item("tasks", statistics.tasks)?;
    numbers.set_item("queued", statistics.queued)?;
    Ok(numbers)
}

/// The pieces of answers that are being fetched.
pub(crate) fn fetches_to_python<'py>(py: Python<'py>, core: &Core) -> PyResult<Bound<'py, PyDict>> {
    let pieces = core.fetches.statistics();
    let fetches = PyDict::new(py);
    fetches.set_item("running", pieces.running)?;
    fetches.set_item("queued", pieces.queued)?;
    fetches.set_item("pool", pool_to_python(py, &pieces.pool)?)?;
    Ok(fetches)
}

/// What became of I/Os in several parts.
pub(crate) fn completions_to_python<'py>(
    py: Python<'py>,
    statistics: &CompletionStatistics,
) -> PyResult<Bound<'py, PyDict>> {
    let numbers = PyDict::new(py);
    numbers.set_item("ios", statistics.ios)?;
    numbers.set_item("parts", statistics.parts)?;
    numbers.set_item("holes", statistics.holes)?;
    numbers.set_item("errors", statistics.errors)?;
    numbers.set_item("cancelled", statistics.cancelled)?;
    Ok(numbers)
}

/// Which way the data of READs went.
fn data_path_to_python<'py>(
    py: Python<'py>,
    statistics: &DataPathStatistics,
) -> PyResult<Bound<'py, PyDict>> {
    let not_spliced = PyDict::new(py);
    for (reason, count) in &statistics.not_spliced {
        not_spliced.set_item(reason, count)?;
    }
    let not_moved = PyDict::new(py);
    for (reason, pages) in &statistics.not_moved {
        not_moved.set_item(reason, pages)?;
    }
    let pipes = PyDict::new(py);
    pipes.set_item("made", statistics.pipes.made)?;
    pipes.set_item("discarded", statistics.pipes.discarded)?;
    pipes.set_item("idle", statistics.pipes.idle)?;
    let packer = PyDict::new(py);
    packer.set_item("contiguous", statistics.contiguous)?;
    packer.set_item("vectored", statistics.vectored)?;
    packer.set_item("reads", statistics.reads)?;
    packer.set_item("segments", statistics.moved.segments)?;
    packer.set_item("calls", statistics.moved.calls)?;
    let copier = PyDict::new(py);
    copier.set_item("messages", statistics.moved.messages)?;
    copier.set_item("sources", statistics.moved.sources)?;
    copier.set_item("bytes_spliced", statistics.moved.bytes_spliced)?;
    copier.set_item("bytes_mapped", statistics.moved.bytes_mapped)?;
    copier.set_item("bytes_copied", statistics.moved.bytes_copied)?;
    copier.set_item("spliced", statistics.spliced)?;
    copier.set_item("not_spliced", not_spliced)?;
    copier.set_item("moves_offered", statistics.moves_offered)?;
    copier.set_item("not_moved", not_moved)?;
    copier.set_item("refused", statistics.refused)?;
    copier.set_item("pipes", pipes)?;
    let numbers = PyDict::new(py);
    numbers.set_item("packer", packer)?;
    numbers.set_item("copier", copier)?;
    Ok(numbers)
}

/// The numbers of each operation that was asked for.
pub(crate) fn operations_to_python<'py>(
    py: Python<'py>,
    statistics: &Statistics,
) -> PyResult<Bound<'py, PyDict>> {
    let operations = PyDict::new(py);
    for operation in &statistics.operations {
        operations.set_item(operation.kind.name(), operation_to_python(py, operation)?)?;
    }
    Ok(operations)
}

fn operation_to_python<'py>(
    py: Python<'py>,
    operation: &OperationStatistics,
) -> PyResult<Bound<'py, PyDict>> {
    let numbers = PyDict::new(py);
    numbers.set_item("count", operation.count)?;
    numbers.set_item("errors", operation.errors)?;
    numbers.set_item("bytes", operation.bytes)?;
    numbers.set_item("seconds", operation.time.as_secs_f64())?;
    // bucket i: from 2**i up to 2**(i + 1) nanoseconds
    numbers.set_item("latency", operation.latency.to_vec())?;
    Ok(numbers)
}
