//! File descriptors: numbers, and objects that have one.

use std::os::fd::{OwnedFd, RawFd};

use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};

use crate::conversions::numbers::{integer, wrong_type};
use crate::sys;

/// The descriptor that the argument `name` is, or that its `fileno()` tells. Otherwise a
/// TypeError that says what was `expected`.
pub(crate) fn descriptor(name: &str, value: &Bound<'_, PyAny>, expected: &str) -> PyResult<RawFd> {
    // True is an int, but no descriptor
    if value.is_instance_of::<PyBool>() {
        return Err(wrong_type(name, expected, value));
    }
    if value.is_instance_of::<PyInt>() {
        return integer(name, value, 0..=i32::MAX);
    }
    if !value.hasattr("fileno")? {
        return Err(wrong_type(name, expected, value));
    }
    let fd = value.call_method0("fileno")?;
    if !fd.is_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err(format!("{name}: fileno() did not return an int")));
    }
    integer(&format!("{name}.fileno()"), &fd, 0..=i32::MAX)
}

/// A duplicate of the descriptor `fd` that the argument `name` tells.
pub(crate) fn duplicate(name: &str, fd: RawFd) -> PyResult<OwnedFd> {
    sys::duplicate(fd).map_err(|error| {
        if error.raw_os_error() == Some(libc::EBADF) {
            let text = format!("{name}: file descriptor {fd} is not open");
            return PyOSError::new_err((libc::EBADF, text));
        }
        error.into()
    })
}
