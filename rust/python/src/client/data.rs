//! Bytes: on the calling thread, and awaited by asyncio.
//!
//! An awaited I/O is carried out by a thread of the client's. The completion counter's
//! callback runs there, without the GIL, and takes it to hand the result to the loop.

use std::sync::Arc;

use fusesg_fs::{Errno, Result};
use fusesg_serve::{Client, PagesRead};
use fusesg_sg::{Canceller, Completion, Direction};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::arguments::{self, position};
use super::live::LiveClient;
use crate::data::buffers::{Borrowed, BorrowedMut, drop_with_python_object};
use crate::threads::{reaper, thread_state};

fn optional_position(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u64>> {
    value.map(|value| position("offset", value)).transpose()
}

/// The buffers that a read at `offset` shall fill.
fn writable(buffers: &Bound<'_, PyAny>, offset: Option<u64>) -> PyResult<Vec<BorrowedMut>> {
    let mut memory = arguments::writable("buffers", buffers)?;
    let checked =
        arguments::check_vector(offset, memory.iter_mut().map(|buffer| buffer.as_mut().len()));
    given_back_on_error(memory, checked)
}

/// The buffers that a write at `offset` shall send.
fn readable(buffers: &Bound<'_, PyAny>, offset: Option<u64>) -> PyResult<Vec<Borrowed>> {
    let memory = arguments::readable("buffers", buffers)?;
    let checked =
        arguments::check_vector(offset, memory.iter().map(|buffer| buffer.as_ref().len()));
    given_back_on_error(memory, checked)
}

fn given_back_on_error<T>(memory: Vec<T>, checked: PyResult<()>) -> PyResult<Vec<T>> {
    match checked {
        Ok(()) => Ok(memory),
        Err(error) => {
            drop_with_python_object(memory);
            Err(error)
        }
    }
}

pub(super) fn read(
    live: &LiveClient,
    py: Python<'_>,
    fd: i32,
    size: &Bound<'_, PyAny>,
    offset: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let (size, offset) = (position("n", size)?, optional_position(offset)?);
    let read = live.call(py, &[], |client| match offset {
        Some(offset) => client.pread(fd, size, offset),
        None => client.read(fd, size),
    })?;
    to_bytes(py, &read)
}

pub(super) fn write(
    live: &LiveClient,
    py: Python<'_>,
    fd: i32,
    data: &Bound<'_, PyAny>,
    offset: Option<&Bound<'_, PyAny>>,
) -> PyResult<u64> {
    let (data, offset) = (arguments::bytes("data", data)?, optional_position(offset)?);
    arguments::check_end(offset, data.len() as u64)?;
    let written = live.call(py, &[], |client| match offset {
        Some(offset) => client.pwrite(fd, &data, offset),
        None => client.write(fd, &data),
    });
    drop_with_python_object(data);
    written
}

pub(super) fn read_into(
    live: &LiveClient,
    py: Python<'_>,
    fd: i32,
    buffers: &Bound<'_, PyAny>,
    offset: Option<&Bound<'_, PyAny>>,
) -> PyResult<u64> {
    let offset = optional_position(offset)?;
    let mut memory = writable(buffers, offset)?;
    let read = live.call(py, &[], |client| {
        let segments = memory.iter_mut().map(AsMut::as_mut);
        match offset {
            Some(offset) => client.preadv(fd, segments, offset),
            None => client.readv(fd, segments),
        }
    });
    drop_with_python_object(memory);
    read
}

pub(super) fn write_from(
    live: &LiveClient,
    py: Python<'_>,
    fd: i32,
    buffers: &Bound<'_, PyAny>,
    offset: Option<&Bound<'_, PyAny>>,
) -> PyResult<u64> {
    let offset = optional_position(offset)?;
    let memory = readable(buffers, offset)?;
    let written = live.call(py, &[], |client| {
        let segments = memory.iter().map(AsRef::as_ref);
        match offset {
            Some(offset) => client.pwritev(fd, segments, offset),
            None => client.writev(fd, segments),
        }
    });
    drop_with_python_object(memory);
    written
}

/// The bytes in one object: the only copy between the pages of a request and Python.
fn to_bytes(py: Python<'_>, read: &PagesRead) -> PyResult<Py<PyAny>> {
    let bytes = PyBytes::new_with(py, read.len(), |mut target| {
        for slice in read.slices() {
            let (now, rest) = target.split_at_mut(slice.len());
            now.copy_from_slice(slice);
            target = rest;
        }
        Ok(())
    })?;
    Ok(bytes.into_any().unbind())
}

/// Where the result of an awaited I/O goes: `loop.call_soon_threadsafe(done, result, error)`.
pub(super) struct Awaiting {
    /// Both present until told; given up through the reaper where that never happens.
    objects: Option<(Py<PyAny>, Py<PyAny>)>,
}

impl Awaiting {
    pub(super) fn new(event_loop: Py<PyAny>, done: Py<PyAny>) -> Self {
        Self { objects: Some((event_loop, done)) }
    }

    /// Hands over what `make` makes of the I/O.
    fn tell(mut self, make: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) {
        let Some((event_loop, done)) = self.objects.take() else { return };
        let mut objects = Some((event_loop, done));
        thread_state::attach(|py| {
            let Some((event_loop, done)) = objects.take() else { return };
            let (result, error) = match make(py) {
                Ok(result) => (result, py.None()),
                Err(error) => (py.None(), error.into_value(py).into_any()),
            };
            // a loop that was closed meanwhile raises: nobody waits there any more
            let _ = event_loop.call_method1(py, "call_soon_threadsafe", (done, result, error));
        });
        // the interpreter is ending
        self.objects = objects;
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        if let Some((event_loop, done)) = self.objects.take() {
            reaper::defer(event_loop);
            reaper::defer(done);
        }
    }
}

/// An I/O that is awaited.
#[pyclass(frozen, name = "PendingIo", module = "fusesg._core")]
pub(crate) struct PyPending(Canceller);

#[pymethods]
impl PyPending {
    /// Does not begin it, if it has not begun.
    fn cancel(&self) {
        self.0.cancel();
    }
}

pub(super) fn begin_read(
    live: &Arc<LiveClient>,
    fd: i32,
    size: &Bound<'_, PyAny>,
    offset: &Bound<'_, PyAny>,
    awaiting: Awaiting,
) -> PyResult<PyPending> {
    live.check_process()?;
    let (size, offset) = (position("n", size)?, position("offset", offset)?);
    let pages = Arc::new(Mutex::new(PagesRead::default()));
    let filled = Arc::clone(&pages);
    let completion = live.client.submit(Direction::Read, size, move |client| {
        let read = client.pread(fd, size, offset)?;
        let length = read.len() as u64;
        *filled.lock() = read;
        Ok(length)
    });
    Ok(deliver(live, completion, awaiting, move |py, _| to_bytes(py, &pages.lock())))
}

pub(super) fn begin_readv(
    live: &Arc<LiveClient>,
    fd: i32,
    buffers: &Bound<'_, PyAny>,
    offset: &Bound<'_, PyAny>,
    awaiting: Awaiting,
) -> PyResult<PyPending> {
    live.check_process()?;
    let offset = position("offset", offset)?;
    let mut memory = writable(buffers, Some(offset))?;
    let length = memory.iter_mut().map(|buffer| buffer.as_mut().len() as u64).sum();
    let carry_out =
        move |client: &Client| client.preadv(fd, memory.iter_mut().map(AsMut::as_mut), offset);
    let completion = live.client.submit(Direction::Read, length, carry_out);
    Ok(deliver(live, completion, awaiting, to_int))
}

pub(super) fn begin_writev(
    live: &Arc<LiveClient>,
    fd: i32,
    buffers: &Bound<'_, PyAny>,
    offset: &Bound<'_, PyAny>,
    awaiting: Awaiting,
) -> PyResult<PyPending> {
    live.check_process()?;
    let offset = position("offset", offset)?;
    let memory = readable(buffers, Some(offset))?;
    let length = memory.iter().map(|buffer| buffer.as_ref().len() as u64).sum();
    let carry_out = move |client: &Client| -> Result<u64> {
        client.pwritev(fd, memory.iter().map(AsRef::as_ref), offset)
    };
    let completion = live.client.submit(Direction::Write, length, carry_out);
    Ok(deliver(live, completion, awaiting, to_int))
}

fn to_int(py: Python<'_>, bytes: u64) -> PyResult<Py<PyAny>> {
    Ok(bytes.into_pyobject(py)?.into_any().unbind())
}

fn deliver(
    live: &Arc<LiveClient>,
    completion: Completion,
    awaiting: Awaiting,
    make: impl FnOnce(Python<'_>, u64) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyPending {
    let canceller = completion.canceller();
    let live = Arc::clone(live);
    completion.on_complete(move |result| {
        awaiting.tell(|py| match result {
            Ok(bytes) => make(py, bytes),
            Err(error) => Err(live.error(Errno::from(error), &[])),
        });
    });
    PyPending(canceller)
}
