//! A mount from mount(2) to its end.
//!
//! ```text
//!  mount(2) ─► INIT ─► dispatch.init() ─► serving ─► detached ─► session ends ─► dispatch.destroy()
//! ```
//! The session ends when the kernel says so: unmounted by us or by anybody, and the last
//! open file closed, or the connection aborted. A thread of its own waits for that and
//! then takes everything down, whoever brought it about.

use std::fmt;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fuser::{Session, SessionACL};
use parking_lot::Mutex;

use crate::connection::Connection;
use crate::end::{End, Waited};
use crate::endpoint::{self, Endpoint, Listening};
use crate::fork::NotInherited;
use crate::fuser_transport::FuserTransport;
use crate::mounting::{self, MountError, MountId, Mounted};
use crate::own_reply::OwnReply;
use crate::report::Reporter;
use crate::served::Served;
use crate::serving::Serving;
use crate::watcher::Watcher;
use crate::{
    Dispatch, MountConfig, Notifier, Statistics, Value, absent, affinity, locks, notifier, sweeper,
};

/// How long serving threads may take after the connection was aborted: nobody waits for
/// their answers any more.
const LAST_CALLBACKS: Duration = Duration::from_secs(2);

/// A live mount. Dropped, it unmounts (unless in a forked child).
pub struct Mount {
    inner: Arc<Inner>,
}

struct Inner {
    config: MountConfig,
    /// Absolute, as the kernel knows it.
    point: std::path::PathBuf,
    id: MountId,
    /// The process that serves; a forked child is another one.
    process: u32,
    connection: Arc<Connection>,
    reporter: Arc<Reporter>,
    ended: End,
    /// Unmounting gave up waiting for a callback.
    left_behind: AtomicBool,
    /// One at a time looks whose mount is at the path and unmounts it.
    unmounting: Mutex<()>,
}

impl Mount {
    /// Mounts `dispatch` as `config` says and starts serving. Returns when the mount is usable.
    pub fn new(dispatch: Arc<dyn Dispatch>, mut config: MountConfig) -> Result<Self, MountError> {
        let mut properties = dispatch.properties();
        // where OPEN is not sent, no file can be opened for direct I/O
        properties.keep_cache_without_open |= config.keep_cache;
        properties.keep_cache_without_open &= !config.direct_io;
        config.read_only |= properties.read_only || absent::cannot_be_modified(&properties);
        config.reader_threads = config.reader_threads.max(2);
        if let Some(cpus) = &config.cpu_affinity {
            affinity::check(cpus).map_err(|error| {
                MountError::new(format!("cpu_affinity: {error}"), Some(libc::EINVAL))
            })?;
        }
        let place = mounting::examine(&config.mountpoint)?;
        let metrics = config.metrics.as_deref().map(listen).transpose()?;
        let watcher = Watcher::spawn(&place.point)
            .inspect_err(|error| {
                log::warn!("no watcher, a killed server would leave a dead mount: {error}");
            })
            .ok();
        let Mounted { device, info } = mounting::mount(&config, &place)?;
        if let Some(watcher) = &watcher {
            watcher.watch(&info);
        }
        let (point, id) = (place.point, info.id);
        // whatever fails from here on takes the mount away again
        let mounted = UnmountOnDrop { point: &point, id };
        let failed = |what: &str, error: &io::Error| {
            MountError::io(format!("{what} for {}", point.display()), error)
        };

        let duplicate = device.try_clone().map_err(|e| failed("no descriptor", &e))?;
        let not_inherited =
            [NotInherited::new(device.as_fd()), NotInherited::new(duplicate.as_fd())];
        let connection = Connection::new(&config, &properties, OwnReply::new(duplicate));
        let served = Served::new(Arc::clone(&dispatch), Arc::clone(&connection), properties);
        let transport = FuserTransport::new(Arc::clone(&served), config.clone());
        let mut session_config = fuser::Config::default();
        session_config.n_threads = Some(config.reader_threads);
        // who may enter is for the kernel to say
        let session = Session::from_fd(transport, device, SessionACL::All, session_config)
            .map_err(|error| failed("the kernel and the server did not agree", &error))?;
        if let Some(bytes) = config.max_readahead {
            raise_readahead(id, bytes);
        }
        let announced = Announced::new(&dispatch, &point, id);
        dispatch.init().map_err(|errno| {
            MountError::new(format!("the file system's init failed: {errno}"), Some(errno.number()))
        })?;

        let address = metrics.as_ref().map(|listening| listening.address);
        let reporter = Arc::new(Reporter {
            connection: Arc::clone(&connection),
            dispatch: Arc::downgrade(&dispatch),
            mountpoint: point.clone(),
            mounted: Instant::now(),
            metrics: address,
        });
        let endpoints = endpoints(id, metrics, &reporter)
            .map_err(|error| failed("no thread to tell the numbers", &error))?;
        let inner = Arc::new(Inner {
            config,
            point: point.clone(),
            id,
            process: std::process::id(),
            connection,
            reporter,
            ended: End::default(),
            left_behind: AtomicBool::new(false),
            unmounting: Mutex::new(()),
        });
        let serving = ServingMount {
            inner: Arc::clone(&inner),
            dispatch,
            announced,
            served,
            watcher,
            endpoints,
            not_inherited,
        };
        serving.start(session).map_err(|error| failed("no thread", &error))?;
        mem::forget(mounted);
        Ok(Self { inner })
    }

    /// The mount point, absolute.
    pub fn path(&self) -> &Path {
        &self.inner.point
    }

    /// The settings, with the file system's own read-only state applied.
    pub fn config(&self) -> &MountConfig {
        &self.inner.config
    }

    /// Whether the mount is still served.
    pub fn is_alive(&self) -> bool {
        self.inner.is_own_process() && !self.inner.ended.has_come()
    }

    /// Waits until the mount has ended, by whomever; `false` when `timeout` passed first.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        self.inner.wait(timeout)
    }

    /// The same, but returns also when a signal was handled on this thread.
    pub fn wait_interruptibly(&self, timeout: Option<Duration>) -> Waited {
        if !self.inner.is_own_process() {
            return Waited::Ended;
        }
        self.inner.ended.wait(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// Unmounts if the mount is still ours, detaching it when busy, and waits for the
    /// serving threads. Idempotent.
    ///
    /// Files that are open keep working for [`MountConfig::unmount_grace`]; then the
    /// connection is aborted. From inside a callback this only detaches: the callback
    /// cannot wait for itself. In a forked child it does nothing.
    pub fn unmount(&self) -> io::Result<()> {
        self.inner.unmount()
    }

    /// Unmounts as [`unmount`](Self::unmount) does, but does not wait for those who use it,
    /// nor for the serving threads.
    pub fn detach(&self) -> io::Result<()> {
        if self.is_alive() { self.inner.detach() } else { Ok(()) }
    }

    /// Whether it was unmounted, but a callback did not return in time: its thread is left
    /// to itself, and dropping the mount does not wait for it.
    pub fn is_left_behind(&self) -> bool {
        self.inner.left_behind.load(Ordering::Acquire)
    }

    /// Ends the connection at once: every request in flight and to come fails.
    pub fn abort(&self) {
        self.inner.abort();
    }

    /// Sends invalidations to the kernel.
    pub fn notifier(&self) -> Notifier {
        Notifier::new(Arc::clone(&self.inner.connection))
    }

    /// What was served so far.
    pub fn statistics(&self) -> Statistics {
        self.inner.connection.statistics()
    }

    /// The same as values by name, with what mount it is; without the file system's own.
    pub fn numbers(&self) -> Value {
        self.inner.reporter.of_mount(&self.statistics())
    }

    /// Where Prometheus asks, if [`MountConfig::metrics`] says that it may: with the port
    /// that was chosen for port 0.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.inner.reporter.metrics
    }
}

impl Inner {
    fn is_own_process(&self) -> bool {
        self.process == std::process::id()
    }

    fn wait(&self, timeout: Option<Duration>) -> bool {
        if !self.is_own_process() {
            return true;
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match self.ended.wait(deadline) {
                Waited::Interrupted => {}
                waited => return waited == Waited::Ended,
            }
        }
    }

    fn unmount(&self) -> io::Result<()> {
        if !self.is_own_process() || self.ended.has_come() {
            return Ok(());
        }
        self.detach()?;
        if Serving::here() || self.wait(Some(self.config.unmount_grace)) {
            return Ok(());
        }
        log::info!("{} is still in use: its connection is aborted", self.point.display());
        self.abort();
        if self.wait(Some(LAST_CALLBACKS)) {
            return Ok(());
        }
        self.left_behind.store(true, Ordering::Release);
        Err(io::Error::new(io::ErrorKind::TimedOut, self.still_runs()))
    }

    /// It was unmounted from outside, and the callbacks that still run go on for nobody: for
    /// those who wait for its end it has come.
    fn leave_behind(&self) {
        if !self.left_behind.swap(true, Ordering::AcqRel) {
            log::warn!("{}", self.still_runs());
            self.ended.come();
        }
    }

    fn still_runs(&self) -> String {
        let stuck: Vec<_> =
            self.connection.in_flight.pending().map(|request| request.kind.name()).collect();
        format!(
            "{} is unmounted, but its server still runs: {}",
            self.point.display(),
            if stuck.is_empty() { "a callback does not return".into() } else { stuck.join(", ") }
        )
    }

    /// Takes the mount from its path if it is there. What somebody else mounted over it,
    /// or in its place, is left alone.
    fn detach(&self) -> io::Result<()> {
        let _one_at_a_time = self.unmounting.lock();
        if !mounting::is_on_top(&self.point, self.id)? {
            return Ok(());
        }
        let detached = mounting::detach(&self.point);
        // it looks whether readers stand by that have nothing to wait for any more
        self.connection.sweeper.look_now();
        match detached {
            // somebody else was quicker
            Err(_) if !mounting::is_on_top(&self.point, self.id)? => Ok(()),
            other => other,
        }
    }

    fn abort(&self) {
        if self.is_own_process()
            && !self.ended.has_come()
            && let Err(error) =
                mounting::abort(self.id, || self.connection.own_reply.is_connected())
        {
            log::warn!("the connection of {} cannot be aborted: {error}", self.point.display());
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if !self.inner.is_own_process() {
            // the parent's threads and locks are not here: touch nothing
            mem::forget(Arc::clone(&self.inner));
            return;
        }
        // whoever was told that it ends without a callback does not want to wait again
        if self.is_left_behind() {
            return;
        }
        if let Err(error) = self.unmount() {
            log::warn!("{error}");
        }
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("path", &self.inner.point).finish_non_exhaustive()
    }
}

/// What lives as long as the session, in the hands of the thread that waits for its end.
struct ServingMount {
    inner: Arc<Inner>,
    dispatch: Arc<dyn Dispatch>,
    announced: Announced,
    served: Arc<Served>,
    watcher: Option<Watcher>,
    endpoints: Vec<Endpoint>,
    not_inherited: [NotInherited; 2],
}

impl ServingMount {
    fn start(self, session: Session<FuserTransport>) -> io::Result<()> {
        let inner = &self.inner;
        let connection = Arc::clone(&inner.connection);
        let of_mount = sweeper::OfMount {
            number: inner.id.id,
            watcher: self.watcher.as_ref().map(Watcher::words),
            // who unmounts it here gives up first, and is told by an error
            patience: inner.config.unmount_grace + LAST_CALLBACKS + Duration::from_secs(1),
            leave_behind: Box::new({
                let inner = Arc::clone(inner);
                move || inner.leave_behind()
            }),
        };
        let sweeper = sweeper::spawn(&connection, &self.dispatch, &inner.config, Some(of_mount))?;
        let sender = notifier::spawn(&connection).inspect_err(|_| connection.sweeper.stop())?;
        let locks = locks::spawn(&self.served).inspect_err(|_| {
            connection.sweeper.stop();
            connection.notifications.close();
        })?;
        let session_thread = move || {
            if let Some(cpus) = &self.inner.config.cpu_affinity
                && let Err(error) = affinity::restrict(cpus)
            {
                log::warn!("the serving threads run on any CPU: {error}");
            }
            let outcome = session.run();
            self.inner.connection.locks.close();
            self.inner.connection.admission.close();
            self.inner.connection.sweeper.stop();
            self.inner.connection.notifications.close();
            for thread in [sweeper, sender].into_iter().chain(locks) {
                if thread.join().is_err() {
                    log::error!("a thread of {} panicked", self.inner.point.display());
                }
            }
            self.end(outcome);
        };
        thread::Builder::new()
            .name("fusesg-session".into())
            .spawn(session_thread)
            .map(drop)
            .inspect_err(|_| {
                connection.sweeper.stop();
                connection.notifications.close();
                connection.locks.close();
            })
    }

    /// Takes everything down.
    fn end(self, outcome: io::Result<()>) {
        let Self { inner, dispatch, announced, served, watcher, endpoints, not_inherited } = self;
        match outcome {
            // fuser takes an abort for an error
            Err(error) if error.raw_os_error() != Some(libc::ECONNABORTED) => {
                log::error!("serving {} ended: {error}", inner.point.display());
            }
            _ => {}
        }
        // an aborted connection leaves a mount that answers nothing
        if let Err(error) = inner.detach() {
            log::warn!("{} cannot be unmounted: {error}", inner.point.display());
        }
        if catch_unwind(AssertUnwindSafe(|| dispatch.destroy())).is_err() {
            log::error!("destroy of the file system at {} panicked", inner.point.display());
        }
        // by now nobody finds them by the mount
        drop(endpoints);
        drop(announced);
        drop(dispatch);
        drop(served);
        inner.connection.passthrough.clear();
        drop(not_inherited);
        inner.connection.own_reply.close();
        inner.connection.data_path.pipes.close();
        drop(watcher);
        inner.ended.come();
    }
}

/// The file system knows of its mount, until this is dropped.
struct Announced {
    dispatch: Arc<dyn Dispatch>,
    device: u64,
}

impl Announced {
    fn new(dispatch: &Arc<dyn Dispatch>, point: &Path, id: MountId) -> Self {
        // file systems without a block device have major number 0
        let device = libc::makedev(0, id.minor);
        dispatch.mounted(point, device);
        Self { dispatch: Arc::clone(dispatch), device }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.dispatch.unmounted(self.device);
    }
}

/// Listens where the numbers shall be asked for: before mounting, since it may fail.
fn listen(address: &str) -> Result<Listening, MountError> {
    endpoint::listen(address).map_err(|error| {
        let what = format!("metrics={address}: the numbers cannot be offered there");
        MountError::new(format!("{what}: {error}"), error.raw_os_error().or(Some(libc::EINVAL)))
    })
}

/// Starts to answer those who ask for the numbers.
fn endpoints(
    id: MountId,
    metrics: Option<Listening>,
    reporter: &Arc<Reporter>,
) -> io::Result<Vec<Endpoint>> {
    let mut endpoints = Vec::new();
    match Endpoint::local(id.minor, Arc::clone(reporter)) {
        Ok(local) => endpoints.push(local),
        // nothing else depends on it
        Err(error) => log::warn!("`fusesg top` will not find this mount: {error}"),
    }
    if let Some(listening) = metrics {
        endpoints.push(Endpoint::open(listening, Arc::clone(reporter))?);
    }
    Ok(endpoints)
}

/// Lets the kernel read further ahead than it offers, where this process may say so.
fn raise_readahead(id: MountId, bytes: u32) {
    if let Err(error) = mounting::raise_readahead(id, bytes) {
        log::info!("max_readahead={bytes}: the kernel reads as far ahead as it offers: {error}");
    }
}

/// Takes a mount away that could not be brought into service.
struct UnmountOnDrop<'a> {
    point: &'a Path,
    id: MountId,
}

impl Drop for UnmountOnDrop<'_> {
    fn drop(&mut self) {
        if matches!(mounting::is_on_top(self.point, self.id), Ok(true))
            && let Err(error) = mounting::detach(self.point)
        {
            log::warn!("{} cannot be unmounted: {error}", self.point.display());
        }
    }
}
