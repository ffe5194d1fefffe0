//! `Backing`: a file that extents point into.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::Arc;

use fusesg_sg::{Backing, Extent};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::conversions::numbers::{MAX_OFFSET, integer};
use crate::conversions::{descriptors, errors, keywords, names};
use crate::data::segments::PyExtent;
use crate::sys;

/// A file that extents point into; closed when the last extent is gone.
#[pyclass(frozen, name = "Backing", module = "fusesg")]
pub(crate) struct PyBacking(pub(crate) Arc<Backing>);

#[pymethods]
impl PyBacking {
    #[new]
    #[pyo3(
        signature = (source, *, writable=false, immutable=false, **unknown),
        text_signature = "(source, *, writable=False, immutable=False)"
    )]
    fn new(
        source: &Bound<'_, PyAny>,
        writable: bool,
        immutable: bool,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords::refuse::<Self>(unknown)?;
        if writable && immutable {
            return Err(PyValueError::new_err(
                "a backing cannot be both writable and immutable: immutable promises that \
                 nobody changes the file",
            ));
        }
        let fd = match descriptor(source)? {
            Some(fd) => source.py().detach(|| duplicate_checked(fd, writable))?,
            None => open(source, writable)?,
        };
        Ok(Self(Arc::new(Backing::new(fd, writable, immutable))))
    }

    /// `length` bytes from `offset`; without a length, all that the file has now.
    #[pyo3(signature = (offset=None, length=None))]
    fn extent(
        &self,
        py: Python<'_>,
        offset: Option<&Bound<'_, PyAny>>,
        length: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyExtent> {
        let offset = match offset {
            Some(value) => integer("offset", value, 0..=MAX_OFFSET)?,
            None => 0,
        };
        let length = match length {
            Some(value) => integer("length", value, 0..=MAX_OFFSET - offset)?,
            None => self.size(py)?.saturating_sub(offset),
        };
        Ok(PyExtent(Extent { backing: Arc::clone(&self.0), offset, length }))
    }

    /// Length of the file in bytes, now.
    #[getter]
    fn size(&self, py: Python<'_>) -> PyResult<u64> {
        // the file may be on a mount that this process serves: never with the GIL held
        Ok(py.detach(|| self.0.len())?)
    }

    #[getter]
    fn writable(&self) -> bool {
        self.0.writable()
    }

    #[getter]
    fn immutable(&self) -> bool {
        self.0.immutable()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| Arc::ptr_eq(&self.0, &other.get().0))
    }

    fn __hash__(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    fn __repr__(&self) -> String {
        let flag = |set, name| if set { name } else { "" };
        format!(
            "<fusesg.Backing fd={}{}{}>",
            self.0.as_raw_fd(),
            flag(self.0.writable(), " writable"),
            flag(self.0.immutable(), " immutable"),
        )
    }
}

/// The descriptor number that `source` is or has; `None` for a path.
fn descriptor(source: &Bound<'_, PyAny>) -> PyResult<Option<RawFd>> {
    if source.is_instance_of::<PyString>()
        || source.is_instance_of::<PyBytes>()
        || source.hasattr("__fspath__")?
    {
        return Ok(None);
    }
    let expected = "a path, a file descriptor or a file object";
    descriptors::descriptor("source", source, expected).map(Some)
}

/// Opens a path.
fn open(source: &Bound<'_, PyAny>, writable: bool) -> PyResult<OwnedFd> {
    let path = names::path("source", source)?;
    let opened = source.py().detach(|| {
        let file = OpenOptions::new()
            .read(true)
            .write(writable)
            // a FIFO must not make us wait for its other end, only to be refused
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(&path)?;
        Ok(OwnedFd::from(file))
    });
    let fd = opened.map_err(|error: io::Error| errors::os_error_at(&error, source))?;
    source.py().detach(|| require_positions(&fd))?;
    Ok(fd)
}

/// Duplicates a descriptor that allows what extents need.
fn duplicate_checked(fd: RawFd, writable: bool) -> PyResult<OwnedFd> {
    let refused = |why: &str| Err(PyValueError::new_err(format!("file descriptor {fd} {why}")));
    let copy = descriptors::duplicate("source", fd)?;
    let flags = sys::status_flags(copy.as_raw_fd())?;
    if flags & libc::O_PATH != 0 {
        return refused("was opened with O_PATH, which allows neither reading nor writing");
    }
    if flags & libc::O_ACCMODE == libc::O_WRONLY {
        return refused("is not open for reading");
    }
    if writable && flags & libc::O_ACCMODE != libc::O_RDWR {
        return refused("is not open for writing, but writable=True was given");
    }
    if writable && flags & libc::O_APPEND != 0 {
        return refused("was opened with O_APPEND: writes would not go where an extent says");
    }
    if flags & libc::O_DIRECT != 0 {
        return refused("was opened with O_DIRECT: extents are not aligned; open it without");
    }
    require_positions(&copy)?;
    Ok(copy)
}

/// Extents need a file with positions.
fn require_positions(fd: &OwnedFd) -> PyResult<()> {
    let kind = std::fs::File::from(fd.try_clone()?).metadata()?.file_type();
    let what = if kind.is_dir() {
        return Err(PyOSError::new_err((libc::EISDIR, "a directory has no bytes to point into")));
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        return Ok(());
    };
    Err(PyValueError::new_err(format!(
        "{what} has no positions; extents need a regular file or a block device"
    )))
}
