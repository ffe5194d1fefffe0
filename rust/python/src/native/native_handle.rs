//! `NativeHandle`: an open file or directory of a native file system, as Python holds it.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fusesg_fs::{FileSystem, Handle, Inode, Result};
use fusesg_sg::Backing;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::conversions::numbers::wrong_type;
use crate::values::opened::PyOpened;

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
    /// Where the number means something.
    file_system: Arc<dyn FileSystem>,
    owner: Option<Owner>,
}

/// What it takes to release a handle that the kernel does not know.
struct Owner {
    inode: Inode,
    directory: bool,
    live: AtomicBool,
}

impl PyNativeHandle {
    /// A handle that the kernel knows, and will release.
    pub(crate) fn of_kernel(file_system: Arc<dyn FileSystem>, handle: Handle) -> Self {
        Self { handle, passthrough: None, file_system, owner: None }
    }

    /// A handle that was just opened, to be released when this object dies.
    pub(crate) fn owned(
        file_system: Arc<dyn FileSystem>,
        inode: Inode,
        directory: bool,
        opened: &fusesg_fs::Opened,
    ) -> Self {
        let owner = Some(Owner { inode, directory, live: AtomicBool::new(true) });
        let passthrough = opened.passthrough.clone();
        Self { handle: opened.handle, passthrough, file_system, owner }
    }

    /// Whether the handle means something to `file_system`.
    pub(crate) fn belongs_to<F: ?Sized>(&self, file_system: &Arc<F>) -> bool {
        ptr::addr_eq(Arc::as_ptr(&self.file_system), Arc::as_ptr(file_system))
    }

    /// The kernel gets the handle and will release it: dropping this object no longer does.
    /// `false` if the kernel had it before, or it is released already.
    pub(crate) fn hand_over(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.live.swap(false, Ordering::AcqRel))
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
        if !self.hand_over() {
            return;
        }
        let release = || -> Result<()> {
            if owner.directory {
                self.file_system.releasedir(owner.inode, self.handle)
            } else {
                self.file_system.release(owner.inode, self.handle)
            }
        };
        // closing may wait for another file system, perhaps one of this very process: the
        // GIL must be free meanwhile. Nobody is there to hear of an error.
        let _ = Python::attach(|py| py.detach(release));
    }
}

/// The handle that `super().open()` returned, bare or inside its `Opened`; ValueError if
/// another file system opened it, whose numbers mean other files.
pub(crate) fn native_handle<'a, F: ?Sized>(
    argument: &str,
    value: &'a Bound<'_, PyAny>,
    file_system: &Arc<F>,
) -> PyResult<Bound<'a, PyNativeHandle>> {
    let inner = match value.cast::<PyOpened>() {
        Ok(opened) => opened.get().handle.bind(value.py()).clone(),
        Err(_) => value.clone(),
    };
    let handle = inner.cast_into::<PyNativeHandle>().map_err(|_| {
        wrong_type(
            argument,
            "what super().open(), super().opendir() or super().create() returned",
            value,
        )
    })?;
    if !handle.get().belongs_to(file_system) {
        return Err(PyValueError::new_err(format!(
            "{argument}: {} was opened by another file system",
            handle.get().__repr__()
        )));
    }
    Ok(handle)
}
