//! What `/proc` says about the caller of a request: does it still wait?

use std::io;

/// The thread that made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// It waits, and is part of this process.
    Alive {
        process: u32,
        /// A signal has come that does not end every wait.
        signalled: bool,
    },
    /// A signal that ends its wait has come.
    Killed,
    /// It ended.
    Gone,
}

/// Signals that end a wait. The kernel turns one that is fatal by default into SIGKILL;
/// one that has a handler stays what it is.
const ENDING: [i32; 5] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL, libc::SIGTERM];

/// Looks at the thread `tid`.
pub(crate) fn look(tid: u32) -> Caller {
    match std::fs::read(format!("/proc/{tid}/status")) {
        Ok(status) => judge(tid, &status),
        Err(error) if is_no_such_thread(&error) => Caller::Gone,
        // not ours to see: let it wait
        Err(_) => Caller::Alive { process: tid, signalled: false },
    }
}

fn is_no_such_thread(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// What the bytes of `/proc/TID/status` say.
pub(crate) fn judge(tid: u32, status: &[u8]) -> Caller {
    let set = |key| field(status, key).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let pending = set("SigPnd:").unwrap_or(0) | set("ShdPnd:").unwrap_or(0);
    let ending = ENDING.iter().fold(0_u64, |mask, signal| mask | 1 << (signal - 1));
    let delivered = pending & !set("SigBlk:").unwrap_or(0);
    if delivered & ending != 0 {
        return Caller::Killed;
    }
    let number = |key| field(status, key).and_then(|digits| digits.parse::<u32>().ok());
    let dead = field(status, "State:").is_some_and(|state| state.starts_with(['Z', 'X']));
    // a first thread that ended stays as a zombie as long as others run
    if dead && number("Threads:").unwrap_or(0) <= 1 {
        return Caller::Gone;
    }
    Caller::Alive { process: number("Tgid:").unwrap_or(tid), signalled: delivered != 0 }
}

/// The value in the line of `/proc/PID/status` that starts with `key`.
fn field<'a>(status: &'a [u8], key: &str) -> Option<&'a str> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(key.as_bytes()))?;
    std::str::from_utf8(value).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_counts_if_it_is_pending_and_not_blocked() {
        let status = |pending: &str, blocked: &str| {
            format!("Tgid:\t7\nState:\tD\nThreads:\t1\nSigPnd:\t{pending}\nSigBlk:\t{blocked}\n")
        };
        let judged = |pending, blocked| judge(8, status(pending, blocked).as_bytes());
        let alive = Caller::Alive { process: 7, signalled: false };
        assert_eq!(judged("0000000000000000", "0000000000000000"), alive);
        assert_eq!(judged("0000000000000100", "0000000000000000"), Caller::Killed);
        assert_eq!(judged("0000000000000002", "0000000000000002"), alive);
        // SIGALRM ends no wait but that for a lock
        let signalled = Caller::Alive { process: 7, signalled: true };
        assert_eq!(judged("0000000000002000", "0000000000000000"), signalled);
    }

    #[test]
    fn a_zombie_is_gone_unless_other_threads_run() {
        assert_eq!(judge(7, b"State:\tZ (zombie)\nTgid:\t7\nThreads:\t1\n"), Caller::Gone);
        let alive = Caller::Alive { process: 7, signalled: false };
        assert_eq!(judge(7, b"State:\tZ (zombie)\nTgid:\t7\nThreads:\t2\n"), alive);
    }

    #[test]
    fn we_are_alive_and_nobody_has_the_largest_number() {
        let own = std::process::id();
        assert!(matches!(look(own), Caller::Alive { process, .. } if process == own));
        assert_eq!(look(u32::MAX), Caller::Gone);
    }
}
