//! Python objects that Rust needs: one page shows what Rust depends on in Python.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyType};

use crate::values::set_attributes::PyNow;

/// `traceback.format_exception`.
pub(crate) fn format_exception(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FUNCTION.import(py, "traceback", "format_exception")
}

/// `os.fspath`.
pub(crate) fn fspath(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FUNCTION.import(py, "os", "fspath")
}

/// `fusesg._keywords.refusal`: what is raised for arguments that there are not.
pub(crate) fn refusal(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FUNCTION.import(py, "fusesg._keywords", "refusal")
}

/// Whether calling `function` gives a coroutine or an asynchronous generator.
pub(crate) fn is_coroutine_function(function: &Bound<'_, PyAny>) -> PyResult<bool> {
    static COROUTINE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static GENERATOR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = function.py();
    let coroutine = COROUTINE.import(py, "inspect", "iscoroutinefunction")?;
    let generator = GENERATOR.import(py, "inspect", "isasyncgenfunction")?;
    Ok(coroutine.call1((function,))?.is_truthy()? || generator.call1((function,))?.is_truthy()?)
}

/// Whether `object` is what calling an `async def` function gives.
pub(crate) fn is_coroutine(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    object.is_instance(CLASS.import(object.py(), "types", "CoroutineType")?)
}

/// `asyncio.CancelledError`, or `None` while nobody has imported asyncio: an exception
/// of a class that does not exist cannot have been raised, and importing asyncio for
/// the question would cost every mount 30 ms.
pub(crate) fn cancelled_error(py: Python<'_>) -> PyResult<Option<&Bound<'_, PyType>>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if let Some(class) = CLASS.get(py) {
        return Ok(Some(class.bind(py)));
    }
    let modules = PyModule::import(py, "sys")?.getattr("modules")?;
    if !modules.contains("asyncio.exceptions")? {
        return Ok(None);
    }
    CLASS.import(py, "asyncio.exceptions", "CancelledError").map(Some)
}

/// `fusesg._loop.LoopThread`, which imports asyncio: only once it is needed.
pub(crate) fn loop_thread(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CLASS.import(py, "fusesg._loop", "LoopThread")
}

/// `fusesg._loop.listed`: what an asynchronous generator yields, collected.
pub(crate) fn listed(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FUNCTION.import(py, "fusesg._loop", "listed")
}

/// `fusesg._loop.otherwise`: what is awaited, or what was known before.
pub(crate) fn otherwise(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FUNCTION.import(py, "fusesg._loop", "otherwise")
}

/// The one instance of `Now`.
pub(crate) fn now(py: Python<'_>) -> PyResult<&Bound<'_, PyNow>> {
    static NOW: PyOnceLock<Py<PyNow>> = PyOnceLock::new();
    NOW.get_or_try_init(py, || Py::new(py, PyNow)).map(|now| now.bind(py))
}
