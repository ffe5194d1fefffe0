//! The numbers of a client as a dict.

use fusesg_fs::PathTable;
use fusesg_serve::ClientStatistics;
use fusesg_sg::PAGE_SIZE;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::dispatch::dispatcher::Core;
use crate::mount::statistics::{
    completions_to_python, fetches_to_python, loop_to_python, operations_to_python, pool_to_python,
    requests_to_python,
};

/// A dict of plain numbers and dicts.
pub(super) fn to_python<'py>(
    py: Python<'py>,
    statistics: &ClientStatistics,
    core: &Core,
) -> PyResult<Bound<'py, PyDict>> {
    let served = &statistics.served;
    let all = PyDict::new(py);
    all.set_item("operations", operations_to_python(py, served)?)?;
    all.set_item("in_flight", served.in_flight)?;
    all.set_item("interrupted", served.interrupted)?;
    all.set_item("timed_out", served.timed_out)?;
    all.set_item("open_files", statistics.open_files)?;
    all.set_item("lookups", statistics.lookups)?;
    all.set_item("callbacks", core.callbacks())?;
    all.set_item("handles", core.handles.len())?;
    all.set_item("paths", core.paths.as_deref().map_or(0, PathTable::len))?;
    all.set_item("event_loop", loop_to_python(py, core)?)?;
    let fetches = fetches_to_python(py, core)?;
    fetches.set_item("completions", completions_to_python(py, &core.fetches.completions())?)?;
    all.set_item("fetches", fetches)?;
    all.set_item("core", core_to_python(py, statistics)?)?;
    Ok(all)
}

fn core_to_python<'py>(
    py: Python<'py>,
    statistics: &ClientStatistics,
) -> PyResult<Bound<'py, PyDict>> {
    let ClientStatistics { requests, pages, copies, completions, .. } = statistics;
    let not_moved = PyDict::new(py);
    for (reason, count) in copies.not_moved.iter() {
        not_moved.set_item(reason.name(), count)?;
    }
    let copier = numbers(
        py,
        &[
            ("copies", copies.copies),
            ("sources", copies.sources),
            ("bytes", copies.bytes),
            ("pages_moved", copies.moved_pages),
            ("bytes_moved", copies.moved_pages * PAGE_SIZE as u64),
            ("bytes_spliced", copies.spliced_bytes),
            ("bytes_copied", copies.copied_bytes),
            ("bytes_filled", copies.filled_bytes),
            ("pipe_lists", copies.pipe_lists),
        ],
    )?;
    copier.set_item("not_moved", not_moved)?;
    let packer = numbers(
        py,
        &[
            ("segments", copies.segments),
            ("calls", copies.reads),
            ("bytes_joined", statistics.joined_bytes),
        ],
    )?;
    let core = PyDict::new(py);
    core.set_item("requests", requests_to_python(py, requests)?)?;
    core.set_item("pool", pool_to_python(py, pages)?)?;
    core.set_item("packer", packer)?;
    core.set_item("copier", copier)?;
    core.set_item("completions", completions_to_python(py, completions)?)?;
    Ok(core)
}

fn numbers<'py>(py: Python<'py>, values: &[(&str, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let numbers = PyDict::new(py);
    for (name, value) in values {
        numbers.set_item(name, value)?;
    }
    Ok(numbers)
}
