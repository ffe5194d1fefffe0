//! Mounting through fusermount3, the set-user-id helper of libfuse.
//!
//! The helper opens `/dev/fuse`, mounts, and sends the descriptor over the socket that is
//! named by `_FUSE_COMMFD`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{MountError, kernel};
use crate::{MountConfig, sys};

/// Where the helper is: `FUSERMOUNT_PATH`, else the first of its names that can be run.
fn candidates() -> Vec<OsString> {
    match std::env::var_os("FUSERMOUNT_PATH") {
        Some(path) => vec![path],
        None => ["fusermount3", "/usr/bin/fusermount3", "/bin/fusermount3", "fusermount"]
            .map(OsString::from)
            .to_vec(),
    }
}

fn spawn(prepare: impl Fn(&mut Command) -> io::Result<()>) -> io::Result<Child> {
    for program in candidates() {
        let mut command = Command::new(&program);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        prepare(&mut command)?;
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
    }
    Err(io::Error::from_raw_os_error(libc::ENOENT))
}

pub(super) fn mount(config: &MountConfig, point: &Path) -> Result<OwnedFd, MountError> {
    let (ours, theirs) =
        UnixStream::pair().map_err(|error| MountError::io("no socket for fusermount3", &error))?;
    // the socket is the helper's standard input: nothing else has to be inherited
    let spawned = spawn(|command| {
        command
            .arg("-o")
            .arg(options(config))
            .arg("--")
            .arg(point)
            .env("_FUSE_COMMFD", "0")
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)));
        Ok(())
    });
    drop(theirs);
    let child = spawned.map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            MountError::new(
                "mounting needs root or fusermount3, which is not installed; install it \
                 (apt install fuse3, dnf install fuse3) or name it in FUSERMOUNT_PATH",
                Some(libc::EPERM),
            )
        } else {
            MountError::io("fusermount3 cannot be run", &error)
        }
    })?;
    let received = sys::receive_descriptor(&ours);
    drop(ours);
    let (_, complaint) = finish(child)
        .map_err(|error| MountError::io("fusermount3 cannot be waited for", &error))?;
    match received {
        Ok(Some(device)) => Ok(device),
        Ok(None) => Err(refusal(point, &complaint)),
        Err(error) => Err(MountError::io("no descriptor came from fusermount3", &error)),
    }
}

/// fusermount3's complaint, with what to do about it.
fn refusal(point: &Path, complaint: &str) -> MountError {
    let shown = point.display();
    let advice = if complaint.contains("user_allow_other") {
        "; add the line user_allow_other to /etc/fuse.conf, or mount without allow_other"
    } else if complaint.contains("has no write access") || complaint.contains("not owner") {
        "; a user may mount only on a directory that is their own"
    } else if complaint.contains("could not determine username") {
        "; this user has no entry in /etc/passwd"
    } else if complaint.contains("/dev/fuse: Permission denied") {
        "; this user may not open the device: chmod 666 /dev/fuse"
    } else if complaint.contains("/dev/fuse") || complaint.contains("modprobe") {
        "; load the kernel module (modprobe fuse) or pass the device to the container"
    } else if complaint.contains("not permitted") {
        "; in a container, give it --cap-add SYS_ADMIN and the device /dev/fuse"
    } else {
        ""
    };
    let reason = if complaint.is_empty() { "it did not say why" } else { complaint };
    MountError::new(
        format!("fusermount3 did not mount on {shown}: {reason}{advice}"),
        Some(libc::EPERM),
    )
}

pub(super) fn unmount(point: &Path) -> io::Result<()> {
    let run = |lazy: bool| -> io::Result<(ExitStatus, String)> {
        finish(spawn(|command| {
            command.arg("-u").args(lazy.then_some("-z")).arg("--").arg(point);
            command.stdin(Stdio::null());
            Ok(())
        })?)
    };
    let (status, _) = run(false)?;
    if status.success() {
        return Ok(());
    }
    let (status, complaint) = run(true)?;
    if status.success() { Ok(()) } else { Err(io::Error::other(complaint)) }
}

/// Waits for the helper and returns what it complained of.
fn finish(mut child: Child) -> io::Result<(ExitStatus, String)> {
    let mut complaint = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_end(&mut complaint)?;
    }
    let status = child.wait()?;
    Ok((status, String::from_utf8_lossy(&complaint).trim().to_owned()))
}

fn options(config: &MountConfig) -> OsString {
    let switches = [
        (config.suid, "suid", "nosuid"),
        (config.dev, "dev", "nodev"),
        (config.exec, "exec", "noexec"),
        (config.read_only, "ro", "rw"),
        (config.noatime, "noatime", "atime"),
    ];
    let mut options = format!("fsname={}", escape(&config.source));
    options.push_str(",subtype=");
    options.push_str(&escape(&config.subtype));
    for (on, yes, no) in switches {
        options.push(',');
        options.push_str(if on { yes } else { no });
    }
    options.push_str(&kernel::options(config));
    OsStr::new(&options).to_owned()
}

/// A comma or backslash in a value would end it.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,")
}
