//! Why a mount could not be made, in words that say what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a mount could not be made: one sentence that says what to do.
#[derive(Debug)]
pub struct MountError {
    /// What failed and what to do about it.
    pub message: String,
    /// The system's error, where there is one.
    pub errno: Option<i32>,
}

impl MountError {
    pub(crate) fn new(message: impl Into<String>, errno: Option<i32>) -> Self {
        Self { message: message.into(), errno }
    }

    pub(crate) fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(format!("{what}: {error}"), error.raw_os_error())
    }
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for MountError {}

/// The mount point as the kernel will know it, and its file type bits.
pub(super) fn examine(point: &Path) -> Result<(PathBuf, u32), MountError> {
    use std::os::unix::fs::MetadataExt as _;
    let shown = point.display();
    let absolute = std::fs::canonicalize(point).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOTCONN) => stale(point),
        Some(libc::ENOENT) => MountError::new(
            format!("the mount point {shown} does not exist; make it first: mkdir -p {shown}"),
            Some(libc::ENOENT),
        ),
        Some(libc::EACCES) => MountError::new(
            format!("the mount point {shown} cannot be reached: no permission on its path"),
            Some(libc::EACCES),
        ),
        _ => MountError::io(format!("the mount point {shown} cannot be used"), &error),
    })?;
    let status = std::fs::metadata(&absolute).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOTCONN) => stale(point),
        _ => MountError::io(format!("the mount point {shown} cannot be used"), &error),
    })?;
    if !status.is_dir() && !status.is_file() {
        return Err(MountError::new(
            format!("the mount point {shown} is neither a directory nor a regular file"),
            Some(libc::ENOTDIR),
        ));
    }
    if absolute.starts_with("/proc") {
        return Err(MountError::new(
            format!("the mount point {shown} is in /proc, which the server itself needs"),
            Some(libc::EINVAL),
        ));
    }
    Ok((absolute, status.mode() & libc::S_IFMT))
}

fn stale(point: &Path) -> MountError {
    let shown = point.display();
    MountError::new(
        format!(
            "at {shown} is a stale mount whose server is gone; remove it first: \
             fusermount3 -u {shown} (or umount -l {shown})"
        ),
        Some(libc::ENOTCONN),
    )
}
