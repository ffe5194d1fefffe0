//! `Entry`: what a name leads to.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use fusesg_fs::{Entry, Inode};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::conversions::keywords;
use crate::conversions::numbers::{integer, timeout};
use crate::native::provider::NativeFileSystem;
use crate::values::attributes::PyAttributes;

/// What a name leads to.
#[pyclass(frozen, eq, hash, name = "Entry", module = "fusesg")]
#[derive(Clone, Debug)]
pub(crate) struct PyEntry(pub(crate) Entry, Option<Arc<NativeLookup>>);

/// The lookup that a native file system counted when it made an entry: the inode stays
/// known as long as the object, so an entry may be kept and returned again and again.
#[derive(Debug)]
struct NativeLookup {
    file_system: Arc<dyn NativeFileSystem>,
    inode: Inode,
}

impl Drop for NativeLookup {
    fn drop(&mut self) {
        self.file_system.forget(self.inode, 1);
    }
}

impl PyEntry {
    /// An entry that a native file system returned, which counts as one lookup.
    pub(crate) fn native(entry: Entry, file_system: Arc<dyn NativeFileSystem>) -> Self {
        let inode = entry.attributes.inode;
        Self(entry, Some(Arc::new(NativeLookup { file_system, inode })))
    }

    /// The entry for the kernel, which is told of it and will give one lookup back.
    pub(crate) fn delivered(&self) -> Entry {
        if let Some(lookup) = &self.1 {
            lookup.file_system.retain(lookup.inode);
        }
        self.0
    }
}

impl From<Entry> for PyEntry {
    fn from(entry: Entry) -> Self {
        Self(entry, None)
    }
}

impl PartialEq for PyEntry {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for PyEntry {}

impl Hash for PyEntry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[pymethods]
impl PyEntry {
    #[new]
    #[pyo3(
        signature = (
            attributes, entry_timeout=None, attribute_timeout=None, generation=None, **unknown
        ),
        text_signature = "(attributes, entry_timeout=None, attribute_timeout=None, \
                          generation=None)"
    )]
    fn new(
        attributes: &Bound<'_, PyAttributes>,
        entry_timeout: Option<&Bound<'_, PyAny>>,
        attribute_timeout: Option<&Bound<'_, PyAny>>,
        generation: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords::refuse::<Self>(unknown)?;
        let attributes = attributes.get().0;
        Ok(Self::from(Entry {
            attributes,
            generation: match generation {
                Some(value) => integer("generation", value, 0..=u64::MAX)?,
                None => 0,
            },
            entry_timeout: entry_timeout
                .map(|value| timeout("entry_timeout", value))
                .transpose()?,
            attribute_timeout: attribute_timeout
                .map(|value| timeout("attribute_timeout", value))
                .transpose()?,
        }))
    }

    #[getter]
    fn attributes(&self) -> PyAttributes {
        PyAttributes(self.0.attributes)
    }

    #[getter]
    fn inode(&self) -> u64 {
        self.0.attributes.inode.0
    }

    #[getter]
    fn generation(&self) -> u64 {
        self.0.generation
    }

    #[getter]
    fn entry_timeout(&self) -> Option<f64> {
        self.0.entry_timeout.map(|timeout| timeout.as_secs_f64())
    }

    #[getter]
    fn attribute_timeout(&self) -> Option<f64> {
        self.0.attribute_timeout.map(|timeout| timeout.as_secs_f64())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let attributes = Bound::new(py, self.attributes())?.repr()?;
        Ok(format!(
            "Entry({attributes}, entry_timeout={}, attribute_timeout={}, generation={})",
            shown(self.0.entry_timeout),
            shown(self.0.attribute_timeout),
            self.0.generation,
        ))
    }
}

fn shown(timeout: Option<Duration>) -> String {
    timeout.map_or_else(|| "None".into(), |timeout| timeout.as_secs_f64().to_string())
}
