//! `Memory`: the native file system in memory, for Python to subclass.

use std::sync::Arc;

use fusesg_fs::memory::{Memory, MemoryOptions};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::conversions::errors;
use crate::conversions::numbers::integer;
use crate::native::operations::PyNative;
use crate::native::provider::{MountOptions, NativeFileSystem, Provider};
use crate::sys;

/// Files in memory as a file system.
#[pyclass(frozen, subclass, extends = PyNative, name = "Memory", module = "fusesg")]
pub(crate) struct PyMemory;

/// The tree, as the present or next mount sees it.
struct View(Mutex<Arc<Memory>>);

impl Provider for View {
    fn for_mount(
        &self,
        _py: Python<'_>,
        _options: MountOptions,
    ) -> PyResult<Arc<dyn NativeFileSystem>> {
        let mut memory = self.0.lock();
        if memory.has_ended() {
            // what Python kept of an ended mount must not count for this one
            *memory = Arc::new(memory.reopen());
        }
        Ok(Arc::clone(&memory) as _)
    }

    fn current(&self, _py: Python<'_>) -> PyResult<Arc<dyn NativeFileSystem>> {
        Ok(Arc::clone(&self.0.lock()) as _)
    }

    fn describe(&self, _py: Python<'_>) -> PyResult<String> {
        Ok(String::new())
    }
}

#[pymethods]
impl PyMemory {
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
        PyClassInitializer::from(PyNative::of_class("Memory", "")).add_subclass(Self)
    }

    #[pyo3(signature = (size=None, inodes=None, *, uid=None, gid=None, mode=None))]
    fn __init__(
        slf: &Bound<'_, Self>,
        size: Option<&Bound<'_, PyAny>>,
        inodes: Option<&Bound<'_, PyAny>>,
        uid: Option<&Bound<'_, PyAny>>,
        gid: Option<&Bound<'_, PyAny>>,
        mode: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let count = |name: &str, value: Option<&Bound<'_, PyAny>>| {
            value.map(|value| integer(name, value, 1..=u64::MAX)).transpose()
        };
        let id = |name: &str, value: Option<&Bound<'_, PyAny>>| {
            value.map(|value| integer(name, value, 0..=u32::MAX - 1)).transpose()
        };
        let (user, group) = sys::effective_ids();
        let options = MemoryOptions {
            size: count("size", size)?,
            inodes: count("inodes", inodes)?,
            uid: id("uid", uid)?.unwrap_or(user),
            gid: id("gid", gid)?.unwrap_or(group),
            mode: match mode {
                Some(mode) => integer("mode", mode, 0..=0o7777)?,
                None => 0o755,
            },
        };
        let memory = Memory::new(&options).map_err(|error| errors::os_error(error.into()))?;
        slf.as_super().get().initialise(View(Mutex::new(Arc::new(memory))))
    }
}
