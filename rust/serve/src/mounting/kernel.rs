//! mount(2), for those who may.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::MountError;
use crate::{MountConfig, sys};

const DEVICE: &str = "/dev/fuse";

pub(super) enum Failure {
    /// Somebody with more rights has to do it.
    NotPermitted,
    Other(MountError),
}

pub(super) fn mount(
    config: &MountConfig,
    point: &Path,
    root_mode: u32,
) -> Result<OwnedFd, Failure> {
    let device = match File::options().read(true).write(true).open(DEVICE) {
        Ok(device) => OwnedFd::from(device),
        Err(error) => return Err(no_device(&error)),
    };
    let refused = |error: io::Error| match error.raw_os_error() {
        Some(libc::EPERM) => Failure::NotPermitted,
        Some(libc::ENODEV) => Failure::Other(MountError::new(
            "this kernel has no FUSE; load it: modprobe fuse",
            Some(libc::ENODEV),
        )),
        _ => Failure::Other(MountError::io(
            format!("mounting on {} failed", point.display()),
            &error,
        )),
    };
    let (user, group) = sys::user_and_group();
    let data = format!(
        "fd={},rootmode={root_mode:o},user_id={user},group_id={group}{}",
        device.as_raw_fd(),
        options(config)
    );
    let kind = format!("fuse.{}", config.subtype);
    let call = || {
        sys::mount(
            &c_string(OsStr::new(&config.source))?,
            &c_string(point.as_os_str())?,
            &c_string(OsStr::new(&kind))?,
            flags(config),
            &c_string(OsStr::new(&data))?,
        )
    };
    call().map_err(refused)?;
    Ok(device)
}

fn no_device(error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => Failure::Other(MountError::new(
            format!(
                "{DEVICE} is not there; load the kernel module (modprobe fuse), or pass the \
                 device to the container (--device {DEVICE} --cap-add SYS_ADMIN)"
            ),
            error.raw_os_error(),
        )),
        // fusermount3 opens it with rights of its own
        Some(libc::EACCES) => Failure::NotPermitted,
        Some(libc::EPERM) => Failure::Other(MountError::new(
            format!(
                "{DEVICE} may not be opened here; pass the device to the container \
                 (--device {DEVICE} --cap-add SYS_ADMIN)"
            ),
            Some(libc::EPERM),
        )),
        _ => Failure::Other(MountError::io(format!("{DEVICE} cannot be opened"), error)),
    }
}

/// Options that the FUSE file system itself understands, each after a comma.
pub(super) fn options(config: &MountConfig) -> String {
    let mut options = format!(",max_read={}", config.max_write.max(4096));
    if config.allow_other {
        options.push_str(",allow_other");
    }
    if config.default_permissions {
        options.push_str(",default_permissions");
    }
    options
}

fn flags(config: &MountConfig) -> libc::c_ulong {
    [
        (!config.suid, libc::MS_NOSUID),
        (!config.dev, libc::MS_NODEV),
        (!config.exec, libc::MS_NOEXEC),
        (config.read_only, libc::MS_RDONLY),
        (config.noatime, libc::MS_NOATIME),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .fold(0, |flags, (_, flag)| flags | flag)
}

pub(super) fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
