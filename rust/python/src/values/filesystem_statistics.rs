//! `FilesystemStatistics`: what statvfs shows.

use fusesg_fs::FilesystemStatistics;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::conversions::keywords;
use crate::conversions::numbers::integer;

/// Size and use of a file system.
#[pyclass(frozen, eq, hash, name = "FilesystemStatistics", module = "fusesg")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PyFilesystemStatistics {
    pub(crate) inner: FilesystemStatistics,
    /// `f_favail`: the protocol does not carry it (the kernel shows `files_free`), Python
    /// gets back what it gave.
    files_available: u64,
}

impl From<FilesystemStatistics> for PyFilesystemStatistics {
    fn from(inner: FilesystemStatistics) -> Self {
        Self { inner, files_available: inner.files_free }
    }
}

#[pymethods]
impl PyFilesystemStatistics {
    #[new]
    #[pyo3(
        signature = (
            *, block_size=None, fragment_size=None, blocks=None, blocks_free=None,
            blocks_available=None, files=None, files_free=None, files_available=None,
            name_max=None, **unknown
        ),
        text_signature = "(*, block_size=None, fragment_size=None, blocks=None, \
                          blocks_free=None, blocks_available=None, files=None, \
                          files_free=None, files_available=None, name_max=None)"
    )]
    fn new(
        block_size: Option<&Bound<'_, PyAny>>,
        fragment_size: Option<&Bound<'_, PyAny>>,
        blocks: Option<&Bound<'_, PyAny>>,
        blocks_free: Option<&Bound<'_, PyAny>>,
        blocks_available: Option<&Bound<'_, PyAny>>,
        files: Option<&Bound<'_, PyAny>>,
        files_free: Option<&Bound<'_, PyAny>>,
        files_available: Option<&Bound<'_, PyAny>>,
        name_max: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords::refuse::<Self>(unknown)?;
        let size = |name, value, default| optional(name, value, 1..=u32::MAX, default);
        let count = |name, value, default| optional(name, value, 0..=u64::MAX, default);
        let default = FilesystemStatistics::default();
        let block_size = size("block_size", block_size, default.block_size)?;
        let blocks_free = count("blocks_free", blocks_free, 0)?;
        let files_free = count("files_free", files_free, 0)?;
        Ok(Self {
            inner: FilesystemStatistics {
                block_size,
                fragment_size: size("fragment_size", fragment_size, block_size)?,
                blocks: count("blocks", blocks, 0)?,
                blocks_free,
                blocks_available: count("blocks_available", blocks_available, blocks_free)?,
                files: count("files", files, 0)?,
                files_free,
                name_max: size("name_max", name_max, default.name_max)?,
            },
            files_available: count("files_available", files_available, files_free)?,
        })
    }

    /// From what os.statvfs() returns.
    #[staticmethod]
    fn from_statvfs(st: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = st.py();
        Self::new(
            Some(&st.getattr(intern!(py, "f_bsize"))?),
            Some(&st.getattr(intern!(py, "f_frsize"))?),
            Some(&st.getattr(intern!(py, "f_blocks"))?),
            Some(&st.getattr(intern!(py, "f_bfree"))?),
            Some(&st.getattr(intern!(py, "f_bavail"))?),
            Some(&st.getattr(intern!(py, "f_files"))?),
            Some(&st.getattr(intern!(py, "f_ffree"))?),
            Some(&st.getattr(intern!(py, "f_favail"))?),
            Some(&st.getattr(intern!(py, "f_namemax"))?),
            None,
        )
    }

    #[getter]
    fn block_size(&self) -> u32 {
        self.inner.block_size
    }

    #[getter]
    fn fragment_size(&self) -> u32 {
        self.inner.fragment_size
    }

    #[getter]
    fn blocks(&self) -> u64 {
        self.inner.blocks
    }

    #[getter]
    fn blocks_free(&self) -> u64 {
        self.inner.blocks_free
    }

    #[getter]
    fn blocks_available(&self) -> u64 {
        self.inner.blocks_available
    }

    #[getter]
    fn files(&self) -> u64 {
        self.inner.files
    }

    #[getter]
    fn files_free(&self) -> u64 {
        self.inner.files_free
    }

    #[getter]
    fn files_available(&self) -> u64 {
        self.files_available
    }

    #[getter]
    fn name_max(&self) -> u32 {
        self.inner.name_max
    }

    fn __repr__(&self) -> String {
        let statistics = &self.inner;
        format!(
            "FilesystemStatistics(block_size={}, fragment_size={}, blocks={}, blocks_free={}, \
             blocks_available={}, files={}, files_free={}, files_available={}, name_max={})",
            statistics.block_size,
            statistics.fragment_size,
            statistics.blocks,
            statistics.blocks_free,
            statistics.blocks_available,
            statistics.files,
            statistics.files_free,
            self.files_available,
            statistics.name_max,
        )
    }
}

fn optional<T>(
    name: &str,
    value: Option<&Bound<'_, PyAny>>,
    range: std::ops::RangeInclusive<T>,
    default: T,
) -> PyResult<T>
where
    T: for<'a, 'py> FromPyObject<'a, 'py, Error = PyErr> + PartialOrd + std::fmt::Display,
{
    value.map_or(Ok(default), |value| integer(name, value, range))
}
