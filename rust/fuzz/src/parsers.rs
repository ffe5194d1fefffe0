//! Parsers of what the kernel tells in bytes: any bytes, and what the kernel would write.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use arbitrary::Arbitrary;
use fusesg_fs::fuzzing::{DirectoryRecord, directory_record};
use fusesg_serve::fuzzing::{CallerState, caller_state, topmost_mount};

use crate::decode;

/// `/proc/self/mountinfo`.
pub fn mountinfo(input: &[u8]) {
    #[derive(Debug, Arbitrary)]
    struct Mount {
        /// Number of the parent's line.
        parent: u8,
        minor: u32,
        point: u8,
        shared: bool,
    }
    #[derive(Debug, Arbitrary)]
    struct Input {
        points: Vec<Vec<u8>>,
        mounts: Vec<Mount>,
    }
    topmost_mount(input, Path::new("/"));
    let Some(mut input) = decode::<Input>(input) else { return };
    for point in &mut input.points {
        point.retain(|byte| *byte != 0);
        point.insert(0, b'/');
    }
    if input.points.is_empty() {
        return;
    }

    let point_of = |mount: &Mount| &input.points[usize::from(mount.point) % input.points.len()];
    let mut text = Vec::new();
    for (id, mount) in input.mounts.iter().enumerate() {
        text.extend(format!("{id} {} 0:{} / ", mount.parent, mount.minor).bytes());
        text.extend(point_of(mount).iter().flat_map(|byte| escaped(*byte)));
        text.extend(if mount.shared { &b" rw,nosuid shared:1 master:2"[..] } else { b" rw" });
        text.extend(b" - fuse.x source rw\n");
    }
    for point in &input.points {
        let here: Vec<usize> =
            (0..input.mounts.len()).filter(|id| point_of(&input.mounts[*id]) == point).collect();
        let is_covered =
            |id: usize| here.iter().any(|other| usize::from(input.mounts[*other].parent) == id);
        let top = here.iter().rev().find(|id| !is_covered(**id));
        let expected = top.map(|id| (*id as u64, input.mounts[*id].minor));
        assert_eq!(topmost_mount(&text, Path::new(OsStr::from_bytes(point))), expected);
    }
}

/// A byte of a name, as the kernel writes it to /proc.
fn escaped(byte: u8) -> Vec<u8> {
    if b" \t\n\\#".contains(&byte) { format!("\\{byte:03o}").into_bytes() } else { vec![byte] }
}

/// `/proc/TID/status`.
pub fn caller(input: &[u8]) {
    #[derive(Debug, Arbitrary)]
    struct Input {
        name: String,
        process: u32,
        zombie: bool,
        threads: u8,
        pending: u64,
        shared_pending: u64,
        blocked: u64,
    }
    caller_state(1, input);
    let Some(input) = decode::<Input>(input) else { return };
    // the kernel escapes what would end the line
    let name: String = input.name.chars().filter(|c| !c.is_control()).collect();
    let text = format!(
        "Name:\t{name}\nState:\t{}\nTgid:\t{}\nThreads:\t{}\n\
         SigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\n",
        if input.zombie { "Z (zombie)" } else { "D (disk sleep)" },
        input.process,
        input.threads,
        input.pending,
        input.shared_pending,
        input.blocked,
    );
    // SIGHUP, SIGINT, SIGQUIT, SIGKILL and SIGTERM end a wait
    let is_ended = [1_u32, 2, 3, 9, 15].iter().any(|signal| {
        let is_in = |set: u64| set >> (signal - 1) & 1 == 1;
        (is_in(input.pending) || is_in(input.shared_pending)) && !is_in(input.blocked)
    });
    let expected = if is_ended {
        CallerState::Killed
    } else if input.zombie && input.threads <= 1 {
        CallerState::Gone
    } else {
        CallerState::Alive(input.process)
    };
    assert_eq!(caller_state(1, text.as_bytes()), expected);
}

/// Records of getdents64.
pub fn directory(input: &[u8]) {
    #[derive(Debug, Arbitrary)]
    struct Input {
        records: Vec<(u64, u64, u8, Vec<u8>)>,
    }
    let mut rest = input;
    while let Some(record) = directory_record(rest) {
        assert!(record.name.len() < record.length);
        rest = &rest[record.length..];
    }
    let Some(input) = decode::<Input>(input) else { return };
    let mut records = input.records;
    // a name ends at its NUL and has at most NAME_MAX bytes
    for (.., name) in &mut records {
        name.retain(|byte| *byte != 0);
        name.truncate(255);
    }
    let mut bytes = Vec::new();
    for (inode, next_offset, kind, name) in &records {
        let length = (19 + name.len() + 1).next_multiple_of(8);
        bytes.extend(inode.to_ne_bytes());
        bytes.extend(next_offset.to_ne_bytes());
        bytes.extend(u16::try_from(length).expect("a short name").to_ne_bytes());
        bytes.push(*kind);
        bytes.extend(name);
        // the NUL, and up to the next record
        bytes.resize(bytes.len() + length - 19 - name.len(), 0);
    }
    let mut rest = bytes.as_slice();
    for (inode, next_offset, kind, name) in &records {
        let record = directory_record(rest).expect("a whole record");
        let (inode, next_offset, kind) = (*inode, *next_offset, *kind);
        let length = record.length;
        assert_eq!(record, DirectoryRecord { inode, next_offset, length, kind, name });
        rest = &rest[length..];
    }
    assert_eq!(rest, []);
}
