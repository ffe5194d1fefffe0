//! Looks after requests that take long: killed callers, deadlines, warnings.
//!
//! fuser never passes on that a caller was interrupted, so a process that waits for a slow
//! callback could not even be killed. The sweeper is a thread that needs nothing but the
//! [table](crate::in_flight) (no Python, no lock of the file system): while requests are
//! being served it looks at them every [`TICK`]; for one older than [`PATIENCE`] it asks
//! `/proc` whether a signal waits for the caller, and if so answers in the callback's
//! place. With nothing in flight it sleeps for good.
//!
//! Going to sleep and entering a request may cross. The sweeper first says that it sleeps
//! and then looks at the table once more; a request first enters the table and then looks
//! whether the sweeper sleeps. All four are sequentially consistent, so one of the two sees
//! the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use fusesg_fs::{Errno, OperationKind};

use crate::connection::Connection;
use crate::in_flight::Pending;
use crate::{Dispatch, MountConfig};

/// Time between two looks.
const TICK: Duration = Duration::from_millis(50);
/// Age from which a caller is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// How a request wakes the sweeper.
#[derive(Debug, Default)]
pub(crate) struct Wakeup {
    awake: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Wakeup {
    /// A request was entered.
    pub(crate) fn note_request(&self) {
        if !self.awake.load(Ordering::SeqCst) && !self.awake.swap(true, Ordering::SeqCst) {
            self.unpark();
        }
    }

    /// Ends the sweeper.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.unpark();
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

struct Sweeper {
    connection: Arc<Connection>,
    dispatch: Weak<dyn Dispatch>,
    request_timeout: Option<Duration>,
    slow_request_warning: Option<Duration>,
}

/// Starts the sweeper of a mount; [`Wakeup::stop`] ends it.
pub(crate) fn spawn(
    connection: &Arc<Connection>,
    dispatch: &Arc<dyn Dispatch>,
    config: &MountConfig,
) -> std::io::Result<JoinHandle<()>> {
    let sweeper = Sweeper {
        connection: Arc::clone(connection),
        dispatch: Arc::downgrade(dispatch),
        request_timeout: config.request_timeout,
        slow_request_warning: config.slow_request_warning,
    };
    let thread = thread::Builder::new().name("fusesg-sweeper".into()).spawn(move || {
        sweeper.run();
    })?;
    // requests that came before found nobody to wake; look at the table once
    let _ = connection.sweeper.thread.set(thread.thread().clone());
    thread.thread().unpark();
    Ok(thread)
}

impl Sweeper {
    fn run(&self) {
        let wakeup = &self.connection.sweeper;
        while !wakeup.stop.load(Ordering::SeqCst) {
            if !self.connection.in_flight.is_empty() {
                self.sweep();
                thread::park_timeout(TICK);
                continue;
            }
            wakeup.awake.store(false, Ordering::SeqCst);
            if self.connection.in_flight.is_empty() && !wakeup.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            wakeup.awake.store(true, Ordering::SeqCst);
        }
    }

    fn sweep(&self) {
        // many requests of one caller cost one look
        let mut killed = HashMap::new();
        for request in self.connection.in_flight.pending() {
            if request.age < PATIENCE
                && self.request_timeout.is_none_or(|limit| request.age < limit)
            {
                continue;
            }
            if let Some(limit) = self.slow_request_warning
                && request.age >= limit
                && self.connection.in_flight.report_slow_once(request.ticket)
            {
                log::warn!(
                    "{} (request {}) has been served for {:.1} s",
                    request.kind,
                    request.unique,
                    request.age.as_secs_f64()
                );
            }
            if self.request_timeout.is_some_and(|limit| request.age >= limit) {
                if self.answer(&request, Errno::ETIMEDOUT) {
                    self.connection.metrics.timed_out.fetch_add(1, Ordering::Relaxed);
                }
            } else if somebody_waits(&request)
                && *killed.entry(request.pid).or_insert_with(|| is_killed(request.pid))
                && self.answer(&request, Errno::EINTR)
            {
                self.connection.metrics.interrupted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Answers in the callback's place, unless the callback was quicker.
    fn answer(&self, request: &Pending, errno: Errno) -> bool {
        if !self.connection.in_flight.cancel(request.ticket, request.unique) {
            return false;
        }
        if let Err(error) = self.connection.own_reply.error(request.unique, errno) {
            log::warn!("request {} could not be answered {errno}: {error}", request.unique);
        }
        if let Some(dispatch) = self.dispatch.upgrade() {
            dispatch.cancelled(request.unique);
        }
        true
    }
}

/// Whether a process waits for the answer. The kernel sends RELEASE in the background,
/// on behalf of whoever closed last.
fn somebody_waits(request: &Pending) -> bool {
    // 0: a caller in another pid namespace, or the kernel itself
    request.pid != 0 && !matches!(request.kind, OperationKind::Release | OperationKind::Releasedir)
}

/// Signals that end a wait. The kernel turns one that is fatal by default into SIGKILL;
/// one that has a handler stays what it is.
const ENDING: [i32; 5] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL, libc::SIGTERM];

/// Whether one of [`ENDING`] waits, unblocked, for the thread `tid`.
fn is_killed(tid: u32) -> bool {
    let Ok(status) = std::fs::read(format!("/proc/{tid}/status")) else { return false };
    let ending = ENDING.iter().fold(0_u64, |mask, signal| mask | 1 << (signal - 1));
    (mask(&status, b"SigPnd:") | mask(&status, b"ShdPnd:")) & !mask(&status, b"SigBlk:") & ending
        != 0
}

/// The signal set in the line of `/proc/PID/status` that starts with `key`.
fn mask(status: &[u8], key: &[u8]) -> u64 {
    status
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(key))
        .and_then(|hex| std::str::from_utf8(hex).ok())
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_sets_are_read_from_status() {
        let status = b"Name:\tcat\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000004002\n";
        assert_eq!(mask(status, b"SigPnd:"), 0x100);
        assert_eq!(mask(status, b"ShdPnd:"), 0x4002);
        assert_eq!(mask(status, b"SigBlk:"), 0);
    }

    #[test]
    fn nobody_killed_us() {
        assert!(!is_killed(std::process::id()));
    }
}
