//! lookup, and what creates, removes or moves names.

use fusesg_fs::{Entry, Errno, FileType, Inode, Operation, OperationKind, Reply, Result};
use pyo3::prelude::*;

use super::{Callback, done, number};
use crate::values::entry::PyEntry;

pub(super) fn call(call: &Callback<'_, '_>, operation: &Operation<'_>) -> Result<Reply> {
    let kind = operation.kind();
    match operation {
        Operation::Lookup { parent, name } => {
            let result = call.method(kind, (number(*parent), call.name(name)?, call.ctx()))?;
            if result.is_none() {
                return Ok(Reply::Entry(Entry::NEGATIVE));
            }
            let entry = entry(call, kind, &result, "an Entry or None")?;
            Ok(Reply::Entry(entry.delivered()))
        }
        Operation::Symlink { parent, name, target } => {
            let arguments = (number(*parent), call.name(name)?, call.name(target)?, call.ctx());
            created(call, kind, arguments, Some(FileType::SymbolicLink))
        }
        Operation::Mknod { parent, name, mode, rdev } => {
            let arguments = (number(*parent), call.name(name)?, *mode, *rdev, call.ctx());
            created(call, kind, arguments, FileType::from_mode(*mode))
        }
        Operation::Mkdir { parent, name, mode } => {
            let arguments = (number(*parent), call.name(name)?, *mode, call.ctx());
            created(call, kind, arguments, Some(FileType::Directory))
        }
        Operation::Link { inode, new_parent, new_name } => {
            let arguments = (number(*inode), number(*new_parent), call.name(new_name)?, call.ctx());
            created(call, kind, arguments, None)
        }
        Operation::Unlink { parent, name } | Operation::Rmdir { parent, name } => {
            call.method(kind, (number(*parent), call.name(name)?, call.ctx())).map(done)
        }
        Operation::Rename { parent, name, new_parent, new_name, flags } => {
            let arguments = (
                number(*parent),
                call.name(name)?,
                number(*new_parent),
                call.name(new_name)?,
                flags.bits(),
                call.ctx(),
            );
            call.method(kind, arguments).map(done)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// Calls a method that creates something of type `expected`.
fn created<'py, A>(
    call: &Callback<'_, 'py>,
    kind: OperationKind,
    arguments: A,
    expected: Option<FileType>,
) -> Result<Reply>
where
    A: pyo3::call::PyCallArgs<'py>,
{
    let result = call.method(kind, arguments)?;
    let entry = entry(call, kind, &result, "an Entry")?;
    check_type(call, kind, entry, expected)?;
    Ok(Reply::Entry(entry.delivered()))
}

/// The kernel gives up on an inode that is not what it has just created.
pub(super) fn check_type(
    call: &Callback<'_, '_>,
    kind: OperationKind,
    entry: &PyEntry,
    expected: Option<FileType>,
) -> Result<()> {
    match expected {
        Some(expected) if entry.0.attributes.kind != expected => {
            let got = entry.0.attributes.kind;
            Err(call.refuse(kind.name(), &format!("returned a {got:?} entry for a {expected:?}")))
        }
        _ => Ok(()),
    }
}

/// The entry that a method returned.
pub(super) fn entry<'a>(
    call: &Callback<'_, '_>,
    kind: OperationKind,
    result: &'a Bound<'_, PyAny>,
    expected: &str,
) -> Result<&'a PyEntry> {
    let Ok(entry) = result.cast::<PyEntry>() else {
        return Err(call.wrong(kind.name(), &result.as_any().clone(), expected));
    };
    let entry = entry.get();
    match entry.0.attributes.inode {
        Inode(0) => Err(call.refuse(
            kind.name(),
            "returned an Entry with inode 0; a name that does not exist is answered None",
        )),
        Inode::ROOT => Err(call.refuse(
            kind.name(),
            "returned an Entry with inode 1, which is the root and has no name",
        )),
        _ => Ok(entry),
    }
}
