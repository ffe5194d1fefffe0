//! Files that the kernel reads and writes by itself.
//!
//! A file system offers a backing file with its answer to OPEN; the kernel then serves
//! reads, writes and mappings from it without asking. Its rules, kept here:
//!
//! - all opens of one inode have the same backing, or none has one: the first open
//!   decides, until the last is released. An open that offers the file later is served
//!   without; one that does not offer it while the kernel has it is refused, for the kernel
//!   would show it that file;
//! - a backing stays registered until then;
//! - a refusal is no error: the open becomes an ordinary one. It is logged once per
//!   reason; one that holds for all files (no privilege) turns the offers off.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fuser::BackingId;
use fusesg_fs::{Errno, Inode, Result};
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
    /// What was logged.
    logged: HashSet<Reason>,
    /// No file can have a backing.
    refused: bool,
}

/// An inode that is open at least once.
#[derive(Debug)]
struct OpenInode {
    opens: u64,
    backing: Option<(Arc<BackingId>, FileId)>,
    /// It was offered a backing at first, which the kernel may have refused.
    offered: bool,
}

/// Device and inode number of a backing file.
type FileId = (u64, u64);

/// Why a file is not served by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reason {
    /// The kernel refused it with this error.
    Refused(i32),
    /// It is open without, and the page cache may have some of it.
    OpenWithout,
    /// It is open with, and another open wants something else.
    OpenWith,
}

impl KernelPassthrough {
    /// The kernel granted the capability.
    pub(crate) fn enable(&self) {
        self.enabled.store(true, Ordering::Relaxed);
    }

    /// Counts an open of `inode` and returns the backing it is to be opened with.
    /// `register` makes a backing file known to the kernel.
    ///
    /// # Errors
    /// EBUSY if the kernel serves the inode from a file that this open does not offer.
    pub(crate) fn opened(
        &self,
        inode: Inode,
        offer: Option<&Backing>,
        register: impl FnOnce(&Backing) -> io::Result<BackingId>,
    ) -> Result<Option<Arc<BackingId>>> {
        if !self.enabled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        // a system call: not under the lock
        let offer = offer.and_then(|backing| Some((backing, file_id(backing)?)));
        let mut state = self.state.lock();
        let State { open, logged, .. } = &mut *state;
        if let Some(open) = open.get_mut(&inode) {
            match (&open.backing, offer) {
                (Some((_, has)), Some((_, offered))) if *has == offered => {}
                (Some(_), _) => {
                    log_once(logged, Reason::OpenWith);
                    return Err(Errno::EBUSY);
                }
                (None, Some(_)) if !open.offered => log_once(logged, Reason::OpenWithout),
                (None, _) => {}
            }
            open.opens += 1;
            return Ok(open.backing.as_ref().map(|(backing, _)| Arc::clone(backing)));
        }
        let backing = match offer {
            Some((offer, id)) if !state.refused => {
                state.register(offer, register).map(|backing| (backing, id))
            }
            _ => None,
        };
        let kernel = backing.as_ref().map(|(backing, _)| Arc::clone(backing));
        state.open.insert(inode, OpenInode { opens: 1, backing, offered: offer.is_some() });
        Ok(kernel)
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
        log_once(&mut self.logged, Reason::Refused(number));
        None
    }
}

fn log_once(logged: &mut HashSet<Reason>, reason: Reason) {
    if !logged.insert(reason) {
        return;
    }
    match reason {
        Reason::Refused(number) => {
            let why = match number {
                libc::EPERM => {
                    "it needs CAP_SYS_ADMIN in the initial user namespace; off for \
                                this mount"
                }
                libc::ELOOP => "the file lies on a stacked file system (overlayfs, FUSE)",
                libc::EINVAL => "it is not a regular file",
                _ => "the file is served without it",
            };
            let error = io::Error::from_raw_os_error(number);
            log::warn!("kernel passthrough refused ({error}): {why}");
        }
        Reason::OpenWithout => log::warn!(
            "kernel passthrough left out: the file is open already without it, and the kernel \
             does not mix the two"
        ),
        Reason::OpenWith => log::warn!(
            "an open was answered EBUSY: by kernel passthrough the file is open already, from \
             another file or one that this open must not write"
        ),
    }
}

fn file_id(backing: &Backing) -> Option<FileId> {
    let status = backing.file().metadata().ok()?;
    Some((status.dev(), status.ino()))
}
