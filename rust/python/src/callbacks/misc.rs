//! ioctl, poll, bmap.

use fusesg_fs::{Errno, Operation, Reply, Result};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::Callback;
use crate::data::buffers;
use crate::values::poll_waiter::PyPollWaiter;

/// Calls the method; returns what it returned.
pub(super) fn invoke<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
) -> Result<Bound<'py, PyAny>> {
    let kind = operation.kind();
    match operation {
        Operation::Bmap { inode, block_size, index } => {
            call.method(kind, (call.file(*inode)?, *block_size, *index, call.ctx()))
        }
        Operation::Ioctl { inode, handle, flags: _, command, data, out_size } => {
            let data = PyBytes::new(call.py, data);
            let (file, handle) = call.open_file(*inode, *handle)?;
            let arguments = (file, handle, *command, data, *out_size, call.ctx());
            call.method(kind, arguments)
        }
        Operation::Poll { inode, handle, events, waiter } => {
            let (file, handle) = call.open_file(*inode, *handle)?;
            let waiter = waiter.clone().map(PyPollWaiter);
            call.method(kind, (file, handle, *events, waiter, call.ctx()))
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
        Operation::Bmap { .. } => call.count(kind.name(), result, u64::MAX).map(Reply::Block),
        Operation::Ioctl { out_size, .. } => ioctl_reply(result, *out_size).ok_or_else(|| {
            let expected = format!("bytes or (int, bytes), at most {out_size} bytes");
            call.wrong(kind.name(), result, &expected)
        }),
        Operation::Poll { .. } => {
            let events = call.count(kind.name(), result, u64::from(u32::MAX))?;
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
