//! Attributes, symbolic links' targets, access and statfs.

use std::os::unix::ffi::OsStringExt;

use fusesg_fs::{AttributesReply, Errno, Inode, Operation, OperationKind, Reply, Result};
use pyo3::prelude::*;

use super::{Callback, done, number};
use crate::conversions::names;
use crate::values::attributes::PyAttributes;
use crate::values::filesystem_statistics::PyFilesystemStatistics;
use crate::values::set_attributes::PySetAttributes;

/// Longest target of a symbolic link: one page with its NUL.
const TARGET_MAX: usize = 4095;

pub(super) fn call(call: &Callback<'_, '_>, operation: &Operation<'_>) -> Result<Reply> {
    let kind = operation.kind();
    match operation {
        Operation::Getattr { inode, handle } => {
            let handle = call.optional_handle(*handle)?;
            let result = call.method(kind, (number(*inode), handle, call.ctx()))?;
            attributes(call, kind, *inode, &result)
        }
        Operation::Setattr { inode, handle, changes } => {
            let handle = call.optional_handle(*handle)?;
            let arguments = (number(*inode), PySetAttributes(*changes), handle, call.ctx());
            let result = call.method(kind, arguments)?;
            attributes(call, kind, *inode, &result)
        }
        Operation::Readlink { inode } => {
            let result = call.method(kind, (number(*inode), call.ctx()))?;
            match names::os_string("target", &result) {
                Ok(target) if (1..=TARGET_MAX).contains(&target.len()) => {
                    Ok(Reply::Target(target.into_vec()))
                }
                _ => Err(call.wrong(kind.name(), &result, "a str of 1 to 4095 bytes without NUL")),
            }
        }
        Operation::Access { inode, mask } => {
            call.method(kind, (number(*inode), *mask, call.ctx())).map(done)
        }
        Operation::Statfs { inode } => {
            let result = call.method(kind, (number(*inode), call.ctx()))?;
            match result.cast::<PyFilesystemStatistics>() {
                Ok(statistics) => Ok(Reply::Statistics(statistics.get().inner)),
                Err(_) => Err(call.wrong(kind.name(), &result, "FilesystemStatistics")),
            }
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// The attributes of `inode` that a method returned.
fn attributes(
    call: &Callback<'_, '_>,
    kind: OperationKind,
    inode: Inode,
    result: &Bound<'_, PyAny>,
) -> Result<Reply> {
    let Ok(attributes) = result.cast::<PyAttributes>() else {
        return Err(call.wrong(kind.name(), &result.as_any().clone(), "Attributes"));
    };
    let mut attributes = attributes.get().0;
    // the kernel would give the inode up, and with this one the whole mount
    if let Some(root) = call.core.root
        && inode == Inode::ROOT
        && attributes.kind != root
    {
        let problem = format!(
            "returned a {:?} for the root; it must be a {root:?}, as the mount point is",
            attributes.kind
        );
        return Err(call.refuse(kind.name(), &problem));
    }
    // the kernel asked about this inode; `Attributes.from_stat` of a backing file may carry
    // that file's number, which must not become the st_ino
    attributes.inode = inode;
    Ok(Reply::Attributes(AttributesReply { attributes, timeout: None }))
}
