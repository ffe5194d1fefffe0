//! Ending a connection at once, also while files of the mount are open.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use super::MountId;
use crate::sys;

/// Where the control file system usually is.
const CONTROL: &str = "/sys/fs/fuse/connections";

/// Aborts the connection of `mount`: every request fails, in flight and to come.
///
/// The control file is named by the device's number, which goes to the next mount as soon
/// as this one is gone. `is_connected` tells whether ours still is; asked after the file was
/// opened, it tells whose file that is.
pub(crate) fn abort(mount: MountId, is_connected: impl Fn() -> bool) -> io::Result<()> {
    match abort_through(Path::new(CONTROL), mount, &is_connected) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_connected() => {
            // not mounted there; a mount of our own needs no place
            let control = sys::fuse_control_mount()?;
            let path = format!("/proc/self/fd/{}", control.as_raw_fd());
            match abort_through(Path::new(&path), mount, &is_connected) {
                Err(_) if !is_connected() => Ok(()),
                other => other,
            }
        }
        Err(_) if !is_connected() => Ok(()),
        other => other,
    }
}

fn abort_through(
    control: &Path,
    mount: MountId,
    is_connected: impl Fn() -> bool,
) -> io::Result<()> {
    let file = control.join(mount.minor.to_string()).join("abort");
    // the file is there already; creating one is not what a missing connection asks for
    let mut file = std::fs::File::options().write(true).open(file)?;
    // once the connection has ended the file does nothing, also if it ends right now
    if is_connected() { io::Write::write_all(&mut file, b"1") } else { Ok(()) }
}
