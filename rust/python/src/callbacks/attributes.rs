//! Attributes, symbolic links' targets, access and statfs.

use std::os::unix::ffi::OsStringExt;

use fusesg_fs::{
    Attributes, AttributesReply, Errno, Inode, Operation, OperationKind, Reply, Result,
};
use pyo3::prelude::*;

use super::Callback;
use crate::conversions::names;
use crate::values::attributes::PyAttributes;
use crate::values::filesystem_statistics::PyFilesystemStatistics;
use crate::values::set_attributes::PySetAttributes;

/// Longest target of a symbolic link: one page with its NUL.
const TARGET_MAX: usize = 4095;

/// Calls the method; returns what it returned.
pub(super) fn invoke<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
) -> Result<Bound<'py, PyAny>> {
    let kind = operation.kind();
    match operation {
        Operation::Getattr { inode, handle } => {
            let handle = call.optional_handle(*handle)?;
            call.method(kind, (call.file(*inode)?, handle, call.ctx()))
        }
        Operation::Setattr { inode, handle, changes } => {
            let handle = call.optional_handle(*handle)?;
            call.method(kind, (call.file(*inode)?, PySetAttributes(*changes), handle, call.ctx()))
        }
        Operation::Readlink { inode } | Operation::Statfs { inode } => {
            call.method(kind, (call.file(*inode)?, call.ctx()))
        }
        Operation::Access { inode, mask } => {
            call.method(kind, (call.file(*inode)?, *mask, call.ctx()))
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
        Operation::Getattr { inode, .. } | Operation::Setattr { inode, .. } => {
            attributes(call, kind, *inode, result)
        }
        Operation::Readlink { .. } => match names::os_string("target", result) {
            Ok(target) if (1..=TARGET_MAX).contains(&target.len()) => {
                Ok(Reply::Target(target.into_vec()))
            }
            _ => Err(call.wrong(kind.name(), result, "a str of 1 to 4095 bytes without NUL")),
        },
        Operation::Statfs { .. } => match result.cast::<PyFilesystemStatistics>() {
            Ok(statistics) => Ok(Reply::Statistics(statistics.get().inner)),
            Err(_) => Err(call.wrong(kind.name(), result, "FilesystemStatistics")),
        },
        _ => Ok(Reply::Done),
    }
}

/// The attributes of `inode` that a method returned.
fn attributes<'py>(
    call: &Callback<'_, 'py>,
    kind: OperationKind,
    inode: Inode,
    result: &Bound<'py, PyAny>,
) -> Result<Reply> {
    let Ok(attributes) = result.cast::<PyAttributes>() else {
        return Err(call.wrong(kind.name(), result, "Attributes"));
    };
    checked(call, kind, inode, attributes.get().0).map(Reply::Attributes)
}

/// The same, of attributes that are some.
pub(super) fn checked(
    call: &Callback<'_, '_>,
    kind: OperationKind,
    inode: Inode,
    mut attributes: Attributes,
) -> Result<AttributesReply> {
    // the kernel would give the inode up, and with this one the whole mount
    if inode == Inode::ROOT
        && let Some(root) = call.core.root.refuses(attributes.kind)
    {
        if call.core.root.is_asked() {
            return Err(Errno::EIO);
        }
        let problem = format!(
            "returned a {:?} for the root; it must be a {root:?}, as the mount point is",
            attributes.kind
        );
        return Err(call.refuse(kind.name(), &problem));
    }
    // the kernel asked about this inode; `Attributes.from_stat` of a backing file may carry
    // that file's number, which must not become the st_ino
    attributes.inode = inode;
    Ok(AttributesReply { attributes, timeout: None })
}
