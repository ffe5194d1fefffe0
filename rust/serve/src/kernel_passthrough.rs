//! Files that the kernel reads and writes by itself.
//!
//! A file system offers a backing file with its answer to OPEN; the kernel then serves
//! reads, writes and mappings from it without asking. Its rules, kept here:
//!
//! - all opens of one inode have the same backing, or none has one: the first open
//!   decides, until the last is released;
//! - a backing stays registered until then;
//! - a refusal is no error: the open becomes an ordinary one. It is logged once per
//!   reason; one that holds for all files (no privilege) turns the offers off.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fuser::BackingId;
use fusesg_fs::Inode;
use fusesg_sg::Backing;
use parking_lot::Mutex;

/// The backings of one mount.
#[derive(Debug, Default)]
pub(crate) struct KernelPassthrough {
    enabled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<Inode, OpenInode>,
    /// Error numbers that were logged.
    logged: HashSet<i32>,
    /// No file can have a backing.
    refused: bool,
}

/// An inode that is open at least once.
#[derive(Debug)]
struct OpenInode {
    opens: u64,
    backing: Option<Arc<BackingId>>,
}

impl KernelPassthrough {
    /// The kernel granted the capability.
    pub(crate) fn enable(&self) {
        self.enabled.store(true, Ordering::Relaxed);
    }

    /// Counts an open of `inode` and returns the backing it is to be opened with.
    /// `register` makes a backing file known to the kernel.
    pub(crate) fn opened(
        &self,
        inode: Inode,
        offer: Option<&Backing>,
        register: impl FnOnce(&Backing) -> io::Result<BackingId>,
    ) -> Option<Arc<BackingId>> {
        if !self.enabled.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state.lock();
        if let Some(open) = state.open.get_mut(&inode) {
            open.opens += 1;
            return open.backing.clone();
        }
        let backing = match offer {
            Some(offer) if !state.refused => state.register(offer, register),
            _ => None,
        };
        state.open.insert(inode, OpenInode { opens: 1, backing: backing.clone() });
        backing
    }

    /// Counts a release of `inode`.
    pub(crate) fn released(&self, inode: Inode) {
        if !self.enabled.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        let Some(open) = state.open.get_mut(&inode) else { return };
        open.opens -= 1;
        if open.opens == 0 {
            let last = state.open.remove(&inode);
            // closing the backing is a system call: not under the lock
            drop(state);
            drop(last);
        }
    }

    /// Lets go of all backings; the session has ended.
    pub(crate) fn clear(&self) {
        let open = std::mem::take(&mut self.state.lock().open);
        drop(open);
    }
}

impl State {
    fn register(
        &mut self,
        offer: &Backing,
        register: impl FnOnce(&Backing) -> io::Result<BackingId>,
    ) -> Option<Arc<BackingId>> {
        let error = match register(offer) {
            Ok(backing) => return Some(Arc::new(backing)),
            Err(error) => error,
        };
        let number = error.raw_os_error().unwrap_or(0);
        self.refused |= number == libc::EPERM;
        if self.logged.insert(number) {
            let why = match number {
                libc::EPERM => {
                    "it needs CAP_SYS_ADMIN in the initial user namespace; off for \
                                this mount"
                }
                libc::ELOOP => "the file lies on a stacked file system (overlayfs, FUSE)",
                libc::EINVAL => "it is not a regular file",
                _ => "the file is served without it",
            };
            log::warn!("kernel passthrough refused ({error}): {why}");
        }
        None
    }
}
