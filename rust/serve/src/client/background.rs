//! The requests of one I/O, all sent at once and carried out by several threads.
//!
//! The threads live as long as the I/O: they may use the caller's memory, and nothing is
//! left of them for a fork, or for the end of the process, to stumble upon. The caller's
//! own thread carries out requests, too, so that the I/O ends even where no thread can be had.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, Scope};

use parking_lot::Mutex;

type Job<'scope> = Box<dyn FnOnce() + Send + 'scope>;

/// What is to be done, in order.
type Queue<'scope> = Arc<Mutex<VecDeque<Job<'scope>>>>;

/// Carries out what is submitted, on at most `limit` threads.
pub(super) struct Background<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    /// Threads that may still be started.
    left: usize,
    queue: Queue<'scope>,
    /// The last job submitted: this thread's own, unless another one follows.
    own: Option<Job<'scope>>,
}

impl<'scope> Background<'scope, '_> {
    /// Has a job carried out, now or later.
    pub(super) fn submit(&mut self, job: impl FnOnce() + Send + 'scope) {
        let Some(before) = self.own.replace(Box::new(job)) else { return };
        self.queue.lock().push_back(before);
        if self.left > 0 {
            self.left -= 1;
            let queue = Arc::clone(&self.queue);
            let builder = thread::Builder::new().name("fusesg-client".into());
            // without it, the jobs wait for the other threads
            let _ = builder.spawn_scoped(self.scope, move || work_off(&queue));
        }
    }

    /// Carries out what nobody else has begun.
    pub(super) fn help(&mut self) {
        if let Some(job) = self.own.take() {
            job();
        }
        work_off(&self.queue);
    }
}

/// Calls `submit`, and returns when everything that it submitted is done.
pub(super) fn in_background<'env, R>(
    limit: usize,
    submit: impl for<'scope> FnOnce(&mut Background<'scope, 'env>) -> R,
) -> R {
    thread::scope(|scope| {
        let mut background =
            Background { scope, left: limit.saturating_sub(1), queue: Arc::default(), own: None };
        let result = submit(&mut background);
        background.help();
        result
    })
}

fn work_off(queue: &Mutex<VecDeque<Job<'_>>>) {
    loop {
        // not `while let`: the lock would be held while the job runs
        let Some(job) = queue.lock().pop_front() else { return };
        job();
    }
}
