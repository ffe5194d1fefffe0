//! Making a task whose first step runs at once.
//!
//! A callback that answers without waiting for anything then costs no turn of the loop. From
//! Python 3.12 on tasks can do that themselves. Before, the first step is run by hand, as the
//! task that it belongs to: `asyncio.current_task()` is that task, so that timeouts and task
//! groups work in it, and the task's own first step goes on from there.
//!
//! There, too, a task costs more than many a callback. One whose callback has ended in its
//! first step, and has left no trace in it, is the task of the next callback that the loop
//! begins in this turn: [`Spare`].

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::coroutine::{Awaited, Running};
use crate::conversions::errors::is_cancelled_error;

/// Makes the tasks of one loop.
pub(super) struct Tasks {
    event_loop: Py<PyAny>,
    /// `asyncio.Task`
    class: Py<PyAny>,
    first_step: FirstStep,
}

enum FirstStep {
    /// Of the task itself: `Task(eager_start=True)`.
    Eager,
    /// Run by us.
    Ahead(Ahead),
}

/// What it takes to run the first step of a task.
struct Ahead {
    /// `asyncio._enter_task` and `_leave_task`, which are there for those who run steps of
    /// tasks themselves.
    enter: Py<PyAny>,
    leave: Py<PyAny>,
    /// `contextvars.copy_context`
    copy_context: Py<PyAny>,
    /// `sys.getrefcount` and `weakref.getweakrefcount`
    references: Py<PyAny>,
    weak_references: Py<PyAny>,
    spare: Mutex<Option<Spare>>,
}

/// A task that has not made its own first step, and whose callback has ended. Whether anything
/// is left of that is looked at when the task is needed again, which it may never be.
struct Spare {
    task: Py<PyAny>,
    coroutine: Py<Awaited>,
    /// In which the task runs.
    context: Py<PyAny>,
    /// A copy of that, as it was before any callback ran in it.
    pristine: Py<PyAny>,
    /// How often the task was referred to then, strongly and weakly.
    referred: (usize, usize),
}

/// A turn of the loop, after which no task is spare.
pub(super) struct Turn<'a>(&'a Tasks);

impl Tasks {
    pub(super) fn new(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = event_loop.py();
        let asyncio = py.import("asyncio")?;
        let first_step = if py.version_info() >= (3, 12) {
            FirstStep::Eager
        } else {
            FirstStep::Ahead(Ahead {
                enter: asyncio.getattr("_enter_task")?.unbind(),
                leave: asyncio.getattr("_leave_task")?.unbind(),
                copy_context: py.import("contextvars")?.getattr("copy_context")?.unbind(),
                references: py.import("sys")?.getattr("getrefcount")?.unbind(),
                weak_references: py.import("weakref")?.getattr("getweakrefcount")?.unbind(),
                spare: Mutex::default(),
            })
        };
        Ok(Self {
            event_loop: event_loop.clone().unbind(),
            class: asyncio.getattr("Task")?.unbind(),
            first_step,
        })
    }

    /// A turn of the loop begins.
    pub(super) fn turn(&self) -> Turn<'_> {
        Turn(self)
    }

    /// A task in which `running` awaits what `iterator` is of, and has made its first step,
    /// unless the program wants to make its tasks itself. Called in the loop.
    pub(super) fn start<'py>(
        &self,
        running: &Arc<Running>,
        iterator: Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = iterator.py();
        if let FirstStep::Ahead(ahead) = &self.first_step
            && let Some(spare) = ahead.take_spare().filter(|spare| ahead.is_unused(py, spare))
        {
            spare.task.bind(py).call_method1(intern!(py, "set_name"), (name,))?;
            spare.coroutine.get().go_on_with(running, iterator);
            return self.step_ahead(py, ahead, spare, running);
        }
        let coroutine = Bound::new(py, Awaited::new(running, iterator))?;
        let event_loop = self.event_loop.bind(py);
        let options = PyDict::new(py);
        options.set_item(intern!(py, "name"), name)?;
        if !event_loop.call_method0(intern!(py, "get_task_factory"))?.is_none() {
            let create = event_loop.getattr(intern!(py, "create_task"))?;
            return create.call((coroutine,), Some(&options));
        }
        options.set_item(intern!(py, "loop"), event_loop)?;
        match &self.first_step {
            FirstStep::Eager => {
                options.set_item(intern!(py, "eager_start"), true)?;
                self.class.bind(py).call((coroutine,), Some(&options))
            }
            FirstStep::Ahead(ahead) => {
                let context = ahead.copy_context.bind(py).call0()?;
                options.set_item(intern!(py, "context"), &context)?;
                let task = self.class.bind(py).call((&coroutine,), Some(&options))?;
                let spare = Spare {
                    referred: ahead.references_to(&task)?,
                    task: task.unbind(),
                    coroutine: coroutine.unbind(),
                    pristine: context.call_method0(intern!(py, "copy"))?.unbind(),
                    context: context.unbind(),
                };
                self.step_ahead(py, ahead, spare, running)
            }
        }
    }

    /// Runs the first step of a task ahead of the task's own.
    fn step_ahead<'py>(
        &self,
        py: Python<'py>,
        ahead: &Ahead,
        spare: Spare,
        running: &Running,
    ) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = self.event_loop.bind(py);
        let task = spare.task.bind(py);
        // refused inside of another task, as where loops are nested: then the first step is
        // the task's own
        if ahead.enter.bind(py).call1((event_loop, task)).is_err() {
            return Ok(task.clone());
        }
        let stepped =
            spare.context.bind(py).call_method1(intern!(py, "run"), (spare.coroutine.bind(py),));
        ahead.leave.bind(py).call1((event_loop, task))?;
        match stepped {
            Err(error) if !is_cancelled_error(py, &error) => Err(error),
            Ok(_) if running.has_ended() => {
                let task = task.clone();
                *ahead.spare.lock() = Some(spare);
                Ok(task)
            }
            _ => Ok(task.clone()),
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)
    }
}

impl Ahead {
    fn take_spare(&self) -> Option<Spare> {
        self.spare.lock().take()
    }

    /// Whether nobody can tell that a callback had this task: none kept it, or is to be told of
    /// its end; it was not cancelled; no variable of its context was set. Without an answer,
    /// not.
    fn is_unused(&self, py: Python<'_>, spare: &Spare) -> bool {
        let is_unused = || -> PyResult<bool> {
            let task = spare.task.bind(py);
            Ok(self.references_to(task)? == spare.referred
                && task.getattr(intern!(py, "_callbacks"))?.is_none()
                && !task.getattr(intern!(py, "_must_cancel"))?.is_truthy()?
                && !task.call_method0(intern!(py, "cancelling"))?.is_truthy()?
                && spare.context.bind(py).eq(&spare.pristine)?)
        };
        is_unused().unwrap_or(false)
    }

    /// How many references there are, and how many weak ones.
    fn references_to(&self, task: &Bound<'_, PyAny>) -> PyResult<(usize, usize)> {
        let count = |function: &Py<PyAny>| function.bind(task.py()).call1((task,))?.extract();
        Ok((count(&self.references)?, count(&self.weak_references)?))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // its own first step, in the loop's next turn, ends the task
        if let FirstStep::Ahead(ahead) = &self.0.first_step {
            drop(ahead.take_spare());
        }
    }
}
