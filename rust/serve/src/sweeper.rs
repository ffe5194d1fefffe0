//! Looks after requests that take long: killed callers, deadlines, warnings.
//!
//! fuser never passes on that a caller was interrupted, so a process that waits for a slow
//! callback could not even be killed. The sweeper is a thread that needs nothing but the
//! [table](crate::in_flight) (no Python, no lock of the file system): while requests are
//! being served it looks at them every [`TICK`]; for one older than [`PATIENCE`] it asks
//! `/proc` whether a signal waits for the caller, and if so answers in the callback's
//! place. It also answers requests that wait [for themselves](crate::deadlocks), tells the
//! [watcher](crate::watcher) when a thread of this process waits for its own mount, and calls
//! readers that [stand by](crate::standby), for which it looks more often.
//!
//! With nothing in flight it sleeps. When that has lasted for [`IDLE`] it has buffers freed
//! that were kept for the next request, and then sleeps for good.
//!
//! Going to sleep and entering a request may cross. The sweeper first says that it sleeps
//! and then looks at the table once more; a request first enters the table and then looks
//! whether the sweeper sleeps. All four are sequentially consistent, so one of the two sees
//! the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use fusesg_fs::{Errno, OperationKind, Unique};

use crate::caller::{self, Caller};
use crate::connection::Connection;
use crate::deadlocks::Deadlocks;
use crate::headroom::keep_headroom;
use crate::in_flight::Pending;
use crate::standby::{self, LastLook};
use crate::watcher::Word;
use crate::{Dispatch, MountConfig};

/// Time between two looks.
const TICK: Duration = Duration::from_millis(50);
/// Time without a request after which memory is given back.
const IDLE: Duration = Duration::from_secs(1);
/// Age from which a caller is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// How a request wakes the sweeper.
#[derive(Debug, Default)]
pub(crate) struct Wakeup {
    awake: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Wakeup {
    /// A request was entered.
    pub(crate) fn note_request(&self) {
        if !self.awake.load(Ordering::SeqCst) && !self.awake.swap(true, Ordering::SeqCst) {
            self.unpark();
        }
    }

    /// Has it look at once: a reader stands by from now on, or the mount has gone.
    pub(crate) fn look_now(&self) {
        self.unpark();
    }

    /// Ends the sweeper.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.unpark();
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

struct Sweeper {
    connection: Arc<Connection>,
    dispatch: Weak<dyn Dispatch>,
    request_timeout: Option<Duration>,
    slow_request_warning: Option<Duration>,
    /// A client has none.
    mount: Option<OfMount>,
}

/// What the sweeper of a mount has besides.
pub(crate) struct OfMount {
    /// As `/proc` numbers the mount.
    pub(crate) number: u64,
    /// To the watcher, if there is one.
    pub(crate) watcher: Option<Sender<Word>>,
    /// How long callbacks may take after the mount has gone.
    pub(crate) patience: Duration,
    /// Called when they take longer.
    pub(crate) leave_behind: Box<dyn Fn() + Send>,
}

/// Starts the sweeper of a mount; [`Wakeup::stop`] ends it.
pub(crate) fn spawn(
    connection: &Arc<Connection>,
    dispatch: &Arc<dyn Dispatch>,
    config: &MountConfig,
    mount: Option<OfMount>,
) -> std::io::Result<JoinHandle<()>> {
    let sweeper = Sweeper {
        connection: Arc::clone(connection),
        dispatch: Arc::downgrade(dispatch),
        request_timeout: config.request_timeout,
        slow_request_warning: config.slow_request_warning,
        mount,
    };
    let thread = thread::Builder::new().name("fusesg-sweeper".into()).spawn(move || {
        keep_headroom();
        sweeper.run();
    })?;
    // requests that came before found nobody to wake; look at the table once
    let _ = connection.sweeper.thread.set(thread.thread().clone());
    thread.thread().unpark();
    Ok(thread)
}

impl Sweeper {
    fn run(&self) {
        let wakeup = &self.connection.sweeper;
        let mut processes = Processes::new();
        let mut deadlocks = self.mount.as_ref().map(|mount| Deadlocks::of_mount(mount.number));
        let mut gone = None;
        let mut own_waits = false;
        let mut trimmed = false;
        let mut next_sweep = Instant::now();
        let mut last_look = LastLook::default();
        let standby = &self.connection.standby;
        while !wakeup.stop.load(Ordering::SeqCst) {
            self.end_standby();
            if self.is_needed() {
                if next_sweep <= Instant::now() {
                    self.sweep(&mut processes);
                    if let Some(deadlocks) = &mut deadlocks {
                        self.end_deadlock(deadlocks);
                    }
                    self.tell_watcher(&mut own_waits, &processes);
                    self.leave_behind(&mut gone);
                    next_sweep = Instant::now() + TICK;
                }
                standby.look(&mut last_look);
                let until_sweep = next_sweep.saturating_duration_since(Instant::now());
                let most = if standby.is_used() { standby::TICK } else { TICK };
                thread::park_timeout(until_sweep.min(most));
                continue;
            }
            processes.clear();
            self.connection.deadlocked.store(false, Ordering::SeqCst);
            self.tell_watcher(&mut own_waits, &processes);
            wakeup.awake.store(false, Ordering::SeqCst);
            if !self.is_needed() && !wakeup.stop.load(Ordering::SeqCst) {
                trimmed = self.sleep(trimmed);
            }
            wakeup.awake.store(true, Ordering::SeqCst);
        }
    }

    /// Leaves a mount that has gone to the callbacks that do not return. Its readers, one of
    /// which may be among them, are what else would tell that it has gone.
    fn leave_behind(&self, gone: &mut Option<Instant>) {
        let Some(mount) = &self.mount else { return };
        if self.connection.is_connected() {
            *gone = None;
        } else if gone.get_or_insert_with(Instant::now).elapsed() >= mount.patience {
            (mount.leave_behind)();
        }
    }

    /// Who stands by for a mount that has ended is to end, too.
    fn end_standby(&self) {
        if self.connection.standby.is_used() && !self.connection.is_connected() {
            self.connection.standby.close();
        }
    }

    /// Whether there is something to look at. FORGET, which nobody waits for, is not in the
    /// table.
    fn is_needed(&self) -> bool {
        !self.connection.in_flight.is_empty() || self.connection.standby.may_be_needed()
    }

    /// Sleeps until a request comes or memory is to be given back; tells whether it was.
    fn sleep(&self, trimmed: bool) -> bool {
        if trimmed {
            thread::park();
            return false;
        }
        let asleep = Instant::now();
        thread::park_timeout(IDLE);
        if asleep.elapsed() < IDLE {
            return false;
        }
        self.connection.trim();
        self.connection.standby.call_all();
        if let Some(dispatch) = self.dispatch.upgrade() {
            dispatch.idle();
        }
        true
    }

    fn sweep(&self, processes: &mut Processes) {
        let mut judged = HashMap::new();
        let mut looked_at = HashMap::new();
        for request in self.connection.in_flight.pending() {
            if !request.waits {
                self.warn_if_slow(&request);
            }
            if !request.waits && self.request_timeout.is_some_and(|limit| request.age >= limit) {
                self.answer(&request, Errno::ETIMEDOUT, Some(&self.connection.metrics.timed_out));
                continue;
            }
            if (request.age < PATIENCE && !request.waits) || !somebody_waits(&request) {
                continue;
            }
            let known = processes.get(&request.unique).copied();
            // many requests of one caller cost one look
            let caller = *judged.entry(request.pid).or_insert_with(|| caller::look(request.pid));
            if let Caller::Alive { process, .. } = caller {
                looked_at.insert(request.unique, process);
            }
            if is_given_up(&request, caller, known) {
                self.answer(&request, Errno::EINTR, Some(&self.connection.metrics.interrupted));
            }
        }
        *processes = looked_at;
    }

    /// Answers a request that waits for itself.
    fn end_deadlock(&self, deadlocks: &mut Deadlocks) {
        self.connection.end_deadlocked();
        let Some(request) = deadlocks.look(&self.connection.in_flight) else { return };
        // what its thread asks for next would wait in the same way
        self.connection.deadlocked.store(true, Ordering::SeqCst);
        if self.answer(&request, Errno::EDEADLK, None) {
            log::error!(
                "{} of inode {} waited for itself: to carry it out, thread {} uses the mount, where \
                 the kernel has locked what it needs until the answer; answered EDEADLK",
                request.kind,
                request.inode,
                request.thread
            );
        }
    }

    /// Tells the watcher when threads of this process begin or cease to wait.
    fn tell_watcher(&self, own_waits: &mut bool, processes: &Processes) {
        let own = std::process::id();
        let wait = processes.values().any(|process| *process == own);
        if wait != *own_waits
            && let Some(watcher) = self.mount.as_ref().and_then(|mount| mount.watcher.as_ref())
        {
            let _ = watcher.send(if wait { Word::Waiting } else { Word::Working });
        }
        *own_waits = wait;
    }

    fn warn_if_slow(&self, request: &Pending) {
        if self.slow_request_warning.is_some_and(|limit| request.age >= limit)
            && self.connection.in_flight.report_slow_once(request.ticket)
        {
            log::warn!(
                "{} (request {}) has been served for {:.1} s",
                request.kind,
                request.unique,
                request.age.as_secs_f64()
            );
        }
    }

    /// Answers in the callback's place; `false` if the callback was quicker.
    fn answer(&self, request: &Pending, errno: Errno, counter: Option<&AtomicU64>) -> bool {
        let count = || {
            if let Some(counter) = counter {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        if !self.connection.answer_for(request, errno, count) {
            return false;
        }
        self.connection.admission.give_up(request.unique);
        self.connection.locks.give_up(request.unique);
        if let Some(dispatch) = self.dispatch.upgrade() {
            dispatch.cancelled(request.unique);
        }
        true
    }
}

/// The process of each caller that was looked at, by request: once a thread is gone, its
/// number no longer tells.
type Processes = HashMap<Unique, u32>;

/// Whether a process waits for the answer. The kernel sends RELEASE in the background,
/// on behalf of whoever closed last.
fn somebody_waits(request: &Pending) -> bool {
    // 0: a caller in another pid namespace, or the kernel itself
    request.pid != 0 && !matches!(request.kind, OperationKind::Release | OperationKind::Releasedir)
}

/// Whether nobody wants the answer any more.
///
/// A caller that waits for its own request stays until it is answered. One that waits for
/// the page cache dies at once and leaves its READ behind; whoever else waits for the same
/// page asks again. A WRITE is never given up so: its thread may have left it to finish.
fn is_given_up(request: &Pending, caller: Caller, known_process: Option<u32>) -> bool {
    match caller {
        Caller::Killed => true,
        // as everywhere, whatever signal is handled interrupts the wait for a lock
        Caller::Alive { signalled, .. } => request.waits && signalled,
        Caller::Gone => {
            request.kind == OperationKind::Read
                && known_process
                    .is_none_or(|process| !matches!(caller::look(process), Caller::Alive { .. }))
        }
    }
}
