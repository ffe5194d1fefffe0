//! The primitives that threads of this crate meet at: the standard library's, or, built with
//! `--cfg loom`, those of the model checker, which tries every order of their steps.
//!
//! What several threads share in [`PagePool`](crate::PagePool),
//! [`RequestAllocator`](crate::RequestAllocator) and their like is made of these and nothing
//! else, so that the models in `tests/loom/` see all of it.
//!
//! The standard library's locks are futexes. A forked child of a process whose threads wait
//! can use them at once, which locks that keep a table of waiting threads do not allow.

#[cfg(not(loom))]
use std::sync as imp;

#[cfg(loom)]
use loom::sync as imp;

pub(crate) use imp::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What holding a lock is proven by.
pub(crate) type MutexGuard<'a, T> = imp::MutexGuard<'a, T>;

/// A lock. A panic while it is held does not poison it: nothing here leaves what it guards
/// half changed.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(imp::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A condition variable of a [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(imp::Condvar);

impl Condvar {
    /// Waits for a notification. May return without one.
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Orders a sequentially consistent read-modify-write before a sequentially consistent load
/// of something else. The language does that by itself; the model checker takes such
/// accesses for weaker ones and has to be told.
pub(crate) fn order_for_the_model() {
    #[cfg(loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// Shares of what threads change all the time, each on cache lines of its own.
pub(crate) const SHARDS: usize = if cfg!(loom) { 2 } else { 4 };

/// The share that the calling thread uses first.
#[cfg(not(loom))]
pub(crate) fn home_shard() -> usize {
    crate::thread_number() % SHARDS
}

/// In a model all threads begin at the first share, and go on to the others.
#[cfg(loom)]
pub(crate) fn home_shard() -> usize {
    0
}
