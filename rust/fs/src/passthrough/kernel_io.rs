//! What the kernel may do by itself with an inode's open files (kernel passthrough).
//!
//! The kernel takes one backing per inode, for all its opens, and refuses to mix opens with
//! and without one. So the decision is made at the first open and holds until the last
//! release; the backing is open for reading and writing, whatever the first caller asked
//! for, since the kernel checks each caller against the flags of the caller's own open.
//!
//! A file that may be executed gets none: while a descriptor is open for writing, execve of
//! that file fails with ETXTBSY everywhere on the machine.

use std::sync::Arc;

use fusesg_sg::Backing;
use parking_lot::Mutex;

/// Open files of one inode and the backing they share.
#[derive(Debug, Default)]
pub(super) struct KernelIo {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    opens: u64,
    backing: Option<Arc<Backing>>,
}

impl KernelIo {
    /// Counts an open and returns what it shares; the first one decides by `choose`.
    pub(super) fn open(
        &self,
        choose: impl FnOnce() -> Option<Arc<Backing>>,
    ) -> Option<Arc<Backing>> {
        let mut state = self.state.lock();
        if state.opens == 0 {
            state.backing = choose();
        }
        state.opens += 1;
        state.backing.clone()
    }

    /// Takes back an open; the last one closes the backing.
    pub(super) fn release(&self) {
        let closed = {
            let mut state = self.state.lock();
            state.opens -= 1;
            if state.opens == 0 { state.backing.take() } else { None }
        };
        // closes the descriptor, without the lock
        drop(closed);
    }
}
