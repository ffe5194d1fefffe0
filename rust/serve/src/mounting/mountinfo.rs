//! `/proc/self/mountinfo`: which mount is where.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// A mount, as the kernel numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MountId {
    /// Unique among the mounts that exist now.
    pub(crate) id: u64,
    /// Minor number of the file system's device; also the name of a FUSE connection in
    /// the connections control file system.
    pub(crate) minor: u32,
    /// A number that no other mount ever has, where the kernel gives one (Linux 6.8).
    pub(crate) unique: Option<u64>,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MountInfo {
    pub(crate) id: MountId,
    parent: u64,
    point: OsString,
    /// The mount point as it is written in the file, with its octal escapes.
    pub(crate) escaped_point: OsString,
    /// `fuse.subtype` and the like.
    kind: OsString,
}

impl MountInfo {
    pub(crate) fn is_fuse(&self) -> bool {
        self.kind.as_bytes().starts_with(b"fuse")
    }

    /// `36 35 0:57 / /mnt/point rw shared:1 - fuse.x source rw`
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let id = number(fields.next()?)?;
        let parent = number(fields.next()?)?;
        let device = fields.next()?;
        let minor = device.splitn(2, |byte| *byte == b':').nth(1)?;
        let minor = u32::try_from(number(minor)?).ok()?;
        let escaped = fields.nth(1)?;
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        Some(Self {
            id: MountId { id, minor, unique: None },
            parent,
            point: OsString::from_vec(unescape(escaped)),
            escaped_point: OsString::from_vec(escaped.to_vec()),
            kind: OsString::from_vec(unescape(kind)),
        })
    }
}

/// The mount that a path lookup of `point` ends in, if a mount is there.
pub(crate) fn topmost(point: &Path) -> io::Result<Option<MountInfo>> {
    Ok(topmost_of(&std::fs::read("/proc/self/mountinfo")?, point))
}

pub(crate) fn topmost_of(mountinfo: &[u8], point: &Path) -> Option<MountInfo> {
    let here: Vec<_> = mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(MountInfo::parse)
        .filter(|mount| mount.point.as_bytes() == point.as_os_str().as_bytes())
        .collect();
    // a mount that covers another has it as its parent
    let covered = |mount: &MountInfo| here.iter().any(|other| other.parent == mount.id.id);
    let top = here.iter().rposition(|mount| !covered(mount))?;
    here.into_iter().nth(top)
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The kernel writes space, tab, newline, backslash and `#` as `\ooo`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        if let (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) =
            (first, tail)
        {
            plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = after;
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[u8] = b"22 1 8:1 / / rw - ext4 /dev/root rw\n\
        40 22 0:50 / /mnt/a\\040b rw,nosuid shared:7 master:2 - fuse.x src rw,user_id=0\n\
        41 40 0:51 / /mnt/a\\040b rw - tmpfs tmpfs rw\n\
        42 22 0:52 / /mnt/line\\012break\\134 rw - fuse.y src rw\n";

    #[test]
    fn the_covering_mount_is_on_top() {
        let top = topmost_of(LINES, Path::new("/mnt/a b")).unwrap();
        assert_eq!(top.id, MountId { id: 41, minor: 51, unique: None });
        assert_eq!(top.kind, "tmpfs");
    }

    #[test]
    fn escapes_are_undone() {
        let mount = topmost_of(LINES, Path::new("/mnt/line\nbreak\\")).unwrap();
        assert_eq!(mount.id.minor, 52);
        assert_eq!(mount.escaped_point, "/mnt/line\\012break\\134");
    }

    #[test]
    fn no_mount_no_answer() {
        assert_eq!(topmost_of(LINES, Path::new("/mnt")), None);
    }
}
