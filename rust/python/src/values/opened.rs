//! `Opened`: a handle and how the kernel shall treat it.

use fusesg_fs::OpenedFlags;
use pyo3::prelude::*;

/// What open, opendir and create return when a bare handle does not say enough.
#[pyclass(frozen, name = "Opened", module = "fusesg")]
pub(crate) struct PyOpened {
    /// Any object, or a `NativeHandle`.
    pub(crate) handle: Py<PyAny>,
    pub(crate) flags: OpenedFlags,
}

#[pymethods]
impl PyOpened {
    #[new]
    #[pyo3(signature = (
        handle, *, direct_io=false, keep_cache=false, no_flush=false,
        parallel_direct_writes=false, nonseekable=false, cache_directory=false
    ))]
    #[expect(clippy::fn_params_excessive_bools, reason = "each is a flag of the kernel's")]
    fn new(
        handle: Py<PyAny>,
        direct_io: bool,
        keep_cache: bool,
        no_flush: bool,
        parallel_direct_writes: bool,
        nonseekable: bool,
        cache_directory: bool,
    ) -> Self {
        let mut flags = OpenedFlags::empty();
        flags.set(OpenedFlags::DIRECT_IO, direct_io);
        flags.set(OpenedFlags::KEEP_CACHE, keep_cache);
        flags.set(OpenedFlags::NO_FLUSH, no_flush);
        flags.set(OpenedFlags::PARALLEL_DIRECT_WRITES, parallel_direct_writes);
        flags.set(OpenedFlags::NONSEEKABLE, nonseekable);
        flags.set(OpenedFlags::CACHE_DIRECTORY, cache_directory);
        Self { handle, flags }
    }

    #[getter]
    fn handle(&self, py: Python<'_>) -> Py<PyAny> {
        self.handle.clone_ref(py)
    }

    #[getter]
    fn direct_io(&self) -> bool {
        self.flags.contains(OpenedFlags::DIRECT_IO)
    }

    #[getter]
    fn keep_cache(&self) -> bool {
        self.flags.contains(OpenedFlags::KEEP_CACHE)
    }

    #[getter]
    fn no_flush(&self) -> bool {
        self.flags.contains(OpenedFlags::NO_FLUSH)
    }

    #[getter]
    fn parallel_direct_writes(&self) -> bool {
        self.flags.contains(OpenedFlags::PARALLEL_DIRECT_WRITES)
    }

    #[getter]
    fn nonseekable(&self) -> bool {
        self.flags.contains(OpenedFlags::NONSEEKABLE)
    }

    #[getter]
    fn cache_directory(&self) -> bool {
        self.flags.contains(OpenedFlags::CACHE_DIRECTORY)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut arguments = vec![self.handle.bind(py).repr()?.to_string()];
        let flags = self.flags.iter_names();
        arguments.extend(flags.map(|(name, _)| format!("{}=True", name.to_lowercase())));
        Ok(format!("Opened({})", arguments.join(", ")))
    }
}
