//! `Lock`: a POSIX record lock.

use fusesg_fs::Lock;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::conversions::keywords;
use crate::conversions::numbers::{MAX_OFFSET, integer};

/// A POSIX record lock.
#[pyclass(frozen, eq, hash, name = "Lock", module = "fusesg")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PyLock(pub(crate) Lock);

#[pymethods]
impl PyLock {
    /// Last byte of a lock that reaches to the end of the file, wherever that will be.
    #[classattr]
    const END_OF_FILE: u64 = MAX_OFFSET;

    #[new]
    #[pyo3(
        signature = (r#type, start=None, end=None, pid=None, **unknown),
        text_signature = "(type, start=None, end=None, pid=None)"
    )]
    fn new(
        r#type: &Bound<'_, PyAny>,
        start: Option<&Bound<'_, PyAny>>,
        end: Option<&Bound<'_, PyAny>>,
        pid: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords::refuse::<Self>(unknown)?;
        let kind: i32 = integer("type", r#type, i32::MIN..=i32::MAX)?;
        if lock_type_name(kind).is_none() {
            return Err(PyValueError::new_err(format!(
                "type={kind} is none of fcntl.F_RDLCK, F_WRLCK, F_UNLCK"
            )));
        }
        let start = match start {
            Some(value) => integer("start", value, 0..=MAX_OFFSET)?,
            None => 0,
        };
        Ok(Self(Lock {
            start,
            end: match end {
                Some(value) => integer("end", value, start..=MAX_OFFSET)?,
                None => MAX_OFFSET,
            },
            kind,
            pid: match pid {
                Some(value) => integer("pid", value, 0..=i32::MAX.cast_unsigned())?,
                None => 0,
            },
        }))
    }

    #[getter]
    fn r#type(&self) -> i32 {
        self.0.kind
    }

    #[getter]
    fn start(&self) -> u64 {
        self.0.start
    }

    #[getter]
    fn end(&self) -> u64 {
        // a transport may say "to the end" with all bits set
        self.0.end.min(MAX_OFFSET)
    }

    #[getter]
    fn pid(&self) -> u32 {
        self.0.pid
    }

    fn __repr__(&self) -> String {
        format!(
            "Lock({}, start={}, end={}, pid={})",
            lock_type_name(self.0.kind).unwrap_or("unknown"),
            self.0.start,
            self.end(),
            self.0.pid,
        )
    }
}

fn lock_type_name(kind: i32) -> Option<&'static str> {
    match kind {
        libc::F_RDLCK => Some("fcntl.F_RDLCK"),
        libc::F_WRLCK => Some("fcntl.F_WRLCK"),
        libc::F_UNLCK => Some("fcntl.F_UNLCK"),
        _ => None,
    }
}
