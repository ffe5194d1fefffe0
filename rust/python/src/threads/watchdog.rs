//! Ends the deadlock of a thread that holds the GIL and waits for its own mount.
//!
//! Python code that touches a file of its own mount usually has released the GIL (every
//! function of `os` does). A page fault in a mapped file has not, nor have dlopen and
//! posix_spawn: the thread then waits, with the GIL, for a callback that waits for the GIL,
//! and cannot even be killed. This thread never needs the GIL. When the GIL has not been had for the
//! mount's `watchdog_timeout`, it answers EIO to the requests that wait for it and come
//! from this very process; if that does not help, it ends the connection.
//!
//! An event loop can come to a standstill in the same way, with the GIL released: code in it
//! waits for a thread or a program that waits for the mount. When the loop has not looked at
//! its requests for as long, those of this process are answered EIO, and the log names the
//! loop as what others wait for.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;
use std::{process, thread};

use fusesg_fs::Errno;
use fusesg_serve::{Condvar, GENERATIONS, PerProcess, keep_headroom};
use parking_lot::Mutex;

use crate::dispatch::dispatcher::Core;
use crate::threads::gil_waiters::{self, MountId, Request};

/// How often to look while a deadlock is being dissolved: each request takes one look.
const DISSOLVING: Duration = Duration::from_millis(20);

/// A mount that is watched.
struct Watched {
    core: Weak<Core>,
    mount: MountId,
    path: String,
    timeout: Duration,
    abort: Arc<dyn Fn() + Send + Sync>,
    aborted: bool,
    /// It was logged that the event loop stands still.
    told_of_loop: bool,
}

static WATCHED: PerProcess<Mutex<Vec<Watched>>> =
    PerProcess::new([const { Mutex::new(Vec::new()) }; GENERATIONS]);
/// The thread sleeps without a time limit: nobody waits for the GIL.
static PARKED: PerProcess<AtomicBool> =
    PerProcess::new([const { AtomicBool::new(false) }; GENERATIONS]);
static PARK: PerProcess<Mutex<()>> = PerProcess::new([const { Mutex::new(()) }; GENERATIONS]);
static WAKE: PerProcess<Condvar> = PerProcess::new([const { Condvar::new() }; GENERATIONS]);
/// The process whose watchdog runs; after a fork there is none.
static STARTED_IN: AtomicU32 = AtomicU32::new(0);

/// Watches a mount until [`ignore`].
pub(crate) fn watch(
    core: &Arc<Core>,
    path: String,
    timeout: Duration,
    abort: Arc<dyn Fn() + Send + Sync>,
) {
    WATCHED.lock().push(Watched {
        core: Arc::downgrade(core),
        mount: core.mount,
        path,
        timeout,
        abort,
        aborted: false,
        told_of_loop: false,
    });
    let park = PARK.lock();
    if STARTED_IN.swap(process::id(), Ordering::AcqRel) == process::id() {
        return;
    }
    PARKED.store(false, Ordering::SeqCst);
    drop(park);
    let (running, runs) = mpsc::channel();
    let started = thread::Builder::new().name("fusesg-watchdog".into()).spawn(move || {
        // what is used for the first time takes the dynamic loader's lock (thread-local
        // variables; the standard library looks up statx and others by name): too late when
        // the first thing to happen is a dlopen that has to be freed
        a_thread_waits_in_fuse();
        gil_waiters::is_thread_of_this_process(process::id());
        wait_for_a_lock();
        keep_headroom();
        let _ = running.send(());
        run();
    });
    match started {
        Ok(_) => drop(runs.recv()),
        Err(error) => {
            STARTED_IN.store(0, Ordering::Release);
            log::warn!("the watchdog could not be started: {error}");
        }
    }
}

/// Waits for a lock in vain: what parking_lot keeps for each thread that waits has a
/// destructor, and it is made when the thread waits for the first time.
fn wait_for_a_lock() {
    let lock = Mutex::new(());
    let _held = lock.lock();
    let _timed_out = lock.try_lock_for(Duration::from_micros(1));
}

/// Watches a mount no longer.
pub(crate) fn ignore(mount: MountId) {
    let mut watched = WATCHED.lock();
    let removed: Vec<_> = watched.extract_if(.., |watched| watched.mount == mount).collect();
    drop(watched);
    drop(removed);
}

/// Tells the watchdog that it has something to watch. Called before every attachment.
#[inline]
pub(crate) fn someone_waits() {
    if PARKED.load(Ordering::SeqCst) {
        let _park = PARK.lock();
        WAKE.notify_one();
    }
}

fn run() {
    let mut quiet = 0;
    loop {
        let period = if somebody_waits() {
            quiet = 0;
            look(gil_waiters::longest_wait().unwrap_or_default())
        } else {
            quiet += 1;
            longest_period()
        };
        if quiet < 3 {
            thread::sleep(period);
            continue;
        }
        let mut park = PARK.lock();
        PARKED.store(true, Ordering::SeqCst);
        if !somebody_waits() {
            WAKE.wait(&mut park);
        }
        PARKED.store(false, Ordering::SeqCst);
        quiet = 0;
    }
}

/// Whether a thread waits for the GIL, or a request for an event loop.
fn somebody_waits() -> bool {
    let for_loop = |watched: &Watched| watched.loop_stalled().is_some();
    gil_waiters::longest_wait().is_some() || WATCHED.lock().iter().any(for_loop)
}

/// Often enough to be a quarter late at most.
fn longest_period() -> Duration {
    let shortest = WATCHED.lock().iter().map(|watched| watched.timeout).min();
    shortest.map_or(Duration::from_secs(1), |timeout| {
        (timeout / 4).clamp(DISSOLVING, Duration::from_secs(1))
    })
}

/// Someone has waited for the GIL for `wait`: acts if that is too long. Returns when to
/// look again.
fn look(wait: Duration) -> Duration {
    let mut period = longest_period();
    let mut abort = Vec::new();
    WATCHED.lock().iter_mut().for_each(look_at_loop);
    for watched in WATCHED.lock().iter_mut().filter(|watched| wait >= watched.timeout) {
        period = DISSOLVING;
        for request in requests_of_this_process(watched) {
            let what = request.fail(Errno::EIO);
            log::error!(
                "{}: the GIL could not be had for {:.1} s, and this process itself waits for {what}; \
                 answered EIO (a mapped file, a library or a program to spawn on one's own mount deadlocks)",
                watched.path,
                wait.as_secs_f64(),
            );
        }
        if !watched.aborted && wait >= watched.timeout * 2 && a_thread_waits_in_fuse() {
            watched.aborted = true;
            log::error!(
                "{}: a thread of this process holds the GIL and waits for a file system of \
                 its own; the mount was aborted",
                watched.path
            );
            abort.push(Arc::clone(&watched.abort));
        }
    }
    for abort in abort {
        abort();
    }
    period
}

impl Watched {
    /// How long its event loop has not looked at requests that wait for it.
    fn loop_stalled(&self) -> Option<Duration> {
        self.core.upgrade()?.event_loop.stalled_for()
    }
}

/// Answers what would wait for a loop that itself may wait for the answer.
fn look_at_loop(watched: &mut Watched) {
    let Some(core) = watched.core.upgrade() else { return };
    let Some(stalled) = core.event_loop.stalled_for().filter(|stalled| *stalled >= watched.timeout)
    else {
        watched.told_of_loop = false;
        return;
    };
    for request in core.event_loop.take_requests(&Request::is_ours) {
        let what = request.fail(Errno::EIO);
        log::error!(
            "{}: the event loop has stood still for {:.1} s, and this process itself waits for \
             {what}; answered EIO (code in the loop waits for whoever uses the mount)",
            watched.path,
            stalled.as_secs_f64(),
        );
    }
    if !std::mem::replace(&mut watched.told_of_loop, true) {
        log::error!(
            "{}: the event loop has stood still for {:.1} s; async callbacks wait for it, because \
             something in it blocks or computes",
            watched.path,
            stalled.as_secs_f64(),
        );
    }
}

fn requests_of_this_process(watched: &Watched) -> Vec<Request> {
    let mut requests = gil_waiters::take_requests(watched.mount, Request::is_ours);
    if let Some(core) = watched.core.upgrade() {
        requests.extend(core.take_queued(Request::is_ours));
    }
    requests
}

/// Whether a thread of this process waits for an answer or a page of a FUSE file system.
fn a_thread_waits_in_fuse() -> bool {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return false };
    threads.flatten().any(|thread| {
        fs::read_to_string(thread.path().join("wchan")).is_ok_and(|place| {
            place.starts_with("request_wait_answer") || place.starts_with("folio_wait")
        })
    })
}
