//! `Tree`: the native read-only tree of segment lists, for Python to fill and to subclass.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::SystemTime;

use fusesg_fs::tree::{AddError, NodeAttributes, Tree, TreeBuilder, Xattr};
use fusesg_fs::{FileType, Inode, Timestamp};
use parking_lot::Mutex;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString, PyTuple};

use crate::conversions::numbers::{integer, timestamp, type_name, wrong_type};
use crate::conversions::{errors, names};
use crate::data::{buffers, segments};
use crate::native::operations::PyNative;
use crate::native::provider::{MountOptions, NativeFileSystem, Provider};
use crate::sys;

/// Permissions of what is added without saying.
const FILE: u16 = 0o644;
const DIRECTORY: u16 = 0o755;
const SYMLINK: u16 = 0o777;
/// Longest target of a symbolic link: PATH_MAX without its NUL.
const TARGET_MAX: usize = 4095;
/// Longest name of an extended attribute, and longest value.
const XATTR_NAME_MAX: usize = 255;
const XATTR_VALUE_MAX: usize = 65536;

/// A read-only tree of files that are segment lists.
#[pyclass(frozen, subclass, extends = PyNative, name = "Tree", module = "fusesg")]
pub(crate) struct PyTree {
    stage: Arc<Stage>,
}

/// The tree while things are added to it, and after. No Python call is made with this lock
/// held.
#[derive(Default)]
struct Stage(Mutex<State>);

#[derive(Default)]
enum State {
    /// `__init__` was not called yet.
    #[default]
    New,
    Growing(Box<Growing>),
    Finished(Arc<Tree>),
}

struct Growing {
    builder: TreeBuilder,
    /// Owner and time of what is added without saying.
    default: NodeAttributes,
}

impl Stage {
    /// The tree, to which nothing can be added from now on.
    fn finish(&self) -> PyResult<Arc<Tree>> {
        let mut state = self.0.lock();
        if let State::Finished(tree) = &*state {
            return Ok(Arc::clone(tree));
        }
        let State::Growing(growing) = std::mem::take(&mut *state) else {
            return Err(not_initialised());
        };
        let tree = Arc::new(growing.builder.build());
        *state = State::Finished(Arc::clone(&tree));
        Ok(tree)
    }

    /// Adds something, of which `add` knows how.
    fn grow<T>(&self, add: impl FnOnce(&mut Growing) -> T) -> PyResult<T> {
        match &mut *self.0.lock() {
            State::Growing(growing) => Ok(add(growing)),
            State::New => Err(not_initialised()),
            State::Finished(_) => Err(PyRuntimeError::new_err(
                "the tree is finished: nothing can be added once it was mounted or used",
            )),
        }
    }

    fn inodes(&self) -> usize {
        match &*self.0.lock() {
            State::New => 0,
            State::Growing(growing) => growing.builder.inodes(),
            State::Finished(tree) => tree.inodes(),
        }
    }
}

impl Drop for PyTree {
    fn drop(&mut self) {
        // buffers that files consist of are given back at once, if no mount has the tree
        buffers::drop_with_python_object(std::mem::take(&mut *self.stage.0.lock()));
    }
}

/// The tree for mounts.
struct View(Arc<Stage>);

impl Provider for View {
    fn for_mount(
        &self,
        py: Python<'_>,
        _options: MountOptions,
    ) -> PyResult<Arc<dyn NativeFileSystem>> {
        self.current(py)
    }

    fn current(&self, _py: Python<'_>) -> PyResult<Arc<dyn NativeFileSystem>> {
        Ok(self.0.finish()?)
    }

    fn describe(&self, _py: Python<'_>) -> PyResult<String> {
        Ok(format!(" of {} inodes", self.0.inodes()))
    }
}

#[pymethods]
impl PyTree {
    /// Marks a class whose methods are the native ones (see `Filesystem`).
    #[classattr]
    #[pyo3(name = "__fusesg_base__")]
    const FUSESG_BASE: bool = true;

    /// Takes whatever the `__init__` of a subclass takes.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(PyNative::of_class("Tree", ""))
            .add_subclass(Self { stage: Arc::default() })
    }

    #[pyo3(signature = (*, mode=None, uid=None, gid=None, mtime_ns=None))]
    fn __init__(
        slf: &Bound<'_, Self>,
        mode: Option<&Bound<'_, PyAny>>,
        uid: Option<&Bound<'_, PyAny>>,
        gid: Option<&Bound<'_, PyAny>>,
        mtime_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (user, group) = sys::effective_ids();
        let given = Given { mode, uid, gid, mtime_ns, ..Given::default() };
        let default =
            NodeAttributes { uid: user, gid: group, mtime: now(), ..NodeAttributes::default() };
        let root = given.over(&default, FileType::Directory)?;
        let default = NodeAttributes { xattrs: Vec::new(), ..root.clone() };
        slf.as_super().get().initialise(View(Arc::clone(&slf.get().stage)))?;
        let growing = Growing { builder: TreeBuilder::new(root), default };
        *slf.get().stage.0.lock() = State::Growing(Box::new(growing));
        Ok(())
    }

    #[pyo3(signature = (
        path, segments, *, mode=None, uid=None, gid=None, mtime_ns=None, atime_ns=None,
        ctime_ns=None, xattrs=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "each is a field of what is added")]
    fn add_file(
        &self,
        path: &Bound<'_, PyAny>,
        segments: &Bound<'_, PyAny>,
        mode: Option<&Bound<'_, PyAny>>,
        uid: Option<&Bound<'_, PyAny>>,
        gid: Option<&Bound<'_, PyAny>>,
        mtime_ns: Option<&Bound<'_, PyAny>>,
        atime_ns: Option<&Bound<'_, PyAny>>,
        ctime_ns: Option<&Bound<'_, PyAny>>,
        xattrs: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let given = Given { mode, uid, gid, mtime_ns, atime_ns, ctime_ns, xattrs };
        self.add_file_given(path, segments, &given)
    }

    #[pyo3(signature = (
        path, *, mode=None, uid=None, gid=None, mtime_ns=None, atime_ns=None, ctime_ns=None,
        xattrs=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "each is a field of what is added")]
    fn add_directory(
        &self,
        path: &Bound<'_, PyAny>,
        mode: Option<&Bound<'_, PyAny>>,
        uid: Option<&Bound<'_, PyAny>>,
        gid: Option<&Bound<'_, PyAny>>,
        mtime_ns: Option<&Bound<'_, PyAny>>,
        atime_ns: Option<&Bound<'_, PyAny>>,
        ctime_ns: Option<&Bound<'_, PyAny>>,
        xattrs: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let given = Given { mode, uid, gid, mtime_ns, atime_ns, ctime_ns, xattrs };
        let attributes = given.over(&self.default()?, FileType::Directory)?;
        let bytes = path_bytes(path)?;
        let added = self.stage.grow(|growing| growing.builder.add_directory(&bytes, attributes))?;
        number(added, path)
    }

    #[pyo3(signature = (
        path, target, *, mode=None, uid=None, gid=None, mtime_ns=None, atime_ns=None,
        ctime_ns=None, xattrs=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "each is a field of what is added")]
    fn add_symlink(
        &self,
        path: &Bound<'_, PyAny>,
        target: &Bound<'_, PyAny>,
        mode: Option<&Bound<'_, PyAny>>,
        uid: Option<&Bound<'_, PyAny>>,
        gid: Option<&Bound<'_, PyAny>>,
        mtime_ns: Option<&Bound<'_, PyAny>>,
        atime_ns: Option<&Bound<'_, PyAny>>,
        ctime_ns: Option<&Bound<'_, PyAny>>,
        xattrs: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let given = Given { mode, uid, gid, mtime_ns, atime_ns, ctime_ns, xattrs };
        let attributes = given.over(&self.default()?, FileType::SymbolicLink)?;
        let leads_to = names::os_string("target", target)?;
        if leads_to.is_empty() || leads_to.len() > TARGET_MAX {
            return Err(PyValueError::new_err(format!(
                "target: a symbolic link has 1 … {TARGET_MAX} bytes, not {}",
                leads_to.len()
            )));
        }
        let bytes = path_bytes(path)?;
        let added = self
            .stage
            .grow(|growing| growing.builder.add_symlink(&bytes, leads_to.as_bytes(), attributes))?;
        number(added, path)
    }

    fn add_link(&self, path: &Bound<'_, PyAny>, target: &Bound<'_, PyAny>) -> PyResult<u64> {
        let (bytes, of) = (path_bytes(path)?, path_bytes(target)?);
        let added = self.stage.grow(|growing| growing.builder.add_link(&bytes, &of))?;
        let about = match added {
            Err(AddError::NotFound | AddError::IsADirectory) => target,
            _ => path,
        };
        number(added, about)
    }

    /// Files as tuples, the first two or more arguments of each.
    fn extend(&self, files: &Bound<'_, PyAny>) -> PyResult<()> {
        for file in files.try_iter()? {
            let file = file?;
            let fields = match file.cast::<PyTuple>() {
                Ok(fields) if (2..=6).contains(&fields.len()) => fields,
                _ => {
                    return Err(PyTypeError::new_err(format!(
                        "extend: expected tuples (path, segments, mode, uid, gid, mtime_ns), of \
                         which all but the first two may be left out, got {}",
                        described(&file)
                    )));
                }
            };
            let field = |index| -> PyResult<Option<Bound<'_, PyAny>>> {
                if index < fields.len() {
                    Ok(Some(fields.get_item(index)?).filter(|value| !value.is_none()))
                } else {
                    Ok(None)
                }
            };
            let (path, content) = (fields.get_item(0)?, fields.get_item(1)?);
            let (mode, uid, gid, mtime_ns) = (field(2)?, field(3)?, field(4)?, field(5)?);
            let given = Given {
                mode: mode.as_ref(),
                uid: uid.as_ref(),
                gid: gid.as_ref(),
                mtime_ns: mtime_ns.as_ref(),
                ..Given::default()
            };
            self.add_file_given(&path, &content, &given)?;
        }
        Ok(())
    }

    /// How many inodes there are, the root among them.
    fn __len__(&self) -> usize {
        self.stage.inodes()
    }

    /// A tree without files is a tree.
    #[expect(clippy::unused_self, reason = "Python's signature")]
    fn __bool__(&self) -> bool {
        true
    }
}

impl PyTree {
    fn default(&self) -> PyResult<NodeAttributes> {
        self.stage.grow(|growing| growing.default.clone())
    }

    fn add_file_given(
        &self,
        path: &Bound<'_, PyAny>,
        content: &Bound<'_, PyAny>,
        given: &Given<'_, '_>,
    ) -> PyResult<u64> {
        let attributes = given.over(&self.default()?, FileType::Regular)?;
        let list = segments::as_segments(content)?;
        let bytes = path_bytes(path)?;
        let added =
            self.stage.grow(|growing| growing.builder.add_file(&bytes, list, attributes))?;
        number(added, path)
    }
}

/// Attributes as they came from Python.
#[derive(Default)]
struct Given<'a, 'py> {
    mode: Option<&'a Bound<'py, PyAny>>,
    uid: Option<&'a Bound<'py, PyAny>>,
    gid: Option<&'a Bound<'py, PyAny>>,
    mtime_ns: Option<&'a Bound<'py, PyAny>>,
    atime_ns: Option<&'a Bound<'py, PyAny>>,
    ctime_ns: Option<&'a Bound<'py, PyAny>>,
    xattrs: Option<&'a Bound<'py, PyAny>>,
}

impl Given<'_, '_> {
    /// What was given, and the default for the rest.
    fn over(&self, default: &NodeAttributes, kind: FileType) -> PyResult<NodeAttributes> {
        let id = |name, value: Option<&Bound<'_, PyAny>>, default| {
            value.map_or(Ok(default), |value| integer(name, value, 0..=u32::MAX - 1))
        };
        let time = |name, value: Option<&Bound<'_, PyAny>>| {
            value.map(|value| timestamp(name, value)).transpose()
        };
        Ok(NodeAttributes {
            permissions: permissions(self.mode, kind)?,
            uid: id("uid", self.uid, default.uid)?,
            gid: id("gid", self.gid, default.gid)?,
            mtime: time("mtime_ns", self.mtime_ns)?.unwrap_or(default.mtime),
            atime: time("atime_ns", self.atime_ns)?,
            ctime: time("ctime_ns", self.ctime_ns)?,
            xattrs: match self.xattrs {
                Some(xattrs) => attributes_by_name(xattrs)?,
                None => Vec::new(),
            },
        })
    }
}

/// The permissions in a mode, which may name the type as that of `os.stat` does.
fn permissions(mode: Option<&Bound<'_, PyAny>>, kind: FileType) -> PyResult<u16> {
    let Some(value) = mode else {
        return Ok(match kind {
            FileType::Directory => DIRECTORY,
            FileType::SymbolicLink => SYMLINK,
            _ => FILE,
        });
    };
    let mode: u32 = integer("mode", value, 0..=0o177_777)?;
    if mode & libc::S_IFMT != 0 && FileType::from_mode(mode) != Some(kind) {
        return Err(PyValueError::new_err(format!(
            "mode=0o{mode:o} is that of another kind of file"
        )));
    }
    Ok(u16::try_from(mode & 0o7777).expect("twelve bits"))
}

fn attributes_by_name(xattrs: &Bound<'_, PyAny>) -> PyResult<Vec<Xattr>> {
    let Ok(mapping) = xattrs.cast::<PyMapping>() else {
        return Err(wrong_type("xattrs", "a mapping of names to bytes", xattrs));
    };
    let items: Bound<'_, PyList> = mapping.items()?;
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        let bytes = names::os_string("xattrs", &name)?;
        if bytes.is_empty() || bytes.len() > XATTR_NAME_MAX {
            return Err(PyValueError::new_err(format!(
                "xattrs: a name has 1 … {XATTR_NAME_MAX} bytes, not {}",
                bytes.len()
            )));
        }
        let Some(value) = buffers::share(&value)? else {
            return Err(wrong_type("xattrs", "bytes as values", &value));
        };
        if value.len() > XATTR_VALUE_MAX {
            return Err(PyValueError::new_err(format!(
                "xattrs: a value has at most {XATTR_VALUE_MAX} bytes, not {}",
                value.len()
            )));
        }
        found.push((bytes.as_bytes().into(), value.as_ref().into()));
    }
    Ok(found)
}

/// Bytes of a path; the tree itself says what is wrong with it.
fn path_bytes(path: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    // most are ASCII, and then the copy of the str is the only one
    if let Ok(text) = path.cast::<PyString>()
        && let Ok(text) = text.to_cow()
    {
        return Ok(text.into_owned().into_bytes());
    }
    names::os_string("path", path).map(|path| path.as_bytes().to_vec())
}

fn number(added: std::result::Result<Inode, AddError>, path: &Bound<'_, PyAny>) -> PyResult<u64> {
    match added {
        Ok(inode) => Ok(inode.0),
        Err(AddError::Path(bad)) => {
            Err(PyValueError::new_err(format!("path {} {bad}", path.repr()?)))
        }
        Err(error) => Err(errors::os_error_at(&error.errno().into(), path)),
    }
}

/// A wrong item of [`PyTree::extend`].
fn described(item: &Bound<'_, PyAny>) -> String {
    match item.cast::<PyTuple>() {
        Ok(tuple) => format!("a tuple of {}", tuple.len()),
        Err(_) => type_name(item),
    }
}

fn not_initialised() -> PyErr {
    PyRuntimeError::new_err("Tree was not initialised: call super().__init__() in __init__")
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: since.subsec_nanos(),
    }
}
