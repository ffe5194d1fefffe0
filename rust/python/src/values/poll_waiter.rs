//! `PollWaiter`: wakes those who poll a file.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use fusesg_fs::PollWaiter;
use pyo3::prelude::*;

/// Wakes those who poll an open file; from any thread, at any time. Waiters for the same open
/// file are equal.
#[pyclass(frozen, name = "PollWaiter", module = "fusesg")]
pub(crate) struct PyPollWaiter(pub(crate) PollWaiter);

#[pymethods]
impl PyPollWaiter {
    /// Tells the kernel that the file's readiness changed; it then asks again.
    fn notify(&self, py: Python<'_>) {
        py.detach(|| self.0.notify());
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().0.id() == self.0.id())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.id().hash(&mut hasher);
        hasher.finish()
    }

    #[expect(clippy::unused_self, reason = "Python's protocol")]
    fn __repr__(&self) -> &'static str {
        "<fusesg.PollWaiter>"
    }
}
