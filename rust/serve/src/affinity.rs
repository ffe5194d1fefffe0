//! On which CPUs requests are served.
//!
//! Where a serving thread wakes up decides how long a request takes that nobody else keeps
//! company: on the CPU of its client a few microseconds, on another one that is idle several
//! times as many. A thread hands its CPUs on to those that it starts, so one thread that is
//! put in its place before it starts the readers places everything that they start.

use std::collections::HashSet;
use std::io;
use std::thread;

use crate::{MountConfig, sys};

/// Lets the calling thread, and those that it will start, run on `cpus` only.
pub(crate) fn restrict(cpus: &[usize]) -> io::Result<()> {
    sys::set_affinity(cpus)
}

/// How many CPUs the serving threads of a mount may run on.
pub(crate) fn cpus(config: &MountConfig) -> usize {
    match &config.cpu_affinity {
        Some(cpus) => cpus.iter().collect::<HashSet<_>>().len(),
        // unknown is as good as many
        None => sys::affinity().map_or(usize::MAX, |cpus| cpus.len()),
    }
}

/// Whether this process may use all of `cpus`; the error says which it may not.
pub(crate) fn check(cpus: &[usize]) -> io::Result<()> {
    // the kernel leaves out silently what there is not, so it is asked what came of it
    let granted = thread::scope(|scope| {
        let probe = thread::Builder::new().spawn_scoped(scope, || {
            sys::set_affinity(cpus)?;
            sys::affinity()
        })?;
        probe.join().expect("two system calls do not panic")
    });
    let granted = match granted {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Vec::new(),
        other => other?,
    };
    let missing: Vec<_> =
        cpus.iter().filter(|cpu| !granted.contains(cpu)).map(usize::to_string).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("there is no CPU {} for this process", missing.join(", "));
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_hands_its_cpus_on() {
        let cpu = sys::affinity().expect("a process has CPUs")[0];
        let inherited = thread::spawn(move || {
            restrict(&[cpu]).expect("it is among those of the process");
            thread::spawn(|| sys::affinity().expect("it is there")).join().expect("no panic")
        });
        assert_eq!(inherited.join().expect("no panic"), [cpu]);
    }

    #[test]
    fn a_cpu_that_is_not_there_is_named() {
        let here = sys::affinity().expect("a process has CPUs")[0];
        assert!(check(&[here]).is_ok());
        for cpus in [&[1000][..], &[here, 1000]] {
            let error = check(cpus).expect_err("no such CPU").to_string();
            assert!(error.contains("no CPU 1000 "), "{error}");
        }
        // the caller stays where it was
        assert!(sys::affinity().expect("still there").contains(&here));
    }
}
