//! Where a file system would meet itself: its mounts that can be reached from its source.
//!
//! With a mount inside of the source (`/` on `/mnt`) a lookup comes to the mount's own root.
//! Whatever is asked of that inode is a request of the file system to itself, which may wait
//! for the very thread that asks, and a descriptor of it keeps the mount busy for ever. So the
//! tree ends there, with ELOOP.
//!
//! The device tells an own mount, wherever it is bound to. Only names that are mount points
//! are looked at, in what the kernel knows anyhow: the others cost no more than without.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use parking_lot::RwLock;

use super::attributes::identity;
use super::{Passthrough, sys};
use crate::{Errno, Result};

/// Flags to name an inode without opening it.
const NAME_ONLY: i32 = libc::O_PATH | libc::O_NOFOLLOW;

/// Devices of the mounts that serve a file system.
#[derive(Debug, Default)]
pub(super) struct OwnMounts(RwLock<Vec<u64>>);

impl OwnMounts {
    fn contain(&self, device: u64) -> bool {
        self.0.read().contains(&device)
    }
}

impl Passthrough {
    pub(super) fn mounted_at(&self, point: &Path, device: u64) {
        self.own_mounts.0.write().push(device);
        if point != self.source && point.starts_with(&self.source) {
            log::warn!(
                "{} lies in {}, which is shown there: the mount does not show itself, a lookup \
                 that leads to it is answered ELOOP",
                point.display(),
                self.source.display()
            );
        }
    }

    pub(super) fn unmounted_from(&self, device: u64) {
        self.own_mounts.0.write().retain(|known| *known != device);
    }

    /// An O_PATH descriptor of a name; ELOOP if that leads to an own mount.
    pub(super) fn open_name(&self, parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
        match sys::openat_on_mount(parent, name, NAME_ONLY) {
            Err(error) if may_be_mount(&error) => {}
            opened => return Ok(opened?),
        }
        let fd = sys::openat(parent, name, NAME_ONLY, 0)?;
        let status = sys::cached_statx(fd.as_fd(), c"")?;
        if self.own_mounts.contain(identity(&status).device) { Err(Errno::ELOOP) } else { Ok(fd) }
    }
}

/// Whether a name is a mount point, or the kernel cannot tell: before Linux 5.6, or where a
/// filter of system calls does not know this one.
fn may_be_mount(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EXDEV | libc::ENOSYS | libc::EPERM))
}
