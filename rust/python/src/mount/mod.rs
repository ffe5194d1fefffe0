//! `Mount`: a mounted file system, and the end of all of them when the process ends.
//!
//! | concept | file |
//! |---|---|
//! | [`PyMount`]; unmounting at the interpreter's exit | `mod.rs` |
//! | its settings, from the dict of Python's `Config` | `settings.rs` |

mod settings;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use fusesg_fs::{FileType, Inode, OperationKind};
use fusesg_serve::{GENERATIONS, PerProcess, Waited, keep_headroom};
use parking_lot::Mutex;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use settings::Settings;

use crate::conversions::numbers::type_name;
use crate::conversions::{errors, names, value};
use crate::dispatch::dispatcher::{Core, Limits, PythonDispatch};
use crate::dispatch::implementation::{Declared, Methods};
use crate::dispatch::root::wrong_place;
use crate::fork::Origin;
use crate::native::provider::{MountOptions, native_of};
use crate::threads::event_loop::EventLoop;
use crate::threads::{thread_state, watchdog};
use crate::{client, log_queue, sys};

/// A signal interrupts the main thread's wait for the end of a mount, unless it came just
/// before or on another thread; so it looks for signals as often as this, too.
const SIGNAL_CHECK: Duration = Duration::from_secs(1);
/// How often `mount()` looks for signals while it waits for a callback.
const ROOT_SIGNAL_CHECK: Duration = Duration::from_millis(100);
/// How long the end of the interpreter waits for callbacks that run.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// The mounts of this process that may be alive.
static LIVE: PerProcess<Mutex<Vec<Weak<LiveMount>>>> =
    PerProcess::new([const { Mutex::new(Vec::new()) }; GENERATIONS]);

/// Inode of the directory, name in it, own inode, whether it is a directory.
type Located<'py> = (Option<u64>, Bound<'py, PyString>, Option<u64>, bool);

/// A mounted file system.
#[pyclass(frozen, name = "Mount", module = "fusesg._core")]
pub(crate) struct PyMount {
    live: Arc<LiveMount>,
}

struct LiveMount {
    mount: Arc<fusesg_serve::Mount>,
    core: Arc<Core>,
    origin: Origin,
    /// Held as long as it is served; given up through the reaper.
    path: Py<PyString>,
}

#[pymethods]
impl PyMount {
    /// Mounts `filesystem`; returns when the mount is usable.
    #[new]
    #[pyo3(signature = (filesystem, mountpoint, settings=None, running_loop=None))]
    fn new(
        py: Python<'_>,
        filesystem: &Bound<'_, PyAny>,
        mountpoint: &Bound<'_, PyAny>,
        settings: Option<&Bound<'_, PyDict>>,
        running_loop: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        if thread_state::gate_is_closed() {
            return Err(PyRuntimeError::new_err("cannot mount: the interpreter is ending"));
        }
        if filesystem.is_instance_of::<PyType>() {
            let class = filesystem.repr()?;
            let message = format!("{class} is a class; mount an instance of it");
            return Err(PyTypeError::new_err(message));
        }
        let path = names::path("mountpoint", mountpoint)?;
        let shown = names::to_python(py, path.as_os_str())?.unbind();
        let settings = Settings::new(path, settings)?;
        let options = MountOptions {
            kernel_passthrough: settings.config.kernel_passthrough,
            writeback: settings.config.writeback_cache,
        };
        let native = native_of(filesystem, options)?;
        let root = root_of(py, &settings.config.mountpoint);
        if native.is_some() && root != FileType::Directory {
            let class = type_name(filesystem);
            return Err(wrong_root(&class, FileType::Directory, &settings.config.mountpoint));
        }
        let core = Arc::new(Core::new(
            filesystem,
            native,
            Limits {
                reader_threads: Some(settings.config.reader_threads),
                max_python_threads: settings.max_python_threads,
                max_fetches: settings.max_fetches,
                max_write: settings.config.max_write,
                writeback: settings.config.writeback_cache,
                root: Some(root),
            },
            EventLoop::new(running_loop),
        )?);
        if !core.implements(OperationKind::Getattr) {
            return Err(PyTypeError::new_err(format!(
                "{} has no getattr method, which every file system needs",
                core.class_name
            )));
        }
        if settings.config.trace {
            log_queue::set_level(log::LevelFilter::Debug);
        }
        core.start_loop(py)?;
        let dispatch = Arc::new(PythonDispatch(Arc::clone(&core)));
        let mounted = py.detach(|| fusesg_serve::Mount::new(dispatch, settings.config));
        let mount = match mounted {
            Ok(mount) => Arc::new(mount),
            Err(error) => {
                py.detach(|| core.close_loop());
                return Err(core.take_init_error().unwrap_or_else(|| match error.errno {
                    Some(errno) => PyOSError::new_err((errno, error.message)),
                    None => PyOSError::new_err(error.message),
                }));
            }
        };
        if let Some(timeout) = settings.watchdog_timeout {
            let watched = Arc::downgrade(&mount);
            let abort = Arc::new(move || {
                if let Some(mount) = watched.upgrade() {
                    mount.abort();
                }
            });
            watchdog::watch(&core, mount.path().display().to_string(), timeout, abort);
        }
        if core.root_is_open(root)
            && let Err(error) = check_root(py, &core, mount.path())
        {
            // what it asked of a callback may have no answer yet
            let unmounted = py.detach(|| {
                mount.abort();
                mount.unmount()
            });
            if let Err(error) = unmounted {
                log::warn!("{error}");
            }
            watchdog::ignore(core.mount);
            return Err(error);
        }
        let live = Arc::new(LiveMount { mount, core, origin: Origin::here(), path: shown });
        let mut mounts = LIVE.lock();
        mounts.retain(|mount| mount.strong_count() > 0);
        mounts.push(Arc::downgrade(&live));
        drop(mounts);
        Ok(Self { live })
    }

    /// The mount point, absolute.
    #[getter]
    fn path(&self, py: Python<'_>) -> Py<PyString> {
        self.live.path.clone_ref(py)
    }

    /// Whether it is mounted and served.
    #[getter]
    fn is_alive(&self) -> bool {
        self.live.is_alive()
    }

    /// The asyncio event loop in which callbacks are awaited; starts it.
    #[getter]
    fn r#loop(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.live.core.event_loop.python_loop(py)
    }

    /// Callbacks are to be awaited in that loop, unless they are already in another.
    fn run_in(&self, running_loop: Py<PyAny>) {
        self.live.core.event_loop.run_in(running_loop);
    }

    /// Waits until it has ended; False when `timeout` seconds passed first.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.wait_for(py, timeout, fusesg_serve::Mount::wait_interruptibly)
    }

    /// Waits until the kernel has carried out what it was told; False when `timeout` seconds
    /// passed first.
    #[pyo3(signature = (timeout=None))]
    fn flush_notifications(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.wait_for(py, timeout, |mount, step| {
            if mount.notifier().flush(step) { Waited::Ended } else { Waited::TimedOut }
        })
    }

    /// Unmounts; detaches when busy.
    fn unmount(&self, py: Python<'_>) -> PyResult<()> {
        let live = &self.live;
        py.detach(|| live.unmount()).map_err(|error| match error.raw_os_error() {
            Some(_) => errors::os_error_at(&error, live.path.bind(py).as_any()),
            // not the system's: a sentence that says it all
            None => PyOSError::new_err(error.to_string()),
        })
    }

    /// Ends the connection at once.
    fn abort(&self, py: Python<'_>) {
        let live = &self.live;
        if live.origin.is_here() {
            py.detach(|| live.mount.abort());
        }
    }

    /// What was served, as a dict.
    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let live = &self.live;
        value::to_python(py, &live.mount.numbers().with(live.core.numbers()))
    }

    /// Where Prometheus may ask for the same: host and port.
    #[getter]
    fn metrics_address(&self) -> Option<(String, u16)> {
        let address = self.live.mount.metrics_address()?;
        Some((address.ip().to_string(), address.port()))
    }

    /// Makes the kernel forget attributes and a range of cached data.
    #[pyo3(signature = (inode, offset=0, length=0))]
    fn invalidate_inode(&self, inode: u64, offset: i64, length: i64) {
        if self.live.origin.is_here() {
            self.live.mount.notifier().invalidate_inode(Inode(inode), offset, length);
        }
    }

    /// Makes the kernel forget a name; one that was `deleted` had the inode `inode`, or the
    /// one that the kernel was told last.
    #[pyo3(signature = (parent, name, deleted=false, inode=None))]
    fn invalidate_entry(
        &self,
        parent: u64,
        name: &Bound<'_, PyAny>,
        deleted: bool,
        inode: Option<u64>,
    ) -> PyResult<()> {
        let name = names::component("name", name)?;
        if self.live.origin.is_here() {
            let notifier = self.live.mount.notifier();
            if deleted {
                notifier.deleted(Inode(parent), inode.map(Inode), &name);
            } else {
                notifier.invalidate_entry(Inode(parent), &name);
            }
        }
        Ok(())
    }

    /// What the kernel knows of a path: the inode of its directory, its name there, its own
    /// inode, and whether that is a directory's.
    fn locate<'py>(&self, path: &Bound<'py, PyAny>) -> PyResult<Located<'py>> {
        let Some(paths) = &self.live.core.paths else {
            return Err(PyTypeError::new_err(format!(
                "{} is a file system of inodes: it has no paths",
                self.live.core.class_name
            )));
        };
        let shown = path;
        let path = names::os_string("path", path)?;
        let bytes = path.as_bytes();
        if bytes.first() != Some(&b'/') {
            let message =
                format!("path={} does not begin at the root, with a slash", shown.repr()?);
            return Err(PyValueError::new_err(message));
        }
        let inode = paths.resolve(&path);
        let known = inode.and_then(|inode| paths.attributes(inode));
        let is_directory = known.is_some_and(|known| known.kind == FileType::Directory);
        let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        let slash = bytes[..end].iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let name = bytes.get(slash + 1..end).unwrap_or_default();
        let parent = paths.resolve(OsStr::from_bytes(&bytes[..slash]));
        let parent = parent.filter(|_| !name.is_empty()).map(|parent| parent.0);
        let name = names::bytes_to_python(shown.py(), name)?;
        Ok((parent, name, inode.map(|inode| inode.0), is_directory))
    }

    /// Puts data into the kernel's cache.
    fn store(&self, inode: u64, offset: u64, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(bytes) = crate::data::buffers::share(data)? else {
            return Err(PyTypeError::new_err(format!(
                "data must be bytes or another buffer, not {}",
                type_name(data)
            )));
        };
        if self.live.origin.is_here() {
            self.live.mount.notifier().store(Inode(inode), offset, bytes.to_vec());
        }
        Ok(())
    }
}

impl PyMount {
    /// Waits by `wait`, in steps; False when `timeout` seconds passed first.
    fn wait_for(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        wait: impl Fn(&fusesg_serve::Mount, Option<Duration>) -> Waited + Sync,
    ) -> PyResult<bool> {
        let deadline = timeout
            .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let live = &self.live;
        if !live.origin.is_here() {
            return Ok(true);
        }
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let check = sys::is_main_thread().then_some(SIGNAL_CHECK);
            let step = left.into_iter().chain(check).min();
            match py.detach(|| wait(&live.mount, step)) {
                Waited::Ended => return Ok(true),
                Waited::TimedOut if step == left => return Ok(false),
                Waited::TimedOut | Waited::Interrupted => {}
            }
            py.check_signals()?;
        }
    }
}

impl LiveMount {
    fn is_alive(&self) -> bool {
        self.origin.is_here() && self.mount.is_alive()
    }

    /// Does nothing in a forked child.
    fn unmount(&self) -> io::Result<()> {
        if !self.origin.is_here() {
            return Ok(());
        }
        // the loop's thread cannot wait for callbacks to end, which end in the loop
        let result =
            if self.core.event_loop.is_here() { self.mount.detach() } else { self.mount.unmount() };
        if !self.mount.is_alive() {
            watchdog::ignore(self.core.mount);
        }
        result
    }
}

impl Drop for LiveMount {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            return;
        }
        if self.mount.is_alive() && !self.mount.is_left_behind() {
            log::warn!(
                "{}: the last reference to a mount was dropped without unmount(); unmounting",
                self.mount.path().display()
            );
            // the last reference usually goes where Python holds the GIL, which the
            // callbacks that are still to come need
            let unmounted = Python::try_attach(|py| py.detach(|| self.mount.unmount()));
            if let Some(Err(error)) = unmounted {
                log::error!("{}: {error}", self.mount.path().display());
            }
        }
        watchdog::ignore(self.core.mount);
    }
}

/// Asks what the root is; an error if it cannot be mounted at `point`, or a signal came that
/// raises one. The kernel lets nobody go who waits for an answer, so another thread does.
fn check_root(py: Python<'_>, core: &Arc<Core>, point: &Path) -> PyResult<()> {
    let (told, mut answer) = mpsc::channel();
    let (asked, path) = (Arc::clone(core), point.to_owned());
    thread::Builder::new().name("fusesg-root".into()).spawn(move || {
        keep_headroom();
        let _ = told.send(asked.root.ask(&path));
    })?;
    loop {
        let received;
        (answer, received) = py.detach(move || {
            let received = answer.recv_timeout(ROOT_SIGNAL_CHECK);
            (answer, received)
        });
        match received {
            Ok(Some(wrong)) => return Err(wrong_root(&core.class_name, wrong, point)),
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Whether the class has methods that are `async def`.
#[pyfunction]
pub(crate) fn is_asynchronous(filesystem: &Bound<'_, PyAny>) -> PyResult<bool> {
    let declared = Declared::of(filesystem)?;
    Methods::of(filesystem, declared.by_path).map(|methods| methods.is_asynchronous())
}

/// Unmounts what is mounted and keeps every thread out of Python from then on. For the end
/// of the interpreter; bounded in time.
#[pyfunction]
pub(crate) fn _shutdown(py: Python<'_>) {
    py.detach(|| {
        client::close_all();
        let mounts: Vec<_> = LIVE.lock().iter().filter_map(Weak::upgrade).collect();
        for live in mounts.iter().filter(|live| live.core.event_loop.is_here()) {
            // it ran in this thread, and will not any more
            live.core.event_loop.abandon();
        }
        // all at once: each may have to wait for those who use it
        thread::scope(|scope| {
            for live in mounts.iter().filter(|live| !live.mount.is_left_behind()) {
                let unmount = || {
                    if let Err(error) = live.unmount() {
                        log::error!("{error}");
                    }
                };
                if thread::Builder::new().spawn_scoped(scope, unmount).is_err() {
                    unmount();
                }
            }
        });
        if !thread_state::close_gate(SHUTDOWN) {
            log::warn!("a callback still runs while the interpreter ends; it was left behind");
        }
    });
}

/// A root of type `kind` cannot be mounted at `point`.
fn wrong_root(class: &str, kind: FileType, point: &Path) -> PyErr {
    let errno = if kind == FileType::Directory { libc::ENOTDIR } else { libc::EISDIR };
    PyOSError::new_err((errno, wrong_place(class, kind, point)))
}

/// What kind of file the mount point is, and so the root of what is mounted there.
fn root_of(py: Python<'_>, mountpoint: &Path) -> FileType {
    // a mount point that is not there is told of when it is mounted
    let metadata = py.detach(|| mountpoint.metadata());
    let kind = metadata.ok().and_then(|metadata| FileType::from_mode(metadata.mode()));
    kind.unwrap_or(FileType::Directory)
}
