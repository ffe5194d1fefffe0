//! Threads of this process, by the system's numbers.

use std::cell::Cell;
use std::fs;

use crate::sys;

/// The number of the calling thread.
pub fn this_thread() -> u32 {
    thread_local! {
        static NUMBER: Cell<u32> = const { Cell::new(0) };
    }
    if NUMBER.get() == 0 {
        NUMBER.set(sys::thread_id());
    }
    NUMBER.get()
}

/// Whether a thread of this process runs, or waits for nothing but a CPU. Asks the kernel,
/// which takes some microseconds.
pub fn thread_runs(thread: u32) -> bool {
    fs::read_to_string(format!("/proc/self/task/{thread}/stat")).is_ok_and(|stat| {
        // the name, in parentheses, may contain anything
        stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('R'))
    })
}
