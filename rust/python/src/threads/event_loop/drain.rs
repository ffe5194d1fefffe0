//! What the loop calls when it was woken.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;

use super::coroutine::{Running, iterator_of};
use super::tasks::Tasks;
use super::{Item, LOOP_OF_THREAD, Rest, Shared, Step, Work};
use crate::log_queue;
use crate::sys::{self, EventFd};

/// Answers are given for as many tasks at a time: they need no GIL, and taking it again costs
/// more than a small callback; but who was answered first can go on.
const ANSWERS: usize = 8;

thread_local! {
    /// What is left to do for the tasks that ended while this thread takes a queue.
    static OUTBOX: RefCell<Option<Vec<Rest>>> = const { RefCell::new(None) };
}

/// The reader of the loop's eventfd; only the loop has it. It dies with the loop.
#[pyclass(frozen, weakref, name = "EventLoopReader", module = "fusesg._core")]
pub(super) struct Drain {
    shared: Arc<Shared>,
    /// What it reads.
    wake: Arc<EventFd>,
    tasks: Tasks,
}

#[pymethods]
impl Drain {
    /// Begins what is queued.
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let shared = &self.shared;
        LOOP_OF_THREAD.set(shared.address());
        shared.thread.store(sys::thread_number(), Ordering::Relaxed);
        let batch = Batch::begin(shared);
        let turn = self.tasks.turn();
        let mut result = Ok(());
        for item in shared.take(&self.wake) {
            let done = match item {
                Item::Begin(work) => self.begin(py, work),
                Item::Cancel(key) => {
                    let running = shared.state.lock().running.get(&key).cloned();
                    running.map_or(Ok(()), |running| running.cancel(py))
                }
                Item::CancelAll => self.cancel_all(py),
                Item::Close => self.leave_loop(py),
            };
            // a KeyboardInterrupt: the others have to begin all the same
            if done.is_err() {
                result = done;
            }
            Batch::answer(py, ANSWERS);
        }
        Batch::answer(py, 1);
        drop(turn);
        drop(batch);
        result
    }

    /// Cancels all tasks, as at the end.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        self.cancel_all(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.tasks.traverse(&visit)
    }
}

impl Drain {
    pub(super) fn new(
        shared: &Arc<Shared>,
        wake: Arc<EventFd>,
        event_loop: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Ok(Self { shared: Arc::clone(shared), wake, tasks: Tasks::new(event_loop)? })
    }

    fn begin(&self, py: Python<'_>, mut work: Box<dyn Work>) -> PyResult<()> {
        let awaitable = match work.begin(py) {
            Step::Await(awaitable) => awaitable,
            Step::Finish(rest) => {
                finish(py, rest);
                return Ok(());
            }
            Step::Nothing => return Ok(()),
        };
        let key = work.key();
        let name = work.name(py);
        let running = Arc::new(Running::new(&self.shared, work));
        let iterator = match iterator_of(&awaitable) {
            Ok(iterator) => iterator,
            // what `__await__` raised
            Err(error) => {
                running.fail(py, error);
                return Ok(());
            }
        };
        match self.tasks.start(&running, iterator, &name) {
            Ok(task) => {
                if running.set_task(task.unbind()) {
                    self.shared.enter(key, Arc::clone(&running));
                }
                Ok(())
            }
            Err(error) if running.has_ended() => Err(error),
            Err(error) => {
                // a task factory of the program's, perhaps
                running.fail(py, error);
                Ok(())
            }
        }
    }

    fn cancel_all(&self, py: Python<'_>) -> PyResult<()> {
        let running: Vec<_> = self.shared.state.lock().running.values().cloned().collect();
        running.iter().try_for_each(|running| running.cancel(py))
    }

    /// The loop does not read the eventfd any more; it ends if it runs for us only.
    fn leave_loop(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = self.shared.state.lock();
        state.wake = None;
        let bound = state.bound.as_ref().map(|bound| bound.clone_ref(py));
        drop(state);
        LOOP_OF_THREAD.set(0);
        bound.map_or(Ok(()), |bound| {
            bound.call_method1(py, intern!(py, "detach"), (self.wake.number(),)).map(drop)
        })
    }
}

impl Drop for Drain {
    /// The loop was closed.
    fn drop(&mut self) {
        let Some((queue, running)) = self.shared.lose() else { return };
        log_queue::error(
            "the event loop was closed while it served a mount: whatever its async callbacks \
             were to answer is answered EIO from now on"
                .to_owned(),
        );
        drop(queue);
        for running in running.values() {
            running.abandon();
        }
    }
}

/// Does the rest of a task that ended: now, or with the others of this queue.
pub(super) fn finish(py: Python<'_>, rest: Rest) {
    let rest = OUTBOX.with_borrow_mut(|outbox| match outbox {
        Some(outbox) => {
            outbox.push(rest);
            None
        }
        None => Some(rest),
    });
    if let Some(rest) = rest {
        py.detach(rest);
    }
}

/// While it lives, the rests of tasks that end in this thread are collected.
struct Batch<'a>(&'a Shared);

impl<'a> Batch<'a> {
    fn begin(shared: &'a Shared) -> Self {
        OUTBOX.with_borrow_mut(|outbox| {
            outbox.get_or_insert_with(|| Vec::with_capacity(ANSWERS));
        });
        Self(shared)
    }

    /// Does what has been collected, if it is `enough`.
    fn answer(py: Python<'_>, enough: usize) {
        let collected = OUTBOX.with_borrow_mut(|outbox| {
            let outbox = outbox.as_mut().filter(|outbox| outbox.len() >= enough)?;
            Some(mem::replace(outbox, Vec::with_capacity(ANSWERS)))
        });
        if let Some(collected) = collected {
            py.detach(|| collected.into_iter().for_each(|rest| rest()));
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // empty, but after a panic
        let left = OUTBOX.take().unwrap_or_default();
        for rest in left {
            rest();
        }
        self.0.have_begun();
    }
}
