//! What a Python class implements, found out once, when it is mounted.

use fusesg_fs::{OperationKind, OperationSet, Properties};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::conversions::numbers::type_name;
use crate::imports;
use crate::threads::reaper;

/// Marks a class whose methods count as absent (`fusesg.Filesystem` has it).
const BASE_MARK: &str = "__fusesg_base__";

/// Says that methods take paths (`fusesg.PathFilesystem` has it).
const PATHS_MARK: &str = "__fusesg_paths__";

/// The bound methods of a file system object.
#[derive(Debug)]
pub(crate) struct Methods {
    of_operation: [Option<Py<PyAny>>; OperationKind::COUNT],
    /// Operations whose methods are `async def`, and are called in the event loop.
    asynchronous: OperationSet,
    /// What asyncio shows as the names of their tasks.
    task_names: [Option<Py<PyString>>; OperationKind::COUNT],
    /// In place of write: where the bytes shall go.
    pub(crate) write_plan: Option<Py<PyAny>>,
    /// Called when the mount is there.
    pub(crate) init: Option<Py<PyAny>>,
    /// Called when it has ended.
    pub(crate) destroy: Option<Py<PyAny>>,
    /// One of them all is `async def`.
    is_asynchronous: bool,
}

impl Methods {
    /// The methods that `filesystem` itself defines.
    ///
    /// One of paths has no `lookup`, since its `getattr` knows names, and no `forget`.
    pub(crate) fn of(filesystem: &Bound<'_, PyAny>, by_path: bool) -> PyResult<Self> {
        let mut of_operation = [const { None }; OperationKind::COUNT];
        let mut asynchronous = OperationSet::EMPTY;
        let write_plan = own_method(filesystem, "write_plan")?;
        for kind in OperationKind::ALL {
            let name = match kind {
                // one method answers both
                OperationKind::Readdirplus => continue,
                OperationKind::Lookup if by_path => OperationKind::Getattr.name(),
                OperationKind::Forget if by_path => continue,
                kind => kind.name(),
            };
            let method = own_method(filesystem, name)?;
            let called = write_plan.as_ref().filter(|_| *kind == OperationKind::Write);
            if let Some(called) = called.or(method.as_ref())
                && *kind != OperationKind::Forget
                && imports::is_coroutine_function(called.bind(filesystem.py()))?
            {
                asynchronous = asynchronous.with(*kind);
            }
            of_operation[*kind as usize] = method;
        }
        if asynchronous.contains(OperationKind::Readdir) {
            asynchronous = asynchronous.with(OperationKind::Readdirplus);
        }
        let class = type_name(filesystem);
        let task_name = |kind: &OperationKind| {
            let name = method_name(*kind, write_plan.is_some());
            Some(PyString::new(filesystem.py(), &format!("{class}.{name}")).unbind())
        };
        let mut task_names = [const { None }; OperationKind::COUNT];
        for kind in OperationKind::ALL {
            task_names[*kind as usize] = task_name(kind);
        }
        let init = own_method(filesystem, "init")?;
        let destroy = own_method(filesystem, "destroy")?;
        let forget = &of_operation[OperationKind::Forget as usize];
        let mut is_asynchronous = !asynchronous.is_empty();
        for method in [&init, &destroy, forget].into_iter().flatten() {
            is_asynchronous |= imports::is_coroutine_function(method.bind(filesystem.py()))?;
        }
        Ok(Self {
            of_operation,
            asynchronous,
            task_names,
            write_plan,
            init,
            destroy,
            is_asynchronous,
        })
    }

    /// The method that carries out `kind`.
    pub(crate) fn get(&self, kind: OperationKind) -> Option<&Py<PyAny>> {
        self.of_operation[kind as usize].as_ref()
    }

    /// Operations whose methods are `async def`.
    pub(crate) fn asynchronous(&self) -> OperationSet {
        self.asynchronous
    }

    /// Whether the class has any method that is `async def`.
    pub(crate) fn is_asynchronous(&self) -> bool {
        self.is_asynchronous
    }

    /// The name of the method that carries out `kind`.
    pub(crate) fn name(&self, kind: OperationKind) -> &'static str {
        method_name(kind, self.write_plan.is_some())
    }

    /// The name of the task in which it is awaited.
    pub(crate) fn task_name<'py>(&self, py: Python<'py>, kind: OperationKind) -> Bound<'py, PyAny> {
        match &self.task_names[kind as usize] {
            Some(name) => name.bind(py).clone().into_any(),
            None => py.None().into_bound(py),
        }
    }

    /// The operations that go to Python.
    pub(crate) fn operations(&self) -> OperationSet {
        let mut operations: OperationSet =
            OperationKind::ALL.iter().copied().filter(|kind| self.get(*kind).is_some()).collect();
        if operations.contains(OperationKind::Readdir) {
            operations = operations.with(OperationKind::Readdirplus);
        }
        if self.write_plan.is_some() {
            operations = operations.with(OperationKind::Write);
        }
        operations
    }
}

impl Drop for Methods {
    fn drop(&mut self) {
        // the mount usually ends on a thread without the GIL
        let others = [&mut self.write_plan, &mut self.init, &mut self.destroy];
        let methods = self.of_operation.iter_mut().chain(others);
        methods.filter_map(Option::take).for_each(reaper::defer);
        let names = self.task_names.iter_mut().filter_map(Option::take);
        names.for_each(|name| reaper::defer(name.into_any()));
    }
}

fn method_name(kind: OperationKind, has_write_plan: bool) -> &'static str {
    match kind {
        OperationKind::Readdirplus => OperationKind::Readdir.name(),
        OperationKind::Write if has_write_plan => "write_plan",
        kind => kind.name(),
    }
}

/// The bound method `name`, if the object or a class that is no base class defines it.
fn own_method(filesystem: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Py<PyAny>>> {
    if !is_defined(filesystem, name)? {
        return Ok(None);
    }
    let method = filesystem.getattr(name)?;
    // `read = None` takes an inherited method away
    if method.is_none() {
        return Ok(None);
    }
    if !method.is_callable() {
        return Err(PyTypeError::new_err(format!(
            "{}.{name} is no method but {}",
            type_name(filesystem),
            type_name(&method)
        )));
    }
    Ok(Some(method.unbind()))
}

fn is_defined(filesystem: &Bound<'_, PyAny>, name: &str) -> PyResult<bool> {
    let py = filesystem.py();
    if let Some(attributes) = filesystem.getattr_opt(intern!(py, "__dict__"))?
        && attributes.cast::<PyDict>().is_ok_and(|own| own.contains(name).unwrap_or(false))
    {
        return Ok(true);
    }
    for class in filesystem.get_type().mro() {
        let attributes = class.getattr(intern!(py, "__dict__"))?;
        if attributes.contains(name)? {
            return Ok(!is_base(&class.cast_into::<PyType>()?)?);
        }
    }
    Ok(false)
}

/// Whether the class itself (not one it derives from) carries the mark.
fn is_base(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let attributes = class.getattr(intern!(class.py(), "__dict__"))?;
    Ok(attributes.contains(BASE_MARK)? && attributes.get_item(BASE_MARK)?.is_truthy()?)
}

/// What a class declares by class attributes; `None` where it says nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    readdirplus: Option<bool>,
    atomic_o_trunc: Option<bool>,
    cache_symlinks: Option<bool>,
    /// Pages stay valid from one open to the next.
    pub(crate) keep_cache: Option<bool>,
    read_only: Option<bool>,
    /// Methods take paths.
    pub(crate) by_path: bool,
}

impl Declared {
    /// The declarations of `filesystem`; TypeError for one that is no bool.
    pub(crate) fn of(filesystem: &Bound<'_, PyAny>) -> PyResult<Self> {
        let flag = |name: &str| -> PyResult<Option<bool>> {
            let name = PyString::new(filesystem.py(), name);
            let Some(value) = filesystem.getattr_opt(&name)? else { return Ok(None) };
            value.extract::<bool>().map(Some).map_err(|_| {
                PyTypeError::new_err(format!(
                    "{}.{name} must be True or False, not {}",
                    type_name(filesystem),
                    type_name(&value)
                ))
            })
        };
        Ok(Self {
            readdirplus: flag("readdirplus")?,
            atomic_o_trunc: flag("atomic_o_trunc")?,
            cache_symlinks: flag("cache_symlinks")?,
            keep_cache: flag("keep_cache")?,
            read_only: flag("read_only")?,
            by_path: flag(PATHS_MARK)?.unwrap_or(false),
        })
    }

    /// The properties of a class of which `python` goes to Python and the rest to a native
    /// file system with the properties `native`, if there is one.
    ///
    /// A promise of the native file system stands only while no method that would have to
    /// keep it is overridden.
    pub(crate) fn properties(self, python: OperationSet, native: Option<Properties>) -> Properties {
        use OperationKind as Kind;
        let overridden = |kinds: &[Kind]| kinds.iter().any(|kind| python.contains(*kind));
        let mut implemented =
            native.map_or(OperationSet::EMPTY, |native| native.implemented).union(python);
        // the core's own part: handles are kept in a table, listings for an open directory
        if overridden(&[Kind::Open, Kind::Create]) {
            implemented = implemented.with(Kind::Release);
        }
        if overridden(&[Kind::Opendir, Kind::Readdir]) {
            implemented = implemented.with(Kind::Opendir).with(Kind::Releasedir);
        }
        if overridden(&[Kind::Read, Kind::Write]) && !overridden(&[Kind::CopyFileRange]) {
            // the native one would copy past the methods that decide what the bytes are
            implemented = implemented.without(Kind::CopyFileRange);
        }
        let base = native.unwrap_or_default();
        let readdirplus = self.readdirplus.unwrap_or_else(|| match native {
            // lookups of paths are counted here, and so may be those in listings
            _ if self.by_path => true,
            Some(native) => {
                native.readdirplus && !overridden(&[Kind::Lookup, Kind::Getattr, Kind::Readdir])
            }
            // a class that counts lookups cannot know which entries the kernel took
            None => overridden(&[Kind::Readdir]) && !overridden(&[Kind::Forget]),
        });
        if !readdirplus {
            implemented = implemented.without(Kind::Readdirplus);
        }
        let modifies = !implemented.intersection(OperationSet::MODIFYING).is_empty();
        let read_only = self.read_only.unwrap_or(base.read_only || !modifies);
        let implemented = implemented.union(lent(python, native, read_only));
        Properties {
            implemented,
            readdirplus,
            posix_acl: base.posix_acl
                && !overridden(&[
                    Kind::Create,
                    Kind::Mknod,
                    Kind::Mkdir,
                    Kind::Symlink,
                    Kind::Setattr,
                    Kind::Getxattr,
                    Kind::Setxattr,
                    Kind::Listxattr,
                    Kind::Removexattr,
                ]),
            clears_privileges: base.clears_privileges
                && !overridden(&[
                    Kind::Open,
                    Kind::Create,
                    Kind::Write,
                    Kind::Setattr,
                    Kind::Fallocate,
                    Kind::CopyFileRange,
                ]),
            atomic_o_trunc: self
                .atomic_o_trunc
                .unwrap_or(base.atomic_o_trunc && !overridden(&[Kind::Open, Kind::Create])),
            // Python has the GIL, and a native file system said so itself
            parallel_directory_operations: native
                .is_none_or(|native| native.parallel_directory_operations),
            // a class without a native file system may still return a BackingHandle, which
            // says for each open file what is to become of reads and writes
            kernel_passthrough: match native {
                Some(native) => {
                    native.kernel_passthrough && !overridden(&[Kind::Read, Kind::Write])
                }
                None => overridden(&[Kind::Open, Kind::Create]),
            },
            cache_symlinks: self
                .cache_symlinks
                .unwrap_or(base.cache_symlinks && !overridden(&[Kind::Readlink])),
            keep_cache_without_open: self.keep_cache.unwrap_or(base.keep_cache_without_open),
            read_only,
        }
    }
}

/// The operations that a class has only for those open files whose bytes are known, in a
/// file system that is `read_only` or not: open may return such a handle, and what it is for
/// has to arrive.
fn lent(python: OperationSet, native: Option<Properties>, read_only: bool) -> OperationSet {
    use OperationKind as Kind;
    let implemented = native.map_or(python, |native| native.implemented.union(python));
    let opens = python.contains(Kind::Open);
    if !opens && !python.contains(Kind::Create) {
        return OperationSet::EMPTY;
    }
    [
        (Kind::Read, true),
        (Kind::Lseek, true),
        (Kind::Fsync, true),
        // where open is not the class's, other files would be asked for it, too
        (Kind::Flush, opens && native.is_none()),
        (Kind::Write, !read_only),
        (Kind::Fallocate, !read_only),
    ]
    .into_iter()
    .filter(|(kind, wanted)| *wanted && !implemented.contains(*kind))
    .map(|(kind, _)| kind)
    .collect()
}
