//! The asyncio event loop of a mount.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::imports;
use crate::threads::{reaper, thread_state};

const THREAD_NAME: &str = "fusesg-asyncio";

/// An event loop in a thread of its own (`fusesg._loop.LoopThread`), started when it is
/// first needed.
pub(crate) struct EventLoop {
    thread: PyOnceLock<Py<PyAny>>,
    closed: AtomicBool,
}

impl EventLoop {
    /// Not started yet.
    pub(crate) const fn new() -> Self {
        Self { thread: PyOnceLock::new(), closed: AtomicBool::new(false) }
    }

    /// Begins to await `awaitable`; `outcome(result, error)` is called in the loop's thread.
    /// Returns an object with a method `cancel`, to be called from any thread.
    pub(crate) fn run(
        &self,
        awaitable: &Bound<'_, PyAny>,
        outcome: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let py = awaitable.py();
        let thread = self.thread.get_or_try_init(py, || {
            imports::loop_thread(py)?.call1((THREAD_NAME,)).map(Bound::unbind)
        })?;
        if self.closed.load(Ordering::SeqCst) {
            // it may have been started after `close` looked
            thread.call_method1(py, intern!(py, "close"), (0.0,))?;
        }
        thread.call_method1(py, intern!(py, "run"), (awaitable, outcome))
    }

    /// Cancels what runs and ends the thread. Returns whether all of it ended in time.
    pub(crate) fn close(&self, timeout: Duration) -> PyResult<bool> {
        self.closed.store(true, Ordering::SeqCst);
        let closed = thread_state::attach(|py| {
            let Some(thread) = self.thread.get(py) else { return Ok(true) };
            let timeout = timeout.as_secs_f64();
            thread.call_method1(py, intern!(py, "close"), (timeout,))?.extract(py)
        });
        // the interpreter is ending, and the thread with it
        closed.unwrap_or(Ok(true))
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            reaper::defer(thread);
        }
    }
}
