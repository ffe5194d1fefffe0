//! POSIX record locks.

use fusesg_fs::{Errno, Operation, Reply, Result};
use pyo3::prelude::*;

use super::Callback;
use crate::values::lock::PyLock;

/// Calls the method; returns what it returned.
pub(super) fn invoke<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
) -> Result<Bound<'py, PyAny>> {
    let kind = operation.kind();
    match operation {
        Operation::Getlk { inode, handle, lock_owner, lock } => {
            let (file, handle) = call.open_file(*inode, *handle)?;
            let ctx = call.ctx_of_file(Some(*lock_owner), 0);
            call.method(kind, (file, handle, PyLock(*lock), ctx))
        }
        Operation::Setlk { inode, handle, lock_owner, lock, .. } => {
            // a method that waited would hold a thread: a lock that it refuses is waited for
            // by the core
            let wait = false;
            let (file, handle) = call.open_file(*inode, *handle)?;
            let ctx = call.ctx_of_file(Some(*lock_owner), 0);
            call.method(kind, (file, handle, PyLock(*lock), wait, ctx))
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// The reply that a result makes.
pub(super) fn reply<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
) -> Result<Reply> {
    let kind = operation.kind();
    match operation {
        Operation::Getlk { .. } => match result.cast::<PyLock>() {
            Ok(lock) => Ok(Reply::Lock(lock.get().0)),
            Err(_) => Err(call.wrong(kind.name(), result, "a Lock (type F_UNLCK: none)")),
        },
        _ => Ok(Reply::Done),
    }
}
