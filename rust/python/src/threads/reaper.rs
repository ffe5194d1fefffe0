//! Python objects that die on a thread without the GIL.
//!
//! They are queued, and given up by whoever attaches next: usually the next callback, a
//! few microseconds later. Where none comes, a thread of the reaper's own does it within
//! [`PERIOD`]; it sleeps as long as nothing is queued.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use fusesg_serve::{Condvar, GENERATIONS, PerProcess};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::threads::thread_state;

/// How long a dead object may stay when no callback comes.
const PERIOD: Duration = Duration::from_millis(50);

static QUEUE: PerProcess<Mutex<Vec<Py<PyAny>>>> =
    PerProcess::new([const { Mutex::new(Vec::new()) }; GENERATIONS]);
/// Something is, or may be, in the queue.
static PENDING: PerProcess<AtomicBool> =
    PerProcess::new([const { AtomicBool::new(false) }; GENERATIONS]);
/// The reaper's thread sleeps without a time limit.
static PARKED: PerProcess<AtomicBool> =
    PerProcess::new([const { AtomicBool::new(false) }; GENERATIONS]);
static PARK: PerProcess<Mutex<()>> = PerProcess::new([const { Mutex::new(()) }; GENERATIONS]);
static WAKE: PerProcess<Condvar> = PerProcess::new([const { Condvar::new() }; GENERATIONS]);
/// The process whose reaper thread runs; after a fork there is none.
static STARTED_IN: AtomicU32 = AtomicU32::new(0);

/// Drops `object` soon, on a thread that holds the GIL. Callable from anywhere.
pub(crate) fn defer(object: Py<PyAny>) {
    QUEUE.lock().push(object);
    if !PENDING.swap(true, Ordering::SeqCst) {
        wake();
    }
}

/// Drops what is queued. Finalizers may run.
#[inline]
pub(crate) fn drain(py: Python<'_>) {
    if PENDING.load(Ordering::Relaxed) {
        drain_all(py);
    }
}

fn drain_all(py: Python<'_>) {
    PENDING.store(false, Ordering::SeqCst);
    // taken out first: a finalizer may run Python code that defers more
    let objects = std::mem::take(&mut *QUEUE.lock());
    for object in objects {
        object.drop_ref(py);
    }
}

/// Makes sure that the thread runs and does not sleep for good.
fn wake() {
    if STARTED_IN.load(Ordering::Acquire) != std::process::id() {
        start();
    } else if PARKED.load(Ordering::SeqCst) {
        let _park = PARK.lock();
        WAKE.notify_one();
    }
}

fn start() {
    let _park = PARK.lock();
    if STARTED_IN.swap(std::process::id(), Ordering::AcqRel) == std::process::id() {
        return;
    }
    PARKED.store(false, Ordering::SeqCst);
    if thread::Builder::new().name("fusesg-reaper".into()).spawn(reap).is_err() {
        // the next callback drains the queue; the next object tries again
        STARTED_IN.store(0, Ordering::Release);
    }
}

fn reap() {
    loop {
        thread::sleep(PERIOD);
        if PENDING.load(Ordering::SeqCst) {
            if thread_state::attach(drain_all).is_none() {
                return;
            }
            continue;
        }
        let mut park = PARK.lock();
        PARKED.store(true, Ordering::SeqCst);
        if !PENDING.load(Ordering::SeqCst) {
            WAKE.wait(&mut park);
        }
        PARKED.store(false, Ordering::SeqCst);
    }
}
