//! `BackingHandle`, `SegmentHandle`, `BytesHandle`: open files whose bytes Python need not be
//! asked for.

use std::sync::Arc;

use fusesg_fs::{OpenData, Window};
use fusesg_sg::{Segment, SegmentList};
use pyo3::prelude::*;

use crate::conversions::numbers::{MAX_OFFSET, integer, wrong_type};
use crate::data::backing::PyBacking;
use crate::data::{buffers, segments};

/// An open file that is a part of a backing, or all of it.
#[pyclass(frozen, name = "BackingHandle", module = "fusesg")]
pub(crate) struct PyBackingHandle {
    window: Window,
    data: Arc<OpenData>,
}

#[pymethods]
impl PyBackingHandle {
    #[new]
    #[pyo3(signature = (backing, offset=None, length=None))]
    fn new(
        backing: &Bound<'_, PyAny>,
        offset: Option<&Bound<'_, PyAny>>,
        length: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let Ok(of) = backing.cast::<PyBacking>() else {
            return Err(wrong_type("backing", "a Backing", backing));
        };
        let offset = match offset {
            Some(offset) => integer("offset", offset, 0..=MAX_OFFSET)?,
            None => 0,
        };
        let length = length.filter(|length| !length.is_none());
        let length =
            length.map(|length| integer("length", length, 0..=MAX_OFFSET - offset)).transpose()?;
        let window = Window { backing: Arc::clone(&of.get().0), offset, length };
        Ok(Self { data: Arc::new(OpenData::Window(window.clone())), window })
    }

    #[getter]
    fn backing(&self) -> PyBacking {
        PyBacking(Arc::clone(&self.window.backing))
    }

    #[getter]
    fn offset(&self) -> u64 {
        self.window.offset
    }

    #[getter]
    fn length(&self) -> Option<u64> {
        self.window.length
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let backing = Bound::new(py, self.backing())?.repr()?;
        let Window { offset, length, .. } = self.window;
        let length = length.map_or_else(|| "None".to_owned(), |length| length.to_string());
        Ok(format!("BackingHandle({backing}, offset={offset}, length={length})"))
    }
}

/// An open file that is a segment list.
#[pyclass(frozen, name = "SegmentHandle", module = "fusesg")]
pub(crate) struct PySegmentHandle {
    length: u64,
    data: Arc<OpenData>,
}

#[pymethods]
impl PySegmentHandle {
    #[new]
    fn new(segments: &Bound<'_, PyAny>) -> PyResult<Self> {
        segments::as_segments(segments)
            .map(|list| Self { length: list.len(), data: Arc::new(OpenData::Segments(list)) })
    }

    fn __len__(&self) -> usize {
        segments::length(self.length)
    }

    fn __repr__(&self) -> String {
        format!("<fusesg.SegmentHandle of {} bytes>", self.length)
    }
}

impl Drop for PySegmentHandle {
    fn drop(&mut self) {
        drop_data(&mut self.data);
    }
}

/// An open file that is a buffer.
#[pyclass(frozen, name = "BytesHandle", module = "fusesg")]
pub(crate) struct PyBytesHandle {
    length: u64,
    data: Arc<OpenData>,
}

#[pymethods]
impl PyBytesHandle {
    #[new]
    fn new(buffer: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Some(bytes) = buffers::share(buffer)? else {
            return Err(wrong_type("buffer", "bytes or another buffer", buffer));
        };
        let list: SegmentList = [Segment::Buffer(bytes)].into_iter().collect();
        Ok(Self { length: list.len(), data: Arc::new(OpenData::Segments(list)) })
    }

    fn __len__(&self) -> usize {
        segments::length(self.length)
    }

    fn __repr__(&self) -> String {
        format!("<fusesg.BytesHandle of {} bytes>", self.length)
    }
}

impl Drop for PyBytesHandle {
    fn drop(&mut self) {
        drop_data(&mut self.data);
    }
}

/// Drops a handle's bytes with it, unless a file is open with them.
fn drop_data(data: &mut Arc<OpenData>) {
    let nothing = Arc::new(OpenData::Segments(SegmentList::new()));
    buffers::drop_with_python_object(std::mem::replace(data, nothing));
}

/// The bytes of a handle, if it is one of these classes.
pub(crate) fn open_data(handle: &Bound<'_, PyAny>) -> Option<Arc<OpenData>> {
    if let Ok(handle) = handle.cast::<PyBackingHandle>() {
        Some(Arc::clone(&handle.get().data))
    } else if let Ok(handle) = handle.cast::<PySegmentHandle>() {
        Some(Arc::clone(&handle.get().data))
    } else if let Ok(handle) = handle.cast::<PyBytesHandle>() {
        Some(Arc::clone(&handle.get().data))
    } else {
        None
    }
}
