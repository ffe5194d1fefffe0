//! Attaching serving threads to the interpreter.
//!
//! A thread that Python did not create gets a fresh thread state at every
//! `PyGILState_Ensure` and loses it at the matching release: 7 us per callback. A serving
//! thread therefore keeps one for as long as it lives ([`KeptThreadState`]); attaching then
//! costs 60 ns.
//!
//! Every attachment passes the gate, which closes when the interpreter begins to end: a
//! thread that asks for the GIL after that is answered `None` instead of being hung or
//! killed by CPython.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fusesg_serve::{Condvar, GENERATIONS, PerProcess};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::sys::KeptThreadState;
use crate::threads::gil_waiters::{self, Request, Waiting};
use crate::threads::reaper;

/// Runs `callback` with the GIL held; `None` once the interpreter is ending.
pub(crate) fn attach<R>(callback: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    attach_waiting(None, |py, _| callback(py)).ok()
}

/// Why a request's callback did not run.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a request is moved on, not allocated")]
pub(crate) enum Refused {
    /// The interpreter is ending; here is the request, to be answered without it.
    Ending(Request),
    /// The watchdog answered the request meanwhile.
    Abandoned,
}

/// Runs `callback` for `request` with the GIL held. While this thread waits for the GIL
/// the watchdog may answer the request in its place.
#[expect(clippy::result_large_err, reason = "a request is moved on, not allocated, in every case")]
pub(crate) fn attach_for<R>(
    request: Request,
    callback: impl FnOnce(Python<'_>, Request) -> R,
) -> Result<R, Refused> {
    let result = attach_waiting(Some(request), |py, request| Some(callback(py, request?)));
    match result {
        Ok(Some(result)) => Ok(result),
        Err(Some(request)) => Err(Refused::Ending(request)),
        Ok(None) | Err(None) => Err(Refused::Abandoned),
    }
}

#[expect(clippy::result_large_err, reason = "a request is moved on, not allocated, in every case")]
fn attach_waiting<R>(
    request: Option<Request>,
    callback: impl FnOnce(Python<'_>, Option<Request>) -> R,
) -> Result<R, Option<Request>> {
    let Some(_inside) = GATE.enter() else { return Err(request) };
    let waiting = Waiting::begin(request);
    KEPT.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Some(Kept(KeptThreadState::acquire()));
        }
    });
    let mut waiting = Some(waiting);
    let mut callback = Some(callback);
    let result = Python::try_attach(|py| {
        let request = waiting.take().and_then(Waiting::end);
        reaper::drain(py);
        callback.take().map(|callback| callback(py, request))
    });
    match result.flatten() {
        Some(result) => Ok(result),
        None => Err(waiting.take().and_then(Waiting::end)),
    }
}

/// Gives this thread's thread state back now rather than when the thread ends.
pub(crate) fn release() {
    drop(KEPT.take());
}

/// Refuses every further attachment and waits until the threads that are attached, or
/// about to be, have left. Returns whether all did before `timeout`.
///
/// The caller must not hold the GIL.
pub(crate) fn close_gate(timeout: Duration) -> bool {
    GATE.close(timeout)
}

/// Whether [`close_gate`] was called.
pub(crate) fn gate_is_closed() -> bool {
    GATE.state.load(Ordering::Acquire) & CLOSED != 0
}

/// Opens the gate of a forked child, where no other thread exists, should an ancestor have
/// used it.
pub(crate) fn after_fork_in_child() {
    GATE.state.store(0, Ordering::Release);
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// The thread state of a thread that ends gives itself back; `None`: the thread is Python's own.
struct Kept(Option<KeptThreadState>);

impl Drop for Kept {
    fn drop(&mut self) {
        gil_waiters::release_slot();
        if let Some(kept) = self.0.take()
            && let Some(_inside) = GATE.enter()
        {
            kept.release();
        }
    }
}

const CLOSED: usize = 1 << (usize::BITS - 1);

static GATE: PerProcess<Gate> = PerProcess::new([const { Gate::new() }; GENERATIONS]);

/// Counts the threads inside, until it is closed.
struct Gate {
    /// Number of threads inside, and the bit [`CLOSED`].
    state: AtomicUsize,
    left: Mutex<()>,
    someone_left: Condvar,
}

struct Inside<'a>(&'a Gate);

impl Gate {
    const fn new() -> Self {
        Self { state: AtomicUsize::new(0), left: Mutex::new(()), someone_left: Condvar::new() }
    }

    fn enter(&self) -> Option<Inside<'_>> {
        let inside = Inside(self);
        // the guard takes the count back in both cases
        (self.state.fetch_add(1, Ordering::AcqRel) & CLOSED == 0).then_some(inside)
    }

    fn close(&self, timeout: Duration) -> bool {
        self.state.fetch_or(CLOSED, Ordering::AcqRel);
        let deadline = Instant::now() + timeout;
        let mut left = self.left.lock();
        while self.state.load(Ordering::Acquire) != CLOSED {
            if self.someone_left.wait_until(&mut left, deadline).timed_out() {
                return self.state.load(Ordering::Acquire) == CLOSED;
            }
        }
        true
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let before = self.0.state.fetch_sub(1, Ordering::AcqRel);
        if before & CLOSED != 0 {
            let _left = self.0.left.lock();
            self.0.someone_left.notify_all();
        }
    }
}
