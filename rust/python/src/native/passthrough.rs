//! `Passthrough`: the native directory file system, for Python to subclass.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use fusesg_fs::passthrough::{Passthrough, PassthroughOptions};
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::conversions::{errors, names};
use crate::native::operations::PyNative;
use crate::native::provider::{MountOptions, NativeFileSystem, Provider};

/// A directory of this machine as a file system.
#[pyclass(frozen, subclass, extends = PyNative, name = "Passthrough", module = "fusesg")]
pub(crate) struct PyPassthrough;

/// The directory, and the native file system that shows it.
struct Directory {
    /// Absolute.
    source: PathBuf,
    /// Opened for a mount, or when a method is first called without one. No Python call
    /// is made with this lock held.
    native: Mutex<Option<Native>>,
}

/// The native file system and what it was opened for.
struct Native {
    file_system: Arc<Passthrough>,
    options: MountOptions,
    /// It does not survive a fork.
    process: u32,
}

impl Directory {
    fn open(&self, py: Python<'_>, wanted: MountOptions) -> PyResult<Arc<Passthrough>> {
        let options = PassthroughOptions {
            kernel_passthrough: wanted.kernel_passthrough,
            writeback: wanted.writeback,
            ..PassthroughOptions::default()
        };
        let opened = py.detach(|| Passthrough::open(&self.source, options));
        let file_system = match opened {
            Ok(native) => Arc::new(native),
            Err(error) => {
                let source = names::to_python(py, self.source.as_os_str())?;
                return Err(errors::os_error_at(&error, &source));
            }
        };
        let process = std::process::id();
        let native = Native { file_system: Arc::clone(&file_system), options: wanted, process };
        let replaced = self.native.lock().replace(native);
        // closes descriptors, which may wait for another file system
        py.detach(|| drop(replaced));
        Ok(file_system)
    }
}

impl Provider for Directory {
    fn for_mount(
        &self,
        py: Python<'_>,
        options: MountOptions,
    ) -> PyResult<Arc<dyn NativeFileSystem>> {
        if let Some(native) = &*self.native.lock()
            && native.process == std::process::id()
            && Arc::strong_count(&native.file_system) > 1
            // what Python kept of an ended mount must not count for this one
            && !native.file_system.has_ended()
        {
            if native.options != options {
                return Err(PyRuntimeError::new_err(
                    "this Passthrough is already mounted with other settings for \
                     kernel_passthrough or writeback_cache: mount another object",
                ));
            }
            return Ok(Arc::clone(&native.file_system) as _);
        }
        Ok(self.open(py, options)?)
    }

    fn current(&self, py: Python<'_>) -> PyResult<Arc<dyn NativeFileSystem>> {
        if let Some(native) = &*self.native.lock()
            && native.process == std::process::id()
        {
            return Ok(Arc::clone(&native.file_system) as _);
        }
        Ok(self.open(py, MountOptions::default())?)
    }

    fn describe(&self, py: Python<'_>) -> PyResult<String> {
        let source = names::to_python(py, self.source.as_os_str())?.repr()?;
        Ok(format!(" of {source}"))
    }
}

#[pymethods]
impl PyPassthrough {
    /// Marks a class whose methods are the native ones (see `Filesystem`).
    #[classattr]
    #[pyo3(name = "__fusesg_base__")]
    const FUSESG_BASE: bool = true;

    /// Takes whatever the `__init__` of a subclass takes.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(PyNative::of_class("Passthrough", "source")).add_subclass(Self)
    }

    fn __init__(slf: &Bound<'_, Self>, source: &Bound<'_, PyAny>) -> PyResult<()> {
        let path = names::path("source", source)?;
        // absolute: a daemon changes its directory; and checked here, where the mistake is
        let checked = source.py().detach(|| {
            let path = std::path::absolute(path)?;
            if path.metadata()?.is_dir() {
                Ok(path)
            } else {
                Err(io::Error::from_raw_os_error(libc::ENOTDIR))
            }
        });
        let source = checked.map_err(|error| errors::os_error_at(&error, source))?;
        slf.as_super().get().initialise(Directory { source, native: Mutex::new(None) })
    }
}
