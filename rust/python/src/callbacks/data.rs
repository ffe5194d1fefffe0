//! Open files: open, create, read, write and the rest that needs one.

use std::sync::atomic::Ordering;

use fusesg_fs::{
    Errno, FileType, Handle, Opened, OpenedFlags, Operation, OperationKind, Reply, Result,
};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::{Callback, Outcome, names, number};
use crate::data::{buffers, handles as data_handles, segments};
use crate::dispatch::handles;
use crate::log_queue;
use crate::native::native_handle::PyNativeHandle;
use crate::values::context::{PyContext, WRITE_CACHE, WRITE_KILL_SUIDGID, WRITE_LOCKOWNER};
use crate::values::opened::PyOpened;

/// Calls the method; returns what it returned.
pub(super) fn invoke<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
) -> Result<Bound<'py, PyAny>> {
    let kind = operation.kind();
    match operation {
        Operation::Open { inode, flags } => {
            let (flags, ctx) = call.opening(*flags);
            call.method(kind, (call.file(*inode)?, flags, ctx))
        }
        Operation::Create { parent, name, mode, flags } => {
            let (flags, ctx) = call.opening(*flags);
            call.method(kind, (number(*parent), call.name(name)?, *mode, flags, ctx))
        }
        Operation::Read { inode, handle, offset, size, flags, lock_owner } => {
            let (file, handle) = call.open_file(*inode, *handle)?;
            let ctx = call.ctx_of_file(*lock_owner, *flags);
            call.method(kind, (file, handle, *offset, *size, ctx))
        }
        Operation::Write { .. } => write(call, operation),
        Operation::Flush { inode, handle, lock_owner } => {
            let (file, handle) = call.open_file(*inode, *handle)?;
            let ctx = call.ctx_of_file(Some(*lock_owner), 0);
            call.method(kind, (file, handle, ctx))
        }
        Operation::Release { inode, handle, flags, lock_owner } => {
            let (file, object) = call.open_file(*inode, *handle)?;
            let ctx = call.ctx_of_file(*lock_owner, *flags);
            call.method(kind, (file, object, ctx))
        }
        Operation::Fsync { inode, handle, datasync } => {
            let (file, handle) = call.open_file(*inode, *handle)?;
            call.method(kind, (file, handle, *datasync, call.ctx()))
        }
        Operation::Fallocate { inode, handle, offset, length, mode } => {
            let (file, handle) = call.open_file(*inode, *handle)?;
            let arguments = (file, handle, *offset, *length, *mode, call.ctx());
            call.method(kind, arguments)
        }
        Operation::Lseek { inode, handle, offset, whence } => {
            let (file, handle) = call.open_file(*inode, *handle)?;
            call.method(kind, (file, handle, *offset, *whence, call.ctx()))
        }
        Operation::CopyFileRange {
            in_inode,
            in_handle,
            in_offset,
            out_inode,
            out_handle,
            out_offset,
            length,
            flags,
        } => {
            let (in_file, in_handle) = call.open_file(*in_inode, *in_handle)?;
            let (out_file, out_handle) = call.open_file(*out_inode, *out_handle)?;
            let arguments = (
                in_file,
                in_handle,
                *in_offset,
                out_file,
                out_handle,
                *out_offset,
                countable(*length),
                *flags,
                call.ctx(),
            );
            call.method(kind, arguments)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// What a result comes to.
pub(super) fn outcome<'py>(
    call: &Callback<'_, 'py>,
    operation: &Operation<'_>,
    result: &Bound<'py, PyAny>,
) -> Result<Outcome> {
    let kind = operation.kind();
    match operation {
        Operation::Open { flags, .. } => {
            Ok(Reply::Opened(opened(call, kind, *flags, result)?).into())
        }
        Operation::Create { flags, .. } => created(call, *flags, result).map(Outcome::Reply),
        Operation::Read { size, .. } => read(call, result, *size),
        Operation::Write { data, .. } if call.core.methods.write_plan.is_some() => {
            plan(call, result, data.len() as u64)
        }
        Operation::Write { data, .. } => {
            let size = data.len() as u64;
            let outcome = written(call, "write", result, size)?;
            if matches!(outcome, Outcome::Reply(Reply::Written(0))) && size != 0 {
                tell_nothing_taken(call, "write", size);
            }
            Ok(outcome)
        }
        Operation::CopyFileRange { length, .. } => {
            written(call, kind.name(), result, countable(*length))
        }
        Operation::Lseek { .. } => {
            let offset = call.count(kind.name(), result, i64::MAX.cast_unsigned())?;
            Ok(Reply::Offset(offset).into())
        }
        _ => Ok(Reply::Done.into()),
    }
}

/// A length that a reply can count; more is never asked for in earnest.
fn countable(length: u64) -> u64 {
    length.min(u64::from(u32::MAX))
}

fn read<'py>(call: &Callback<'_, 'py>, result: &Bound<'py, PyAny>, size: u32) -> Result<Outcome> {
    let data = match segments::as_read_data(result) {
        Ok(data) => data,
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyTypeError>(call.py) => {
            let problem = format!("returned no data: {}", error.value(call.py));
            return Err(call.refuse("read", &problem));
        }
        Err(error) => return Err(call.raised("read", &error)),
    };
    let length = data.len();
    if length > u64::from(size) {
        return Err(call.refuse("read", &format!("returned {length} bytes; asked for were {size}")));
    }
    if data.fetches.is_empty() {
        return Ok(Reply::Data(data.rest).into());
    }
    if data.is_awaited() {
        call.core.event_loop.start(call.py).map_err(|error| call.raised("read", &error))?;
    }
    if !data.fetches.iter().all(|(_, fetch)| fetch.get().take()) {
        return Err(call.refuse(
            "read",
            "returned a Fetch of an awaitable for the second time, which can be awaited only \
             once; give Fetch the function that makes it",
        ));
    }
    Ok(Outcome::Fetch(data))
}

fn write<'py>(call: &Callback<'_, 'py>, operation: &Operation<'_>) -> Result<Bound<'py, PyAny>> {
    let Operation::Write {
        inode,
        handle,
        offset,
        data,
        flags,
        lock_owner,
        from_cache,
        kill_suid_sgid,
    } = operation
    else {
        return Err(Errno::ENOSYS);
    };
    let mut write_flags = 0;
    for (set, flag) in [
        (*from_cache, WRITE_CACHE),
        (lock_owner.is_some(), WRITE_LOCKOWNER),
        (*kill_suid_sgid, WRITE_KILL_SUIDGID),
    ] {
        write_flags |= if set { flag } else { 0 };
    }
    let ctx = PyContext { write_flags, ..call.ctx_of_file(*lock_owner, *flags) };
    let (file, object) = call.open_file(*inode, *handle)?;
    if let Some(write_plan) = &call.core.methods.write_plan {
        let arguments = (file, object, *offset, data.len(), ctx);
        return call.invoke(write_plan, "write_plan", arguments);
    }
    let view = buffers::write_view(call.py, data, &call.core.pools)
        .map_err(|error| call.raised("write", &error))?;
    call.method(OperationKind::Write, (file, object, *offset, view, ctx))
}

/// The places a write_plan named: writable extents, or zeros to throw bytes away.
fn plan<'py>(call: &Callback<'_, 'py>, result: &Bound<'py, PyAny>, size: u64) -> Result<Outcome> {
    const METHOD: &str = "write_plan";
    let list = segments::as_segments(result)
        .map_err(|_| call.wrong(METHOD, result, "writable extents"))?;
    if list.len() > size {
        let problem = format!("named places for {} bytes; there are {size}", list.len());
        return Err(call.refuse(METHOD, &problem));
    }
    if list.is_empty() && size != 0 {
        tell_nothing_taken(call, METHOD, size);
    }
    for segment in list.segments() {
        match segment {
            fusesg_sg::Segment::Extent(extent) if extent.backing.writable() => {}
            fusesg_sg::Segment::Zeros(_) => {}
            fusesg_sg::Segment::Extent(_) => {
                let problem = "named an extent of a Backing without writable=True";
                return Err(call.refuse(METHOD, problem));
            }
            fusesg_sg::Segment::Buffer(_)
            | fusesg_sg::Segment::Pages(_)
            | fusesg_sg::Segment::Stream { .. } => {
                return Err(call.wrong(METHOD, result, "extents, or Zeros to discard"));
            }
        }
    }
    Ok(Outcome::WritePlan(list))
}

/// Says once that a method took no byte of a write: what the caller sees does not lead there.
fn tell_nothing_taken(call: &Callback<'_, '_>, method: &str, size: u64) {
    if !call.core.nothing_written_told.swap(true, Ordering::Relaxed) {
        log_queue::error(format!(
            "{}.{method} took none of {size} bytes, which its caller sees as EIO; expected is how \
             many were taken, or an exception that says why none: OSError(errno.ENOSPC, text) \
             (said once for this mount)",
            call.core.class_name
        ));
    }
}

/// The count of bytes that a write or copy took.
fn written<'py>(
    call: &Callback<'_, 'py>,
    method: &str,
    result: &Bound<'py, PyAny>,
    most: u64,
) -> Result<Outcome> {
    let count = call.count(method, result, most)?;
    Ok(Reply::Written(u32::try_from(count).map_err(|_| Errno::EIO)?).into())
}

fn created<'py>(
    call: &Callback<'_, 'py>,
    open_flags: i32,
    result: &Bound<'py, PyAny>,
) -> Result<Reply> {
    const KIND: OperationKind = OperationKind::Create;
    const EXPECTED: &str = "(Entry, handle)";
    let pair = match result.cast::<PyTuple>() {
        Ok(pair) if pair.len() == 2 => pair,
        _ => return Err(call.wrong(KIND.name(), result, EXPECTED)),
    };
    let item = |index| pair.get_item(index).map_err(|error| call.raised(KIND.name(), &error));
    let entry = item(0)?;
    let entry = names::entry(call, KIND, &entry, "an Entry, then a handle")?;
    names::check_type(call, KIND, entry.0.attributes.kind, Some(FileType::Regular))?;
    let opened = opened(call, KIND, open_flags, &item(1)?)?;
    Ok(Reply::Created(entry.delivered(), opened))
}

/// What open, opendir or create returned: a handle, or an `Opened` around one.
pub(super) fn opened<'py>(
    call: &Callback<'_, 'py>,
    kind: OperationKind,
    open_flags: i32,
    result: &Bound<'py, PyAny>,
) -> Result<Opened> {
    let core = call.core;
    let directory = kind == OperationKind::Opendir;
    let (object, mut flags, decided) = match result.cast::<PyOpened>() {
        Ok(opened) => {
            let opened = opened.get();
            (opened.handle.bind(call.py).clone(), opened.flags, opened.decided)
        }
        Err(_) => (result.clone(), OpenedFlags::empty(), OpenedFlags::empty()),
    };
    // what the class declares for all its files; and a listing would be dropped when its
    // directory is opened again
    let keep =
        if directory { flags.contains(OpenedFlags::CACHE_DIRECTORY) } else { core.keep_cache };
    if keep && !decided.contains(OpenedFlags::KEEP_CACHE) {
        flags |= OpenedFlags::KEEP_CACHE;
    }
    // that of a file system the class only uses is an object like any other
    if let Ok(native) = object.cast::<PyNativeHandle>()
        && core.native.as_ref().is_some_and(|own| native.get().belongs_to(own.file_system()))
    {
        if !native.get().hand_over() {
            return Err(call.refuse(
                kind.name(),
                "returned a native handle for the second time; each open needs one of its own",
            ));
        }
        // reads and writes that Python wants to see must not go past it
        let passthrough = native.get().passthrough.clone().filter(|_| core.offers_passthrough);
        return Ok(Opened { handle: native.get().handle, flags, decided, passthrough });
    }
    if !directory && let Some(data) = data_handles::open_data(&object) {
        flags |= data.flags();
        let passthrough = data.kernel_backing(open_flags).filter(|_| core.offers_passthrough);
        let handle = core.handles.insert_data(object.unbind(), data);
        return Ok(Opened { handle, flags, decided, passthrough });
    }
    // without FLUSH, closing a file needs no Python: it cannot hang an ending interpreter
    if !directory && core.methods.get(OperationKind::Flush).is_none() {
        flags |= OpenedFlags::NO_FLUSH;
    }
    // a class without handles of its own saves the table; beside native handles, 0 is taken
    let handle = if object.is_none() && !directory && core.native.is_none() {
        Handle(0)
    } else {
        core.handles.insert(Some(object.unbind()))
    };
    debug_assert!(handle == Handle(0) || handles::is_python(handle));
    Ok(Opened { handle, flags, decided, passthrough: None })
}
