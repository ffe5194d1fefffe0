//! File systems of paths: what differs from those of inodes.
//!
//! Most methods have a path for the inode and are else the same; the other files call them,
//! with the path from [`Callback::file`] and [`Callback::open_file`]. Here is the rest:
//!
//! - `getattr` answers lookups, and tells of what was created if the method itself did not,
//! - names become paths, and the table of paths follows what was done to them,
//! - an open file may have lost its last name.

use std::ffi::OsStr;

use fusesg_fs::{
    Entry, Errno, FileType, Handle, Inode, Operation, OperationKind, PathTable, RenameFlags, Reply,
    Result,
};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::{Callback, Outcome, attributes, data, names};
use crate::conversions::errors;
use crate::dispatch::handles;
use crate::values::attributes::PyAttributes;
use crate::values::entry::PyEntry;
use crate::values::opened::PyOpened;
use crate::values::set_attributes::PySetAttributes;
use crate::{imports, sys};

/// What a method that tells of a file may return.
const ENTRY: &str = "Attributes, an Entry or None";

/// Calls the method; returns what it returned, or `None` where only the path is new.
pub(super) fn invoke<'py>(
    call: &Callback<'_, 'py>,
    paths: &PathTable,
    operation: &Operation<'_>,
) -> Result<Option<Bound<'py, PyAny>>> {
    let kind = operation.kind();
    let ctx = || call.ctx();
    let named = |parent: &Inode, name: &OsStr| call.path_of(paths, *parent, name);
    let result = match operation {
        Operation::Lookup { parent, name } => describe(call, kind, named(parent, name)?)?,
        Operation::Unlink { parent, name } | Operation::Rmdir { parent, name } => {
            call.method(kind, (named(parent, name)?, ctx()))?
        }
        Operation::Symlink { parent, name, target } => {
            call.method(kind, (named(parent, name)?, call.name(target)?, ctx()))?
        }
        Operation::Mknod { parent, name, mode, rdev } => {
            call.method(kind, (named(parent, name)?, *mode, *rdev, ctx()))?
        }
        Operation::Mkdir { parent, name, mode } => {
            call.method(kind, (named(parent, name)?, *mode, ctx()))?
        }
        Operation::Create { parent, name, mode, flags } => {
            let (flags, ctx) = call.opening(*flags);
            call.method(kind, (named(parent, name)?, *mode, flags, ctx))?
        }
        Operation::Link { inode, new_parent, new_name } => {
            call.method(kind, (call.file(*inode)?, named(new_parent, new_name)?, ctx()))?
        }
        Operation::Rename { parent, name, new_parent, new_name, flags } => {
            let (from, to) = (named(parent, name)?, named(new_parent, new_name)?);
            call.method(kind, (from, to, flags.bits(), ctx()))?
        }
        Operation::Getattr { inode, handle } => match call.path(paths, *inode)? {
            Some(path) => call.method(kind, (path, call.optional_handle(*handle)?, ctx()))?,
            None => unlinked_attributes(call, paths, *inode, *handle)?,
        },
        Operation::Setattr { inode, handle, changes } => {
            let handle = handle_of(call, paths, *inode, *handle)?;
            let path = call.path(paths, *inode)?;
            if path.is_none() && handle.is_none() {
                return Err(Errno::ESTALE);
            }
            call.method(kind, (path, PySetAttributes(*changes), handle, ctx()))?
        }
        // nothing says which file it is, and nothing is lost if the class does not hear of it
        Operation::Flush { inode, handle, .. } | Operation::Release { inode, handle, .. }
            if call.path(paths, *inode)?.is_none() && call.handle(*handle)?.is_none() =>
        {
            call.py.None().into_bound(call.py)
        }
        // whatever file it is asked through, the file system is one
        Operation::Statfs { inode } if call.path(paths, *inode)?.is_none() => {
            call.method(kind, (PyString::new(call.py, "/"), ctx()))?
        }
        _ => return Ok(None),
    };
    Ok(Some(result))
}

/// What the result comes to, or `None` where only the path was new.
pub(super) fn outcome<'py>(
    call: &Callback<'_, 'py>,
    paths: &PathTable,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
) -> Result<Option<Outcome>> {
    let kind = operation.kind();
    if matches!(operation, Operation::Create { .. })
        && let Some(handle) = handle_of_swapped(result)
    {
        release_untold(call, paths, operation, &handle);
        return Err(call.wrong(kind.name(), result, "(Attributes or Entry, handle), or a handle"));
    }
    if is_untold(operation, result) {
        let told = call
            .describe(|| tell(call, paths, operation))
            .and_then(|told| complete(call, operation, told, result))
            .map_err(|errno| nothing_told(call, operation, result, errno));
        let told = told.inspect_err(|_| {
            if !call.is_described_later() {
                release_untold(call, paths, operation, result);
            }
        })?;
        return outcome(call, paths, operation, &told);
    }
    let new = |parent: &Inode, name: &OsStr, expected| {
        created(call, paths, kind, (*parent, name), expected, result).map(Reply::Entry)
    };
    let reply = match operation {
        Operation::Lookup { .. } if result.is_none() => return Err(Errno::ENOENT),
        Operation::Lookup { parent, name } => {
            let entry = entry(call, "getattr", result)?;
            Reply::Entry(remember(paths, *parent, name, entry)?)
        }
        Operation::Symlink { parent, name, .. } => new(parent, name, Some(FileType::SymbolicLink))?,
        Operation::Mknod { parent, name, mode, .. } => {
            new(parent, name, FileType::from_mode(*mode))?
        }
        Operation::Mkdir { parent, name, .. } => new(parent, name, Some(FileType::Directory))?,
        Operation::Link { new_parent, new_name, .. } => new(new_parent, new_name, None)?,
        Operation::Create { parent, name, flags, .. } => {
            let (told, handle) = pair(result).ok_or(Errno::EIO)?;
            let expected = Some(FileType::Regular);
            let entry = created(call, paths, kind, (*parent, name), expected, &told)?;
            let opened = data::opened(call, kind, *flags, &handle).inspect_err(|_| {
                paths.forget(entry.attributes.inode, 1);
            })?;
            note_handle(paths, entry.attributes.inode, opened.handle);
            Reply::Created(entry, opened)
        }
        Operation::Unlink { parent, name } | Operation::Rmdir { parent, name } => {
            paths.unlink(*parent, name);
            Reply::Done
        }
        Operation::Rename { parent, name, new_parent, new_name, flags } => {
            if flags.contains(RenameFlags::EXCHANGE) {
                paths.exchange(*parent, name, *new_parent, new_name);
            } else {
                paths.rename(*parent, name, *new_parent, new_name);
            }
            Reply::Done
        }
        Operation::Getattr { inode, .. } | Operation::Setattr { inode, .. } => {
            if result.is_none() {
                return Err(Errno::ENOENT);
            }
            let entry = entry(call, kind.name(), result)?;
            let mut reply = attributes::checked(call, kind, *inode, entry.attributes)?;
            reply.timeout = entry.attribute_timeout;
            paths.set_attributes(*inode, &reply.attributes);
            Reply::Attributes(reply)
        }
        Operation::Open { inode, flags } => {
            let opened = data::opened(call, kind, *flags, result)?;
            note_handle(paths, *inode, opened.handle);
            Reply::Opened(opened)
        }
        _ => return Ok(None),
    };
    Ok(Some(reply.into()))
}

impl<'py> Callback<'_, 'py> {
    /// The path of an inode as an argument; `None` if it has none any more.
    fn path(&self, paths: &PathTable, inode: Inode) -> Result<Option<Bound<'py, PyString>>> {
        paths.path(inode).map(|path| self.name(&path)).transpose()
    }

    /// The path of a name as an argument.
    fn path_of(
        &self,
        paths: &PathTable,
        parent: Inode,
        name: &OsStr,
    ) -> Result<Bound<'py, PyString>> {
        // a directory that was removed has nothing in it, and gets nothing
        self.name(&paths.path_of(parent, name).ok_or(Errno::ENOENT)?)
    }
}

/// Whether a method that created or changed something leaves it to `getattr` to tell of it.
fn is_untold(operation: &Operation<'_>, result: &Bound<'_, PyAny>) -> bool {
    match operation {
        Operation::Symlink { .. }
        | Operation::Mknod { .. }
        | Operation::Mkdir { .. }
        | Operation::Link { .. }
        | Operation::Setattr { .. } => result.is_none(),
        Operation::Create { .. } => pair(result).is_none(),
        _ => false,
    }
}

/// Asks `getattr` about what an operation has created or changed.
fn tell<'py>(
    call: &Callback<'_, 'py>,
    paths: &PathTable,
    operation: &Operation<'_>,
) -> Result<Bound<'py, PyAny>> {
    let kind = operation.kind();
    match operation {
        Operation::Setattr { inode, handle, .. } => match call.path(paths, *inode)? {
            Some(path) => describe(call, kind, path),
            None => unlinked_attributes(call, paths, *inode, *handle),
        },
        Operation::Link { new_parent: parent, new_name: name, .. }
        | Operation::Symlink { parent, name, .. }
        | Operation::Mknod { parent, name, .. }
        | Operation::Mkdir { parent, name, .. }
        | Operation::Create { parent, name, .. } => {
            describe(call, kind, call.path_of(paths, *parent, name)?)
        }
        _ => Err(Errno::EIO),
    }
}

/// What the method would have returned that told of the file itself.
fn complete<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
    told: Bound<'py, PyAny>,
    result: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyAny>> {
    if told.is_none() {
        return Err(Errno::ENOENT);
    }
    entry(call, "getattr", &told)?;
    match operation {
        Operation::Create { .. } => PyTuple::new(call.py, [&told, result])
            .map(Bound::into_any)
            .map_err(|error| call.raised("create", &error)),
        _ => Ok(told),
    }
}

/// Releases what `create` opened of which nothing could be told: the kernel will never close
/// it.
pub(super) fn release_untold<'py>(
    call: &Callback<'_, 'py>,
    paths: &PathTable,
    operation: &Operation<'_>,
    handle: &Bound<'py, PyAny>,
) {
    if let Operation::Create { parent, name, .. } = operation
        && call.core.methods.get(OperationKind::Release).is_some()
        && let Ok(path) = call.path_of(paths, *parent, name)
    {
        let handle = match handle.cast::<PyOpened>() {
            Ok(opened) => opened.get().handle.bind(call.py),
            Err(_) => handle,
        };
        // what it raises was logged; there is nobody to tell
        if let Ok(result) = call.method(OperationKind::Release, (path, handle, call.ctx()))
            && sys::is_awaitable(&result)
        {
            let _ = call.core.run_errand(call.py, "release", result.unbind(), None);
        }
    }
}

/// What `create` tells of the file, and the handle; not any tuple, since a handle may be one.
fn pair<'py>(result: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let tuple = result.cast::<PyTuple>().ok().filter(|tuple| tuple.len() == 2)?;
    let told = tuple.get_item(0).ok()?;
    let tells = told.is_instance_of::<PyAttributes>() || told.is_instance_of::<PyEntry>();
    if tells { Some((told, tuple.get_item(1).ok()?)) } else { None }
}

/// The handle, if `create` returned the two the other way round, as pyfuse3 has them.
fn handle_of_swapped<'py>(result: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let tuple = result.cast::<PyTuple>().ok().filter(|tuple| tuple.len() == 2)?;
    let last = tuple.get_item(1).ok().filter(|_| pair(result).is_none())?;
    let tells = last.is_instance_of::<PyAttributes>() || last.is_instance_of::<PyEntry>();
    if tells { tuple.get_item(0).ok() } else { None }
}

/// The errno where `getattr` told nothing of a file: a method that says to have created what
/// is not there has not.
fn nothing_told<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
    errno: Errno,
) -> Errno {
    // a file that was there to be changed may be gone
    if errno != Errno::ENOENT || matches!(operation, Operation::Setattr { .. }) {
        return errno;
    }
    let problem = format!(
        "returned {}, but getattr finds nothing at the new path; expected {}",
        super::shown(result),
        match operation {
            Operation::Create { .. } => "a file there, or (Attributes or Entry, handle)",
            _ => "a file there, or its Attributes or Entry",
        },
    );
    call.refuse(operation.kind().name(), &problem)
}

/// Asks `getattr` about a path.
fn describe<'py>(
    call: &Callback<'_, 'py>,
    kind: OperationKind,
    path: Bound<'py, PyString>,
) -> Result<Bound<'py, PyAny>> {
    debug_assert_ne!(kind, OperationKind::Getattr);
    let getattr = call.core.methods.get(OperationKind::Getattr).ok_or(Errno::ENOSYS)?;
    call.invoke(getattr, "getattr", (path, call.py.None(), call.ctx()))
}

/// Asks about a file without a name: through an open file, if the class can; else the
/// attributes are those that were known last.
fn unlinked_attributes<'py>(
    call: &Callback<'_, 'py>,
    paths: &PathTable,
    inode: Inode,
    handle: Option<Handle>,
) -> Result<Bound<'py, PyAny>> {
    let known = paths.attributes(inode).ok_or(Errno::ESTALE)?;
    let handle = handle_of(call, paths, inode, handle)?;
    let getattr = call.core.methods.get(OperationKind::Getattr).ok_or(Errno::ENOSYS)?;
    if !handle.is_none() {
        match getattr.bind(call.py).call1((call.py.None(), handle, call.ctx())) {
            Ok(result) if sys::is_awaitable(&result) => {
                let known = PyAttributes(known);
                let joined =
                    imports::otherwise(call.py).and_then(|join| join.call1((result, known)));
                return joined.map_err(|error| call.raised("getattr", &error));
            }
            Ok(result) if !result.is_none() => return Ok(result),
            // the backend's error, rather than that of a method that needs a path
            Err(error) => match errors::errno_of(call.py, &error, || call.is_interrupted()) {
                (errno, None) if errno != Errno::ENOENT => return Err(errno),
                _ => {}
            },
            Ok(_) => {}
        }
    }
    let known = Bound::new(call.py, PyAttributes(known));
    known.map(Bound::into_any).map_err(|error| call.raised("getattr", &error))
}

/// The handle as the class knows it; where the kernel names none, as for fstat(2), and the
/// file has no path either, one through which it is open.
fn handle_of<'py>(
    call: &Callback<'_, 'py>,
    paths: &PathTable,
    inode: Inode,
    handle: Option<Handle>,
) -> Result<Bound<'py, PyAny>> {
    let any_open = || paths.open_handle(inode).filter(|_| paths.path(inode).is_none());
    call.optional_handle(handle.or_else(any_open))
}

/// Remembers a handle of the class's for when the file has no path any more.
fn note_handle(paths: &PathTable, inode: Inode, handle: Handle) {
    if handles::is_python(handle) {
        paths.opened(inode, handle);
    }
}

/// The entry that a method's result tells of, with the class's number.
fn entry<'py>(call: &Callback<'_, 'py>, method: &str, result: &Bound<'py, PyAny>) -> Result<Entry> {
    if let Ok(attributes) = result.cast::<PyAttributes>() {
        let attributes = attributes.get().0;
        Ok(Entry { attributes, ..Entry::NEGATIVE })
    } else if let Ok(entry) = result.cast::<PyEntry>() {
        Ok(entry.get().0)
    } else {
        Err(call.wrong(method, result, ENTRY))
    }
}

/// Counts a lookup of an entry, which then has the number that the kernel is told.
fn remember(paths: &PathTable, parent: Inode, name: &OsStr, mut entry: Entry) -> Result<Entry> {
    entry.attributes.inode = paths.remember(parent, name, &entry.attributes)?;
    Ok(entry)
}

/// The entry of something new, of type `expected`.
fn created<'py>(
    call: &Callback<'_, 'py>,
    paths: &PathTable,
    kind: OperationKind,
    (parent, name): (Inode, &OsStr),
    expected: Option<FileType>,
    result: &Bound<'py, PyAny>,
) -> Result<Entry> {
    let entry = entry(call, kind.name(), result)?;
    names::check_type(call, kind, entry.attributes.kind, expected)?;
    remember(paths, parent, name, entry)
}
