//! `Fetch`: a piece of data that takes long to get.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::PyTraverseError;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;

use crate::conversions::numbers::{MAX_OFFSET, integer, type_name};
use crate::imports;

/// A piece of at most `length` bytes that `source` gets when a read is answered with it.
#[pyclass(frozen, name = "Fetch", module = "fusesg")]
pub(crate) struct PyFetch {
    source: Py<PyAny>,
    length: u64,
    kind: Kind,
    /// For an awaitable: a read has been answered with it.
    used: AtomicBool,
    /// It has been handed over to be awaited.
    begun: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    /// Called like the other, but the call only makes a coroutine.
    CoroutineFunction,
    Awaitable,
}

/// What a source has come to.
pub(crate) enum Called<'py> {
    Returned(Bound<'py, PyAny>),
    Awaitable(Bound<'py, PyAny>),
}

#[pymethods]
impl PyFetch {
    #[new]
    fn new(source: &Bound<'_, PyAny>, length: &Bound<'_, PyAny>) -> PyResult<Self> {
        let kind = if is_awaitable(source)? {
            Kind::Awaitable
        } else if !source.is_callable() {
            return Err(PyTypeError::new_err(format!(
                "source must be a function without arguments or an awaitable, not {}",
                type_name(source)
            )));
        } else if imports::is_coroutine_function(source)? {
            Kind::CoroutineFunction
        } else {
            Kind::Function
        };
        let length = integer("length", length, 0..=MAX_OFFSET)?;
        let (used, begun) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { source: source.clone().unbind(), length, kind, used, begun })
    }

    #[getter]
    fn source(&self, py: Python<'_>) -> Py<PyAny> {
        self.source.clone_ref(py)
    }

    #[getter]
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    fn __len__(&self) -> usize {
        usize::try_from(self.length).expect("lengths from Python are within isize")
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Fetch({}, length={})", self.source.bind(py).repr()?, self.length))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.source)
    }
}

impl PyFetch {
    /// Takes the right to carry it out for one answer: `false` if it is an awaitable that
    /// another answer, or another place in this one, has taken.
    pub(crate) fn take(&self) -> bool {
        self.kind != Kind::Awaitable || !self.used.swap(true, Ordering::Relaxed)
    }

    /// Whether calling the source does not block.
    pub(crate) fn is_asynchronous(&self) -> bool {
        self.kind != Kind::Function
    }

    /// Calls the source, if it is to be called.
    pub(crate) fn call<'py>(&self, py: Python<'py>) -> PyResult<Called<'py>> {
        let source = self.source.bind(py);
        if self.kind == Kind::Awaitable {
            self.begun.store(true, Ordering::Relaxed);
            return Ok(Called::Awaitable(source.clone()));
        }
        let result = source.call0()?;
        // `lambda: get(url)` is as good as the coroutine function `get` itself
        Ok(if is_awaitable(&result)? {
            Called::Awaitable(result)
        } else {
            Called::Returned(result)
        })
    }
}

impl Drop for PyFetch {
    /// One that a read was answered with and that was never carried out: a coroutine is closed,
    /// or Python would warn that nobody awaited it.
    fn drop(&mut self) {
        if self.kind != Kind::Awaitable || !*self.used.get_mut() || *self.begun.get_mut() {
            return;
        }
        Python::try_attach(|py| {
            let source = self.source.bind(py);
            if imports::is_coroutine(source).unwrap_or(false) {
                // it has not begun, so nothing of it runs
                let _ = source.call_method0(intern!(py, "close"));
            }
        });
    }
}

fn is_awaitable(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    object.get_type().hasattr(intern!(object.py(), "__await__"))
}
