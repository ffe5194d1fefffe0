//! The numbers of a client.

use fusesg_serve::{ClientStatistics, Value};
use fusesg_sg::PAGE_SIZE;

use crate::dispatch::dispatcher::Core;

/// All of them, by name.
pub(super) fn numbers(statistics: &ClientStatistics, core: &Core) -> Value {
    let served = &statistics.served;
    let completions = Value::map([("completions", (&core.fetches.completions()).into())]);
    Value::map([
        ("operations", served.operations()),
        ("in_flight", served.in_flight.into()),
        ("given_up", served.given_up()),
        ("interrupted", served.interrupted.into()),
        ("timed_out", served.timed_out.into()),
        ("open_files", statistics.open_files.into()),
        ("lookups", statistics.lookups.into()),
        ("callbacks", core.callbacks().into()),
        ("handles", core.handles.len().into()),
        ("paths", core.known_paths().into()),
        ("event_loop", core.loop_numbers()),
        ("fetches", core.fetch_numbers().with(completions)),
        ("core", of_the_core(statistics)),
    ])
}

fn of_the_core(statistics: &ClientStatistics) -> Value {
    let ClientStatistics { requests, pages, copies, completions, .. } = statistics;
    let not_moved = copies.not_moved.iter().map(|(reason, count)| (reason.name(), count.into()));
    let copier = Value::map([
        ("copies", copies.copies.into()),
        ("sources", copies.sources.into()),
        ("bytes", copies.bytes.into()),
        ("pages_moved", copies.moved_pages.into()),
        ("bytes_moved", (copies.moved_pages * PAGE_SIZE as u64).into()),
        ("bytes_spliced", copies.spliced_bytes.into()),
        ("bytes_copied", copies.copied_bytes.into()),
        ("bytes_filled", copies.filled_bytes.into()),
        ("pipe_lists", copies.pipe_lists.into()),
        ("not_moved", Value::Map(not_moved.collect())),
    ]);
    let packer = Value::map([
        ("segments", copies.segments.into()),
        ("calls", copies.reads.into()),
        ("bytes_joined", statistics.joined_bytes.into()),
    ]);
    Value::map([
        ("requests", requests.into()),
        ("pool", pages.into()),
        ("packer", packer),
        ("copier", copier),
        ("completions", completions.into()),
    ])
}
