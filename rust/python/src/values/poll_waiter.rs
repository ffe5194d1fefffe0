//! `PollWaiter`: wakes those who poll a file.

use fusesg_fs::PollWaiter;
use pyo3::prelude::*;

/// Wakes those who poll a file; from any thread, at any time.
#[pyclass(frozen, name = "PollWaiter", module = "fusesg")]
pub(crate) struct PyPollWaiter(pub(crate) PollWaiter);

#[pymethods]
impl PyPollWaiter {
    /// Tells the kernel that the file's readiness changed; it then asks again.
    fn notify(&self, py: Python<'_>) {
        py.detach(|| self.0.notify());
    }

    #[expect(clippy::unused_self, reason = "Python's protocol")]
    fn __repr__(&self) -> &'static str {
        "<fusesg.PollWaiter>"
    }
}
