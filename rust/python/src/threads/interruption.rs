//! What a signal handler raises in a thread that asks a client.
//!
//! Such a thread waits for the answer, or runs the callback itself. Either way what the
//! handler raises, KeyboardInterrupt for one, is the program's and not the callback's: the
//! request is answered EINTR, and the call raises it.

use std::cell::{Cell, RefCell};

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::threads::thread_state;

thread_local! {
    /// Calls of clients that this thread is in.
    static ASKING: Cell<u32> = const { Cell::new(0) };
    /// What was raised meanwhile.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Runs `call`, which asks a client. Returns what a signal handler raised meanwhile, too.
pub(crate) fn while_asking<T>(call: impl FnOnce() -> T) -> (T, Option<PyErr>) {
    ASKING.set(ASKING.get() + 1);
    let result = call();
    ASKING.set(ASKING.get() - 1);
    (result, RAISED.take())
}

/// Runs the handlers of signals that came while this thread waits for an answer; true if one
/// of them raised.
pub(crate) fn handle_signals() -> bool {
    let raised = thread_state::attach(|py| py.check_signals().err()).flatten();
    let interrupted = raised.is_some();
    if interrupted {
        RAISED.replace(raised);
    }
    interrupted
}

/// Whether a callback raised what is meant for the program, which runs it in its own thread.
pub(crate) fn is_of_caller(py: Python<'_>, error: &PyErr) -> bool {
    let is_of_caller = ASKING.get() > 0 && error.is_instance_of::<PyKeyboardInterrupt>(py);
    if is_of_caller {
        RAISED.replace(Some(error.clone_ref(py)));
    }
    is_of_caller
}
