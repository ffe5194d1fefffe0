//! The life of a client: made, closed, at the interpreter's exit, after a fork.

use std::sync::{Arc, Weak};
use std::thread;

use fusesg_fs::{Errno, OperationKind, Result};
use fusesg_serve::{Client, GENERATIONS, PerProcess};
use parking_lot::Mutex;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use super::settings;
use crate::conversions::errors;
use crate::dispatch::dispatcher::{Core, Limits, PythonDispatch};
use crate::fork::Origin;
use crate::log_queue;
use crate::native::provider::{MountOptions, native_of};
use crate::threads::event_loop::EventLoop;
use crate::threads::{interruption, thread_state};

/// Threads for callbacks that the calling threads do not run: those of FORGET.
const MAX_PYTHON_THREADS: usize = 64;
/// `Fetch` pieces at a time, as of a mount.
const MAX_FETCHES: usize = 16;

/// The clients of this process that may be open.
static LIVE: PerProcess<Mutex<Vec<Weak<LiveClient>>>> =
    PerProcess::new([const { Mutex::new(Vec::new()) }; GENERATIONS]);

/// A client and the Python object behind it.
pub(super) struct LiveClient {
    pub(super) client: Arc<Client>,
    pub(super) core: Arc<Core>,
    origin: Origin,
}

impl LiveClient {
    pub(super) fn new(
        filesystem: &Bound<'_, PyAny>,
        settings: &Bound<'_, PyDict>,
    ) -> PyResult<Arc<Self>> {
        let py = filesystem.py();
        if thread_state::gate_is_closed() {
            return Err(PyRuntimeError::new_err("no client: the interpreter is ending"));
        }
        if filesystem.is_instance_of::<PyType>() {
            let class = filesystem.repr()?;
            let message = format!("{class} is a class; give the client an instance of it");
            return Err(PyTypeError::new_err(message));
        }
        let config = settings::config(settings)?;
        let native = native_of(filesystem, MountOptions::default())?;
        let limits = Limits {
            reader_threads: None,
            max_python_threads: MAX_PYTHON_THREADS,
            max_fetches: MAX_FETCHES,
            max_write: config.max_write,
            writeback: false,
            root: None,
        };
        let core = Arc::new(Core::new(filesystem, native, limits, EventLoop::new(None))?);
        if !core.implements(OperationKind::Getattr) {
            return Err(PyTypeError::new_err(format!(
                "{} has no getattr method, which every file system needs",
                core.class_name
            )));
        }
        if config.trace {
            log_queue::set_level(log::LevelFilter::Debug);
        }
        core.start_loop(py)?;
        let dispatch = Arc::new(PythonDispatch(Arc::clone(&core)));
        let made = py
            .detach(|| Client::new(dispatch, config, Some(Arc::new(interruption::handle_signals))));
        let client = made.map_err(|errno| {
            py.detach(|| core.close_loop());
            let message = format!("{}.init failed", core.class_name);
            let error = || PyOSError::new_err((errno.number(), message));
            core.take_init_error().unwrap_or_else(error)
        })?;
        let live = Arc::new(Self { client: Arc::new(client), core, origin: Origin::here() });
        let mut clients = LIVE.lock();
        clients.retain(|client| client.strong_count() > 0);
        clients.push(Arc::downgrade(&live));
        Ok(live)
    }

    pub(super) fn is_closed(&self) -> bool {
        !self.origin.is_here() || self.client.is_closed()
    }

    /// Does nothing in a forked child.
    pub(super) fn close(&self, py: Python<'_>) {
        if self.origin.is_here() {
            py.detach(|| self.client.close());
        }
    }

    /// EBADF in a forked child: the client is the parent's, like its threads and locks.
    pub(super) fn check_process(&self) -> PyResult<()> {
        if self.origin.is_here() {
            return Ok(());
        }
        let message = "the client belongs to the process that made it, not to its forked child";
        Err(PyOSError::new_err((libc::EBADF, message)))
    }

    /// Calls the client without the GIL. An error tells of `paths`.
    pub(super) fn call<T: Send>(
        &self,
        py: Python<'_>,
        paths: &[&Bound<'_, PyAny>],
        call: impl FnOnce(&Client) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.check_process()?;
        let (result, raised) = interruption::while_asking(|| py.detach(|| call(&self.client)));
        result.map_err(|errno| {
            raised.filter(|_| errno == Errno::EINTR).unwrap_or_else(|| self.error(errno, paths))
        })
    }

    /// An errno as an exception.
    pub(super) fn error(&self, errno: Errno, paths: &[&Bound<'_, PyAny>]) -> PyErr {
        if matches!(errno, Errno::ENOTCONN | Errno::ECONNABORTED) && self.client.is_closed() {
            return PyOSError::new_err((errno.number(), "the client is closed"));
        }
        match paths {
            [] => errors::os_error(errno),
            [path] => errors::os_error_at(&errno.into(), path),
            [path, other, ..] => errors::os_error_between(&errno.into(), path, other),
        }
    }
}

impl Drop for LiveClient {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            // the parent's threads and locks are not here: touch nothing
            std::mem::forget(Arc::clone(&self.client));
            return;
        }
        if !self.client.is_closed() {
            // the last reference usually goes where Python holds the GIL, which the
            // callbacks that are still to come need
            Python::try_attach(|py| py.detach(|| self.client.close()));
        }
    }
}

/// Closes all clients, for the end of the interpreter.
pub(crate) fn close_all() {
    let clients: Vec<_> = LIVE.lock().iter().filter_map(Weak::upgrade).collect();
    // all at once: each may have to wait for those who use it
    thread::scope(|scope| {
        for live in clients.iter().filter(|live| !live.is_closed()) {
            let close = || live.client.close();
            if thread::Builder::new().spawn_scoped(scope, close).is_err() {
                close();
            }
        }
    });
}
