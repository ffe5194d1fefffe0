//! lookup, and what creates, removes or moves names.

use fusesg_fs::{Entry, Errno, FileType, Inode, Operation, OperationKind, Reply, Result};
use pyo3::prelude::*;

use super::{Callback, number};
use crate::values::entry::PyEntry;

/// Calls the method; returns what it returned.
pub(super) fn invoke<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
) -> Result<Bound<'py, PyAny>> {
    let kind = operation.kind();
    match operation {
        Operation::Lookup { parent, name }
        | Operation::Unlink { parent, name }
        | Operation::Rmdir { parent, name } => {
            call.method(kind, (number(*parent), call.name(name)?, call.ctx()))
        }
        Operation::Symlink { parent, name, target } => {
            let arguments = (number(*parent), call.name(name)?, call.name(target)?, call.ctx());
            call.method(kind, arguments)
        }
        Operation::Mknod { parent, name, mode, rdev } => {
            let arguments = (number(*parent), call.name(name)?, *mode, *rdev, call.ctx());
            call.method(kind, arguments)
        }
        Operation::Mkdir { parent, name, mode } => {
            call.method(kind, (number(*parent), call.name(name)?, *mode, call.ctx()))
        }
        Operation::Link { inode, new_parent, new_name } => {
            let arguments = (number(*inode), number(*new_parent), call.name(new_name)?, call.ctx());
            call.method(kind, arguments)
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
            call.method(kind, arguments)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// The reply that a result makes.
pub(super) fn reply<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
) -> Result<Reply> {
    let kind = operation.kind();
    match operation {
        Operation::Lookup { .. } if result.is_none() => Ok(Reply::Entry(Entry::NEGATIVE)),
        Operation::Lookup { .. } => {
            let entry = entry(call, kind, result, "an Entry or None")?;
            Ok(Reply::Entry(entry.delivered()))
        }
        Operation::Symlink { .. } => created(call, kind, result, Some(FileType::SymbolicLink)),
        Operation::Mknod { mode, .. } => created(call, kind, result, FileType::from_mode(*mode)),
        Operation::Mkdir { .. } => created(call, kind, result, Some(FileType::Directory)),
        Operation::Link { .. } => created(call, kind, result, None),
        _ => Ok(Reply::Done),
    }
}

/// The entry of something new, of type `expected`.
fn created<'py>(
    call: &Callback<'_, 'py>,
    kind: OperationKind,
    result: &Bound<'py, PyAny>,
    expected: Option<FileType>,
) -> Result<Reply> {
    let entry = entry(call, kind, result, "an Entry")?;
    check_type(call, kind, entry.0.attributes.kind, expected)?;
    Ok(Reply::Entry(entry.delivered()))
}

/// The kernel gives up on an inode that is not what it has just created.
pub(super) fn check_type(
    call: &Callback<'_, '_>,
    kind: OperationKind,
    got: FileType,
    expected: Option<FileType>,
) -> Result<()> {
    match expected {
        Some(expected) if got != expected => {
            let problem =
                format!("returned the entry of {}, not of {}", in_words(got), in_words(expected));
            Err(call.refuse(kind.name(), &problem))
        }
        _ => Ok(()),
    }
}

fn in_words(kind: FileType) -> &'static str {
    match kind {
        FileType::Regular => "a regular file",
        FileType::Directory => "a directory",
        FileType::SymbolicLink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
    }
}

/// The entry that a method returned.
pub(super) fn entry<'a, 'py>(
    call: &Callback<'_, 'py>,
    kind: OperationKind,
    result: &'a Bound<'py, PyAny>,
    expected: &str,
) -> Result<&'a PyEntry> {
    let Ok(entry) = result.cast::<PyEntry>() else {
        return Err(call.wrong(kind.name(), result, expected));
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
