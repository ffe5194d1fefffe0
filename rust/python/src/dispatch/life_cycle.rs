//! `init` and `destroy`, which may be awaited.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;

use crate::dispatch::dispatcher::Core;
use crate::threads::thread_state;

/// How long unmounting waits for the class's `destroy`, which may have data to bring home.
const DESTROY_ENDS: Duration = Duration::from_secs(30);

/// Calls the class's `init` and waits for its end. The error is what was raised; none, where
/// the interpreter or the event loop is ending.
pub(super) fn init(core: &Arc<Core>, init: &Py<PyAny>) -> Result<(), Option<PyErr>> {
    let begun = thread_state::attach(|py| core.call_and_tell(py, "init", init));
    let Some(begun) = begun else {
        return Err(None);
    };
    let outcome = match begun {
        Ok(None) => return Ok(()),
        Ok(Some(outcome)) => outcome.recv().map_err(|_| None)?,
        Err(error) => Err(error),
    };
    outcome.map_err(Some)
}

/// Calls the class's destroy on a thread of its own, since it may take for ever.
pub(super) fn destroy(core: &Arc<Core>) {
    let (done, ended) = mpsc::channel::<()>();
    let for_thread = Arc::clone(core);
    let started = thread::Builder::new().name("fusesg-destroy".into()).spawn(move || {
        thread_state::attach(|py| {
            let Some(destroy) = &for_thread.methods.destroy else { return };
            let log = |error: &PyErr| for_thread.log_exception(py, "destroy", error);
            match for_thread.call_and_tell(py, "destroy", destroy) {
                Ok(None) => {}
                Ok(Some(outcome)) => match py.detach(move || outcome.recv()) {
                    Ok(outcome) => drop(outcome.inspect_err(log)),
                    Err(_) => log::error!(
                        "{}.destroy was not awaited to its end: its event loop has ended",
                        for_thread.class_name
                    ),
                },
                Err(error) => log(&error),
            }
        });
        drop(for_thread);
        thread_state::release();
        drop(done);
    });
    match started {
        Ok(thread) => match ended.recv_timeout(DESTROY_ENDS) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                log::error!("{}.destroy did not return; it was left behind", core.class_name);
            }
            _ => drop(thread.join()),
        },
        Err(error) => log::error!("no thread for {}.destroy: {error}", core.class_name),
    }
}
