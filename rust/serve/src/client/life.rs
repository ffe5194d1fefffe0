//! Who uses a client, and its end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::serving::Serving;
use crate::{Condvar, Dispatch};

/// How long calls may take after their requests were aborted: nothing keeps them.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// Counts the calls that run, until it is closed.
#[derive(Debug, Default)]
pub(super) struct Life {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct State {
    users: usize,
    closed: bool,
}

/// A call that runs.
#[derive(Debug)]
pub(super) struct Use<'a>(&'a Life);

impl Life {
    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// `None` once it is closed.
    pub(super) fn enter(&self) -> Option<Use<'_>> {
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        state.users += 1;
        Some(Use(self))
    }

    /// Lets nobody in any more; `false` if that was so before.
    pub(super) fn close(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().closed, true)
    }

    /// Waits until the last call has returned; after `grace`, `abort` hurries them. From
    /// inside a callback there is no wait: the call that it serves cannot return.
    pub(super) fn wait_for_users(&self, grace: Duration, abort: impl FnOnce()) {
        if !Serving::here() && self.wait(grace) {
            return;
        }
        abort();
        if !Serving::here() && !self.wait(LAST_CALLS) {
            log::warn!("a call of a client that is closed does not return; it was left behind");
        }
    }

    fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        while state.users > 0 {
            if self.left.wait_until(&mut state, deadline).timed_out() {
                return state.users == 0;
            }
        }
        true
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.users -= 1;
        if state.users == 0 && state.closed {
            self.0.left.notify_all();
        }
    }
}

/// Calls `destroy`, whatever it does.
pub(super) fn destroy(dispatch: &dyn Dispatch) {
    let _serving = Serving::enter();
    if catch_unwind(AssertUnwindSafe(|| dispatch.destroy())).is_err() {
        log::error!("destroy of the file system of a client panicked");
    }
}
