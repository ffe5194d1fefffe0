//! Directories: opendir, readdir, releasedir, fsyncdir.

use std::sync::Arc;

use fusesg_fs::{Errno, Handle, Inode, Operation, OperationKind, Reply, Result};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyString};

use super::{Callback, Outcome, data};
use crate::dispatch::directory_snapshot::{CountingSink, DirectorySnapshot, Name, is_dot};
use crate::values::directory_entry::PyDirectoryEntry;

/// A longer listing is not kept: it may never end.
pub(super) const LONGEST: usize = 1 << 22;

/// No READDIR has room for more: 1 MiB of names of one letter.
pub(super) const LONGEST_READ: usize = 1 << 15;

/// After so many entries it is asked whether anybody still waits for them.
const CHECK_EVERY: usize = 1 << 10;

/// Calls the method; returns what it returned.
pub(super) fn invoke<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
) -> Result<Bound<'py, PyAny>> {
    let kind = operation.kind();
    match operation {
        Operation::Opendir { inode, flags } => {
            let (flags, ctx) = call.opening(*flags);
            call.method(kind, (call.file(*inode)?, flags, ctx))
        }
        Operation::Readdir { inode, handle, offset }
        | Operation::Readdirplus { inode, handle, offset } => {
            let (file, handle) = call.open_file(*inode, *handle)?;
            let arguments = (file, handle, *offset, call.ctx());
            call.method(OperationKind::Readdir, arguments)
        }
        Operation::Releasedir { inode, handle, flags } => {
            let (file, object) = call.open_file(*inode, *handle)?;
            let ctx = call.ctx_of_file(None, *flags);
            call.method(kind, (file, object, ctx))
        }
        Operation::Fsyncdir { inode, handle, datasync } => {
            let (file, handle) = call.open_file(*inode, *handle)?;
            call.method(kind, (file, handle, *datasync, call.ctx()))
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// What a result comes to.
pub(super) fn outcome<'py>(
    call: &mut Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
) -> Result<Outcome> {
    let kind = operation.kind();
    match operation {
        Operation::Opendir { flags, .. } => {
            Ok(Reply::Opened(data::opened(call, kind, *flags, result)?).into())
        }
        Operation::Readdir { inode, handle, offset } => {
            read(call, *inode, *handle, *offset, false, result)
        }
        Operation::Readdirplus { inode, handle, offset } => {
            read(call, *inode, *handle, *offset, true, result)
        }
        _ => Ok(Reply::Done.into()),
    }
}

/// Takes the names that the class gave, from the position where the kernel is.
fn read<'py>(
    call: &mut Callback<'_, 'py>,
    inode: Inode,
    handle: Handle,
    offset: u64,
    plus: bool,
    result: &Bound<'py, PyAny>,
) -> Result<Outcome> {
    let mut names = Names::of(call, result)?;
    let first = names.next(call)?;
    match first {
        Some(first) if first.next_offset.is_some() => {
            // one that was kept when the directory was empty, and so without positions
            call.core.listings.remove(handle);
            let Some(responder) = call.responder.take() else { return Err(Errno::EIO) };
            let mut sink = CountingSink::new(responder, plus, call.core.directory(inode));
            let filled = fill(call, &mut sink, offset, first, names);
            Ok(Outcome::Listed(filled, sink.into_counted()))
        }
        first if offset == 0 => {
            let listing = collect(call, inode, first, names)?;
            call.core.listings.set(handle, Arc::new(listing));
            Ok(Outcome::Listing)
        }
        // the class has positions of its own, and there is nothing behind this one
        None => Ok(Reply::Done.into()),
        // no listing was kept for this position: the whole of it was asked for again
        first => {
            let listing = collect(call, inode, first, names)?;
            call.core.listings.set(handle, Arc::new(listing));
            Ok(Outcome::Listing)
        }
    }
}

/// A whole listing, for a class without positions.
fn collect<'py>(
    call: &Callback<'_, 'py>,
    inode: Inode,
    first: Option<PyDirectoryEntry>,
    mut rest: Names<'py>,
) -> Result<DirectorySnapshot> {
    let mut names = Vec::new();
    let mut next = first;
    while let Some(entry) = next {
        if entry.next_offset.is_some() {
            return Err(mixed(call));
        }
        if names.len() == LONGEST {
            let problem = format!("gave more than {LONGEST} entries without next_offset");
            return Err(call.refuse("readdir", &problem));
        }
        if names.len().is_multiple_of(CHECK_EVERY) && call.is_cancelled() {
            return Err(Errno::EINTR);
        }
        // in a listing of names only the dots say nothing
        if entry.inode != Inode(0) || !is_dot(&entry.name) {
            names.push(Name::from(entry));
        }
        next = rest.next(call)?;
    }
    Ok(DirectorySnapshot::new(inode, names, call.core.directory(inode)))
}

/// Entries with the class's own positions, as many as the kernel takes. `.` and `..` are
/// the class's to list, since only it has positions to give to them.
fn fill<'py>(
    call: &Callback<'_, 'py>,
    sink: &mut CountingSink<'_>,
    offset: u64,
    first: PyDirectoryEntry,
    mut rest: Names<'py>,
) -> Result<()> {
    let mut next = Some(first);
    let mut position = offset;
    while let Some(entry) = next {
        let Some(next_offset) = entry.next_offset else { return Err(mixed(call)) };
        // positions may have any order, but one that comes after itself would be asked for again
        // and again
        if next_offset == offset || next_offset == position {
            return Err(standing_still(call, next_offset));
        }
        position = next_offset;
        if !sink.add(&Name::from(entry), next_offset) {
            break;
        }
        next = rest.next(call)?;
    }
    Ok(())
}

fn mixed(call: &Callback<'_, '_>) -> Errno {
    call.refuse("readdir", "gave next_offset with some entries and not with others")
}

fn standing_still(call: &Callback<'_, '_>, position: u64) -> Errno {
    let problem = format!(
        "gave next_offset={position} to an entry that comes after position {position}: positions \
         must lead on, or the listing never ends"
    );
    call.refuse("readdir", &problem)
}

/// The entries that readdir returned, checked one by one.
struct Names<'py>(Bound<'py, PyIterator>);

impl<'py> Names<'py> {
    fn of(call: &Callback<'_, 'py>, result: &Bound<'py, PyAny>) -> Result<Self> {
        let by_path = call.core.paths.is_some();
        let expected = if by_path {
            "an iterable of names or DirectoryEntry"
        } else {
            "an iterable of DirectoryEntry"
        };
        // a str is an iterable of names, one for each letter: certainly a mistake
        if by_path && result.is_instance_of::<PyString>() {
            return Err(call.wrong("readdir", result, expected));
        }
        result.try_iter().map(Self).map_err(|_| call.wrong("readdir", result, expected))
    }

    fn next(&mut self, call: &Callback<'_, 'py>) -> Result<Option<PyDirectoryEntry>> {
        let Some(entry) = self.0.next() else { return Ok(None) };
        let entry = entry.map_err(|error| call.raised("readdir", &error))?;
        let by_path = call.core.paths.is_some();
        if let Ok(known) = entry.cast::<PyDirectoryEntry>() {
            let known = known.get();
            if known.inode == Inode(0) && !by_path {
                let expected = "entries with an inode above 0";
                return Err(call.wrong("readdir", &entry, expected));
            }
            Ok(Some(known.clone()))
        } else if by_path && entry.is_instance_of::<PyString>() {
            match PyDirectoryEntry::named(&entry) {
                Ok(named) => Ok(Some(named)),
                Err(error) => Err(call.refuse("readdir", &format!("gave a name: {error}"))),
            }
        } else {
            let expected = if by_path { "names or DirectoryEntry" } else { "DirectoryEntry" };
            Err(call.wrong("readdir", &entry, &format!("entries that are {expected}")))
        }
    }
}
