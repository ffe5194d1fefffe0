//! The extension module `fusesg._core`: Python classes over the Rust layers.
//!
//! ```text
//!  rust/serve ──► dispatch ──► threads ──► callbacks ──► the class's methods
//!                    └──► native, for what the class does not override
//! ```
//!
//! | concept | file |
//! |---|---|
//! | what an operation's way through Python is | `dispatch/` |
//! | where callbacks run; the GIL, deadlocks with one's own mount | `threads/` |
//! | operations ↔ method calls | `callbacks/` |
//! | what callbacks take and return: one file per class | `values/` |
//! | `Backing`, segments, streams; memory of Python | `data/` |
//! | exceptions ↔ errno, names, numbers | `conversions/` |
//! | `Passthrough`, `Memory` and `Tree` as base classes | `native/` |
//! | `Mount`, its settings and numbers; unmounting at exit | `mount/` |
//! | `Client`: the same without a mount | `client/` |
//! | Python objects that Rust needs | `imports.rs` |
//! | log records on their way to `logging` | `log_queue.rs` |
//! | forked children | `fork.rs` |
//! | system calls | `sys.rs` |
//!
//! The docstrings users read are in `python/fusesg/_core.pyi`.

mod callbacks;
mod client;
mod conversions;
mod data;
mod dispatch;
mod fork;
mod imports;
mod log_queue;
mod mount;
mod native;
mod sys;
mod threads;
mod values;

#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::client::{PyClient, PyPending};
    #[pymodule_export]
    use crate::data::backing::PyBacking;
    #[pymodule_export]
    use crate::data::fetch::PyFetch;
    #[pymodule_export]
    use crate::data::handles::{PyBackingHandle, PyBytesHandle, PySegmentHandle};
    #[pymodule_export]
    use crate::data::segments::{PyExtent, PySegmentList, PyZeros};
    #[pymodule_export]
    use crate::data::streams::{PyPipe, PySocket};
    #[pymodule_export]
    use crate::fork::_after_fork_in_child;
    #[pymodule_export]
    use crate::log_queue::{close_log_queue, flush_log_queue, next_log_record, set_log_level};
    #[pymodule_export]
    use crate::mount::{_shutdown, PyMount, is_asynchronous};
    #[pymodule_export]
    use crate::native::memory::PyMemory;
    #[pymodule_export]
    use crate::native::native_handle::PyNativeHandle;
    #[pymodule_export]
    use crate::native::operations::PyNative;
    #[pymodule_export]
    use crate::native::passthrough::PyPassthrough;
    #[pymodule_export]
    use crate::native::tree::PyTree;
    #[pymodule_export]
    use crate::values::attributes::PyAttributes;
    #[pymodule_export]
    use crate::values::context::PyContext;
    #[pymodule_export]
    use crate::values::directory_entry::PyDirectoryEntry;
    #[pymodule_export]
    use crate::values::entry::PyEntry;
    #[pymodule_export]
    use crate::values::filesystem_statistics::PyFilesystemStatistics;
    #[pymodule_export]
    use crate::values::lock::PyLock;
    #[pymodule_export]
    use crate::values::opened::PyOpened;
    #[pymodule_export]
    use crate::values::poll_waiter::PyPollWaiter;
    #[pymodule_export]
    use crate::values::set_attributes::{PyNow, PySetAttributes};
    use pyo3::exceptions::PyImportError;
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        if !crate::sys::is_main_interpreter(module.py()) {
            // threads of our own could not enter it, and would wait for ever
            return Err(PyImportError::new_err("fusesg works in the main interpreter only"));
        }
        crate::log_queue::install();
        crate::fork::register(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("NOW", crate::imports::now(module.py())?)?;
        module.add("WRITE_CACHE", crate::values::context::WRITE_CACHE)?;
        module.add("WRITE_LOCKOWNER", crate::values::context::WRITE_LOCKOWNER)?;
        module.add("WRITE_KILL_SUIDGID", crate::values::context::WRITE_KILL_SUIDGID)
    }
}
