//! The numbers of a mount or client as Python objects.

use fusesg_serve::Value;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::names;

/// A dict, list, number or text.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Count(count) => count.into_pyobject(py)?.into_any(),
        Value::Seconds(seconds) => seconds.into_pyobject(py)?.into_any(),
        Value::Text(text) => names::to_python(py, text)?.into_any(),
        Value::List(values) => {
            let values: Vec<_> =
                values.iter().map(|value| to_python(py, value)).collect::<PyResult<_>>()?;
            PyList::new(py, values)?.into_any()
        }
        Value::Map(values) => {
            let dict = PyDict::new(py);
            for (name, value) in values {
                dict.set_item(name, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
