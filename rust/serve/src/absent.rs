//! Answers to operations that the file system does not implement.
//!
//! Three rules. An operation that the kernel can do without is answered so that it stops
//! asking (ENOSYS, remembered by the kernel for the whole mount). One that changes
//! something is refused with the error that tells why. Opening succeeds: a file system
//! without `open` is one that needs no handles.
//!
//! OPEN and OPENDIR could be answered ENOSYS too, and then never come again, but the
//! kernel then keeps page cache and listings from one open to the next. That is right
//! only for content that does not change behind the kernel's back, so a file system has
//! to say so ([`Properties::keep_cache_without_open`]).

use fusesg_fs::{
    Errno, FilesystemStatistics, Opened, OpenedFlags, OperationKind, OperationSet, Properties,
    Reply, Result,
};

use crate::locks;

/// Whether the file system has no operation that changes anything: it is mounted read-only.
pub(crate) fn cannot_be_modified(properties: &Properties) -> bool {
    properties.implemented.intersection(OperationSet::MODIFYING).is_empty()
}

/// Whether operations of this kind are passed to the file system.
pub(crate) fn is_implemented(properties: &Properties, kind: OperationKind) -> bool {
    let implemented = properties.implemented;
    match kind {
        // one method serves both
        OperationKind::Readdirplus => {
            implemented.contains(OperationKind::Readdirplus)
                || implemented.contains(OperationKind::Readdir)
        }
        other => implemented.contains(other),
    }
}

/// What answers `kind`, which the file system does not implement.
pub(crate) fn answer(properties: &Properties, kind: OperationKind) -> Result<Reply> {
    use OperationKind as Kind;
    match kind {
        // closing a file ends locks, so it has to be told
        Kind::Open if locks::are_kept(properties) => {
            let keep = properties.keep_cache_without_open;
            let flags = if keep { OpenedFlags::KEEP_CACHE } else { OpenedFlags::empty() };
            Ok(Reply::Opened(Opened { flags, ..Opened::default() }))
        }
        Kind::Flush if locks::are_kept(properties) => Ok(Reply::Done),
        Kind::Open | Kind::Opendir if properties.keep_cache_without_open => Err(Errno::ENOSYS),
        Kind::Open if !properties.implemented.contains(Kind::Flush) => {
            // a FLUSH would only be refused; and a server that is killed with a file of its
            // own mount open must not have to wait for the answer
            Ok(Reply::Opened(Opened { flags: OpenedFlags::NO_FLUSH, ..Opened::default() }))
        }
        Kind::Open | Kind::Opendir => Ok(Reply::Opened(Opened::default())),
        Kind::Release | Kind::Releasedir | Kind::Forget => Ok(Reply::Done),
        Kind::Statfs => Ok(Reply::Statistics(FilesystemStatistics::default())),
        Kind::Readlink => Err(Errno::EINVAL),
        Kind::Ioctl => Err(Errno::ENOTTY),
        // the kernel then makes files by MKNOD and OPEN
        Kind::Create if properties.implemented.contains(Kind::Mknod) => Err(Errno::ENOSYS),
        Kind::Setattr
        | Kind::Symlink
        | Kind::Mknod
        | Kind::Mkdir
        | Kind::Unlink
        | Kind::Rmdir
        | Kind::Rename
        | Kind::Link
        | Kind::Write
        | Kind::Create => {
            Err(if cannot_be_modified(properties) { Errno::EROFS } else { Errno::EPERM })
        }
        // remembered by the kernel, which then answers by itself: flush, fsync and fsyncdir
        // succeed, access is allowed, extended attributes and fallocate are EOPNOTSUPP,
        // lseek takes the whole file as data, copy_file_range copies through the caller,
        // poll finds everything ready, bmap has no block, locks are local
        Kind::Flush
        | Kind::Fsync
        | Kind::Fsyncdir
        | Kind::Access
        | Kind::Setxattr
        | Kind::Getxattr
        | Kind::Listxattr
        | Kind::Removexattr
        | Kind::Fallocate
        | Kind::Lseek
        | Kind::CopyFileRange
        | Kind::Poll
        | Kind::Bmap
        | Kind::Getlk
        | Kind::Setlk => Err(Errno::ENOSYS),
        // a mistake of the file system, told as what it is
        Kind::Lookup | Kind::Getattr | Kind::Read | Kind::Readdir | Kind::Readdirplus => {
            Err(Errno::ENOSYS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(kinds: &[OperationKind]) -> Properties {
        Properties { implemented: kinds.iter().copied().collect(), ..Properties::default() }
    }

    #[test]
    fn reading_alone_is_read_only() {
        let properties = with(&[OperationKind::Lookup, OperationKind::Read]);
        assert!(cannot_be_modified(&properties));
        assert_eq!(answer(&properties, OperationKind::Mkdir).unwrap_err(), Errno::EROFS);
    }

    #[test]
    fn one_modifying_operation_makes_the_others_forbidden() {
        let properties = with(&[OperationKind::Write]);
        assert!(!cannot_be_modified(&properties));
        assert_eq!(answer(&properties, OperationKind::Mkdir).unwrap_err(), Errno::EPERM);
    }

    #[test]
    fn files_are_made_by_mknod_where_create_is_absent() {
        let properties = with(&[OperationKind::Mknod]);
        assert_eq!(answer(&properties, OperationKind::Create).unwrap_err(), Errno::ENOSYS);
    }

    #[test]
    fn open_succeeds_unless_the_cache_may_be_kept() {
        let mut properties = with(&[OperationKind::Read]);
        let opened = |properties: &Properties| match answer(properties, OperationKind::Open) {
            Ok(Reply::Opened(opened)) => opened,
            other => panic!("{other:?}"),
        };
        assert_eq!(opened(&properties).flags, OpenedFlags::NO_FLUSH);
        properties.implemented = properties.implemented.with(OperationKind::Flush);
        assert_eq!(opened(&properties).flags, OpenedFlags::empty());
        properties.keep_cache_without_open = true;
        assert_eq!(answer(&properties, OperationKind::Open).unwrap_err(), Errno::ENOSYS);
    }
}
