//! The settings of a client, from the dict that Python's `Client` makes.

use std::ops::RangeInclusive;

use fusesg_serve::ClientConfig;
use fusesg_sg::{Packing, PageSize};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::conversions::numbers::{integer, timeout, wrong_type};

/// What the kernel's own limits are for one request (`fs.fuse.max_pages_limit`).
const MAX_PAGES: RangeInclusive<usize> = 1..=65_535;
/// From a page to what so many pages hold.
const REQUEST_BYTES: RangeInclusive<u32> = 4096..=65_535 * 4096;
const COUNT: RangeInclusive<usize> = 1..=1_000_000;

/// The settings in `values`, defaults for the others and for what is None.
pub(super) fn config(values: &Bound<'_, PyDict>) -> PyResult<ClientConfig> {
    let mut config = ClientConfig { max_read: 0, max_write: 0, ..ClientConfig::default() };
    for (name, value) in values {
        let name: String = name.extract()?;
        if !value.is_none() || name == "slow_request_warning" {
            set(&mut config, &name, &value)?;
        }
    }
    // what the pages of a request hold, unless said otherwise
    let largest = u32::try_from(config.max_pages * config.page_size.bytes()).unwrap_or(u32::MAX);
    for limit in [&mut config.max_read, &mut config.max_write] {
        *limit = if *limit == 0 { largest } else { *limit };
    }
    Ok(config)
}

fn set(config: &mut ClientConfig, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    match name {
        "page_size" => config.page_size = page_size(value)?,
        "max_pages" => config.max_pages = integer(name, value, MAX_PAGES)?,
        "max_read" => config.max_read = integer(name, value, REQUEST_BYTES)?,
        "max_write" => config.max_write = integer(name, value, REQUEST_BYTES)?,
        "packing" => config.packing = packing(value)?,
        "asynchronous" => config.asynchronous = flag(name, value)?,
        "max_background" => config.max_background = integer(name, value, COUNT)?,
        "max_requests" => config.max_requests = integer(name, value, COUNT)?,
        "uid" => config.uid = integer(name, value, 0..=u32::MAX - 1)?,
        "gid" => config.gid = integer(name, value, 0..=u32::MAX - 1)?,
        "groups" => config.groups = value.extract()?,
        "umask" => config.umask = integer(name, value, 0..=0o777)?,
        "default_permissions" => config.default_permissions = flag(name, value)?,
        "read_only" => config.read_only = flag(name, value)?,
        "request_timeout" => config.request_timeout = Some(timeout(name, value)?),
        "slow_request_warning" => {
            config.slow_request_warning =
                if value.is_none() { None } else { Some(timeout(name, value)?) };
        }
        "close_grace" => config.close_grace = timeout(name, value)?,
        "trace" => config.trace = flag(name, value)?,
        _ => return Err(PyTypeError::new_err(format!("there is no option {name}"))),
    }
    Ok(())
}

fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.extract().map_err(|_| wrong_type(name, "a bool", value))
}

fn page_size(value: &Bound<'_, PyAny>) -> PyResult<PageSize> {
    let bytes = integer("page_size", value, 0..=usize::MAX)?;
    PageSize::new(bytes).ok_or_else(|| {
        PyValueError::new_err(format!(
            "page_size={bytes} is none of the kernel's: 4096, 8192, 16384, 32768 or 65536"
        ))
    })
}

fn packing(value: &Bound<'_, PyAny>) -> PyResult<Packing> {
    match value.extract::<String>().map_err(|_| wrong_type("packing", "a str", value))?.as_str() {
        "segment" => Ok(Packing::Segment),
        "request" => Ok(Packing::Request),
        _ => Err(PyValueError::new_err(format!(
            "packing={} is neither \"request\" nor \"segment\"",
            value.repr()?
        ))),
    }
}
