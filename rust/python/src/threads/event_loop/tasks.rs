//! Making a task whose first step runs at once.
//!
//! A callback that answers without waiting for anything then costs no turn of the loop. From
//! Python 3.12 on tasks can do that themselves. Before, the first step is run by hand, as the
//! task that it belongs to: `asyncio.current_task()` is that task, so that timeouts and task
//! groups work in it, and the task's own first step goes on from there.

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::coroutine::Awaited;
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
    /// Run by us: `asyncio._enter_task` and `_leave_task`, which are there for those who run
    /// steps of tasks themselves, and `contextvars.copy_context`.
    Ahead { enter: Py<PyAny>, leave: Py<PyAny>, copy_context: Py<PyAny> },
}

impl Tasks {
    pub(super) fn new(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = event_loop.py();
        let asyncio = py.import("asyncio")?;
        let first_step = if py.version_info() >= (3, 12) {
            FirstStep::Eager
        } else {
            FirstStep::Ahead {
                enter: asyncio.getattr("_enter_task")?.unbind(),
                leave: asyncio.getattr("_leave_task")?.unbind(),
                copy_context: py.import("contextvars")?.getattr("copy_context")?.unbind(),
            }
        };
        Ok(Self {
            event_loop: event_loop.clone().unbind(),
            class: asyncio.getattr("Task")?.unbind(),
            first_step,
        })
    }

    /// A task that runs `coroutine`, which has made its first step, unless the program wants
    /// to make its tasks itself. Called in the loop.
    pub(super) fn start<'py>(
        &self,
        coroutine: &Bound<'py, Awaited>,
        name: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = coroutine.py();
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
            FirstStep::Ahead { enter, leave, copy_context } => {
                let context = copy_context.bind(py).call0()?;
                options.set_item(intern!(py, "context"), &context)?;
                let task = self.class.bind(py).call((coroutine,), Some(&options))?;
                // refused inside of another task, as where loops are nested: then the first
                // step is the task's own
                if enter.bind(py).call1((event_loop, &task)).is_err() {
                    return Ok(task);
                }
                let stepped = context.call_method1(intern!(py, "run"), (coroutine,));
                leave.bind(py).call1((event_loop, &task))?;
                match stepped {
                    Err(error) if !is_cancelled_error(py, &error) => Err(error),
                    _ => Ok(task),
                }
            }
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)
    }
}
