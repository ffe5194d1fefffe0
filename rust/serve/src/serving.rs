//! Whether the current thread is inside a callback of a mount.
//!
//! Waiting there for the mount to end would wait for oneself.

use std::cell::Cell;

use crate::headroom::keep_headroom;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Held while a callback runs.
#[derive(Debug)]
pub(crate) struct Serving(());

impl Serving {
    pub(crate) fn enter() -> Self {
        keep_headroom();
        DEPTH.set(DEPTH.get() + 1);
        Self(())
    }

    /// Whether a callback runs on this thread.
    pub(crate) fn here() -> bool {
        DEPTH.get() > 0
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}
