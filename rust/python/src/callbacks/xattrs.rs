//! Extended attributes.

use std::os::unix::ffi::OsStrExt;

use fusesg_fs::{Errno, Operation, Reply, Result};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::{Callback, done, number};
use crate::conversions::names;
use crate::data::buffers;

pub(super) fn call(call: &Callback<'_, '_>, operation: &Operation<'_>) -> Result<Reply> {
    let kind = operation.kind();
    match operation {
        Operation::Getxattr { inode, name, .. } => {
            let result = call.method(kind, (number(*inode), call.name(name)?, call.ctx()))?;
            match buffers::share(&result) {
                Ok(Some(value)) => Ok(Reply::Xattr(value.to_vec())),
                _ => Err(call.wrong(kind.name(), &result, "bytes")),
            }
        }
        Operation::Setxattr { inode, name, value, flags } => {
            let value = PyBytes::new(call.py, value);
            let arguments = (number(*inode), call.name(name)?, value, *flags, call.ctx());
            call.method(kind, arguments).map(done)
        }
        Operation::Listxattr { inode, .. } => {
            let result = call.method(kind, (number(*inode), call.ctx()))?;
            list(call, &result).map(Reply::Xattr)
        }
        Operation::Removexattr { inode, name } => {
            call.method(kind, (number(*inode), call.name(name)?, call.ctx())).map(done)
        }
        _ => Err(Errno::ENOSYS),
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
