//! Extended attributes.

use std::os::unix::ffi::OsStrExt;

use fusesg_fs::{Errno, Operation, Reply, Result};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::Callback;
use crate::conversions::names;
use crate::data::buffers;

/// Calls the method; returns what it returned.
pub(super) fn invoke<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
) -> Result<Bound<'py, PyAny>> {
    let kind = operation.kind();
    match operation {
        Operation::Getxattr { inode, name, .. } | Operation::Removexattr { inode, name } => {
            call.method(kind, (call.file(*inode)?, call.name(name)?, call.ctx()))
        }
        Operation::Setxattr { inode, name, value, flags } => {
            let value = PyBytes::new(call.py, value);
            let arguments = (call.file(*inode)?, call.name(name)?, value, *flags, call.ctx());
            call.method(kind, arguments)
        }
        Operation::Listxattr { inode, .. } => call.method(kind, (call.file(*inode)?, call.ctx())),
        _ => Err(Errno::ENOSYS),
    }
}

/// The reply that a result makes.
pub(super) fn reply<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
) -> Result<Reply> {
    match operation {
        Operation::Getxattr { .. } => match buffers::share(result) {
            Ok(Some(value)) => Ok(Reply::Xattr(value.to_vec())),
            _ => Err(call.wrong(operation.kind().name(), result, "bytes")),
        },
        Operation::Listxattr { .. } => list(call, result).map(Reply::Xattr),
        _ => Ok(Reply::Done),
    }
}

/// Names as listxattr(2) returns them: each followed by NUL.
fn list<'py>(call: &Callback<'_, 'py>, result: &Bound<'py, PyAny>) -> Result<Vec<u8>> {
    const EXPECTED: &str = "an iterable of str, each a name that is not empty";
    let wrong = || call.wrong("listxattr", result, EXPECTED);
    // a str is an iterable of str, one name for each letter: certainly a mistake
    if result.is_instance_of::<PyString>() || result.is_instance_of::<PyBytes>() {
        return Err(wrong());
    }
    let mut names = Vec::new();
    for name in result.try_iter().map_err(|_| wrong())? {
        let name = name.map_err(|error| call.raised("listxattr", &error))?;
        match names::os_string("name", &name) {
            Ok(name) if !name.is_empty() => {
                names.extend_from_slice(name.as_bytes());
                names.push(0);
            }
            _ => return Err(wrong()),
        }
    }
    Ok(names)
}
