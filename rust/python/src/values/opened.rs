//! `Opened`: a handle and how the kernel shall treat it.

use fusesg_fs::OpenedFlags;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::conversions::keywords;

/// What open, opendir and create return when a bare handle does not say enough.
#[pyclass(frozen, name = "Opened", module = "fusesg")]
pub(crate) struct PyOpened {
    /// Any object, or a `NativeHandle`.
    pub(crate) handle: Py<PyAny>,
    pub(crate) flags: OpenedFlags,
    /// Those that were said, either way; the mount decides about the others.
    pub(crate) decided: OpenedFlags,
}

#[pymethods]
impl PyOpened {
    #[new]
    #[pyo3(
        signature = (
            handle, *, direct_io=None, keep_cache=None, no_flush=None,
            parallel_direct_writes=None, nonseekable=false, cache_directory=None, **unknown
        ),
        text_signature = "(handle, *, direct_io=None, keep_cache=None, no_flush=None, \
                          parallel_direct_writes=None, nonseekable=False, \
                          cache_directory=None)"
    )]
    fn new(
        handle: Py<PyAny>,
        direct_io: Option<bool>,
        keep_cache: Option<bool>,
        no_flush: Option<bool>,
        parallel_direct_writes: Option<bool>,
        nonseekable: bool,
        cache_directory: Option<bool>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords::refuse::<Self>(unknown)?;
        let mut flags = OpenedFlags::empty();
        let mut decided = OpenedFlags::empty();
        for (flag, said) in [
            (OpenedFlags::DIRECT_IO, direct_io),
            (OpenedFlags::KEEP_CACHE, keep_cache),
            (OpenedFlags::NO_FLUSH, no_flush),
            (OpenedFlags::PARALLEL_DIRECT_WRITES, parallel_direct_writes),
            (OpenedFlags::NONSEEKABLE, Some(nonseekable)),
            (OpenedFlags::CACHE_DIRECTORY, cache_directory),
        ] {
            flags.set(flag, said == Some(true));
            decided.set(flag, said.is_some());
        }
        Ok(Self { handle, flags, decided })
    }

    #[getter]
    fn handle(&self, py: Python<'_>) -> Py<PyAny> {
        self.handle.clone_ref(py)
    }

    #[getter]
    fn direct_io(&self) -> Option<bool> {
        self.said(OpenedFlags::DIRECT_IO)
    }

    #[getter]
    fn keep_cache(&self) -> Option<bool> {
        self.said(OpenedFlags::KEEP_CACHE)
    }

    #[getter]
    fn no_flush(&self) -> Option<bool> {
        self.said(OpenedFlags::NO_FLUSH)
    }

    #[getter]
    fn parallel_direct_writes(&self) -> Option<bool> {
        self.said(OpenedFlags::PARALLEL_DIRECT_WRITES)
    }

    #[getter]
    fn nonseekable(&self) -> bool {
        self.flags.contains(OpenedFlags::NONSEEKABLE)
    }

    #[getter]
    fn cache_directory(&self) -> Option<bool> {
        self.said(OpenedFlags::CACHE_DIRECTORY)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut arguments = vec![self.handle.bind(py).repr()?.to_string()];
        // nonseekable is always decided, and shown only where it is true
        let shown = (self.decided - OpenedFlags::NONSEEKABLE) | self.flags;
        arguments.extend(shown.iter_names().map(|(name, flag)| {
            let value = if self.flags.contains(flag) { "True" } else { "False" };
            format!("{}={value}", name.to_lowercase())
        }));
        Ok(format!("Opened({})", arguments.join(", ")))
    }
}

impl PyOpened {
    /// What was said about a flag; `None`: nothing.
    fn said(&self, flag: OpenedFlags) -> Option<bool> {
        self.decided.contains(flag).then(|| self.flags.contains(flag))
    }
}
