//! Numbers from Python, checked: an error names the argument, its value and what is allowed.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use fusesg_fs::Timestamp;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Largest file size and offset of the kernel (`loff_t`).
pub(crate) const MAX_OFFSET: u64 = i64::MAX as u64;

/// A timeout longer than this is for ever as far as anybody can tell (136 years).
const LONGEST_TIMEOUT: Duration = Duration::from_secs(u32::MAX as u64);

/// The int `value` of the argument `name`, which must lie in `range`.
pub(crate) fn integer<T>(
    name: &str,
    value: &Bound<'_, PyAny>,
    range: RangeInclusive<T>,
) -> PyResult<T>
where
    T: for<'a, 'py> FromPyObject<'a, 'py, Error = PyErr> + PartialOrd + Display,
{
    match value.extract::<T>() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) => Err(out_of_range(name, value, range.start(), range.end())),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            Err(out_of_range(name, value, range.start(), range.end()))
        }
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => {
            Err(wrong_type(name, "an int", value))
        }
        Err(error) => Err(error),
    }
}

/// Nanoseconds since 1970.
pub(crate) fn timestamp(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Timestamp> {
    // i64 first: it reaches to the year 2262, and 128 bits are slow in the stable ABI
    let nanoseconds = match value.extract::<i64>() {
        Ok(nanoseconds) => i128::from(nanoseconds),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            value.extract::<i128>().map_err(|_| time_out_of_range(name, value))?
        }
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => {
            return Err(wrong_type(name, "an int (nanoseconds since 1970)", value));
        }
        Err(error) => return Err(error),
    };
    Timestamp::from_nanoseconds(nanoseconds).ok_or_else(|| time_out_of_range(name, value))
}

/// A duration in seconds, an int or a float; `math.inf` stands for ever.
pub(crate) fn timeout(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let seconds = match value.extract::<f64>() {
        Ok(seconds) => seconds,
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            return Err(out_of_range(name, value, &0, &"math.inf"));
        }
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => {
            return Err(wrong_type(name, "a number of seconds", value));
        }
        Err(error) => return Err(error),
    };
    // written so that NaN fails too
    if seconds >= 0.0 {
        Ok(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_TIMEOUT).min(LONGEST_TIMEOUT))
    } else {
        Err(out_of_range(name, value, &0, &"math.inf"))
    }
}

/// TypeError: `name` should have been `expected`.
pub(crate) fn wrong_type(name: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("{name}: expected {expected}, got {}", type_name(value)))
}

/// Name of the class of `value`, for messages; `None` as itself.
pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    if value.is_none() {
        return "None".into();
    }
    value.get_type().qualname().map_or_else(|_| "an object".into(), |name| name.to_string())
}

fn out_of_range(
    name: &str,
    value: &Bound<'_, PyAny>,
    low: &dyn Display,
    high: &dyn Display,
) -> PyErr {
    PyValueError::new_err(format!("{name}={} is not within {low} … {high}", shown(value)))
}

fn time_out_of_range(name: &str, value: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!(
        "{name}={} is out of range: the seconds must fit a signed 64-bit integer",
        shown(value)
    ))
}

/// `repr(value)`, unless that is long or fails (an int may have too many digits for it).
fn shown(value: &Bound<'_, PyAny>) -> String {
    match value.repr().map(|text| text.to_string()) {
        Ok(text) if text.len() <= 60 => text,
        _ => "<a very large number>".into(),
    }
}
