//! Operations as calls of Python methods: arguments out, result in and checked.
//!
//! | operations | file |
//! |---|---|
//! | lookup and what creates, removes or moves names | `names.rs` |
//! | attributes, symbolic links, access, statfs | `attributes.rs` |
//! | open files: open, read, write, and the like | `data.rs` |
//! | which flags of an open a class gets | `open_flags.rs` |
//! | directories | `directories.rs` |
//! | extended attributes | `xattrs.rs` |
//! | POSIX locks | `locks.rs` |
//! | ioctl, poll, bmap | `misc.rs` |
//! | file systems of paths: what differs | `paths.rs` |
//!
//! All of it runs with the GIL held. Whatever moves bytes is left to the [`Outcome`],
//! which is carried out after the GIL was released.

mod attributes;
mod data;
mod directories;
mod locks;
mod misc;
mod names;
mod open_flags;
mod paths;
mod xattrs;

use std::cell::RefCell;
use std::sync::Arc;

use fusesg_fs::{Context, Errno, Inode, LockOwner, Operation, OperationKind, Reply, Result};
use fusesg_serve::Responder;
use fusesg_sg::SegmentList;
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};

use crate::conversions::errors;
use crate::conversions::numbers::type_name;
use crate::data::segments::ReadData;
use crate::dispatch::dispatcher::Core;
use crate::dispatch::handles;
use crate::imports;
use crate::log_queue;
use crate::native::native_handle::PyNativeHandle;
use crate::sys;
use crate::threads::interruption;
use crate::values::context::PyContext;

/// How many characters of a wrong result a log record shows.
const LONGEST_SHOWN: usize = 100;

/// What a callback decided.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The answer.
    Reply(Reply),
    /// The answer comes when this has been awaited.
    Awaitable(ToAwait),
    /// This READ is answered when its pieces are there.
    Fetch(ReadData),
    /// The bytes of this WRITE go here.
    WritePlan(SegmentList),
    /// The listing to answer this READDIR from is in the table of listings.
    Listing,
    /// The entries are in the responder; these lookups were counted for them.
    Listed(Result<()>, Vec<Inode>),
}

/// What has to be awaited.
#[derive(Debug)]
pub(crate) struct ToAwait {
    pub(crate) awaitable: Py<PyAny>,
    /// What the method has returned already, where this is to tell of what it made.
    pub(crate) result: Option<Py<PyAny>>,
}

impl ToAwait {
    fn the_result(awaitable: Bound<'_, PyAny>) -> Outcome {
        Outcome::Awaitable(Self { awaitable: awaitable.unbind(), result: None })
    }
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// One operation on its way through Python.
pub(crate) struct Callback<'a, 'py> {
    pub(crate) py: Python<'py>,
    pub(crate) core: &'a Arc<Core>,
    pub(crate) context: &'a Context,
    pub(crate) responder: Option<&'a mut Responder>,
    /// What else is to be known for the outcome, if that takes another call.
    pub(crate) description: RefCell<Description<'py>>,
}

/// The result of a second call: what `getattr` says of a file that another method made.
#[derive(Default)]
pub(crate) enum Description<'py> {
    /// It was not needed yet.
    #[default]
    Unknown,
    /// It is needed, and has to be awaited.
    Wanted(Bound<'py, PyAny>),
    /// It has been awaited.
    Known(PyResult<Bound<'py, PyAny>>),
}

/// The files here, by what they take care of.
#[derive(Clone, Copy)]
enum Group {
    Names,
    Attributes,
    Data,
    Directories,
    Xattrs,
    Locks,
    Misc,
}

fn group(kind: OperationKind) -> Group {
    use OperationKind as Kind;
    match kind {
        Kind::Lookup
        | Kind::Forget
        | Kind::Symlink
        | Kind::Mknod
        | Kind::Mkdir
        | Kind::Unlink
        | Kind::Rmdir
        | Kind::Rename
        | Kind::Link => Group::Names,
        Kind::Getattr | Kind::Setattr | Kind::Readlink | Kind::Access | Kind::Statfs => {
            Group::Attributes
        }
        Kind::Open
        | Kind::Create
        | Kind::Read
        | Kind::Write
        | Kind::Flush
        | Kind::Release
        | Kind::Fsync
        | Kind::Fallocate
        | Kind::Lseek
        | Kind::CopyFileRange => Group::Data,
        Kind::Opendir | Kind::Readdir | Kind::Readdirplus | Kind::Releasedir | Kind::Fsyncdir => {
            Group::Directories
        }
        Kind::Getxattr | Kind::Setxattr | Kind::Listxattr | Kind::Removexattr => Group::Xattrs,
        Kind::Getlk | Kind::Setlk => Group::Locks,
        Kind::Bmap | Kind::Ioctl | Kind::Poll => Group::Misc,
    }
}

/// Calls the method that implements `operation`, and judges what it returned.
pub(crate) fn call(mut callback: Callback<'_, '_>, operation: &Operation<'_>) -> Result<Outcome> {
    let result = invoke(&callback, operation)?;
    if sys::is_awaitable(&result) {
        let Callback { py, core, .. } = callback;
        let started = core.event_loop.start(py);
        started.map_err(|error| callback.raised(core.methods.name(operation.kind()), &error))?;
        return Ok(ToAwait::the_result(result));
    }
    judge(&mut callback, operation, &result)
}

/// Judges what the method has come to that returned an awaitable.
pub(crate) fn awaited<'py>(
    mut callback: Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: PyResult<Bound<'py, PyAny>>,
) -> Result<Outcome> {
    let method = callback.core.methods.name(operation.kind());
    let result = result.map_err(|error| callback.raised(method, &error))?;
    judge(&mut callback, operation, &result)
}

/// The same of a method that had returned `result`, and of what was awaited to tell of it.
pub(crate) fn described<'py>(
    mut callback: Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
    description: PyResult<Bound<'py, PyAny>>,
) -> Result<Outcome> {
    callback.description = RefCell::new(Description::Known(description));
    judge(&mut callback, operation, result)
}

/// Gives back what is in `result`, of which nothing will be told.
pub(crate) fn discard<'py>(
    callback: &Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
) {
    if let Some(paths) = &callback.core.paths {
        paths::release_untold(callback, paths, operation, result);
    }
}

/// The outcome, unless it still has to be collected.
fn judge<'py>(
    callback: &mut Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
) -> Result<Outcome> {
    let kind = operation.kind();
    if lists(kind) && sys::is_async_iterable(result) {
        let most = (directories::LONGEST + 1, directories::LONGEST_READ);
        let collected = imports::listed(callback.py)
            .and_then(|listed| listed.call1((result, most.0, most.1)))
            .map_err(|error| callback.raised(kind.name(), &error))?;
        return Ok(ToAwait::the_result(collected));
    }
    let outcome = outcome(callback, operation, result);
    let Description::Wanted(description) = callback.description.take() else { return outcome };
    let (awaitable, result) = (description.unbind(), Some(result.clone().unbind()));
    Ok(Outcome::Awaitable(ToAwait { awaitable, result }))
}

/// Whether a method of that kind may be an asynchronous generator.
fn lists(kind: OperationKind) -> bool {
    use OperationKind as Kind;
    matches!(kind, Kind::Readdir | Kind::Readdirplus | Kind::Listxattr)
}

/// Calls the method that implements `operation`. What it raises becomes an errno.
fn invoke<'py>(call: &Callback<'_, 'py>, operation: &Operation<'_>) -> Result<Bound<'py, PyAny>> {
    if let Some(paths) = &call.core.paths
        && let Some(result) = paths::invoke(call, paths, operation)?
    {
        return Ok(result);
    }
    match group(operation.kind()) {
        Group::Names => names::invoke(call, operation),
        Group::Attributes => attributes::invoke(call, operation),
        Group::Data => data::invoke(call, operation),
        Group::Directories => directories::invoke(call, operation),
        Group::Xattrs => xattrs::invoke(call, operation),
        Group::Locks => locks::invoke(call, operation),
        Group::Misc => misc::invoke(call, operation),
    }
}

/// Whether a method has nothing to tell but that it has succeeded.
///
/// An int that it returns is meant as C and other libraries have it, 0 or a negative errno or a
/// truth, and nobody would see what it says.
fn returns_nothing(kind: OperationKind) -> bool {
    use OperationKind as Kind;
    matches!(
        kind,
        Kind::Unlink
            | Kind::Rmdir
            | Kind::Rename
            | Kind::Access
            | Kind::Flush
            | Kind::Release
            | Kind::Fsync
            | Kind::Fallocate
            | Kind::Releasedir
            | Kind::Fsyncdir
            | Kind::Setxattr
            | Kind::Removexattr
            | Kind::Setlk
    )
}

/// What the result of that method comes to, if it is one that the method may have.
fn outcome<'py>(
    call: &mut Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
) -> Result<Outcome> {
    if returns_nothing(operation.kind()) && result.is_instance_of::<PyInt>() {
        const EXPECTED: &str = "None (what fails is raised: OSError(errno.EACCES, text))";
        return Err(call.wrong(operation.kind().name(), result, EXPECTED));
    }
    if let Some(paths) = &call.core.paths
        && let Some(outcome) = paths::outcome(call, paths, operation, result)?
    {
        return Ok(outcome);
    }
    match group(operation.kind()) {
        Group::Names => names::reply(call, operation, result).map(Outcome::Reply),
        Group::Attributes => attributes::reply(call, operation, result).map(Outcome::Reply),
        Group::Data => data::outcome(call, operation, result),
        Group::Directories => directories::outcome(call, operation, result),
        Group::Xattrs => xattrs::reply(call, operation, result).map(Outcome::Reply),
        Group::Locks => locks::reply(call, operation, result).map(Outcome::Reply),
        Group::Misc => misc::reply(call, operation, result).map(Outcome::Reply),
    }
}

impl<'py> Callback<'_, 'py> {
    /// The context of an operation that carries nothing more than its caller.
    fn ctx(&self) -> PyContext {
        let responder = self.responder.as_ref();
        PyContext::of(*self.context, responder.map(|responder| responder.cancellation()))
    }

    /// Whether nobody waits for the answer any more.
    fn is_cancelled(&self) -> bool {
        let responder = self.responder.as_ref();
        responder.is_some_and(|responder| responder.cancellation().is_cancelled())
    }

    /// Whether what the callback raises may be due to that, or to the end of its event loop.
    fn is_interrupted(&self) -> bool {
        self.is_cancelled() || self.core.event_loop.is_ending()
    }

    /// The context of an operation that carries a lock owner or the flags of the open file.
    fn ctx_of_file(&self, lock_owner: Option<LockOwner>, open_flags: i32) -> PyContext {
        PyContext { lock_owner, open_flags, ..self.ctx() }
    }

    /// The flags of an open as the class gets them, and a context that has all.
    fn opening(&self, flags: i32) -> (i32, PyContext) {
        let given = open_flags::for_class(flags, self.core.writeback);
        (given, PyContext { given_flags: Some(given), ..self.ctx_of_file(None, flags) })
    }

    /// The result of a second call, which `call` makes unless it has been awaited already. One
    /// that has to be awaited is an error until it has.
    fn describe(
        &self,
        call: impl FnOnce() -> Result<Bound<'py, PyAny>>,
    ) -> Result<Bound<'py, PyAny>> {
        if let Description::Known(known) = self.description.take() {
            return known.map_err(|error| self.raised("getattr", &error));
        }
        let result = call()?;
        if !sys::is_awaitable(&result) {
            return Ok(result);
        }
        self.core.event_loop.start(self.py).map_err(|error| self.raised("getattr", &error))?;
        self.description.replace(Description::Wanted(result));
        Err(Errno::EAGAIN)
    }

    /// Whether a second call has to be awaited.
    fn is_described_later(&self) -> bool {
        matches!(*self.description.borrow(), Description::Wanted(_))
    }

    /// Calls a method; what it raises becomes an errno, and a log record where it is news.
    fn method<A>(&self, kind: OperationKind, arguments: A) -> Result<Bound<'py, PyAny>>
    where
        A: PyCallArgs<'py>,
    {
        let method = self.core.methods.get(kind).ok_or(Errno::ENOSYS)?;
        self.invoke(method, kind.name(), arguments)
    }

    /// [`method`](Self::method) for a method that is no operation.
    fn invoke<A>(&self, method: &Py<PyAny>, name: &str, arguments: A) -> Result<Bound<'py, PyAny>>
    where
        A: PyCallArgs<'py>,
    {
        method.bind(self.py).call1(arguments).map_err(|error| self.raised(name, &error))
    }

    /// The errno for an exception that came out of a method.
    fn raised(&self, method: &str, error: &PyErr) -> Errno {
        if interruption::is_of_caller(self.py, error) {
            return Errno::EINTR;
        }
        let (errno, traceback) = errors::errno_of(self.py, error, || self.is_interrupted());
        if let Some(traceback) = traceback {
            let class = &self.core.class_name;
            let problem = errors::problem(self.py, error);
            log_queue::error(format!(
                "{class}.{method} raised{problem}; answered {errno}\n{traceback}"
            ));
        }
        errno
    }

    /// Logs that a method returned something that cannot be an answer.
    fn wrong(&self, method: &str, returned: &Bound<'py, PyAny>, expected: &str) -> Errno {
        self.refuse(method, &format!("returned {}; expected {expected}", shown(returned)))
    }

    /// Logs why the answer of a method is not sent.
    fn refuse(&self, method: &str, problem: &str) -> Errno {
        log_queue::error(format!("{}.{method} {problem}; answered EIO", self.core.class_name));
        Errno::EIO
    }

    /// The handle as the class knows it: what its open returned, `None` where it has no
    /// open, or the native file system's.
    fn handle(&self, handle: fusesg_fs::Handle) -> Result<Bound<'py, PyAny>> {
        if handles::is_python(handle) {
            let open = self.core.handles.get(handle).ok_or(Errno::EBADF)?;
            return Ok(open.object(self.py).into_bound(self.py));
        }
        let Some(native) = &self.core.native else {
            return Ok(self.py.None().into_bound(self.py));
        };
        let file_system = Arc::clone(native.file_system());
        match Bound::new(self.py, PyNativeHandle::of_kernel(file_system, handle)) {
            Ok(handle) => Ok(handle.into_any()),
            Err(error) => Err(self.raised("handle", &error)),
        }
    }

    /// [`handle`](Self::handle) where an operation may come without.
    fn optional_handle(&self, handle: Option<fusesg_fs::Handle>) -> Result<Bound<'py, PyAny>> {
        match handle {
            Some(handle) => self.handle(handle),
            None => Ok(self.py.None().into_bound(self.py)),
        }
    }

    /// A file as an argument: its inode number, or its path.
    fn file(&self, inode: Inode) -> Result<Bound<'py, PyAny>> {
        match &self.core.paths {
            None => {
                let Ok(number) = number(inode).into_pyobject(self.py);
                Ok(number.into_any())
            }
            Some(paths) => match paths.path(inode) {
                Some(path) => self.name(&path).map(Bound::into_any),
                None => Err(Errno::ESTALE),
            },
        }
    }

    /// The same of an open file, and its handle. Without a path there is at least a handle.
    fn open_file(
        &self,
        inode: Inode,
        handle: fusesg_fs::Handle,
    ) -> Result<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let handle = self.handle(handle)?;
        match self.file(inode) {
            Err(Errno::ESTALE) if !handle.is_none() => {
                Ok((self.py.None().into_bound(self.py), handle))
            }
            file => Ok((file?, handle)),
        }
    }

    /// A name as an argument.
    fn name(&self, name: &std::ffi::OsStr) -> Result<Bound<'py, pyo3::types::PyString>> {
        crate::conversions::names::to_python(self.py, name)
            .map_err(|error| self.raised("name", &error))
    }

    /// An int that a method returned, within `0..=most`; a bool, which would be 0 or 1, is a
    /// mistake.
    fn count(&self, method: &str, returned: &Bound<'py, PyAny>, most: u64) -> Result<u64> {
        match returned.extract::<u64>() {
            Ok(count) if count <= most && !returned.is_instance_of::<PyBool>() => Ok(count),
            _ => Err(self.wrong(method, returned, &format!("an int from 0 to {most}"))),
        }
    }
}

/// An inode as an argument.
fn number(inode: Inode) -> u64 {
    inode.0
}

/// What a method returned, for a log record.
fn shown(returned: &Bound<'_, PyAny>) -> String {
    // showing the value runs its code: it may raise, and must not decide anything
    let mut shown =
        returned.repr().map_or_else(|_| "<unprintable>".to_owned(), |text| text.to_string());
    if let Some((end, _)) = shown.char_indices().nth(LONGEST_SHOWN) {
        shown.truncate(end);
        shown.push('…');
    }
    if !returned.is_none() {
        shown = format!("{shown} ({})", type_name(returned));
    }
    shown
}
