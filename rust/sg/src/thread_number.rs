//! Numbers for threads, by which they find counters of their own.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A small number of the calling thread, from 1, in the order in which threads ask.
pub fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(0) };
    }
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}
