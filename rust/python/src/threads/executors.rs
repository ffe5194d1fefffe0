//! Threads that run the callbacks which the readers must not.
//!
//! A callback may block, or touch its own mount. If all readers were inside callbacks, the
//! request that such a callback waits for would never be read. So one reader at least
//! stays out of Python: when [`Readers`] has no place left, the operation is queued here.
//!
//! Executors grow in number when the queue stalls (its oldest job waits longer than
//! [`STALL`] while all of them are busy), which a monitor thread watches. It sleeps while
//! nothing is queued, as do the executors.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fusesg_fs::Errno;
use fusesg_serve::Condvar;
use parking_lot::{Mutex, MutexGuard};

use crate::threads::gil_waiters::{self, Request, Waiting};
use crate::threads::thread_state;

/// A job that waits this long calls for one more executor.
const STALL: Duration = Duration::from_millis(1);
/// Executors but the last end after this long without work.
const IDLE: Duration = Duration::from_secs(5);

/// A request and what is to be done with it.
pub(crate) struct Job {
    /// The request; `None` for work nobody waits for.
    pub(crate) request: Option<Request>,
    /// Runs the callback and answers.
    pub(crate) run: Box<dyn FnOnce(Option<Request>) + Send>,
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
    /// At most `limit` threads; none is started before it is needed.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                limit: limit.max(1),
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
        if !state.monitor_runs {
            start_monitor(&self.shared, &mut state);
        } else if state.queue.len() == 1 {
            self.shared.queued.notify_one();
        }
    }

    /// Takes queued requests that satisfy `wanted`; the caller answers them.
    pub(crate) fn take_requests(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        let mut state = self.shared.state.lock();
        state
            .queue
            .iter_mut()
            .filter_map(|(_, job)| job.request.take_if(|request| wanted(request)))
            .collect()
    }

    /// Numbers.
    pub(crate) fn statistics(&self) -> ExecutorStatistics {
        let state = self.shared.state.lock();
        ExecutorStatistics {
            threads: state.threads,
            peak: state.peak,
            waiting: state.queue.len(),
            queued: state.total,
        }
    }

    /// Takes no more jobs, drops the queued ones, and waits for the threads. One whose
    /// callback does not return before `timeout` is left behind; it ends by itself.
    pub(crate) fn close(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state.lock();
        state.closed = true;
        let dropped = std::mem::take(&mut state.queue);
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
            MutexGuard::unlocked(&mut state, || run(job));
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

/// Answers the request of a job that will not run.
fn refuse(job: Job) {
    if let Some(request) = job.request {
        let _no_one_waits = request.responder.answer(Err(Errno::EIO));
    }
}

fn run(job: Job) {
    let Job { request, run } = job;
    if catch_unwind(AssertUnwindSafe(|| run(request))).is_err() {
        // the responder was dropped by the unwinding, which answered EIO
        log::error!("a callback's thread panicked; please report this");
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
    while !state.closed {
        let Some((since, _)) = state.queue.front() else {
            pause = STALL;
            shared.queued.wait(&mut state);
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

/// How many readers may be inside a callback: all but one.
#[derive(Debug)]
pub(crate) struct Readers {
    state: Mutex<Inside>,
    left: Condvar,
    places: usize,
}

#[derive(Debug)]
struct Inside {
    count: usize,
    waiting: usize,
    /// When a reader last entered or left.
    progress: Instant,
}

/// While none of the readers inside has left for this long, their callbacks count as
/// blocked. Below it, waiting for a place is cheaper than another thread.
const PATIENCE: Duration = Duration::from_micros(100);

impl Readers {
    /// For a mount with `readers` reader threads.
    pub(crate) fn new(readers: usize) -> Self {
        Self {
            state: Mutex::new(Inside { count: 0, waiting: 0, progress: Instant::now() }),
            left: Condvar::new(),
            places: readers.saturating_sub(1).max(1),
        }
    }

    /// A place for the calling reader, unless the others' callbacks take longer.
    pub(crate) fn enter(&self) -> Option<Place<'_>> {
        let mut state = self.state.lock();
        while state.count >= self.places {
            let deadline = state.progress + PATIENCE;
            if Instant::now() >= deadline {
                return None;
            }
            state.waiting += 1;
            self.left.wait_until(&mut state, deadline);
            state.waiting -= 1;
        }
        state.count += 1;
        state.progress = Instant::now();
        Some(Place(self))
    }
}

/// A reader's right to run a callback.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Readers);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.count -= 1;
        state.progress = Instant::now();
        if state.waiting > 0 {
            self.0.left.notify_one();
        }
    }
}
