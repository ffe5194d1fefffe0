//! The end of a mount, and waiting for it.
//!
//! A condition variable of the standard library or of parking_lot goes on waiting when a
//! signal was handled. Python's handlers run on the main thread only after such a wait has
//! returned, so the main thread would have to look for them again and again. A futex says
//! when it was interrupted.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::sys;

/// How waiting for the end of a mount came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The mount has ended.
    Ended,
    /// Time passed first.
    TimedOut,
    /// A signal was handled first.
    Interrupted,
}

/// Comes once.
#[derive(Debug, Default)]
pub(crate) struct End(AtomicU32);

impl End {
    pub(crate) fn has_come(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    pub(crate) fn come(&self) {
        self.0.store(1, Ordering::Release);
        sys::futex_wake_all(&self.0);
    }

    /// Waits for the end.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Waited {
        loop {
            if self.has_come() {
                return Waited::Ended;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Waited::TimedOut;
            }
            match sys::futex_wait(&self.0, 0, left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    return if self.has_come() { Waited::Ended } else { Waited::Interrupted };
                }
                // the loop looks how it is
                Ok(()) | Err(_) => {}
            }
        }
    }
}
