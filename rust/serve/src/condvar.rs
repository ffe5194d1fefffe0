//! A condition variable that works in forked children.
//!
//! parking_lot keeps all waiting threads of a process in one table. A forked child inherits
//! the table, but not the threads: their entries lie in stacks that the child's own threads
//! get, and a thread of the child that waits may never be found and woken. Mounts always
//! have threads that wait, so a child of a mounting process that mounts for itself would
//! hang now and then. The standard library's condition variable is a futex without memory.

use std::sync::{self, PoisonError, WaitTimeoutResult};
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

/// To be used like `parking_lot::Condvar`, with its mutexes.
#[derive(Debug, Default)]
pub struct Condvar {
    /// Held from before the caller's mutex is unlocked until the wait has begun, so that no
    /// notification falls in between.
    gate: sync::Mutex<()>,
    waiting: sync::Condvar,
}

impl Condvar {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self { gate: sync::Mutex::new(()), waiting: sync::Condvar::new() }
    }

    /// Waits for a notification. May return without one.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let gate = self.gate();
        MutexGuard::unlocked(guard, || {
            drop(self.waiting.wait(gate).unwrap_or_else(PoisonError::into_inner));
        });
    }

    /// Waits for a notification or until `timeout` has passed. May return without either.
    pub fn wait_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        let gate = self.gate();
        MutexGuard::unlocked(guard, || {
            let woken = self.waiting.wait_timeout(gate, timeout);
            let (gate, result) = woken.unwrap_or_else(PoisonError::into_inner);
            drop(gate);
            result
        })
    }

    /// The same with a point in time.
    pub fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.wait_for(guard, deadline.saturating_duration_since(Instant::now()))
    }

    /// Wakes one thread that waits.
    pub fn notify_one(&self) {
        let _gate = self.gate();
        self.waiting.notify_one();
    }

    /// Wakes all threads that wait.
    pub fn notify_all(&self) {
        let _gate = self.gate();
        self.waiting.notify_all();
    }

    fn gate(&self) -> sync::MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn no_notification_is_lost() {
        const TURNS: u32 = 20_000;
        let shared = Arc::new((Mutex::new(0_u32), Condvar::new()));
        let take_turns = |own: u32| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (turn, changed) = &*shared;
                let mut turn = turn.lock();
                while *turn < TURNS {
                    if *turn % 2 == own {
                        *turn += 1;
                        changed.notify_one();
                    } else {
                        changed.wait(&mut turn);
                    }
                }
            })
        };
        for thread in [take_turns(0), take_turns(1)] {
            thread.join().expect("it ends");
        }
    }

    #[test]
    fn a_wait_ends_in_time() {
        let mutex = Mutex::new(());
        let mut guard = mutex.lock();
        let deadline = Instant::now() + Duration::from_millis(20);
        while !Condvar::new().wait_until(&mut guard, deadline).timed_out() {}
        assert!(Instant::now() >= deadline);
    }
}
