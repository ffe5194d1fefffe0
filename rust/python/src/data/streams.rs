//! `Pipe` and `Socket`: data that is consumed while a read is answered.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;

use fusesg_sg::{Segment, Stream};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::conversions::descriptors::{descriptor, duplicate};
use crate::conversions::numbers::{MAX_OFFSET, integer, wrong_type};
use crate::sys;

/// The next `length` bytes of a pipe or FIFO.
#[pyclass(frozen, name = "Pipe", module = "fusesg")]
pub(crate) struct PyPipe(Piece);

/// The next `length` bytes of a stream socket.
#[pyclass(frozen, name = "Socket", module = "fusesg")]
pub(crate) struct PySocket(Piece);

/// A stream of our own descriptor, and how much of it.
struct Piece {
    stream: Arc<Stream>,
    length: u64,
}

#[pymethods]
impl PyPipe {
    #[new]
    fn new(fd: &Bound<'_, PyAny>, length: &Bound<'_, PyAny>) -> PyResult<Self> {
        let number = descriptor("fd", fd, "a file descriptor or a file object")?;
        let length = length_of(length)?;
        let stream = Stream::pipe(duplicate("fd", number)?);
        let stream = stream.map_err(|error| match error.raw_os_error() {
            Some(libc::EBADF) => PyValueError::new_err(format!(
                "fd: file descriptor {number} is not open for reading; is it the write end?"
            )),
            Some(libc::EINVAL) => match kind(number) {
                Ok("a socket") => wrong_kind("fd", number, "a socket, not a pipe; use Socket"),
                Ok(kind) => wrong_kind("fd", number, &format!("{kind}, not a pipe")),
                Err(error) => error.into(),
            },
            _ => error.into(),
        })?;
        Ok(Self(Piece { stream: Arc::new(stream), length }))
    }

    #[getter]
    fn length(&self) -> u64 {
        self.0.length
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __repr__(&self) -> String {
        self.0.repr("Pipe")
    }
}

#[pymethods]
impl PySocket {
    #[new]
    fn new(sock: &Bound<'_, PyAny>, length: &Bound<'_, PyAny>) -> PyResult<Self> {
        let number = descriptor("sock", sock, "a socket or a file descriptor")?;
        let length = length_of(length)?;
        let stream = Stream::socket(duplicate("sock", number)?);
        let stream = stream.map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => match kind(number) {
                Ok("a socket") => PyValueError::new_err(
                    "sock: not a stream of bytes; it must be of type SOCK_STREAM and not listen",
                ),
                Ok("a pipe") => wrong_kind("sock", number, "a pipe, not a socket; use Pipe"),
                Ok(kind) => wrong_kind("sock", number, &format!("{kind}, not a socket")),
                Err(error) => error.into(),
            },
            _ => error.into(),
        })?;
        Ok(Self(Piece { stream: Arc::new(stream), length }))
    }

    #[getter]
    fn length(&self) -> u64 {
        self.0.length
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __repr__(&self) -> String {
        self.0.repr("Socket")
    }
}

impl Piece {
    fn segment(&self) -> Segment {
        Segment::Stream { stream: Arc::clone(&self.stream), length: self.length }
    }

    fn len(&self) -> usize {
        usize::try_from(self.length).expect("lengths from Python are within isize")
    }

    fn repr(&self, class: &str) -> String {
        format!("<fusesg.{class} fd={} length={}>", self.stream.as_raw_fd(), self.length)
    }
}

/// The segment that a `Pipe` or `Socket` stands for.
pub(crate) fn as_stream(object: &Bound<'_, PyAny>) -> Option<Segment> {
    if let Ok(pipe) = object.cast::<PyPipe>() {
        return Some(pipe.get().0.segment());
    }
    object.cast::<PySocket>().ok().map(|socket| socket.get().0.segment())
}

/// TypeError: a stream can be read once, so nothing that is used again may hold it.
pub(crate) fn not_reusable(object: &Bound<'_, PyAny>) -> PyErr {
    let class = if object.is_instance_of::<PyPipe>() { "Pipe" } else { "Socket" };
    PyTypeError::new_err(format!(
        "a {class} is consumed by the read that returns it, and a SegmentList may be used many \
         times; return the {class} from read, alone or in a list"
    ))
}

fn length_of(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    if value.is_instance_of::<PyBool>() {
        return Err(wrong_type("length", "an int", value));
    }
    integer("length", value, 0..=MAX_OFFSET)
}

/// ValueError: the argument `name` is the wrong kind of descriptor.
fn wrong_kind(name: &str, fd: i32, what: &str) -> PyErr {
    PyValueError::new_err(format!("{name}: file descriptor {fd} is {what}"))
}

/// What a descriptor belongs to, in words.
fn kind(fd: i32) -> io::Result<&'static str> {
    let kind = std::fs::File::from(sys::duplicate(fd)?).metadata()?.file_type();
    Ok(if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_file() {
        "a regular file"
    } else {
        "a device"
    })
}
