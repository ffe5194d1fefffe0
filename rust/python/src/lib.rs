//! The extension module `fusesg._core`: Python classes over the Rust layers.
//!
//! | concept | file |
//! |---|---|
//! | Python values ↔ Rust values | one file per class: `attributes.rs`, `entry.rs`, `context.rs` … |
//! | exceptions ↔ errno | `errors.rs` |
//! | Python memory: borrowed, exported | `buffers.rs` |
//! | file data as Python sees it | `segments.rs`, `backing.rs` |
//! | names and paths | `names.rs` |
//! | Python objects that Rust needs | `imports.rs` |
//! | `Mount`, its settings and numbers | `mount.rs`, `settings.rs`, `statistics.rs` |
//! | what a class implements | `implementation.rs` |
//! | which way an operation takes | `dispatcher.rs` |
//! | operations ↔ method calls | `callbacks/` |
//! | open files and directories of a class | `handles.rs`, `directory_snapshot.rs` |
//! | threads and the GIL | `thread_state.rs`, `executors.rs`, `reaper.rs` |
//! | deadlocks with one's own mount | `watchdog.rs`, `gil_waiters.rs` |
//! | log records on their way to `logging` | `log_queue.rs` |
//! | forked children | `fork.rs` |
//!
//! The docstrings users read are in `python/fusesg/_core.pyi`.

mod attributes;
mod backing;
mod buffers;
mod callbacks;
mod context;
mod directory_entry;
mod directory_snapshot;
mod dispatcher;
mod entry;
mod errors;
mod executors;
mod fork;
mod gil_waiters;
mod handles;
mod implementation;
mod imports;
mod lock;
mod log_queue;
mod mount;
mod names;
mod native_handle;
mod numbers;
mod opened;
mod passthrough;
mod poll_waiter;
mod reaper;
mod segments;
mod set_attributes;
mod settings;
mod statistics;
mod statistics_classes;
mod sys;
mod thread_state;
mod watchdog;

#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::attributes::PyAttributes;
    #[pymodule_export]
    use crate::backing::PyBacking;
    #[pymodule_export]
    use crate::context::PyContext;
    #[pymodule_export]
    use crate::directory_entry::PyDirectoryEntry;
    #[pymodule_export]
    use crate::entry::PyEntry;
    #[pymodule_export]
    use crate::fork::_after_fork_in_child;
    #[pymodule_export]
    use crate::lock::PyLock;
    #[pymodule_export]
    use crate::log_queue::{close_log_queue, next_log_record, set_log_level};
    #[pymodule_export]
    use crate::mount::{_shutdown, PyMount};
    #[pymodule_export]
    use crate::native_handle::PyNativeHandle;
    #[pymodule_export]
    use crate::opened::PyOpened;
    #[pymodule_export]
    use crate::passthrough::PyPassthrough;
    #[pymodule_export]
    use crate::poll_waiter::PyPollWaiter;
    #[pymodule_export]
    use crate::segments::{PyExtent, PySegmentList, PyZeros};
    #[pymodule_export]
    use crate::set_attributes::{PyNow, PySetAttributes};
    #[pymodule_export]
    use crate::statistics_classes::PyFilesystemStatistics;
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::log_queue::install();
        crate::fork::register(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("NOW", crate::imports::now(module.py())?)?;
        module.add("WRITE_CACHE", crate::context::WRITE_CACHE)?;
        module.add("WRITE_LOCKOWNER", crate::context::WRITE_LOCKOWNER)?;
        module.add("WRITE_KILL_SUIDGID", crate::context::WRITE_KILL_SUIDGID)
    }
}
