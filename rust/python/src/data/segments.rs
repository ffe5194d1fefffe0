//! `Extent`, `Zeros`, `SegmentList`: file data as Python describes it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use fusesg_sg::{Extent, Segment, SegmentList, gather};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::conversions::numbers::{MAX_OFFSET, integer, type_name};
use crate::data::backing::PyBacking;
use crate::data::fetch::PyFetch;
use crate::data::{buffers, streams};

/// Lists may hold lists, as deep as this; a list that holds itself is deeper.
const DEEPEST: usize = 16;

/// `length` bytes of a file from `offset`.
#[pyclass(frozen, name = "Extent", module = "fusesg")]
pub(crate) struct PyExtent(pub(crate) Extent);

#[pymethods]
impl PyExtent {
    #[getter]
    fn backing(&self) -> PyBacking {
        PyBacking(Arc::clone(&self.0.backing))
    }

    #[getter]
    fn offset(&self) -> u64 {
        self.0.offset
    }

    #[getter]
    fn length(&self) -> u64 {
        self.0.length
    }

    fn __len__(&self) -> usize {
        length(self.0.length)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| same_extent(&self.0, &other.get().0))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (Arc::as_ptr(&self.0.backing).addr(), self.0.offset, self.0.length).hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let backing = Bound::new(py, self.backing())?.repr()?;
        let Extent { offset, length, .. } = self.0;
        Ok(format!("Extent({backing}, offset={offset}, length={length})"))
    }
}

/// That many zero bytes.
#[pyclass(frozen, eq, hash, name = "Zeros", module = "fusesg")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct PyZeros(u64);

#[pymethods]
impl PyZeros {
    #[new]
    fn new(length: &Bound<'_, PyAny>) -> PyResult<Self> {
        integer("length", length, 0..=MAX_OFFSET).map(Self)
    }

    #[getter]
    fn length(&self) -> u64 {
        self.0
    }

    fn __len__(&self) -> usize {
        length(self.0)
    }

    fn __repr__(&self) -> String {
        format!("Zeros({})", self.0)
    }
}

/// Segments one after another, immutable.
#[pyclass(frozen, name = "SegmentList", module = "fusesg")]
pub(crate) struct PySegmentList(pub(crate) SegmentList);

impl Drop for PySegmentList {
    fn drop(&mut self) {
        buffers::drop_with_python_object(std::mem::take(&mut self.0));
    }
}

#[pymethods]
impl PySegmentList {
    #[new]
    #[pyo3(signature = (segments=None))]
    fn new(segments: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(segments) = segments else { return Ok(Self(SegmentList::new())) };
        if let Ok(list) = segments.cast::<Self>() {
            return Ok(Self(list.get().0.clone()));
        }
        // bytes iterate as ints: one segment given bare is a list of one
        if is_single_segment(segments) {
            return as_segments(segments).map(Self);
        }
        let mut list = SegmentList::new();
        for segment in segments.try_iter()? {
            append(&mut list, &segment?, 0)?;
        }
        Ok(Self(list))
    }

    /// The part `[offset, offset + size)`, clipped to the end.
    fn slice(&self, offset: &Bound<'_, PyAny>, size: &Bound<'_, PyAny>) -> PyResult<Self> {
        let offset = integer("offset", offset, 0..=u64::MAX)?;
        let size = integer("size", size, 0..=u64::MAX)?;
        Ok(Self(self.0.slice(offset, size)))
    }

    /// The bytes themselves, read now: fewer than `len()` where a file ends early.
    fn tobytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut filled = 0;
        let whole = length(self.0.len());
        let bytes = PyBytes::new_with(py, whole, |target| {
            filled = py.detach(|| gather(&self.0, target))?;
            Ok(())
        })?;
        if filled == whole { Ok(bytes) } else { Ok(PyBytes::new(py, &bytes.as_bytes()[..filled])) }
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.tobytes(py)
    }

    fn __len__(&self) -> usize {
        length(self.0.len())
    }

    fn __bool__(&self) -> bool {
        !self.0.is_empty()
    }

    fn __add__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut list = self.0.clone();
        append(&mut list, other, 0)?;
        Ok(Self(list))
    }

    fn __radd__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut list = as_segments(other)?;
        extend(&mut list, &self.0)?;
        Ok(Self(list))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let segments = self.0.segments().iter().map(|segment| to_python(py, segment));
        let list = PyList::new(py, segments.collect::<PyResult<Vec<_>>>()?)?;
        Ok(list.try_iter()?.into_any())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        const SHOWN: usize = 8;
        let segments = self.0.segments();
        let mut parts = Vec::new();
        for segment in segments.iter().take(SHOWN) {
            parts.push(match segment {
                Segment::Buffer(_) | Segment::Pages(_) => format!("<{} bytes>", segment.len()),
                other => to_python(py, other)?.repr()?.to_string(),
            });
        }
        if segments.len() > SHOWN {
            parts.push(format!("and {} more", segments.len() - SHOWN));
        }
        Ok(format!("SegmentList([{}])", parts.join(", ")))
    }
}

/// Segments that may be used more than once: no streams, no `Fetch`.
///
/// Buffers are shared, not copied (see [`buffers::share`]).
pub(crate) fn as_segments(object: &Bound<'_, PyAny>) -> PyResult<SegmentList> {
    if let Ok(list) = object.cast::<PySegmentList>() {
        return Ok(list.get().0.clone());
    }
    let mut list = SegmentList::new();
    append(&mut list, object, 0)?;
    Ok(list)
}

/// What a `Fetch` may return: segments, and streams.
pub(crate) fn as_fetched(object: &Bound<'_, PyAny>) -> PyResult<SegmentList> {
    let mut list = Consumed::default();
    append(&mut list, object, 0)?;
    Ok(list.0)
}

/// What `read` may return: segments, streams, and `Fetch`.
pub(crate) fn as_read_data(object: &Bound<'_, PyAny>) -> PyResult<ReadData> {
    let mut data = ReadData::default();
    append(&mut data, object, 0)?;
    Ok(data)
}

/// What `read` returned, in order.
#[derive(Debug, Default)]
pub(crate) struct ReadData {
    /// Each `Fetch`, with the segments before it.
    pub(crate) fetches: Vec<(SegmentList, Py<PyFetch>)>,
    /// The segments after the last of them.
    pub(crate) rest: SegmentList,
}

impl ReadData {
    /// Bytes of the whole; `u64::MAX` if there are more than that.
    pub(crate) fn len(&self) -> u64 {
        let fetches = self
            .fetches
            .iter()
            .map(|(segments, fetch)| segments.len().saturating_add(fetch.get().length()));
        fetches.fold(self.rest.len(), u64::saturating_add)
    }

    /// Whether some of it is fetched in the event loop.
    pub(crate) fn is_awaited(&self) -> bool {
        self.fetches.iter().any(|(_, fetch)| fetch.get().is_asynchronous())
    }
}

/// Segments that are used once.
#[derive(Default)]
struct Consumed(SegmentList);

/// Where segments are collected, and what may be among them.
trait Collection {
    /// What may be in it, for whoever brings something else.
    const KINDS: &str;

    /// The list that the next segment belongs to.
    fn segments(&mut self) -> &mut SegmentList;

    /// Adds what the `Pipe` or `Socket` `object` stands for, where that is possible.
    fn stream(&mut self, object: &Bound<'_, PyAny>, stream: Segment) -> PyResult<()>;

    /// Adds a `Fetch`, where that is possible.
    fn fetch(&mut self, fetch: &Bound<'_, PyFetch>) -> PyResult<()> {
        let _ = fetch;
        Err(PyTypeError::new_err(
            "a Fetch is no data yet and is carried out for one answer; read may return it, \
             alone or in a list with other pieces",
        ))
    }
}

impl Collection for SegmentList {
    const KINDS: &str = "bytes or another buffer, an Extent, Zeros, a SegmentList";

    fn segments(&mut self) -> &mut SegmentList {
        self
    }

    fn stream(&mut self, object: &Bound<'_, PyAny>, _: Segment) -> PyResult<()> {
        Err(streams::not_reusable(object))
    }
}

impl Collection for Consumed {
    const KINDS: &str =
        "bytes or another buffer, an Extent, Zeros, a SegmentList, a Pipe, a Socket";

    fn segments(&mut self) -> &mut SegmentList {
        &mut self.0
    }

    fn stream(&mut self, _: &Bound<'_, PyAny>, stream: Segment) -> PyResult<()> {
        push(&mut self.0, stream)
    }
}

impl Collection for ReadData {
    const KINDS: &str =
        "bytes or another buffer, an Extent, Zeros, a SegmentList, a Pipe, a Socket, a Fetch";

    fn segments(&mut self) -> &mut SegmentList {
        &mut self.rest
    }

    fn stream(&mut self, _: &Bound<'_, PyAny>, stream: Segment) -> PyResult<()> {
        push(&mut self.rest, stream)
    }

    fn fetch(&mut self, fetch: &Bound<'_, PyFetch>) -> PyResult<()> {
        if fetch.get().length() == 0 {
            // and never carried out
            fetch.get().take();
            return Ok(());
        }
        self.fetches.push((std::mem::take(&mut self.rest), fetch.clone().unbind()));
        Ok(())
    }
}

/// Appends one segment, or a list of them `depth` lists deep.
fn append<C: Collection>(to: &mut C, object: &Bound<'_, PyAny>, depth: usize) -> PyResult<()> {
    // by how often they come: bytes, extents, lists, the rest
    if object.is_exact_instance_of::<PyBytes>() {
        return append_buffer(to, object);
    }
    if let Ok(extent) = object.cast::<PyExtent>() {
        return push(to.segments(), Segment::Extent(extent.get().0.clone()));
    }
    if let Ok(other) = object.cast::<PySegmentList>() {
        return extend(to.segments(), &other.get().0);
    }
    if let Ok(zeros) = object.cast::<PyZeros>() {
        return push(to.segments(), Segment::Zeros(zeros.get().0));
    }
    if let Ok(fetch) = object.cast::<PyFetch>() {
        return to.fetch(fetch);
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        if depth == DEEPEST {
            return Err(PyValueError::new_err("lists of segments are nested too deeply"));
        }
        for segment in object.try_iter()? {
            append(to, &segment?, depth + 1)?;
        }
        return Ok(());
    }
    if let Some(stream) = streams::as_stream(object) {
        return to.stream(object, stream);
    }
    append_buffer(to, object)
}

fn append_buffer<C: Collection>(to: &mut C, object: &Bound<'_, PyAny>) -> PyResult<()> {
    match buffers::share(object)? {
        Some(bytes) => push(to.segments(), Segment::Buffer(bytes)),
        None => Err(not_data(object, C::KINDS)),
    }
}

fn extend(list: &mut SegmentList, other: &SegmentList) -> PyResult<()> {
    other.segments().iter().try_for_each(|segment| push(list, segment.clone()))
}

/// Appends a segment; no file is longer than the kernel's largest offset.
fn push(list: &mut SegmentList, segment: Segment) -> PyResult<()> {
    if segment.len() > MAX_OFFSET - list.len() {
        return Err(PyValueError::new_err("a segment list holds at most 2**63 - 1 bytes"));
    }
    list.push(segment);
    Ok(())
}

fn not_data(object: &Bound<'_, PyAny>, kinds: &str) -> PyErr {
    let hint = if object.is_none() {
        "; return b\"\" at the end of the file"
    } else if object.is_instance_of::<PyString>() {
        "; encode it first"
    } else {
        ""
    };
    PyTypeError::new_err(format!(
        "expected data ({kinds}, or a list of these), got {}{hint}",
        type_name(object)
    ))
}

fn is_single_segment(object: &Bound<'_, PyAny>) -> bool {
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        return false;
    }
    object.is_instance_of::<PyExtent>()
        || object.is_instance_of::<PyZeros>()
        || object.is_instance_of::<PyFetch>()
        || object.is_instance_of::<PyString>()
        || streams::as_stream(object).is_some()
        || pyo3::types::PyMemoryView::from(object).is_ok()
}

/// A segment as Python iterates it; buffers as read-only memoryviews.
fn to_python<'py>(py: Python<'py>, segment: &Segment) -> PyResult<Bound<'py, PyAny>> {
    Ok(match segment {
        Segment::Buffer(bytes) => buffers::view(py, bytes.clone())?.into_any(),
        Segment::Pages(run) => {
            let bytes: Vec<u8> = run.fragments().flatten().copied().collect();
            buffers::view(py, bytes.into())?.into_any()
        }
        Segment::Extent(extent) => Bound::new(py, PyExtent(extent.clone()))?.into_any(),
        Segment::Zeros(length) => Bound::new(py, PyZeros(*length))?.into_any(),
        Segment::Stream { .. } => unreachable!("no list that Python keeps consumes a stream"),
    })
}

fn same_extent(one: &Extent, other: &Extent) -> bool {
    Arc::ptr_eq(&one.backing, &other.backing)
        && one.offset == other.offset
        && one.length == other.length
}

/// A length within [`MAX_OFFSET`] as `len()` returns it.
/// A length for `__len__`.
pub(super) fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("lengths from Python are within isize")
}
