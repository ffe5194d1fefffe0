//! Making and removing mounts: by mount(2) where we may, else through fusermount3.

mod abort;
mod error;
mod fusermount;
mod kernel;
mod mountinfo;
mod readahead;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub(crate) use abort::abort;
pub use error::MountError;
#[cfg(feature = "fuzzing")]
pub(crate) use mountinfo::topmost_of;
pub(crate) use mountinfo::{MountId, MountInfo, topmost};
pub(crate) use readahead::raise as raise_readahead;

use crate::{MountConfig, sys};

/// A mount that nobody serves yet.
#[derive(Debug)]
pub(crate) struct Mounted {
    /// The device that its requests come from.
    pub(crate) device: OwnedFd,
    pub(crate) info: MountInfo,
}

/// Where something can be mounted.
#[derive(Debug)]
pub(crate) struct Place {
    /// Absolute, without symbolic links: as the kernel knows it.
    pub(crate) point: PathBuf,
    /// Its file type bits, which the root has to have.
    root_mode: u32,
}

/// Looks whether something can be mounted at `point`.
pub(crate) fn examine(point: &Path) -> Result<Place, MountError> {
    let (point, root_mode) = error::examine(point)?;
    Ok(Place { point, root_mode })
}

/// Mounts a FUSE file system.
pub(crate) fn mount(config: &MountConfig, place: &Place) -> Result<Mounted, MountError> {
    let Place { point, root_mode } = place;
    let device = match kernel::mount(config, point, *root_mode) {
        Ok(device) => device,
        Err(kernel::Failure::NotPermitted) => fusermount::mount(config, point)?,
        Err(kernel::Failure::Other(error)) => return Err(error),
    };
    match topmost(point) {
        Ok(Some(mut info)) if info.is_fuse() => {
            info.id.unique = unique_id(point);
            Ok(Mounted { device, info })
        }
        Ok(_) => Err(MountError::new(
            format!(
                "{} was mounted, but another mount covers it or it was unmounted at once",
                point.display()
            ),
            None,
        )),
        Err(error) => {
            let _ = detach(point);
            Err(MountError::io("/proc/self/mountinfo cannot be read; mount /proc", &error))
        }
    }
}

/// Whether the mount that is seen at `point` is the one with this id.
pub(crate) fn is_on_top(point: &Path, id: MountId) -> io::Result<bool> {
    // ids and devices in mountinfo go to the next mount as soon as this one is gone
    if id.unique.is_some() {
        return Ok(unique_id(point) == id.unique);
    }
    Ok(topmost(point)?
        .is_some_and(|info| info.is_fuse() && (info.id.id, info.id.minor) == (id.id, id.minor)))
}

fn unique_id(point: &Path) -> Option<u64> {
    sys::unique_mount_id(&kernel::c_string(point.as_os_str()).ok()?)
}

/// Unmounts what is at `point`, detaching it if it is busy. Ask
/// [`is_on_top`] first: there is no way to name a mount by its id.
pub(crate) fn detach(point: &Path) -> io::Result<()> {
    let path = kernel::c_string(point.as_os_str())?;
    let by_kernel = sys::unmount(&path, libc::UMOUNT_NOFOLLOW).or_else(|error| {
        if error.raw_os_error() == Some(libc::EBUSY) {
            sys::unmount(&path, libc::UMOUNT_NOFOLLOW | libc::MNT_DETACH)
        } else {
            Err(error)
        }
    });
    match by_kernel {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => fusermount::unmount(point),
        other => other,
    }
}
