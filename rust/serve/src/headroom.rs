//! Memory that a thread has before it needs it.
//!
//! A thread that touches a mapped file of a mount of its own process waits for the answer inside
//! of a page fault, and at the second attempt the kernel holds the lock of the address space
//! meanwhile. Until it has its answer no other thread can get memory from the kernel: it would
//! wait in mprotect(2), and the answer with it, and whoever looks at the process in `/proc`, too.
//! The allocator of the C library gives each thread a heap of its own, which grows by as little
//! as a page at a time. What was freed at its end stays with it.

use std::cell::Cell;
use std::hint;

/// More than a request and a look of the watchdog allocate; less than the heap gives back
/// (`M_TRIM_THRESHOLD`, 128 KiB unless it was set).
const BYTES: usize = 96 << 10;

/// Sees to it that the calling thread can allocate small things without the kernel's help. Done
/// once for each thread.
#[inline]
pub fn keep_headroom() {
    thread_local! {
        static KEPT: Cell<bool> = const { Cell::new(false) };
    }
    if !KEPT.replace(true) {
        grow();
    }
}

#[cold]
fn grow() {
    // touched, so that it needs no page fault later
    drop(hint::black_box(vec![1_u8; BYTES]));
}
