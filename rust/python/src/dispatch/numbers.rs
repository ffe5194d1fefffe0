//! The numbers of a file system in Python. None of them needs the GIL: whoever asks may want
//! to know who holds it.

use fusesg_fs::PathTable;
use fusesg_serve::Value;

use crate::dispatch::dispatcher::Core;

impl Core {
    /// What a mount adds to its own numbers.
    pub(crate) fn numbers(&self) -> Value {
        let executors = self.executors.statistics();
        let completions = Value::from(&self.fetches.completions());
        Value::map([
            ("filesystem", self.class_name.as_str().into()),
            ("core", Value::map([("completions", completions)])),
            (
                "python",
                Value::map([
                    ("threads", executors.threads.into()),
                    ("threads_peak", executors.peak.into()),
                    ("waiting", executors.waiting.into()),
                    ("queued", executors.queued.into()),
                    ("combined", self.combining.combined().into()),
                    ("callbacks", self.callbacks().into()),
                    ("handles", self.handles.len().into()),
                    ("paths", self.known_paths().into()),
                    ("event_loop", self.loop_numbers()),
                    ("fetches", self.fetch_numbers()),
                    ("write_pool", (&self.pools.statistics()).into()),
                ]),
            ),
        ])
    }

    /// Paths that the kernel knows.
    pub(crate) fn known_paths(&self) -> usize {
        self.paths.as_deref().map_or(0, PathTable::len)
    }

    /// Callbacks that are awaited, and those that wait for the loop.
    pub(crate) fn loop_numbers(&self) -> Value {
        let statistics = self.event_loop.statistics();
        Value::map([("tasks", statistics.tasks.into()), ("queued", statistics.queued.into())])
    }

    /// The pieces of answers that are being fetched.
    pub(crate) fn fetch_numbers(&self) -> Value {
        let pieces = self.fetches.statistics();
        Value::map([
            ("running", pieces.running.into()),
            ("queued", pieces.queued.into()),
            ("pool", (&pieces.pool).into()),
        ])
    }
}
