//! Python memory: the one place that borrows it or exports ours to it.
//!
//! Borrowed: [`share`] holds any contiguous buffer in a [`Bytes`] without copying, so that
//! a reply can be sent after the GIL was released.
//!
//! Borrowed to be filled: [`borrow_mut`], for reads straight into the caller's memory.
//!
//! Exported: [`SharedBytes`] gives Python a read-only view of bytes that Rust owns, and
//! keeps them alive as long as any view does.
//!
//! What stays unsound, in words: the content of a *writable* buffer (bytearray, mmap, a numpy
//! array) may be changed by other Python threads while Rust reads it without the GIL. Rust
//! calls that a data race; what happens is that the reader of the file gets a mixture of old
//! and new bytes, as with any `write(2)` from a shared buffer, and the other way round with a
//! buffer that is being filled. The memory itself cannot go away
//! nor move: the export forbids resizing.

use std::cell::Cell;
use std::ffi::{c_int, c_void};

use bytes::Bytes;
use fusesg_sg::{PagePools, PooledBuffer};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyMemoryError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::conversions::numbers::type_name;
use crate::threads::reaper;

/// Up to here copying is cheaper than holding a reference that must be given back under
/// the GIL later.
const COPIED_BELOW: usize = 1024;

/// The bytes of a Python object with the buffer protocol; `None` if it has none.
///
/// Nothing is copied but small buffers: the result keeps the object alive (and, for a
/// bytearray and the like, its size fixed) until the last clone is dropped, on any thread.
pub(crate) fn share(object: &Bound<'_, PyAny>) -> PyResult<Option<Bytes>> {
    if let Ok(bytes) = object.cast::<PyBytes>()
        && bytes.as_bytes().len() <= COPIED_BELOW
    {
        return Ok(Some(Bytes::copy_from_slice(bytes.as_bytes())));
    }
    let Some(borrowed) = borrow(object)? else { return Ok(None) };
    if borrowed.length > COPIED_BELOW {
        return Ok(Some(Bytes::from_owner(borrowed)));
    }
    let copy = Bytes::copy_from_slice(borrowed.as_ref());
    drop_with_python_object(borrowed);
    Ok(Some(copy))
}

/// The same where the bytes are, also of a small buffer.
pub(crate) fn borrow(object: &Bound<'_, PyAny>) -> PyResult<Option<Borrowed>> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        let (start, length) = (bytes.as_bytes().as_ptr(), bytes.as_bytes().len());
        let keeper = object.clone().into_any().unbind();
        return Ok(Some(Borrowed { start, length, keeper: Some(keeper) }));
    }
    let view = match PyMemoryView::from(object) {
        Ok(view) => view,
        Err(error) if error.is_instance_of::<PyTypeError>(object.py()) => return Ok(None),
        Err(error) => return Err(error),
    };
    let buffer = PyUntypedBuffer::get(&view)?;
    if !buffer.is_c_contiguous() {
        return Err(PyBufferError::new_err(
            "the buffer is not contiguous; copy it first, for example with bytes(buffer)",
        ));
    }
    let (start, length) = (buffer.buf_ptr().cast::<u8>().cast_const(), buffer.len_bytes());
    buffer.release(object.py());
    // the memoryview, known to nobody else, goes on holding the exporter's memory
    Ok(Some(Borrowed { start, length, keeper: Some(view.into_any().unbind()) }))
}

/// Writable memory of a Python object, for one I/O to fill.
#[derive(Debug)]
pub(crate) struct BorrowedMut {
    start: *mut u8,
    length: usize,
    /// A memoryview that holds the export. Present until dropped.
    keeper: Option<Py<PyAny>>,
}

/// The memory of a writable, contiguous buffer; `None` if `object` is no buffer.
///
/// As long as the result lives, the object keeps its size. Whoever fills several buffers
/// at a time has to see that [they are apart](are_apart).
pub(crate) fn borrow_mut(object: &Bound<'_, PyAny>) -> PyResult<Option<BorrowedMut>> {
    let view = match PyMemoryView::from(object) {
        Ok(view) => view,
        Err(error) if error.is_instance_of::<PyTypeError>(object.py()) => return Ok(None),
        Err(error) => return Err(error),
    };
    let buffer = PyUntypedBuffer::get(&view)?;
    let (contiguous, read_only) = (buffer.is_c_contiguous(), buffer.readonly());
    let (start, length) = (buffer.buf_ptr().cast::<u8>(), buffer.len_bytes());
    buffer.release(object.py());
    if read_only {
        return Err(PyTypeError::new_err(format!("{} is read-only", type_name(object))));
    }
    if !contiguous {
        return Err(PyBufferError::new_err("the buffer is not contiguous"));
    }
    Ok(Some(BorrowedMut { start, length, keeper: Some(view.into_any().unbind()) }))
}

/// Whether no byte of memory is in two of the buffers.
pub(crate) fn are_apart(buffers: &[BorrowedMut]) -> bool {
    let mut ranges: Vec<_> = buffers
        .iter()
        .filter(|buffer| buffer.length > 0)
        .map(|buffer| (buffer.start.addr(), buffer.length))
        .collect();
    ranges.sort_unstable();
    ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0)
}

// SAFETY: the owner of the memory is kept alive by a reference that may be moved between
// threads; it is given up through the reaper.
unsafe impl Send for BorrowedMut {}

impl AsMut<[u8]> for BorrowedMut {
    fn as_mut(&mut self) -> &mut [u8] {
        if self.length == 0 {
            // an empty exporter may have no address
            return &mut [];
        }
        // SAFETY: `keeper` exports exactly this memory, writable, and lives as long as `self`;
        // the exporter may neither free nor move it while exported. No other Rust reference
        // is made of it while this one lives (see the module's words on what Python may do).
        unsafe { std::slice::from_raw_parts_mut(self.start, self.length) }
    }
}

impl Drop for BorrowedMut {
    fn drop(&mut self) {
        give_up(self.keeper.take());
    }
}

/// Memory of a Python object, held by a reference to it.
pub(crate) struct Borrowed {
    start: *const u8,
    length: usize,
    /// A `bytes` object, or a memoryview that holds the export. Present until dropped.
    keeper: Option<Py<PyAny>>,
}

// SAFETY: the memory is only read, and its owner is kept alive by a reference that may be
// moved between threads; it is given up through the reaper.
unsafe impl Send for Borrowed {}
// SAFETY: shared access only reads (see the module's words on writable buffers).
unsafe impl Sync for Borrowed {}

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        if self.length == 0 {
            // an empty exporter may have no address
            return &[];
        }
        // SAFETY: `keeper` owns or exports exactly this memory and lives as long as `self`;
        // the exporter may neither free nor move it while exported.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        give_up(self.keeper.take());
    }
}

/// Drops the owner of borrowed memory.
fn give_up(keeper: Option<Py<PyAny>>) {
    if DROPPED_BY_PYTHON.get() {
        drop(keeper);
    } else if let Some(keeper) = keeper {
        // the last clone usually dies on a serving thread without the GIL
        reaper::defer(keeper);
    }
}

thread_local! {
    static DROPPED_BY_PYTHON: Cell<bool> = const { Cell::new(false) };
}

/// Drops `value`, part of a Python object that dies on this thread, and gives back borrowed
/// memory at once: `mmap.close()` after `del segments` works, as Python users expect.
pub(crate) fn drop_with_python_object<T>(value: T) {
    let before = DROPPED_BY_PYTHON.replace(true);
    drop(value);
    DROPPED_BY_PYTHON.set(before);
}

/// Read-only bytes owned by Rust, seen from Python through a memoryview.
#[pyclass(frozen, module = "fusesg")]
pub(crate) struct SharedBytes(Bytes);

impl Drop for SharedBytes {
    fn drop(&mut self) {
        drop_with_python_object(std::mem::take(&mut self.0));
    }
}

#[pymethods]
impl SharedBytes {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Fills `view`, which then holds a reference to `slf` and with it the bytes.
    ///
    /// # Safety
    /// Called by CPython with a `view` that is its to fill.
    #[expect(clippy::needless_pass_by_value, reason = "the signature is PyO3's")]
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let bytes = &slf.get().0;
        let start = bytes.as_ptr().cast::<c_void>().cast_mut();
        let length = ffi::Py_ssize_t::try_from(bytes.len()).expect("a slice is within isize");
        let read_only = 1;
        // SAFETY: `view` is CPython's to fill; `start` and `length` stay valid as long as
        // `slf`, which the view references; `read_only` forbids writing through it.
        let status =
            unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, read_only, flags) };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// A read-only memoryview of `bytes`.
pub(crate) fn view(py: Python<'_>, bytes: Bytes) -> PyResult<Bound<'_, PyMemoryView>> {
    PyMemoryView::from(Bound::new(py, SharedBytes(bytes))?.as_any())
}

/// The data of a WRITE for a callback: a read-only memoryview of a copy in a pooled buffer.
///
/// The copy lets the transport's buffer be reused at once; the pooled buffer goes back when
/// the last view of it dies, so a view that is kept stays valid and costs the pool one buffer.
pub(crate) fn write_view(py: Python<'_>, data: &[u8], pools: &PagePools) -> PyResult<Py<PyAny>> {
    let mut buffer = pools
        .for_bytes(data.len() as u64)
        .take()
        .map_err(|error| PyMemoryError::new_err(error.to_string()))?;
    let bytes = match buffer.get_mut(..data.len()) {
        Some(start) => {
            start.copy_from_slice(data);
            Bytes::from_owner(Filled { buffer, length: data.len() })
        }
        None => Bytes::copy_from_slice(data),
    };
    Ok(view(py, bytes)?.into_any().unbind())
}

/// The filled start of a pooled buffer.
struct Filled {
    buffer: PooledBuffer,
    length: usize,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}
