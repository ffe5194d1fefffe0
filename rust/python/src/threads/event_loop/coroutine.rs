//! [`Work`] on its way through an asyncio task.
//!
//! The task does not run the callback's coroutine but [`Awaited`], a coroutine of ours around
//! it. So the answer is given the moment the callback returns, rather than two turns of the
//! loop later by a done callback, and no Python frame stands between the two.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyAttributeError, PyKeyboardInterrupt, PyStopIteration, PySystemExit};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;

use super::drain::finish;
use super::{Key, Shared, Step, Work};
use crate::conversions::errors::is_cancelled_error;
use crate::imports;
use crate::sys::{self, Sent};
use crate::threads::gil_waiters::Request;
use crate::threads::reaper;

/// Work that has begun.
pub(super) struct Running {
    /// Programs may keep tasks for longer than the loop is in use.
    shared: Weak<Shared>,
    key: Key,
    /// Until it has ended; not here while it is being resumed.
    work: Mutex<Option<Box<dyn Work>>>,
    /// Its task, if it did not end in its first step.
    task: Mutex<Option<Py<PyAny>>>,
    ended: AtomicBool,
}

impl Running {
    pub(super) fn new(shared: &Arc<Shared>, work: Box<dyn Work>) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            key: work.key(),
            work: Mutex::new(Some(work)),
            task: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }

    /// It goes on in this task; `false` if it has ended already.
    pub(super) fn set_task(&self, task: Py<PyAny>) -> bool {
        if self.has_ended() {
            return false;
        }
        *self.task.lock() = Some(task);
        true
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Cancels the task.
    pub(super) fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        let task = self.task.lock().as_ref().map(|task| task.clone_ref(py));
        task.map_or(Ok(()), |task| task.call_method0(py, intern!(py, "cancel")).map(drop))
    }

    /// It did not get as far as its task.
    pub(super) fn fail(&self, py: Python<'_>, error: PyErr) {
        // what would be awaited next would fail in the same way
        let _ = self.resume(py, Err(error));
        self.abandon();
    }

    /// Its loop is gone.
    pub(super) fn abandon(&self) {
        self.ended.store(true, Ordering::Relaxed);
        let work = self.work.lock().take();
        drop(work);
    }

    pub(super) fn take_request(&self, wanted: &dyn Fn(&Request) -> bool) -> Option<Request> {
        self.work.lock().as_mut()?.take_request(wanted)
    }

    /// What was awaited has come to this. Returns what is to be awaited next.
    fn resume<'py>(
        &self,
        py: Python<'py>,
        outcome: PyResult<Bound<'py, PyAny>>,
    ) -> Option<Bound<'py, PyAny>> {
        // not locked while Python code runs: the watchdog may ask for the request
        let mut work = self.work.lock().take()?;
        match work.resume(py, outcome) {
            Step::Await(next) => {
                *self.work.lock() = Some(work);
                return Some(next);
            }
            Step::Finish(rest) => finish(py, rest),
            Step::Nothing => {}
        }
        self.ended.store(true, Ordering::Relaxed);
        let task = self.task.lock().take();
        if task.is_some()
            && let Some(shared) = self.shared.upgrade()
        {
            shared.leave(self.key);
        }
        None
    }

    /// Whether its task is to end with this, although it has been dealt with.
    fn passes_on(&self, py: Python<'_>, error: &PyErr) -> bool {
        let ends_programs = error.is_instance_of::<PyKeyboardInterrupt>(py)
            || error.is_instance_of::<PySystemExit>(py);
        // in a thread of ours they are the outcome of one callback
        let is_programs_loop = || {
            let shared = self.shared.upgrade();
            shared.is_some_and(|shared| shared.is_foreign.load(Ordering::Relaxed))
        };
        is_cancelled_error(py, error) || ends_programs && is_programs_loop()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().take() {
            reaper::defer(task);
        }
    }
}

/// The coroutine of a task: awaits what [`Work`] wants awaited, and tells it the outcome.
///
/// To debuggers it looks like the coroutine it awaits.
#[pyclass(frozen, name = "CallbackCoroutine", module = "fusesg._core")]
pub(super) struct Awaited {
    steps: Mutex<Steps>,
}

struct Steps {
    /// What is told the outcome.
    running: Arc<Running>,
    /// The coroutine, or the iterator of another awaitable, until the end.
    iterator: Option<Py<PyAny>>,
    /// What the first step waits for, if that was run ahead of the task's own first step.
    ahead: Option<Py<PyAny>>,
}

impl Steps {
    fn new(running: &Arc<Running>, iterator: Bound<'_, PyAny>) -> Self {
        Self { running: Arc::clone(running), iterator: Some(iterator.unbind()), ahead: None }
    }
}

/// How a coroutine is made to go on.
enum Resumption<'py> {
    Send(Bound<'py, PyAny>),
    Throw(PyErr),
}

#[pymethods]
impl Awaited {
    /// Runs the first step ahead of the task's own.
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let waits_for = self.advance(py, Resumption::Send(py.None().into_bound(py)))?;
        // one that waits for nothing but another turn of the loop goes on in the next one
        self.steps.lock().ahead = waits_for.filter(|object| !object.is_none()).map(Bound::unbind);
        Ok(())
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.advance(py, Resumption::Send(py.None().into_bound(py)))
    }

    fn send<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        self.advance(py, Resumption::Send(value))?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    fn throw<'py>(&self, error: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = error.py();
        let error = PyErr::from_value(error);
        self.advance(py, Resumption::Throw(error))?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    /// Closes the coroutine; called where its task is given up.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let (iterator, running) = {
            let mut steps = self.steps.lock();
            (steps.iterator.take(), Arc::clone(&steps.running))
        };
        let closed = iterator.map(|iterator| iterator.call_method0(py, intern!(py, "close")));
        running.abandon();
        closed.map_or(Ok(()), |closed| closed.map(drop))
    }

    fn __await__(coroutine: PyRef<'_, Self>) -> PyRef<'_, Self> {
        coroutine
    }

    fn __iter__(coroutine: PyRef<'_, Self>) -> PyRef<'_, Self> {
        coroutine
    }

    fn __getattr__<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        let iterator = self.steps.lock().iterator.as_ref().map(|iterator| iterator.clone_ref(py));
        match iterator {
            Some(iterator) => iterator.into_bound(py).getattr(name.cast()?),
            None => Err(PyAttributeError::new_err(name.clone().unbind())),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(steps) = self.steps.try_lock() {
            visit.call(&steps.iterator)?;
            visit.call(&steps.ahead)?;
        }
        Ok(())
    }
}

impl Awaited {
    /// Awaits what `iterator` is [of](iterator_of).
    pub(super) fn new(running: &Arc<Running>, iterator: Bound<'_, PyAny>) -> Self {
        Self { steps: Mutex::new(Steps::new(running, iterator)) }
    }

    /// Awaits this next, having come to its end.
    pub(super) fn go_on_with(&self, running: &Arc<Running>, iterator: Bound<'_, PyAny>) {
        let before = mem::replace(&mut *self.steps.lock(), Steps::new(running, iterator));
        drop(before);
    }

    /// Goes on until something has to be waited for, which is returned; `None` at the end.
    fn advance<'py>(
        &self,
        py: Python<'py>,
        resumption: Resumption<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut resumption = match self.catch_up(py, resumption) {
            Ok(waits_for) => return Ok(Some(waits_for)),
            Err(resumption) => resumption,
        };
        let (iterator, running) = {
            let steps = self.steps.lock();
            let Some(iterator) = &steps.iterator else { return Ok(None) };
            (iterator.clone_ref(py), Arc::clone(&steps.running))
        };
        let mut iterator = Ok(iterator.into_bound(py));
        loop {
            let outcome = match iterator.and_then(|iterator| step(&iterator, resumption)) {
                Ok(Sent::Yielded(object)) => return Ok(Some(object)),
                Ok(Sent::Returned(value)) => Ok(value),
                Err(error) => Err(error),
            };
            let ended = self.steps.lock().iterator.take();
            drop(ended);
            let passed_on = outcome.as_ref().err().filter(|error| running.passes_on(py, error));
            let passed_on = passed_on.map(|error| error.clone_ref(py));
            let next = running.resume(py, outcome);
            match (passed_on, next) {
                (Some(error), _) => return Err(error),
                (None, None) => return Ok(None),
                (None, Some(next)) => {
                    iterator = iterator_of(&next);
                    let kept = iterator.as_ref().ok().map(|iterator| iterator.clone().unbind());
                    self.steps.lock().iterator = kept;
                    resumption = Resumption::Send(py.None().into_bound(py));
                }
            }
        }
    }

    /// The task's own first step, after the one that was run ahead: the task learns what it
    /// waits for. Gives the resumption back if that step is still to be made.
    fn catch_up<'py>(
        &self,
        py: Python<'py>,
        resumption: Resumption<'py>,
    ) -> Result<Bound<'py, PyAny>, Resumption<'py>> {
        let Some(ahead) = self.steps.lock().ahead.take() else { return Err(resumption) };
        let ahead = ahead.into_bound(py);
        match resumption {
            Resumption::Send(_) => Ok(ahead),
            // cancelled meanwhile: the task would have cancelled what it waits for
            Resumption::Throw(error) => match ahead.call_method0(intern!(py, "cancel")) {
                Ok(cancelled) if cancelled.is_truthy().unwrap_or(false) => Ok(ahead),
                _ => Err(Resumption::Throw(error)),
            },
        }
    }
}

/// What is to be sent to: the coroutine itself, or what `__await__` returns.
pub(super) fn iterator_of<'py>(awaitable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if imports::is_coroutine(awaitable)? {
        return Ok(awaitable.clone());
    }
    awaitable.call_method0(intern!(awaitable.py(), "__await__"))
}

/// One step of a coroutine or of its like.
fn step<'py>(iterator: &Bound<'py, PyAny>, resumption: Resumption<'py>) -> PyResult<Sent<'py>> {
    let py = iterator.py();
    let error = match resumption {
        Resumption::Send(value) => return sys::send(iterator, &value),
        Resumption::Throw(error) => error,
    };
    let Some(throw) = iterator.getattr_opt(intern!(py, "throw"))? else { return Err(error) };
    match throw.call1((error.into_value(py),)) {
        Ok(object) => Ok(Sent::Yielded(object)),
        Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
            Ok(Sent::Returned(error.value(py).getattr(intern!(py, "value"))?))
        }
        Err(error) => Err(error),
    }
}
