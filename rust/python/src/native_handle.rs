//! `NativeHandle`: an open file or directory of a native file system, as Python holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fusesg_fs::{FileSystem, Handle, Inode, Result};
use fusesg_sg::Backing;
use pyo3::prelude::*;

use crate::numbers::wrong_type;
use crate::opened::PyOpened;

/// An open file or directory of a native file system.
///
/// Who has to release it: at first this object (so a handle that a callback opened and
/// dropped is not leaked); after [`hand_over`](Self::hand_over) the kernel.
#[pyclass(frozen, name = "NativeHandle", module = "fusesg")]
pub(crate) struct PyNativeHandle {
    /// The file system's number for it.
    pub(crate) handle: Handle,
    /// The offer of kernel passthrough that came with it.
    pub(crate) passthrough: Option<Arc<Backing>>,
    owner: Option<Owner>,
}

/// What it takes to release a handle that the kernel does not know.
struct Owner {
    file_system: Arc<dyn FileSystem>,
    inode: Inode,
    directory: bool,
    live: AtomicBool,
}

impl PyNativeHandle {
    /// A handle that the kernel knows, and will release.
    pub(crate) fn of_kernel(handle: Handle) -> Self {
        Self { handle, passthrough: None, owner: None }
    }

    /// A handle that was just opened, to be released when this object dies.
    pub(crate) fn owned(
        file_system: Arc<dyn FileSystem>,
        inode: Inode,
        directory: bool,
        opened: &fusesg_fs::Opened,
    ) -> Self {
        let owner = Owner { file_system, inode, directory, live: AtomicBool::new(true) };
        Self { handle: opened.handle, passthrough: opened.passthrough.clone(), owner: Some(owner) }
    }

    /// The kernel gets the handle and will release it: dropping this object no longer does.
    pub(crate) fn hand_over(&self) {
        if let Some(owner) = &self.owner {
            owner.live.store(false, Ordering::Release);
        }
    }
}

#[pymethods]
impl PyNativeHandle {
    fn __repr__(&self) -> String {
        format!("<fusesg.NativeHandle {}>", self.handle)
    }
}

impl Drop for PyNativeHandle {
    fn drop(&mut self) {
        let Some(owner) = &self.owner else { return };
        if !owner.live.swap(false, Ordering::AcqRel) {
            return;
        }
        let release = || -> Result<()> {
            if owner.directory {
                owner.file_system.releasedir(owner.inode, self.handle)
            } else {
                owner.file_system.release(owner.inode, self.handle)
            }
        };
        // closing may wait for another file system, perhaps one of this very process: the
        // GIL must be free meanwhile. Nobody is there to hear of an error.
        let _ = Python::attach(|py| py.detach(release));
    }
}

/// The native handle that `super().open()` returned, bare or inside its `Opened`.
pub(crate) fn native_handle<'a>(
    argument: &str,
    value: &'a Bound<'_, PyAny>,
) -> PyResult<Bound<'a, PyNativeHandle>> {
    let inner = match value.cast::<PyOpened>() {
        Ok(opened) => opened.get().handle.bind(value.py()).clone(),
        Err(_) => value.clone(),
    };
    inner.cast_into::<PyNativeHandle>().map_err(|_| {
        wrong_type(
            argument,
            "what super().open(), super().opendir() or super().create() returned",
            value,
        )
    })
}
