//! POSIX record locks.

use fusesg_fs::{Errno, Operation, Reply, Result};

use super::{Callback, done, number};
use crate::values::lock::PyLock;

pub(super) fn call(call: &Callback<'_, '_>, operation: &Operation<'_>) -> Result<Reply> {
    let kind = operation.kind();
    match operation {
        Operation::Getlk { inode, handle, lock_owner, lock } => {
            let handle = call.handle(*handle)?;
            let ctx = call.ctx_of_file(Some(*lock_owner), 0);
            let result = call.method(kind, (number(*inode), handle, PyLock(*lock), ctx))?;
            match result.cast::<PyLock>() {
                Ok(lock) => Ok(Reply::Lock(lock.get().0)),
                Err(_) => Err(call.wrong(kind.name(), &result, "a Lock (type F_UNLCK: none)")),
            }
        }
        Operation::Setlk { inode, handle, lock_owner, lock, wait } => {
            let handle = call.handle(*handle)?;
            let ctx = call.ctx_of_file(Some(*lock_owner), 0);
            call.method(kind, (number(*inode), handle, PyLock(*lock), *wait, ctx)).map(done)
        }
        _ => Err(Errno::ENOSYS),
    }
}
