//! Threads for I/Os that nobody waits for on a thread of their own.
//!
//! They are started when needed, up to a limit, and end when there has been nothing to do.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fusesg_fs::{Errno, Result};
use fusesg_sg::{Completion, Direction, Part, Submission};
use parking_lot::{Mutex, MutexGuard};

use super::Client;
use crate::Condvar;

/// A thread ends after this long without work.
const IDLE: Duration = Duration::from_secs(5);
/// How long the end of a client waits for I/Os that run.
const LAST_JOBS: Duration = Duration::from_secs(2);

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// The threads of one client.
#[derive(Debug)]
pub(super) struct Workers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    state: Mutex<State>,
    work: Condvar,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

/// An I/O that is to be carried out.
struct Job {
    part: Part,
    carry_out: Box<dyn FnOnce() -> Result<u64> + Send>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("part", &self.part).finish_non_exhaustive()
    }
}

impl Job {
    fn run(self) {
        let Self { part, carry_out } = self;
        if part.is_cancelled() {
            return part.complete(Err(Errno::ECANCELED.into()));
        }
        part.complete(carry_out().map_err(io::Error::from));
    }

    fn refuse(self) {
        let Self { part, carry_out } = self;
        drop(carry_out);
        part.complete(Err(Errno::ECONNABORTED.into()));
    }
}

impl Client {
    /// Has an I/O of `length` bytes carried out by a thread of the client's. `carry_out` is
    /// one of the client's other methods, with memory of its own.
    ///
    /// A write that is short fails with EIO, as one of aio(7).
    pub fn submit(
        self: &Arc<Self>,
        direction: Direction,
        length: u64,
        carry_out: impl FnOnce(&Self) -> Result<u64> + Send + 'static,
    ) -> Completion {
        let (mut submission, completion) =
            Submission::counted(direction, &self.session.completions);
        let part = submission.part(length);
        let client = Arc::clone(self);
        self.workers.submit(Job { part, carry_out: Box::new(move || carry_out(&client)) });
        completion
    }
}

impl Workers {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            limit,
            state: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
        }))
    }

    fn submit(&self, job: Job) {
        let mut state = self.0.state.lock();
        if state.closed {
            drop(state);
            return job.refuse();
        }
        state.queue.push_back(job);
        if state.idle >= state.queue.len() {
            self.0.work.notify_one();
        } else if state.threads < self.0.limit {
            state.threads += 1;
            let shared = Arc::clone(&self.0);
            let builder = thread::Builder::new().name("fusesg-client".into());
            if let Err(error) = builder.spawn(move || work(&shared)) {
                state.threads -= 1;
                if state.threads == 0 {
                    let jobs = std::mem::take(&mut state.queue);
                    drop(state);
                    log::error!("no thread for an I/O of a client could be started: {error}");
                    jobs.into_iter().for_each(Job::refuse);
                }
            }
        }
    }

    /// Refuses what is queued and what comes, and waits a while for the threads.
    pub(super) fn close(&self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.queue);
        self.0.work.notify_all();
        MutexGuard::unlocked(&mut state, || jobs.into_iter().for_each(Job::refuse));
        let own = usize::from(IS_WORKER.get());
        let deadline = Instant::now() + LAST_JOBS;
        while state.threads > own {
            if self.0.ended.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }
}

fn work(shared: &Shared) {
    IS_WORKER.set(true);
    let mut state = shared.state.lock();
    loop {
        if let Some(job) = state.queue.pop_front() {
            MutexGuard::unlocked(&mut state, || job.run());
            continue;
        }
        if state.closed {
            break;
        }
        state.idle += 1;
        let timed_out = shared.work.wait_for(&mut state, IDLE).timed_out();
        state.idle -= 1;
        if timed_out && state.queue.is_empty() {
            break;
        }
    }
    state.threads -= 1;
    shared.ended.notify_all();
}
