//! What a forked child must not keep.
//!
//! A child that was forked without exec inherits `/dev/fuse`. While it lives, the
//! parent's death would not end the connection, and whoever waits in the mount would wait
//! for ever. So in every child the descriptors of all mounts are replaced by `/dev/null`.

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::sys;

/// A mount registers three descriptors, and two for each endpoint that tells its numbers.
const SLOTS: usize = 16_384;
/// Descriptor plus one; 0 is a free slot.
static DESCRIPTORS: [AtomicI32; SLOTS] = [const { AtomicI32::new(0) }; SLOTS];

/// A descriptor that forked children do not keep; registered until dropped. Drop it before
/// the descriptor is closed.
#[derive(Debug)]
pub(crate) struct NotInherited {
    slot: Option<usize>,
}

impl NotInherited {
    pub(crate) fn new(descriptor: BorrowedFd<'_>) -> Self {
        static HANDLER: OnceLock<bool> = OnceLock::new();
        HANDLER.get_or_init(|| {
            let installed = sys::call_in_forked_child(in_child);
            if let Err(error) = &installed {
                log::warn!("forked children will keep the mounts of their parent: {error}");
            }
            installed.is_ok()
        });
        let value = descriptor.as_raw_fd() + 1;
        let slot = DESCRIPTORS.iter().position(|slot| {
            slot.compare_exchange(0, value, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        });
        Self { slot }
    }
}

impl Drop for NotInherited {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            DESCRIPTORS[slot].store(0, Ordering::SeqCst);
        }
    }
}

extern "C" fn in_child() {
    after_fork_in_child();
}

/// Takes the mounts of the parent from a process that was just forked.
///
/// Called by itself after every fork(3); call it by hand only after a fork made in another
/// way. Async-signal-safe: no lock, no memory, system calls only.
pub fn after_fork_in_child() {
    let mut null = -1;
    for slot in &DESCRIPTORS {
        let value = slot.swap(0, Ordering::SeqCst);
        if value != 0 {
            if null < 0 {
                null = sys::open_null();
            }
            sys::replace_descriptor(value - 1, null);
        }
    }
    if null >= 0 {
        sys::close_raw(null);
    }
}
