//! Reading further ahead than the kernel offers.
//!
//! INIT can only lower the readahead of 128 KiB that the kernel starts a mount with. Who may
//! write to sysfs can raise it afterwards, through the device that backs the mount's cache.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::MountId;

/// Lets the kernel read `bytes` ahead if it does not yet; the unit of its setting is 1 KiB.
pub(crate) fn raise(mount: MountId, bytes: u32) -> io::Result<()> {
    // FUSE mounts have anonymous devices, whose major number is 0
    let setting = PathBuf::from(format!("/sys/class/bdi/0:{}/read_ahead_kb", mount.minor));
    let wanted = bytes / 1024;
    let current = fs::read_to_string(&setting)?;
    if current.trim().parse().is_ok_and(|current: u32| current >= wanted) {
        return Ok(());
    }
    fs::write(setting, wanted.to_string())
}
