//! Keyword arguments that there are not: slips of those that there are, as a rule.

use pyo3::PyTypeInfo;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::imports;

/// Refuses what the class `T` was given and does not take.
pub(crate) fn refuse<T: PyTypeInfo>(unknown: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    unknown.map_or(Ok(()), |names| Err(refusal::<T>(names.py(), names)))
}

/// TypeError: the class `T` has no arguments of these names.
pub(crate) fn refusal<'py, T: PyTypeInfo>(py: Python<'py>, names: impl IntoPyObject<'py>) -> PyErr {
    let called =
        imports::refusal(py).and_then(|refusal| refusal.call1((T::type_object(py), names)));
    called.map_or_else(|error| error, PyErr::from_value)
}
