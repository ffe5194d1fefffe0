//! `SetAttributes` and `NOW`: what setattr changes.

use std::time::SystemTime;

use fusesg_fs::{SetAttributes, SetTime, Timestamp};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::conversions::keywords;
use crate::conversions::numbers::{MAX_OFFSET, integer, timestamp};
use crate::imports;
use crate::values::attributes::PyAttributes;

/// The class of `NOW`: set a time to the time of the change.
#[pyclass(frozen, name = "Now", module = "fusesg")]
pub(crate) struct PyNow;

#[pymethods]
impl PyNow {
    #[expect(clippy::unused_self, reason = "Python's protocol")]
    fn __repr__(&self) -> &'static str {
        "fusesg.NOW"
    }

    /// Copied and pickled as the one instance that `is` compares with.
    #[expect(clippy::unused_self, reason = "Python's protocol")]
    fn __reduce__(&self) -> &'static str {
        "NOW"
    }
}

/// The fields that setattr changes; None leaves a field as it is.
#[pyclass(frozen, eq, hash, name = "SetAttributes", module = "fusesg")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PySetAttributes(pub(crate) SetAttributes);

#[pymethods]
impl PySetAttributes {
    #[new]
    #[pyo3(
        signature = (
            *, mode=None, uid=None, gid=None, size=None, atime_ns=None, mtime_ns=None,
            ctime_ns=None, kill_suid_sgid=false, **unknown
        ),
        text_signature = "(*, mode=None, uid=None, gid=None, size=None, atime_ns=None, \
                          mtime_ns=None, ctime_ns=None, kill_suid_sgid=False)"
    )]
    fn new(
        mode: Option<&Bound<'_, PyAny>>,
        uid: Option<&Bound<'_, PyAny>>,
        gid: Option<&Bound<'_, PyAny>>,
        size: Option<&Bound<'_, PyAny>>,
        atime_ns: Option<&Bound<'_, PyAny>>,
        mtime_ns: Option<&Bound<'_, PyAny>>,
        ctime_ns: Option<&Bound<'_, PyAny>>,
        kill_suid_sgid: bool,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords::refuse::<Self>(unknown)?;
        Ok(Self(SetAttributes {
            // a whole st_mode is welcome, as in os.chmod
            mode: mode
                .map(|value| integer("mode", value, 0..=0o177_777))
                .transpose()?
                .map(|mode: u32| mode & 0o7777),
            uid: uid.map(|value| integer("uid", value, 0..=u32::MAX)).transpose()?,
            gid: gid.map(|value| integer("gid", value, 0..=u32::MAX)).transpose()?,
            size: size.map(|value| integer("size", value, 0..=MAX_OFFSET)).transpose()?,
            atime: atime_ns.map(|value| set_time("atime_ns", value)).transpose()?,
            mtime: mtime_ns.map(|value| set_time("mtime_ns", value)).transpose()?,
            ctime: ctime_ns.map(|value| timestamp("ctime_ns", value)).transpose()?,
            kill_suid_sgid,
        }))
    }

    /// `attributes` with these changes made, as a POSIX file system would make them.
    #[pyo3(signature = (attributes, now_ns=None))]
    fn apply(
        &self,
        attributes: &Bound<'_, PyAttributes>,
        now_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyAttributes> {
        let now = match now_ns {
            Some(value) => timestamp("now_ns", value)?,
            None => current_time(),
        };
        let changes = &self.0;
        let mut attributes = attributes.get().0;
        if let Some(mode) = changes.mode {
            attributes.permissions = permissions(mode);
        }
        if changes.kill_suid_sgid {
            attributes.permissions &= !without_privileges(attributes.permissions);
        }
        attributes.uid = changes.uid.unwrap_or(attributes.uid);
        attributes.gid = changes.gid.unwrap_or(attributes.gid);
        if let Some(size) = changes.size {
            attributes.size = size;
            attributes.blocks = size.div_ceil(512);
            attributes.mtime = now;
        }
        let time = |change| match change {
            SetTime::Now => now,
            SetTime::At(time) => time,
        };
        attributes.atime = changes.atime.map_or(attributes.atime, time);
        attributes.mtime = changes.mtime.map_or(attributes.mtime, time);
        attributes.ctime = changes.ctime.unwrap_or(now);
        Ok(PyAttributes(attributes))
    }

    #[getter]
    fn mode(&self) -> Option<u32> {
        self.0.mode
    }

    #[getter]
    fn uid(&self) -> Option<u32> {
        self.0.uid
    }

    #[getter]
    fn gid(&self) -> Option<u32> {
        self.0.gid
    }

    #[getter]
    fn size(&self) -> Option<u64> {
        self.0.size
    }

    #[getter]
    fn atime_ns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        time_to_python(py, self.0.atime)
    }

    #[getter]
    fn mtime_ns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        time_to_python(py, self.0.mtime)
    }

    #[getter]
    fn ctime_ns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        time_to_python(py, self.0.ctime.map(SetTime::At))
    }

    #[getter]
    fn kill_suid_sgid(&self) -> bool {
        self.0.kill_suid_sgid
    }

    fn __repr__(&self) -> String {
        let changes = &self.0;
        let time = |time| match time {
            SetTime::Now => "fusesg.NOW".to_owned(),
            SetTime::At(time) => time.nanoseconds_since_epoch().to_string(),
        };
        let mut fields: Vec<String> = Vec::new();
        let mut show = |name: &str, value: Option<String>| {
            fields.extend(value.map(|value| format!("{name}={value}")));
        };
        show("mode", changes.mode.map(|mode| format!("0o{mode:o}")));
        show("uid", changes.uid.map(|uid| uid.to_string()));
        show("gid", changes.gid.map(|gid| gid.to_string()));
        show("size", changes.size.map(|size| size.to_string()));
        show("atime_ns", changes.atime.map(time));
        show("mtime_ns", changes.mtime.map(time));
        show("ctime_ns", changes.ctime.map(SetTime::At).map(time));
        show("kill_suid_sgid", changes.kill_suid_sgid.then(|| "True".into()));
        format!("SetAttributes({})", fields.join(", "))
    }
}

/// A time to set: nanoseconds or `NOW`.
fn set_time(name: &str, value: &Bound<'_, PyAny>) -> PyResult<SetTime> {
    if value.is_instance_of::<PyNow>() {
        Ok(SetTime::Now)
    } else {
        timestamp(name, value).map(SetTime::At)
    }
}

fn time_to_python(py: Python<'_>, time: Option<SetTime>) -> PyResult<Bound<'_, PyAny>> {
    match time {
        None => Ok(py.None().into_bound(py)),
        Some(SetTime::Now) => Ok(imports::now(py)?.clone().into_any()),
        Some(SetTime::At(time)) => Ok(time.nanoseconds_since_epoch().into_pyobject(py)?.into_any()),
    }
}

fn permissions(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).expect("twelve bits")
}

/// The bits that a write by somebody without privileges clears: set-user-id always,
/// set-group-id where the group may execute (else it once meant mandatory locking).
fn without_privileges(permissions: u16) -> u16 {
    const SUID: u16 = 0o4000;
    const SGID: u16 = 0o2000;
    const GROUP_EXECUTE: u16 = 0o0010;
    if permissions & GROUP_EXECUTE == 0 { SUID } else { SUID | SGID }
}

fn current_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: since.subsec_nanos(),
    }
}
