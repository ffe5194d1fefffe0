//! ioctl, poll, bmap.

use fusesg_fs::{Errno, Operation, Reply, Result};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{Callback, number};
use crate::data::buffers;
use crate::values::poll_waiter::PyPollWaiter;

pub(super) fn call(call: &Callback<'_, '_>, operation: &Operation<'_>) -> Result<Reply> {
    let kind = operation.kind();
    match operation {
        Operation::Bmap { inode, block_size, index } => {
            let result = call.method(kind, (number(*inode), *block_size, *index, call.ctx()))?;
            call.count(kind.name(), &result, u64::MAX).map(Reply::Block)
        }
        Operation::Ioctl { inode, handle, flags: _, command, data, out_size } => {
            let data = PyBytes::new(call.py, data);
            let handle = call.handle(*handle)?;
            let arguments = (number(*inode), handle, *command, data, *out_size, call.ctx());
            let result = call.method(kind, arguments)?;
            ioctl_reply(&result, *out_size).ok_or_else(|| {
                let expected = format!("bytes or (int, bytes), at most {out_size} bytes");
                call.wrong(kind.name(), &result, &expected)
            })
        }
        Operation::Poll { inode, handle, events, waiter } => {
            let handle = call.handle(*handle)?;
            let waiter = waiter.clone().map(PyPollWaiter);
            let arguments = (number(*inode), handle, *events, waiter, call.ctx());
            let result = call.method(kind, arguments)?;
            let events = call.count(kind.name(), &result, u64::from(u32::MAX))?;
            Ok(Reply::Events(u32::try_from(events).map_err(|_| Errno::EIO)?))
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// `bytes`, `int` or `(int, bytes)`; `None` if it is neither, or too long.
fn ioctl_reply(returned: &Bound<'_, PyAny>, out_size: u32) -> Option<Reply> {
    let (result, data) = if let Ok(result) = returned.extract::<i32>() {
        (result, Vec::new())
    } else if let Ok((result, data)) = returned.extract::<(i32, Bound<'_, PyAny>)>() {
        (result, buffers::share(&data).ok()??.to_vec())
    } else {
        (0, buffers::share(returned).ok()??.to_vec())
    };
    (data.len() <= out_size as usize).then_some(Reply::Ioctl { result, data })
}
