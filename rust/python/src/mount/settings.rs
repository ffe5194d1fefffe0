//! The settings of a mount, from the dict that Python's `Config` makes.

use std::path::PathBuf;
use std::time::Duration;

use fusesg_serve::{MountConfig, Readdirplus};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Longer than any legitimate hold of the GIL (an import, a collection of a huge heap);
/// shorter than the patience of users and of the kernel's hung-task detector.
const WATCHDOG_TIMEOUT: Duration = Duration::from_secs(10);
/// Threads for callbacks that block.
const MAX_PYTHON_THREADS: usize = 64;
/// `Fetch` pieces at a time.
const MAX_FETCHES: usize = 16;

/// The settings of one mount.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What the transport needs to know.
    pub(crate) config: MountConfig,
    /// Threads for callbacks, besides the readers.
    pub(crate) max_python_threads: usize,
    /// `Fetch` pieces that may be carried out at a time.
    pub(crate) max_fetches: usize,
    /// How long the GIL may be unavailable while this process waits for its own mount.
    pub(crate) watchdog_timeout: Option<Duration>,
}

impl Settings {
    /// The settings in `values`, defaults for the others; TypeError for a name that is none.
    pub(crate) fn new(mountpoint: PathBuf, values: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut settings = Self {
            config: MountConfig::new(mountpoint),
            max_python_threads: MAX_PYTHON_THREADS,
            max_fetches: MAX_FETCHES,
            watchdog_timeout: Some(WATCHDOG_TIMEOUT),
        };
        for (name, value) in values.into_iter().flatten() {
            let name: String = name.extract()?;
            settings.set(&name, &value).map_err(|error| {
                let py = value.py();
                if error.is_instance_of::<PyTypeError>(py) {
                    PyTypeError::new_err(format!("setting {name}: {}", error.value(py)))
                } else {
                    PyValueError::new_err(format!("setting {name}: {}", error.value(py)))
                }
            })?;
        }
        if settings.config.reader_threads < 2 {
            // with one, a callback that touches its own mount would wait for itself
            return Err(PyValueError::new_err("setting reader_threads: at least 2 are needed"));
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let config = &mut self.config;
        match name {
            "source" => config.source = value.extract()?,
            "subtype" => config.subtype = value.extract()?,
            "reader_threads" => config.reader_threads = value.extract()?,
            "allow_other" => config.allow_other = value.extract()?,
            "default_permissions" => config.default_permissions = value.extract()?,
            "read_only" => config.read_only = value.extract()?,
            "suid" => config.suid = value.extract()?,
            "dev" => config.dev = value.extract()?,
            "exec" => config.exec = value.extract()?,
            "noatime" => config.noatime = value.extract()?,
            "entry_timeout" => config.entry_timeout = seconds(value)?,
            "attribute_timeout" => config.attribute_timeout = seconds(value)?,
            "negative_timeout" => config.negative_timeout = seconds(value)?,
            "max_write" => config.max_write = value.extract()?,
            "splice_threshold" => config.splice_threshold = value.extract()?,
            "splice_move" => config.splice_move = value.extract()?,
            "max_readahead" => config.max_readahead = value.extract()?,
            "max_background" => config.max_background = value.extract()?,
            "congestion_threshold" => config.congestion_threshold = value.extract()?,
            "max_requests" => config.max_requests = value.extract()?,
            "writeback_cache" => config.writeback_cache = value.extract()?,
            "kernel_passthrough" => config.kernel_passthrough = value.extract()?,
            "direct_io" => config.direct_io = value.extract()?,
            "keep_cache" => config.keep_cache = value.extract()?,
            "no_flush" => config.no_flush = value.extract()?,
            "parallel_direct_writes" => config.parallel_direct_writes = value.extract()?,
            "cache_directories" => config.cache_directories = value.extract()?,
            "cache_symlinks" => config.cache_symlinks = value.extract()?,
            "readdirplus" => config.readdirplus = readdirplus(value)?,
            "directory_buffer" => config.directory_buffer = value.extract()?,
            "cpu_affinity" => {
                let cpus: Option<std::collections::BTreeSet<usize>> = value.extract()?;
                config.cpu_affinity = cpus.map(|cpus| cpus.into_iter().collect());
            }
            "request_timeout" => config.request_timeout = optional_seconds(value)?,
            "slow_request_warning" => config.slow_request_warning = optional_seconds(value)?,
            "metrics" => config.metrics = value.extract()?,
            "trace" => config.trace = value.extract()?,
            "max_python_threads" => self.max_python_threads = value.extract()?,
            "max_fetches" => self.max_fetches = value.extract()?,
            "watchdog_timeout" => self.watchdog_timeout = optional_seconds(value)?,
            _ => return Err(PyTypeError::new_err("there is no such setting")),
        }
        Ok(())
    }
}

fn readdirplus(value: &Bound<'_, PyAny>) -> PyResult<Readdirplus> {
    match value.extract::<&str>()? {
        "auto" => Ok(Readdirplus::Auto),
        "always" => Ok(Readdirplus::Always),
        "never" => Ok(Readdirplus::Never),
        _ => Err(PyValueError::new_err("auto, always or never")),
    }
}

fn seconds(value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value.extract()?)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

fn optional_seconds(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    if value.is_none() { Ok(None) } else { seconds(value).map(Some) }
}
