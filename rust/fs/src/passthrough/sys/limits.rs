//! The limit of open files.

use std::io;

use super::retry;

/// Raises the soft limit of open files to the hard limit; returns the limit that holds then.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let start = &raw mut limit;
    // SAFETY: the call fills our structure.
    retry(|| unsafe { libc::getrlimit64(libc::RLIMIT_NOFILE, start) })?;
    let raised = libc::rlimit64 { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: the call reads our structure.
    match retry(|| unsafe { libc::setrlimit64(libc::RLIMIT_NOFILE, &raw const raised) }) {
        Ok(_) => Ok(raised.rlim_cur),
        Err(_) => Ok(limit.rlim_cur),
    }
}
