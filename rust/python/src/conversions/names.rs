//! File names and paths: str with surrogateescape in Python, bytes in Rust.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::conversions::numbers::wrong_type;
use crate::{imports, sys};

/// Longest name in bytes that the kernel takes in a listing (`FUSE_NAME_MAX` is larger,
/// but programs size their buffers by `NAME_MAX`).
const NAME_MAX: usize = 255;

/// A name as Python shows it.
pub(crate) fn to_python<'py>(py: Python<'py>, name: &OsStr) -> PyResult<Bound<'py, PyString>> {
    sys::decode_name(py, name)
}

/// The same, from bytes.
pub(crate) fn bytes_to_python<'py>(py: Python<'py>, name: &[u8]) -> PyResult<Bound<'py, PyString>> {
    sys::decode_name(py, OsStr::from_bytes(name))
}

/// Bytes of a str, bytes or path-like argument, without NUL.
pub(crate) fn os_string(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<OsString> {
    let name = if let Ok(text) = value.cast::<PyString>() {
        text.extract::<OsString>()?
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        OsString::from_vec(bytes.as_bytes().to_vec())
    } else if value.hasattr("__fspath__")? {
        let path = imports::fspath(value.py())?.call1((value,))?;
        return os_string(argument, &path);
    } else {
        return Err(wrong_type(argument, "str, bytes or a path", value));
    };
    if name.as_bytes().contains(&0) {
        return Err(PyValueError::new_err(format!(
            "{argument}={} contains a NUL byte",
            value.repr()?
        )));
    }
    Ok(name)
}

/// A path argument.
pub(crate) fn path(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    os_string(argument, value).map(PathBuf::from)
}

/// One component of a path: not empty, no `/`, no NUL, at most 255 bytes.
pub(crate) fn component(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<OsString> {
    let name = os_string(argument, value)?;
    if name.is_empty() {
        return Err(PyValueError::new_err(format!("{argument} is empty")));
    }
    if name.as_bytes().contains(&b'/') {
        return Err(PyValueError::new_err(format!(
            "{argument}={} contains a slash: a name is one component of a path",
            value.repr()?
        )));
    }
    if name.len() > NAME_MAX {
        return Err(PyValueError::new_err(format!(
            "{argument} has {} bytes, at most {NAME_MAX} are allowed: {}",
            name.len(),
            value.repr()?
        )));
    }
    Ok(name)
}
