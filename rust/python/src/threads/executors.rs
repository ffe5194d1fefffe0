//! Threads that run the callbacks which the readers must not.
//!
//! What readers hand over to each other ([`combining`](super::combining)) and nobody takes
//! comes here, and what cannot wait for them.
//!
//! Executors grow in number when the queue stalls (its oldest job waits longer than
//! [`STALL`] while all of them are busy), which a monitor thread watches. It sleeps while
//! nothing is queued, as do the executors.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fusesg_fs::Errno;
use fusesg_serve::Condvar;
use parking_lot::{Mutex, MutexGuard};

use crate::threads::combining::{Combining, Look};
use crate::threads::gil_waiters::{self, Request, Waiting};
use crate::threads::thread_state;

/// A job that waits this long calls for one more executor.
pub(super) const STALL: Duration = Duration::from_millis(1);
/// Executors but the last end after this long without work.
const IDLE: Duration = Duration::from_secs(5);

/// A request and what is to be done with it.
pub(crate) struct Job {
    /// The request; `None` for work nobody waits for.
    pub(crate) request: Option<Request>,
    /// Runs the callback and answers.
    pub(crate) run: Box<dyn FnOnce(Option<Request>) + Send>,
}

impl Job {
    /// Runs it. A panic is logged and goes no further.
    pub(crate) fn run(self) {
        let Self { request, run } = self;
        if catch_unwind(AssertUnwindSafe(|| run(request))).is_err() {
            // the responder was dropped by the unwinding, which answered EIO
            log::error!("a callback's thread panicked; please report this");
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("request", &self.request).finish_non_exhaustive()
    }
}

/// Numbers of the executors of one mount.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExecutorStatistics {
    /// Threads that live, and the most that ever did.
    pub(crate) threads: usize,
    pub(crate) peak: usize,
    /// Jobs that wait for a thread.
    pub(crate) waiting: usize,
    /// Jobs that ever did, however shortly.
    pub(crate) queued: u64,
}

/// The executors of one mount.
#[derive(Debug)]
pub(crate) struct Executors {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    combining: Arc<Combining>,
    /// The monitor has to be told of what is handed over: it sleeps, or does not run yet.
    must_tell: AtomicBool,
    state: Mutex<State>,
    /// A job was queued, or the mount ends.
    work: Condvar,
    /// The same, for the monitor.
    queued: Condvar,
    /// A thread ended, or one is not being started any more.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(Instant, Job)>,
    /// Executors that live.
    threads: usize,
    /// Of them, those that wait for a job.
    idle: usize,
    monitor_runs: bool,
    /// Threads that are being started, and whose handles are not yet in `handles`.
    starting: usize,
    closed: bool,
    /// Of all threads started, but for some that ended long ago.
    handles: Vec<JoinHandle<()>>,
    /// The most executors that lived at a time.
    peak: usize,
    /// Jobs that were queued.
    total: u64,
}

impl Shared {
    /// Names this mount's executors among all threads.
    fn group(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Executors {
    /// At most `limit` threads; none is started before it is needed. They run what is
    /// queued, and what readers hand over and nobody takes.
    pub(crate) fn new(limit: usize, combining: Arc<Combining>) -> Self {
        Self {
            shared: Arc::new(Shared {
                limit: limit.max(1),
                combining,
                must_tell: AtomicBool::new(true),
                state: Mutex::default(),
                work: Condvar::new(),
                queued: Condvar::new(),
                ended: Condvar::new(),
            }),
        }
    }

    /// Queues a job. After [`close`](Self::close) its request is answered EIO.
    pub(crate) fn submit(&self, job: Job) {
        self.queue(job, false);
    }

    /// Queues a job that is known to wait for something: it gets a thread at once, if there
    /// may be one more, rather than when the queue has stalled.
    pub(crate) fn submit_slow(&self, job: Job) {
        self.queue(job, true);
    }

    fn queue(&self, job: Job, slow: bool) {
        let mut state = self.shared.state.lock();
        if state.closed {
            drop(state);
            refuse(job);
            return;
        }
        state.total += 1;
        state.queue.push_back((Instant::now(), job));
        // those that were notified count as idle until they have the lock
        let all_taken = state.queue.len() > state.idle;
        if state.idle > 0 {
            self.shared.work.notify_one();
        }
        if state.threads == 0 || slow && all_taken && state.threads < self.shared.limit {
            start_executor(&self.shared, &mut state);
        }
        if state.queue.len() == 1 {
            self.tell_monitor(&mut state);
        }
    }

    /// Something was handed over among readers: if they do not come for it, executors will.
    pub(crate) fn look_after_handed(&self) {
        if self.shared.must_tell.load(Ordering::SeqCst) {
            self.tell_monitor(&mut self.shared.state.lock());
        }
    }

    fn tell_monitor(&self, state: &mut MutexGuard<'_, State>) {
        if state.closed || state.monitor_runs {
            self.shared.queued.notify_one();
        } else {
            start_monitor(&self.shared, state);
        }
    }

    /// Takes queued requests that satisfy `wanted`; the caller answers them.
    pub(crate) fn take_requests(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        let mut requests = self.shared.combining.take_requests(&wanted);
        let mut state = self.shared.state.lock();
        requests.extend(taken_from(&mut state.queue, wanted));
        requests
    }

    /// Numbers.
    pub(crate) fn statistics(&self) -> ExecutorStatistics {
        let handed = self.shared.combining.waiting();
        let state = self.shared.state.lock();
        ExecutorStatistics {
            threads: state.threads,
            peak: state.peak,
            waiting: state.queue.len() + handed,
            queued: state.total,
        }
    }

    /// Takes no more jobs, drops the queued ones, and waits for the threads. One whose
    /// callback does not return before `timeout` is left behind; it ends by itself.
    pub(crate) fn close(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state.lock();
        state.closed = true;
        let mut dropped = self.shared.combining.close();
        dropped.append(&mut state.queue);
        self.shared.work.notify_all();
        self.shared.queued.notify_all();
        MutexGuard::unlocked(&mut state, || {
            for (_, job) in dropped {
                refuse(job);
            }
        });
        // a callback that unmounts its own mount is an executor itself
        let own = usize::from(IS_EXECUTOR_OF.get() == self.shared.group());
        while state.threads > own || state.monitor_runs || state.starting > 0 {
            if self.shared.ended.wait_until(&mut state, deadline).timed_out() {
                return false;
            }
        }
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        for handle in handles {
            // none does anything any more but end, except this very thread
            if handle.thread().id() != thread::current().id() {
                let _panic_was_logged = handle.join();
            }
        }
        true
    }
}

impl Drop for Executors {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        self.shared.work.notify_all();
        self.shared.queued.notify_all();
    }
}

thread_local! {
    /// Address of the `Shared` this thread works for, else 0.
    static IS_EXECUTOR_OF: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Starts one more executor.
fn start_executor(shared: &Arc<Shared>, state: &mut MutexGuard<'_, State>) {
    state.threads += 1;
    let number = state.threads;
    let for_thread = Arc::clone(shared);
    let name = format!("fusesg-python-{number}");
    match start(shared, state, name, move || execute(&for_thread)) {
        Ok(handle) => {
            state.handles.retain(|handle| !handle.is_finished());
            state.handles.push(handle);
            state.peak = state.peak.max(number);
        }
        Err(error) => {
            state.threads -= 1;
            if state.threads > 0 {
                // the job waits for one of the others
                return;
            }
            log::error!("no thread for a callback could be started: {error}");
            for (_, job) in std::mem::take(&mut state.queue) {
                refuse(job);
            }
        }
    }
}

fn execute(shared: &Arc<Shared>) {
    IS_EXECUTOR_OF.set(shared.group());
    gil_waiters::join_group(shared.group());
    let mut state = shared.state.lock();
    loop {
        if let Some((_, job)) = state.queue.pop_front() {
            MutexGuard::unlocked(&mut state, || job.run());
            continue;
        }
        if state.closed {
            break;
        }
        state.idle += 1;
        let timed_out = if state.threads > 1 {
            shared.work.wait_for(&mut state, IDLE).timed_out()
        } else {
            shared.work.wait(&mut state);
            false
        };
        state.idle -= 1;
        if timed_out && state.queue.is_empty() {
            break;
        }
    }
    MutexGuard::unlocked(&mut state, thread_state::release);
    state.threads -= 1;
    if state.threads == 1 {
        // the one that stays shall wait without a time limit
        shared.work.notify_all();
    }
    shared.ended.notify_all();
}

/// The requests of `jobs` that satisfy `wanted`.
pub(super) fn taken_from(
    jobs: &mut VecDeque<(Instant, Job)>,
    wanted: impl Fn(&Request) -> bool,
) -> impl Iterator<Item = Request> {
    jobs.iter_mut().filter_map(move |(_, job)| job.request.take_if(|request| wanted(request)))
}

/// Answers the request of a job that will not run.
pub(super) fn refuse(job: Job) {
    if let Some(request) = job.request {
        let _no_one_waits = request.responder.answer(Err(Errno::EIO));
    }
}

/// Starts a thread, without the lock: that needs the dynamic loader's lock, which a `dlopen`
/// may hold that waits for one of the queued requests. The watchdog then takes it out of the
/// queue; it is told as if the GIL were waited for, since no callback can run.
fn start(
    shared: &Shared,
    state: &mut MutexGuard<'_, State>,
    name: String,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    state.starting += 1;
    let started = MutexGuard::unlocked(state, || {
        let waiting = Waiting::begin(None);
        let started = thread::Builder::new().name(name).spawn(body);
        drop(waiting);
        started
    });
    state.starting -= 1;
    shared.ended.notify_all();
    started
}

/// Starts the monitor.
fn start_monitor(shared: &Arc<Shared>, state: &mut MutexGuard<'_, State>) {
    state.monitor_runs = true;
    let for_thread = Arc::clone(shared);
    let started = start(shared, state, "fusesg-monitor".into(), move || monitor(&for_thread));
    if started.is_err() {
        state.monitor_runs = false;
    }
    state.handles.extend(started.ok());
}

/// Adds an executor whenever the oldest job has waited for longer than [`STALL`].
fn monitor(shared: &Arc<Shared>) {
    let mut state = shared.state.lock();
    let mut pause = STALL;
    let mut last_look = Look::default();
    shared.must_tell.store(false, Ordering::SeqCst);
    while !state.closed {
        if let Some(overdue) = shared.combining.look(&mut last_look) {
            state.total += overdue.len() as u64;
            state.queue.extend(overdue);
            shared.work.notify_all();
        }
        let Some((since, _)) = state.queue.front() else {
            pause = STALL;
            if last_look.found_something {
                // waking the monitor for each of many would cost more than they do
                shared.queued.wait_for(&mut state, STALL);
                continue;
            }
            // in this order: whoever hands over looks whether we are to be told afterwards
            shared.must_tell.store(true, Ordering::SeqCst);
            if !shared.combining.has_news(&last_look) {
                shared.queued.wait(&mut state);
            }
            shared.must_tell.store(false, Ordering::SeqCst);
            continue;
        };
        let due = *since + STALL;
        let now = Instant::now();
        if due > now {
            shared.queued.wait_until(&mut state, due);
            continue;
        }
        let useful = state.idle == 0
            && state.threads < shared.limit
            // one that waits for the GIL will take the queue on; more would wait with it
            && !gil_waiters::group_waits(shared.group());
        if useful {
            pause = STALL;
            start_executor(shared, &mut state);
        } else {
            // nothing can be done now: look again, less and less often
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        shared.queued.wait_until(&mut state, now + pause);
    }
    state.monitor_runs = false;
    shared.ended.notify_all();
}
