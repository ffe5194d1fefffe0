//! What a forked child must not do.
//!
//! fork() copies the memory but not the threads: in the child nobody serves. Its copies of
//! the session descriptors would keep the mount alive after the parent's death, and its
//! copies of the objects would unmount what belongs to the parent.

use std::ops::Deref;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;

use crate::threads::{gil_waiters, thread_state};

/// Called by Python in a child, right after fork().
#[pyfunction]
pub(crate) fn _after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::SeqCst);
    fusesg_serve::after_fork_in_child();
    thread_state::after_fork_in_child();
    gil_waiters::after_fork_in_child();
}

/// How many forks lie between this process and the first.
static GENERATION: AtomicUsize = AtomicUsize::new(0);
/// Processes in a line of descent that have things of their own.
pub(crate) const GENERATIONS: usize = 64;

/// Something of which a forked child has a new one, as it was in the beginning.
///
/// What is in the parent's is not the child's business. Above all, another thread may have held
/// its lock when the child was forked: there is no such thread in the child, and the lock
/// would be held for ever.
#[derive(Debug)]
pub(crate) struct PerProcess<T>([T; GENERATIONS]);

impl<T> PerProcess<T> {
    pub(crate) const fn new(all: [T; GENERATIONS]) -> Self {
        Self(all)
    }
}

impl<T> Deref for PerProcess<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0[GENERATION.load(Ordering::Relaxed) % GENERATIONS]
    }
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
