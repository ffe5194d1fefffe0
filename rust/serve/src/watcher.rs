//! A process that cleans up after a server that was killed.
//!
//! After `kill -9` nobody is left to unmount, and the mount point answers every access
//! with "Transport endpoint is not connected". The watcher is a shell that waits at a pipe
//! of ours. When the pipe ends it looks whether the topmost mount at the path is still
//! ours, by mount id and device, and detaches it. On a regular unmount it is told so and
//! just ends. It is nobody's child, has a session of its own and keeps none of our
//! memory and descriptors.

use std::ffi::{CString, OsStr};
use std::io::{self, PipeWriter, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::fork::NotInherited;
use crate::mounting::MountInfo;
use crate::sys;

/// Paths come as arguments and are never part of the script. `$2` is the mount point as
/// /proc/self/mountinfo writes it, `$4` as it is.
const SCRIPT: &str = r#"
read -r word
[ "$word" = done ] && exit 0
ours=
covered=
while read -r id parent device root point rest; do
    [ "$point" = "$2" ] || continue
    [ "$id" = "$1" ] && [ "$device" = "$3" ] && ours=yes
    [ "$parent" = "$1" ] && covered=yes
done < /proc/self/mountinfo
[ -n "$ours" ] && [ -z "$covered" ] || exit 0
umount -l -- "$4" || fusermount3 -u -z -- "$4" || fusermount -u -z -- "$4"
"#;

/// The watcher of one mount.
#[derive(Debug)]
pub(crate) struct Watcher {
    pid: i32,
    // before the pipe: it is to be taken off the list before it is closed
    _not_inherited: NotInherited,
    pipe: PipeWriter,
}

impl Watcher {
    /// Starts the watcher of `mount`, which is at `point`.
    pub(crate) fn spawn(mount: &MountInfo, point: &Path) -> io::Result<Self> {
        let (stdin, pipe) = io::pipe()?;
        let id = mount.id.id.to_string();
        let device = format!("0:{}", mount.id.minor);
        let arguments = [
            OsStr::new("sh"),
            OsStr::new("-c"),
            OsStr::new(SCRIPT),
            OsStr::new("fusesg-watcher"),
            OsStr::new(&id),
            &mount.escaped_point,
            OsStr::new(&device),
            point.as_os_str(),
        ];
        let arguments = arguments
            .into_iter()
            .map(|argument| CString::new(argument.as_bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        let environment = [c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
        let pid = sys::spawn_detached(c"/bin/sh", &arguments, &environment, stdin.as_fd())?;
        let not_inherited = NotInherited::new(pipe.as_fd());
        Ok(Self { pid, _not_inherited: not_inherited, pipe })
    }

    /// Ends the watcher: there is nothing left to clean up.
    pub(crate) fn dismiss(self) {
        let Self { pid, _not_inherited: listed, mut pipe } = self;
        // a watcher that somebody killed is gone already
        let _ = pipe.write_all(b"done\n");
        drop(listed);
        drop(pipe);
        sys::reap(pid);
    }
}
