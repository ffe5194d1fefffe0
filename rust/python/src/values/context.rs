//! `Context`: who asks.

use fusesg_fs::{Context, LockOwner, Unique};
use fusesg_serve::Cancellation;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::conversions::keywords;
use crate::conversions::numbers::integer;
use crate::sys;

/// The data of a WRITE comes from the page cache (`FUSE_WRITE_CACHE`).
pub(crate) const WRITE_CACHE: u32 = 1 << 0;
/// `lock_owner` of a WRITE is valid (`FUSE_WRITE_LOCKOWNER`).
pub(crate) const WRITE_LOCKOWNER: u32 = 1 << 1;
/// A WRITE clears set-user-id and set-group-id (`FUSE_WRITE_KILL_SUIDGID`).
pub(crate) const WRITE_KILL_SUIDGID: u32 = 1 << 2;

/// The caller of an operation; built once per call, so it only holds numbers.
#[pyclass(frozen, name = "Context", module = "fusesg")]
pub(crate) struct PyContext {
    pub(crate) inner: Context,
    /// Owner of POSIX locks, where the operation carries it.
    pub(crate) lock_owner: Option<LockOwner>,
    /// Flags of the open file as its caller gave them (OPEN, CREATE, OPENDIR, READ, WRITE,
    /// RELEASE, RELEASEDIR), else 0.
    pub(crate) open_flags: i32,
    /// What a method that opens was given of them.
    pub(crate) given_flags: Option<i32>,
    /// `WRITE_*` of a WRITE, else 0.
    pub(crate) write_flags: u32,
    /// Absent in a context that a program made itself.
    pub(crate) cancellation: Option<Cancellation>,
}

impl PyContext {
    /// The context of an operation that carries nothing more than its caller.
    pub(crate) fn of(inner: Context, cancellation: Option<Cancellation>) -> Self {
        Self {
            inner,
            lock_owner: None,
            open_flags: 0,
            given_flags: None,
            write_flags: 0,
            cancellation,
        }
    }

    /// The flags to open a native file with: where a class passes on what it was given, those
    /// of the caller, of which the native file system itself knows what to make.
    pub(crate) fn native_flags(&self, flags: i32) -> i32 {
        if self.given_flags == Some(flags) { self.open_flags } else { flags }
    }
}

#[pymethods]
impl PyContext {
    #[new]
    #[pyo3(
        signature = (
            *, uid=None, gid=None, pid=None, umask=None, lock_owner=None, open_flags=0,
            write_flags=0, **unknown
        ),
        text_signature = "(*, uid=None, gid=None, pid=None, umask=None, lock_owner=None, \
                          open_flags=0, write_flags=0)"
    )]
    fn new(
        uid: Option<&Bound<'_, PyAny>>,
        gid: Option<&Bound<'_, PyAny>>,
        pid: Option<&Bound<'_, PyAny>>,
        umask: Option<&Bound<'_, PyAny>>,
        lock_owner: Option<u64>,
        open_flags: i32,
        write_flags: u32,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords::refuse::<Self>(unknown)?;
        let number = |name, value: Option<&Bound<'_, PyAny>>, default, max: u32| {
            value.map_or(Ok(default), |value| integer(name, value, 0..=max))
        };
        let (user, group) = sys::effective_ids();
        Ok(Self {
            inner: Context {
                unique: Unique(0),
                uid: number("uid", uid, user, u32::MAX)?,
                gid: number("gid", gid, group, u32::MAX)?,
                pid: number("pid", pid, std::process::id(), i32::MAX.cast_unsigned())?,
                umask: number("umask", umask, 0, 0o777)?,
            },
            lock_owner: lock_owner.map(LockOwner),
            open_flags,
            given_flags: None,
            write_flags,
            cancellation: None,
        })
    }

    #[getter]
    fn uid(&self) -> u32 {
        self.inner.uid
    }

    #[getter]
    fn gid(&self) -> u32 {
        self.inner.gid
    }

    #[getter]
    fn pid(&self) -> u32 {
        self.inner.pid
    }

    #[getter]
    fn umask(&self) -> u32 {
        self.inner.umask
    }

    #[getter]
    fn unique(&self) -> u64 {
        self.inner.unique.0
    }

    #[getter]
    fn lock_owner(&self) -> Option<u64> {
        self.lock_owner.map(u64::from)
    }

    #[getter]
    fn open_flags(&self) -> i32 {
        self.open_flags
    }

    #[getter]
    fn write_flags(&self) -> u32 {
        self.write_flags
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.cancellation.as_ref().is_some_and(Cancellation::is_cancelled)
    }

    fn __repr__(&self) -> String {
        let Context { unique, uid, gid, pid, umask } = self.inner;
        format!("Context(uid={uid}, gid={gid}, pid={pid}, umask=0o{umask:03o}, unique={unique})")
    }
}
