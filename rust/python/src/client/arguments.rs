//! Arguments of a client's methods, checked: an error names the argument.

use std::ffi::OsString;

use fusesg_serve::MAX_SEGMENTS;
use pyo3::exceptions::{PyOSError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::conversions::names;
use crate::conversions::numbers::{MAX_OFFSET, type_name, wrong_type};
use crate::data::buffers::{self, Borrowed, BorrowedMut};

/// A position in a file, or a number of bytes. What is negative or too large for a file is
/// EINVAL, as for the functions of `os`, with a message that names the argument.
pub(super) fn position(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    match value.extract::<u64>() {
        Ok(number) if number <= MAX_OFFSET => Ok(number),
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => {
            Err(wrong_type(name, "an int", value))
        }
        Err(error) if !error.is_instance_of::<PyOverflowError>(value.py()) => Err(error),
        Ok(_) | Err(_) => {
            let text = value.repr().map(|text| text.to_string()).unwrap_or_default();
            let shown = if text.len() <= 60 { &text } else { "<a very large number>" };
            Err(invalid(format!("{name}={shown} is not within 0 … {MAX_OFFSET}")))
        }
    }
}

/// EINVAL as well: a vectored I/O of `lengths` with more buffers than one call takes, or with
/// an end that no file can have.
pub(super) fn check_vector(
    offset: Option<u64>,
    lengths: impl ExactSizeIterator<Item = usize>,
) -> PyResult<()> {
    let count = lengths.len();
    if count > MAX_SEGMENTS {
        return Err(invalid(format!("buffers: {count} of them; a call takes {MAX_SEGMENTS}")));
    }
    check_end(offset, lengths.map(|length| length as u64).sum())
}

/// EINVAL for an I/O that ends where no file does.
pub(super) fn check_end(offset: Option<u64>, length: u64) -> PyResult<()> {
    match offset {
        Some(offset) if length > MAX_OFFSET - offset => Err(invalid(format!(
            "offset={offset} and {length} bytes from there are past {MAX_OFFSET}"
        ))),
        _ => Ok(()),
    }
}

fn invalid(message: String) -> PyErr {
    PyOSError::new_err((libc::EINVAL, message))
}

/// A path, as it is shown in errors and as bytes.
pub(super) fn path(name: &str, value: &Bound<'_, PyAny>) -> PyResult<OsString> {
    names::os_string(name, value)
}

/// The buffers that a read shall fill.
pub(super) fn writable(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<BorrowedMut>> {
    let mut all = Vec::new();
    let result = borrow_all(name, value, &mut all);
    if result.is_err() {
        buffers::drop_with_python_object(std::mem::take(&mut all));
    }
    result.map(|()| all)
}

fn borrow_all(name: &str, value: &Bound<'_, PyAny>, all: &mut Vec<BorrowedMut>) -> PyResult<()> {
    for (index, buffer) in items(name, value)?.enumerate() {
        let buffer = buffer?;
        let what = || format!("{name}[{index}]");
        let borrowed = buffers::borrow_mut(&buffer).map_err(|error| {
            let message = format!("{}: {}", what(), error.value(value.py()));
            if error.is_instance_of::<PyTypeError>(value.py()) {
                PyTypeError::new_err(message)
            } else {
                PyValueError::new_err(message)
            }
        })?;
        all.push(borrowed.ok_or_else(|| wrong_type(&what(), "a writable buffer", &buffer))?);
    }
    if buffers::are_apart(all) {
        Ok(())
    } else {
        Err(PyValueError::new_err(format!("{name}: two of the buffers overlap")))
    }
}

/// The buffers that a write shall send, where they are: it is their pages that requests have.
pub(super) fn readable(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<Borrowed>> {
    let mut all = Vec::new();
    for (index, buffer) in items(name, value)?.enumerate() {
        let borrowed = buffer.and_then(|buffer| {
            let found = buffers::borrow(&buffer)?;
            found.ok_or_else(|| not_a_buffer(&format!("{name}[{index}]"), &buffer))
        });
        match borrowed {
            Ok(borrowed) => all.push(borrowed),
            Err(error) => {
                buffers::drop_with_python_object(all);
                return Err(error);
            }
        }
    }
    Ok(all)
}

/// The bytes of one buffer.
pub(super) fn bytes(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bytes::Bytes> {
    buffers::share(value)?.ok_or_else(|| not_a_buffer(name, value))
}

fn not_a_buffer(name: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let found = type_name(value);
    PyTypeError::new_err(format!("{name}: expected bytes or another buffer, got {found}"))
}

fn items<'py>(
    name: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, pyo3::types::PyIterator>> {
    // a buffer is a sequence of numbers, which nobody means
    if pyo3::buffer::PyUntypedBuffer::get(value).is_ok() {
        return Err(wrong_type(name, "a sequence of buffers", value));
    }
    value.try_iter().map_err(|_| wrong_type(name, "a sequence of buffers", value))
}
