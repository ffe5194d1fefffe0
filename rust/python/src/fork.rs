//! What a forked child must not do.
//!
//! fork() copies the memory but not the threads: in the child nobody serves. Its copies of
//! the session descriptors would keep the mount alive after the parent's death, and its
//! copies of the objects would unmount what belongs to the parent.

use std::process;

use pyo3::prelude::*;

use crate::threads::{gil_waiters, thread_state};

/// Called by Python in a child, right after fork().
#[pyfunction]
pub(crate) fn _after_fork_in_child() {
    fusesg_serve::new_generation();
    fusesg_serve::after_fork_in_child();
    thread_state::after_fork_in_child();
    gil_waiters::after_fork_in_child();
}

/// The process an object was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin(u32);

impl Origin {
    /// This process.
    pub(crate) fn here() -> Self {
        Self(process::id())
    }

    /// Whether this is still that process, and not a child of it.
    pub(crate) fn is_here(self) -> bool {
        self == Self::here()
    }
}

/// Has Python call [`_after_fork_in_child`].
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let os = module.py().import("os")?;
    let arguments = pyo3::types::PyDict::new(module.py());
    arguments.set_item("after_in_child", module.getattr("_after_fork_in_child")?)?;
    os.call_method("register_at_fork", (), Some(&arguments))?;
    Ok(())
}
