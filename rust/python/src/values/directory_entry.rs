//! `DirectoryEntry`: one name in a listing.

use std::ffi::OsString;

use fusesg_fs::{Entry, FileType, Inode};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::conversions::numbers::{MAX_OFFSET, integer, wrong_type};
use crate::conversions::{keywords, names};
use crate::values::attributes::PyAttributes;
use crate::values::entry::PyEntry;

/// One name in a directory.
#[pyclass(frozen, eq, hash, name = "DirectoryEntry", module = "fusesg")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct PyDirectoryEntry {
    /// Not empty, without `/` and NUL; may be `.` and `..`.
    pub(crate) name: OsString,
    /// `d_ino`; 0 where the class does not say it.
    pub(crate) inode: Inode,
    /// `d_type`, if it is known.
    pub(crate) kind: Option<FileType>,
    /// What a lookup of the name would answer, if the class knows.
    pub(crate) entry: Option<PyEntry>,
    /// Position after this entry, 1..=i64::MAX, if the class has its own positions.
    pub(crate) next_offset: Option<u64>,
}

impl PyDirectoryEntry {
    /// A name of which nothing else is known.
    pub(crate) fn named(name: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = names::component("name", name)?;
        Ok(Self { name, inode: Inode(0), kind: None, entry: None, next_offset: None })
    }
}

#[pymethods]
impl PyDirectoryEntry {
    #[new]
    #[pyo3(
        signature = (name, inode, r#type, entry=None, next_offset=None, **unknown),
        text_signature = "(name, inode, type, entry=None, next_offset=None)"
    )]
    fn new(
        name: &Bound<'_, PyAny>,
        inode: &Bound<'_, PyAny>,
        r#type: &Bound<'_, PyAny>,
        entry: Option<&Bound<'_, PyEntry>>,
        next_offset: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords::refuse::<Self>(unknown)?;
        Ok(Self {
            name: names::component("name", name)?,
            inode: Inode(integer("inode", inode, 0..=u64::MAX)?),
            kind: Some(file_type(r#type)?),
            entry: entry.map(|entry| entry.get().clone()),
            next_offset: optional_offset(next_offset)?,
        })
    }

    /// The entry of a name whose attributes are known.
    #[staticmethod]
    #[pyo3(signature = (name, entry, next_offset=None))]
    fn of(
        name: &Bound<'_, PyAny>,
        entry: &Bound<'_, PyAny>,
        next_offset: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let entry = if let Ok(attributes) = entry.cast::<PyAttributes>() {
            PyEntry::from(Entry { attributes: attributes.get().0, ..Entry::NEGATIVE })
        } else if let Ok(entry) = entry.cast::<PyEntry>() {
            entry.get().clone()
        } else {
            return Err(wrong_type("entry", "an Entry or Attributes", entry));
        };
        Ok(Self {
            name: names::component("name", name)?,
            inode: entry.0.attributes.inode,
            kind: Some(entry.0.attributes.kind),
            entry: Some(entry),
            next_offset: optional_offset(next_offset)?,
        })
    }

    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        names::to_python(py, &self.name)
    }

    #[getter]
    fn inode(&self) -> u64 {
        self.inode.0
    }

    #[getter]
    fn r#type(&self) -> u32 {
        self.kind.map_or(0, FileType::mode)
    }

    #[getter]
    fn entry(&self) -> Option<PyEntry> {
        self.entry.clone()
    }

    #[getter]
    fn next_offset(&self) -> Option<u64> {
        self.next_offset
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let entry = match &self.entry {
            Some(entry) => Bound::new(py, entry.clone())?.repr()?.to_string(),
            None => "None".into(),
        };
        Ok(format!(
            "DirectoryEntry({}, inode={}, type=0o{:o}, entry={entry}, next_offset={})",
            self.name(py)?.repr()?,
            self.inode,
            self.r#type(),
            self.next_offset.map_or_else(|| "None".into(), |offset| offset.to_string()),
        ))
    }
}

/// A file type from a mode or from its `S_IFMT` bits.
fn file_type(value: &Bound<'_, PyAny>) -> PyResult<FileType> {
    let mode: u32 = integer("type", value, 0..=0o177_777)?;
    FileType::from_mode(mode).ok_or_else(|| {
        PyValueError::new_err(format!(
            "type=0o{mode:o} names no file type: give a mode, or one of stat.S_IFREG, S_IFDIR, \
             S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK"
        ))
    })
}

/// 0 is the start of a directory, so no entry can end there.
fn optional_offset(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u64>> {
    value.map(|value| integer("next_offset", value, 1..=MAX_OFFSET)).transpose()
}
