//! Ending a connection at once, also while files of the mount are open.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use super::MountId;
use crate::sys;

/// Where the control file system usually is.
const CONTROL: &str = "/sys/fs/fuse/connections";

/// Aborts the connection of `mount`: every request fails, in flight and to come.
pub(crate) fn abort(mount: MountId) -> io::Result<()> {
    match abort_through(Path::new(CONTROL), mount) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // not mounted there, or the connection is gone; a mount of our own tells which
            let control = sys::fuse_control_mount()?;
            let path = format!("/proc/self/fd/{}", control.as_raw_fd());
            match abort_through(Path::new(&path), mount) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            }
        }
        other => other,
    }
}

fn abort_through(control: &Path, mount: MountId) -> io::Result<()> {
    let file = control.join(mount.minor.to_string()).join("abort");
    // the file is there already; creating one is not what a missing connection asks for
    let mut file = std::fs::File::options().write(true).open(file)?;
    io::Write::write_all(&mut file, b"1")
}
