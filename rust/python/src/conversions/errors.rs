//! Exceptions to errnos and back.

use std::io;

use fusesg_fs::Errno;
use pyo3::exceptions::{
    PyBlockingIOError, PyBrokenPipeError, PyChildProcessError, PyConnectionAbortedError,
    PyConnectionRefusedError, PyConnectionResetError, PyFileExistsError, PyFileNotFoundError,
    PyInterruptedError, PyIsADirectoryError, PyKeyboardInterrupt, PyMemoryError,
    PyNotADirectoryError, PyNotImplementedError, PyOSError, PyPermissionError,
    PyProcessLookupError, PySystemExit, PyTimeoutError,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::imports;

/// Longest traceback that is kept; the ends of a longer one tell the story.
const LONGEST_TRACEBACK: usize = 16 * 1024;

/// The errno that answers an operation whose callback raised `error`, and the traceback
/// where the exception says that something is wrong with the callback. `interrupted` is
/// whether nobody waits for the answer any more, and the callback was told so; it is not asked
/// of an OSError, by which callbacks answer every day.
pub(crate) fn errno_of(
    py: Python<'_>,
    error: &PyErr,
    interrupted: impl FnOnce() -> bool,
) -> (Errno, Option<String>) {
    // of a caller who does wait EINTR would make programs ask again, for ever
    if !error.is_instance_of::<PyOSError>(py) && interrupted() && is_interruption(py, error) {
        return (Errno::EINTR, None);
    }
    match expected_errno(py, error) {
        Some(errno) => (errno, None),
        None => (Errno::EIO, Some(traceback(py, error))),
    }
}

/// What is to be said of an OSError whose errno cannot be the answer, and what to raise.
pub(crate) fn problem(py: Python<'_>, error: &PyErr) -> &'static str {
    if !error.is_instance_of::<PyOSError>(py) {
        return "";
    }
    match error.value(py).getattr(intern!(py, "errno")) {
        Ok(number) if number.is_none() => {
            " an OSError without an errno (give it one: OSError(errno.ENOENT, text))"
        }
        Ok(number) if number.extract().is_ok_and(|number: i32| number == libc::ENOSYS) => {
            " ENOSYS, which to the kernel means never to ask again (raise \
             OSError(errno.EOPNOTSUPP, text), or do not define the method)"
        }
        _ => " an OSError whose errno is no int from 1 to 511",
    }
}

/// The errno of an exception by which a callback says "this cannot be done".
fn expected_errno(py: Python<'_>, error: &PyErr) -> Option<Errno> {
    if error.is_instance_of::<PyOSError>(py) {
        return match error.value(py).getattr(intern!(py, "errno")) {
            Ok(number) if !number.is_none() => {
                let errno = Errno::new(number.extract().ok()?)?;
                // to the kernel ENOSYS means "never ask again", which no single call may say
                (errno != Errno::ENOSYS).then_some(errno)
            }
            _ => errno_by_class(py, error),
        };
    }
    if error.is_instance_of::<PyNotImplementedError>(py) {
        Some(Errno::ENOTSUP)
    } else if error.is_instance_of::<PyMemoryError>(py) {
        Some(Errno::ENOMEM)
    } else {
        None
    }
}

/// The errno of an OSError that was raised without one: `raise FileNotFoundError`.
fn errno_by_class(py: Python<'_>, error: &PyErr) -> Option<Errno> {
    macro_rules! by_class {
        ($($class:ty => $number:ident),* $(,)?) => {
            $(if error.is_instance_of::<$class>(py) {
                return Errno::new(libc::$number);
            })*
        };
    }
    by_class! {
        PyFileNotFoundError => ENOENT,
        PyPermissionError => EACCES,
        PyFileExistsError => EEXIST,
        PyIsADirectoryError => EISDIR,
        PyNotADirectoryError => ENOTDIR,
        PyTimeoutError => ETIMEDOUT,
        PyInterruptedError => EINTR,
        PyBlockingIOError => EAGAIN,
        PyBrokenPipeError => EPIPE,
        PyChildProcessError => ECHILD,
        PyProcessLookupError => ESRCH,
        PyConnectionAbortedError => ECONNABORTED,
        PyConnectionRefusedError => ECONNREFUSED,
        PyConnectionResetError => ECONNRESET,
    }
    None
}

/// Whether it is what ends a program or a task from outside.
fn is_interruption(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyKeyboardInterrupt>(py)
        || error.is_instance_of::<PySystemExit>(py)
        || is_cancelled_error(py, error)
}

/// Whether it is `asyncio.CancelledError`.
pub(crate) fn is_cancelled_error(py: Python<'_>, error: &PyErr) -> bool {
    imports::cancelled_error(py)
        .ok()
        .flatten()
        .is_some_and(|class| error.get_type(py).is_subclass(class).unwrap_or(false))
}

/// The traceback as Python prints it, or at least the class where that fails.
pub(crate) fn traceback(py: Python<'_>, error: &PyErr) -> String {
    let formatted = || -> PyResult<String> {
        let parts = (error.get_type(py), error.value(py), error.traceback(py));
        let lines = imports::format_exception(py)?.call1(parts)?;
        let lines: Vec<String> = lines.cast_into::<PyList>()?.extract()?;
        Ok(lines.concat())
    };
    match formatted() {
        Ok(text) => shortened(text),
        Err(_) => error
            .get_type(py)
            .fully_qualified_name()
            .map_or_else(|_| "an exception that cannot be shown".into(), |name| name.to_string()),
    }
}

/// A long text without its middle.
fn shortened(text: String) -> String {
    if text.len() <= LONGEST_TRACEBACK {
        return text;
    }
    let half = LONGEST_TRACEBACK / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    format!("{}\n[… {} bytes left out …]\n{}", &text[..head], tail - head, &text[tail..])
}

/// `errno` as the OSError that Python would raise (FileNotFoundError for ENOENT …).
pub(crate) fn os_error(errno: Errno) -> PyErr {
    PyOSError::new_err((errno.number(), message(&errno.into())))
}

/// A failed system call about the file `path`.
pub(crate) fn os_error_at(error: &io::Error, path: &Bound<'_, PyAny>) -> PyErr {
    PyOSError::new_err((error.raw_os_error(), message(error), path.clone().unbind()))
}

/// A failed system call about two files, as of a rename.
pub(crate) fn os_error_between(
    error: &io::Error,
    path: &Bound<'_, PyAny>,
    other: &Bound<'_, PyAny>,
) -> PyErr {
    let (path, other) = (path.clone().unbind(), other.clone().unbind());
    PyOSError::new_err((error.raw_os_error(), message(error), path, None::<i32>, other))
}

/// `strerror`: the standard library's text without its number.
fn message(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}
