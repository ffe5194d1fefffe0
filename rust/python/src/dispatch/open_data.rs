//! Operations on open files whose bytes are known: answered here, with no Python and no
//! native file system behind it.

use fusesg_fs::{Errno, OpenData, Operation, OperationKind, OperationSet, Reply, Result};

/// The operations that never leave an open file whose bytes are known.
pub(crate) const ANSWERED: OperationSet = OperationSet::EMPTY
    .with(OperationKind::Read)
    .with(OperationKind::Write)
    .with(OperationKind::Flush)
    .with(OperationKind::Fsync)
    .with(OperationKind::Fallocate)
    .with(OperationKind::Lseek);

/// Carries out an operation that is one of [`ANSWERED`].
pub(crate) fn answer(data: &OpenData, operation: &Operation<'_>) -> Result<Reply> {
    match operation {
        Operation::Read { offset, size, .. } => Ok(Reply::Data(data.read(*offset, *size))),
        Operation::Write { offset, data: bytes, flags, from_cache, .. } => {
            // what comes from the page cache has its place there
            let appends = flags & libc::O_APPEND != 0 && !from_cache;
            data.write(*offset, bytes, appends).map(Reply::Written)
        }
        Operation::Flush { .. } => data.flush().map(|()| Reply::Done),
        Operation::Fsync { datasync, .. } => data.sync(*datasync).map(|()| Reply::Done),
        Operation::Fallocate { offset, length, mode, .. } => {
            data.allocate(*offset, *length, *mode).map(|()| Reply::Done)
        }
        Operation::Lseek { offset, whence, .. } => data.seek(*offset, *whence).map(Reply::Offset),
        _ => Err(Errno::ENOSYS),
    }
}

/// What other open files are answered where an operation is implemented only for those whose
/// bytes are known.
///
/// Not ENOSYS where the kernel would take that for all files of the mount.
pub(crate) fn absent(kind: OperationKind) -> Result<Reply> {
    match kind {
        // as the kernel itself answers where there is no such operation
        OperationKind::Flush | OperationKind::Fsync => Ok(Reply::Done),
        OperationKind::Fallocate => Err(Errno::ENOTSUP),
        OperationKind::Write => Err(Errno::EPERM),
        // without it all is data, in every file: true, if not the whole truth
        _ => Err(Errno::ENOSYS),
    }
}
