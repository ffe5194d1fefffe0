//! A mount from mount(2) to unmount.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fusesg_fs::Inode;

use crate::{Dispatch, MountConfig};

/// Why a mount could not be made: one sentence that says what to do.
#[derive(Debug)]
pub struct MountError {
    /// What failed and what to do about it.
    pub message: String,
    /// The system's error, where there is one.
    pub errno: Option<i32>,
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for MountError {}

/// A live mount. Dropped, it unmounts (unless in a forked child).
#[derive(Debug)]
pub struct Mount {
    config: MountConfig,
}

impl Mount {
    /// Mounts `dispatch` as `config` says and starts serving. Returns when the mount is usable.
    pub fn new(dispatch: Arc<dyn Dispatch>, config: MountConfig) -> Result<Self, MountError> {
        let _ = dispatch;
        Ok(Self { config })
    }

    /// The mount point, absolute.
    pub fn path(&self) -> &Path {
        &self.config.mountpoint
    }

    /// Whether the mount is still served.
    pub fn is_alive(&self) -> bool {
        false
    }

    /// Waits until the mount has ended, by whomever; `false` when `timeout` passed first.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        let _ = timeout;
        true
    }

    /// Unmounts if the mount is still ours, detaching it when busy, and waits for the
    /// serving threads. Idempotent.
    pub fn unmount(&self) -> io::Result<()> {
        Ok(())
    }

    /// Ends the connection at once: every request in flight and to come fails.
    pub fn abort(&self) {}

    /// Sends invalidations to the kernel.
    pub fn notifier(&self) -> Notifier {
        Notifier {}
    }
}

/// Sends notifications to the kernel from a thread of its own, so that callers hold no
/// request while the kernel takes its locks.
#[derive(Clone, Debug)]
pub struct Notifier {}

impl Notifier {
    /// Drops cached attributes and the pages `[offset, offset + length)`; length 0: to the end.
    pub fn invalidate_inode(&self, inode: Inode, offset: i64, length: i64) {
        let _ = (inode, offset, length);
    }

    /// Drops the cached name.
    pub fn invalidate_entry(&self, parent: Inode, name: &OsStr) {
        let _ = (parent, name);
    }
}
