//! Attributes and times between our types and fuser's.

use std::time::{Duration, SystemTime};

use fuser::{FileAttr, INodeNo, TimeOrNow};
use fusesg_fs::{Attributes, FileType, SetTime, Timestamp};

use crate::connection::Connection;

pub(super) fn file_attr(connection: &Connection, attributes: &Attributes) -> FileAttr {
    FileAttr {
        ino: INodeNo(attributes.inode.0),
        size: attributes.size,
        blocks: attributes.blocks,
        atime: system_time(attributes.atime),
        mtime: system_time(attributes.mtime),
        ctime: system_time(attributes.ctime),
        crtime: SystemTime::UNIX_EPOCH,
        kind: file_type(attributes.kind),
        perm: attributes.permissions,
        nlink: attributes.links,
        uid: attributes.uid,
        gid: attributes.gid,
        rdev: attributes.rdev,
        blksize: connection.block_size(attributes),
        flags: 0,
    }
}

pub(super) fn file_type(kind: FileType) -> fuser::FileType {
    match kind {
        FileType::Regular => fuser::FileType::RegularFile,
        FileType::Directory => fuser::FileType::Directory,
        FileType::SymbolicLink => fuser::FileType::Symlink,
        FileType::Fifo => fuser::FileType::NamedPipe,
        FileType::Socket => fuser::FileType::Socket,
        FileType::CharacterDevice => fuser::FileType::CharDevice,
        FileType::BlockDevice => fuser::FileType::BlockDevice,
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = if time.seconds >= 0 {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    };
    whole
        .and_then(|whole| whole.checked_add(Duration::from_nanos(time.nanoseconds.into())))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The time that the kernel sent.
///
/// fuser 0.18.0 turns (seconds, nanoseconds) with negative seconds into
/// epoch - (|seconds| + nanoseconds), although nanoseconds count forward. Whatever is
/// before the epoch came that way, so taking the two parts apart again is exact.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    let (distance, before) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(distance) => (distance, false),
        Err(error) => (error.duration(), true),
    };
    let seconds = if before {
        0_i64.checked_sub_unsigned(distance.as_secs()).unwrap_or(i64::MIN)
    } else {
        i64::try_from(distance.as_secs()).unwrap_or(i64::MAX)
    };
    Timestamp { seconds, nanoseconds: distance.subsec_nanos() }
}

pub(super) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::At(timestamp(time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fuser 0.18.0 does with the kernel's numbers (its `time.rs`).
    fn as_fuser_reads_it(seconds: i64, nanoseconds: u32) -> SystemTime {
        if seconds >= 0 {
            SystemTime::UNIX_EPOCH + Duration::new(seconds.unsigned_abs(), nanoseconds)
        } else {
            SystemTime::UNIX_EPOCH - Duration::new(seconds.unsigned_abs(), nanoseconds)
        }
    }

    #[test]
    fn fusers_reading_of_times_is_undone() {
        for seconds in [-i64::MAX, -2, -1, 0, 1, 1 << 40] {
            for nanoseconds in [0, 1, 500_000_000, 999_999_999] {
                let sent = Timestamp { seconds, nanoseconds };
                assert_eq!(timestamp(as_fuser_reads_it(seconds, nanoseconds)), sent);
            }
        }
    }

    #[test]
    fn half_a_second_before_the_epoch() {
        let time = system_time(Timestamp { seconds: -1, nanoseconds: 500_000_000 });
        assert_eq!(time, SystemTime::UNIX_EPOCH - Duration::from_millis(500));
    }
}
