//! The operations of native file systems, for `super()`.
//!
//! What a subclass does not override never comes here: the mount calls the native file
//! system itself, without the GIL. These methods are what `super().lookup(...)` finds,
//! whichever native file system the class derives from.

use std::sync::{Arc, OnceLock};

use fusesg_fs::{
    Context, DirectoryEntry, DirectorySink, Entry, Errno, FileSystem, Handle, Inode, LockOwner,
    Opened, RenameFlags, Result,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::conversions::{errors, names, numbers};
use crate::data::buffers;
use crate::data::segments::PySegmentList;
use crate::native::native_handle::{PyNativeHandle, native_handle};
use crate::native::provider::{MountOptions, NativeFileSystem, Provider};
use crate::values::attributes::PyAttributes;
use crate::values::context::{PyContext, WRITE_CACHE, WRITE_KILL_SUIDGID};
use crate::values::directory_entry::PyDirectoryEntry;
use crate::values::entry::PyEntry;
use crate::values::filesystem_statistics::PyFilesystemStatistics;
use crate::values::opened::PyOpened;
use crate::values::poll_waiter::PyPollWaiter;
use crate::values::set_attributes::PySetAttributes;

/// What poll(2) finds in a file without a poll operation of its own.
const READY: u32 = (libc::POLLIN | libc::POLLRDNORM | libc::POLLOUT | libc::POLLWRNORM) as u32;

/// The base of all native file systems.
#[pyclass(frozen, subclass, name = "NativeFilesystem", module = "fusesg._core")]
pub(crate) struct PyNative {
    /// Of the class that derives from this one.
    name: &'static str,
    /// What its `__init__` needs, for who forgot to call it.
    arguments: &'static str,
    /// Set by `__init__`: a subclass may have a constructor with other arguments.
    provider: OnceLock<Box<dyn Provider>>,
}

impl PyNative {
    /// The part of a new object of the class `name` that is not initialised yet.
    pub(crate) fn of_class(name: &'static str, arguments: &'static str) -> Self {
        Self { name, arguments, provider: OnceLock::new() }
    }

    /// Called by `__init__`.
    pub(crate) fn initialise(&self, provider: impl Provider) -> PyResult<()> {
        self.provider
            .set(Box::new(provider))
            .map_err(|_| PyRuntimeError::new_err(format!("{} is already initialised", self.name)))
    }

    /// The native file system for a mount with these options.
    pub(crate) fn for_mount(
        &self,
        py: Python<'_>,
        options: MountOptions,
    ) -> PyResult<Arc<dyn NativeFileSystem>> {
        self.provider()?.for_mount(py, options)
    }

    /// The native file system as it is now.
    fn native(&self, py: Python<'_>) -> PyResult<Arc<dyn NativeFileSystem>> {
        self.provider()?.current(py)
    }

    fn provider(&self) -> PyResult<&dyn Provider> {
        self.provider.get().map(AsRef::as_ref).ok_or_else(|| {
            PyRuntimeError::new_err(format!(
                "{} was not initialised: call super().__init__({}) in __init__",
                self.name, self.arguments
            ))
        })
    }

    /// Runs a native operation without the GIL.
    fn run<R: Send>(
        &self,
        py: Python<'_>,
        operation: impl FnOnce(&dyn NativeFileSystem) -> Result<R> + Send,
    ) -> PyResult<R> {
        let native = self.native(py)?;
        py.detach(|| operation(&*native)).map_err(errors::os_error)
    }

    /// What Python gets for a name: it holds the lookup that was counted.
    fn entry(&self, py: Python<'_>, entry: Entry) -> PyResult<PyEntry> {
        Ok(PyEntry::native(entry, self.native(py)?))
    }

    /// What Python gets for an open file or directory.
    fn to_python(
        &self,
        py: Python<'_>,
        inode: u64,
        opened: &Opened,
        directory: bool,
    ) -> PyResult<PyOpened> {
        let native: Arc<dyn FileSystem> = self.native(py)?;
        let handle = PyNativeHandle::owned(native, Inode(inode), directory, opened);
        Ok(PyOpened {
            handle: Py::new(py, handle)?.into_any(),
            flags: opened.flags,
            decided: opened.decided,
        })
    }

    fn required_handle(&self, handle: &Bound<'_, PyAny>) -> PyResult<Handle> {
        let native = self.native(handle.py())?;
        native_handle("handle", handle, &native).map(|handle| handle.get().handle)
    }

    fn optional_handle(&self, handle: &Bound<'_, PyAny>) -> PyResult<Option<Handle>> {
        if handle.is_none() { Ok(None) } else { self.required_handle(handle).map(Some) }
    }

    /// The number of a handle that is released now, and thus not once more when its object
    /// dies.
    fn given_up_handle(&self, handle: &Bound<'_, PyAny>) -> PyResult<Handle> {
        let native = self.native(handle.py())?;
        let handle = native_handle("handle", handle, &native)?;
        handle.get().hand_over();
        Ok(handle.get().handle)
    }
}

#[pymethods]
impl PyNative {
    /// Marks a class whose methods are the native ones (see `Filesystem`).
    #[classattr]
    #[pyo3(name = "__fusesg_base__")]
    const FUSESG_BASE: bool = true;

    /// Finds a name in a directory. See `Filesystem.lookup`.
    fn lookup(
        &self,
        parent: u64,
        name: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<Option<PyEntry>> {
        let (context, name) = (caller(ctx), names::component("name", name)?);
        let found =
            self.run(ctx.py(), |native| match native.lookup(&context, Inode(parent), &name) {
                Err(Errno::ENOENT) => Ok(None),
                other => other.map(Some),
            })?;
        match found.filter(|entry| entry.attributes.inode != Inode(0)) {
            Some(entry) => self.entry(ctx.py(), entry).map(Some),
            None => Ok(None),
        }
    }

    /// The kernel has dropped `count` lookups. See `Filesystem.forget`.
    fn forget(&self, py: Python<'_>, inode: u64, count: u64) -> PyResult<()> {
        self.run(py, |native| {
            native.forget(Inode(inode), count);
            Ok(())
        })
    }

    /// Attributes of an inode: stat(2). See `Filesystem.getattr`.
    fn getattr(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<PyAttributes> {
        let (context, handle) = (caller(ctx), self.optional_handle(handle)?);
        let reply = self.run(ctx.py(), |native| native.getattr(&context, Inode(inode), handle))?;
        Ok(PyAttributes(reply.attributes))
    }

    /// Changes attributes. See `Filesystem.setattr`.
    fn setattr(
        &self,
        inode: u64,
        changes: &Bound<'_, PySetAttributes>,
        handle: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<PyAttributes> {
        let (context, handle) = (caller(ctx), self.optional_handle(handle)?);
        let changes = changes.get().0;
        let reply =
            self.run(ctx.py(), |native| native.setattr(&context, Inode(inode), handle, &changes))?;
        Ok(PyAttributes(reply.attributes))
    }

    /// Target of a symbolic link. See `Filesystem.readlink`.
    fn readlink<'py>(
        &self,
        inode: u64,
        ctx: &Bound<'py, PyContext>,
    ) -> PyResult<Bound<'py, PyString>> {
        let context = caller(ctx);
        let target = self.run(ctx.py(), |native| native.readlink(&context, Inode(inode)))?;
        names::bytes_to_python(ctx.py(), &target)
    }

    /// Creates a file, FIFO, socket or device. See `Filesystem.mknod`.
    fn mknod(
        &self,
        parent: u64,
        name: &Bound<'_, PyAny>,
        mode: u32,
        rdev: u32,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<PyEntry> {
        let (context, name) = (caller(ctx), names::component("name", name)?);
        let entry =
            self.run(ctx.py(), |native| native.mknod(&context, Inode(parent), &name, mode, rdev))?;
        self.entry(ctx.py(), entry)
    }

    /// Creates a directory. See `Filesystem.mkdir`.
    fn mkdir(
        &self,
        parent: u64,
        name: &Bound<'_, PyAny>,
        mode: u32,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<PyEntry> {
        let (context, name) = (caller(ctx), names::component("name", name)?);
        let entry =
            self.run(ctx.py(), |native| native.mkdir(&context, Inode(parent), &name, mode))?;
        self.entry(ctx.py(), entry)
    }

    /// Creates a symbolic link. See `Filesystem.symlink`.
    fn symlink(
        &self,
        parent: u64,
        name: &Bound<'_, PyAny>,
        target: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<PyEntry> {
        let (context, name) = (caller(ctx), names::component("name", name)?);
        let target = names::os_string("target", target)?;
        let entry =
            self.run(ctx.py(), |native| native.symlink(&context, Inode(parent), &name, &target))?;
        self.entry(ctx.py(), entry)
    }

    /// Creates a hard link. See `Filesystem.link`.
    fn link(
        &self,
        inode: u64,
        new_parent: u64,
        new_name: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<PyEntry> {
        let (context, name) = (caller(ctx), names::component("new_name", new_name)?);
        let entry = self.run(ctx.py(), |native| {
            native.link(&context, Inode(inode), Inode(new_parent), &name)
        })?;
        self.entry(ctx.py(), entry)
    }

    /// Removes a name that is not a directory. See `Filesystem.unlink`.
    fn unlink(
        &self,
        parent: u64,
        name: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let (context, name) = (caller(ctx), names::component("name", name)?);
        self.run(ctx.py(), |native| native.unlink(&context, Inode(parent), &name))
    }

    /// Removes an empty directory. See `Filesystem.rmdir`.
    fn rmdir(
        &self,
        parent: u64,
        name: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let (context, name) = (caller(ctx), names::component("name", name)?);
        self.run(ctx.py(), |native| native.rmdir(&context, Inode(parent), &name))
    }

    /// Renames or moves; an existing target is replaced. See `Filesystem.rename`.
    fn rename(
        &self,
        parent: u64,
        name: &Bound<'_, PyAny>,
        new_parent: u64,
        new_name: &Bound<'_, PyAny>,
        flags: u32,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let (context, name) = (caller(ctx), names::component("name", name)?);
        let new_name = names::component("new_name", new_name)?;
        let flags = RenameFlags::from_bits_retain(flags);
        self.run(ctx.py(), |native| {
            native.rename(&context, Inode(parent), &name, Inode(new_parent), &new_name, flags)
        })
    }

    /// Opens a file. See `Filesystem.open`.
    fn open(&self, inode: u64, flags: i32, ctx: &Bound<'_, PyContext>) -> PyResult<PyOpened> {
        let (context, flags) = (caller(ctx), ctx.get().native_flags(flags));
        let opened = self.run(ctx.py(), |native| native.open(&context, Inode(inode), flags))?;
        self.to_python(ctx.py(), inode, &opened, false)
    }

    /// Creates and opens a file. See `Filesystem.create`.
    fn create(
        &self,
        parent: u64,
        name: &Bound<'_, PyAny>,
        mode: u32,
        flags: i32,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<(PyEntry, PyOpened)> {
        let (context, name) = (caller(ctx), names::component("name", name)?);
        let flags = ctx.get().native_flags(flags);
        let (entry, opened) = self
            .run(ctx.py(), |native| native.create(&context, Inode(parent), &name, mode, flags))?;
        let opened = self.to_python(ctx.py(), entry.attributes.inode.0, &opened, false)?;
        Ok((self.entry(ctx.py(), entry)?, opened))
    }

    /// Reads from a file. See `Filesystem.read`.
    fn read(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        offset: u64,
        size: u32,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<PySegmentList> {
        let (context, handle) = (caller(ctx), self.required_handle(handle)?);
        self.run(ctx.py(), |native| native.read(&context, Inode(inode), handle, offset, size))
            .map(PySegmentList)
    }

    /// Writes to a file. See `Filesystem.write`.
    fn write(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        offset: u64,
        data: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<u32> {
        let (context, handle) = (caller(ctx), self.required_handle(handle)?);
        let bytes = any_buffer("data", data)?;
        let flags = ctx.get().write_flags;
        let from_cache = flags & WRITE_CACHE != 0;
        let kill = flags & WRITE_KILL_SUIDGID != 0;
        self.run(ctx.py(), |native| {
            native.write(&context, Inode(inode), handle, offset, &bytes, from_cache, kill)
        })
    }

    /// A descriptor of an open file was closed. See `Filesystem.flush`.
    fn flush(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let (context, handle) = (caller(ctx), self.required_handle(handle)?);
        let owner = ctx.get().lock_owner.unwrap_or(LockOwner(0));
        self.run(ctx.py(), |native| native.flush(&context, Inode(inode), handle, owner))
    }

    /// The last descriptor of an open file was closed. See `Filesystem.release`.
    fn release(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let handle = self.given_up_handle(handle)?;
        self.run(ctx.py(), |native| native.release(Inode(inode), handle))
    }

    /// Brings a file to stable storage. See `Filesystem.fsync`.
    fn fsync(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        datasync: bool,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let (context, handle) = (caller(ctx), self.required_handle(handle)?);
        self.run(ctx.py(), |native| native.fsync(&context, Inode(inode), handle, datasync))
    }

    /// Opens a directory. See `Filesystem.opendir`.
    fn opendir(&self, inode: u64, flags: i32, ctx: &Bound<'_, PyContext>) -> PyResult<PyOpened> {
        let context = caller(ctx);
        let opened = self.run(ctx.py(), |native| native.opendir(&context, Inode(inode), flags))?;
        self.to_python(ctx.py(), inode, &opened, true)
    }

    /// Lists a directory. See `Filesystem.readdir`.
    fn readdir<'py>(
        &self,
        inode: u64,
        handle: &Bound<'py, PyAny>,
        offset: u64,
        ctx: &Bound<'py, PyContext>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (context, handle) = (caller(ctx), self.required_handle(handle)?);
        // names only: an entry with attributes would count as a lookup that the kernel,
        // should the subclass leave the name out, never gives back
        let mut listing = Listing::default();
        self.run(ctx.py(), |native| {
            native.readdir(&context, Inode(inode), handle, offset, false, &mut listing)
        })?;
        PyList::new(ctx.py(), listing.0)
    }

    /// An open directory was closed. See `Filesystem.releasedir`.
    fn releasedir(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let handle = self.given_up_handle(handle)?;
        self.run(ctx.py(), |native| native.releasedir(Inode(inode), handle))
    }

    /// Brings a directory to stable storage. See `Filesystem.fsyncdir`.
    fn fsyncdir(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        datasync: bool,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let (context, handle) = (caller(ctx), self.required_handle(handle)?);
        self.run(ctx.py(), |native| native.fsyncdir(&context, Inode(inode), handle, datasync))
    }

    /// Sizes of the file system: statvfs(3), df(1). See `Filesystem.statfs`.
    fn statfs(&self, inode: u64, ctx: &Bound<'_, PyContext>) -> PyResult<PyFilesystemStatistics> {
        let context = caller(ctx);
        self.run(ctx.py(), |native| native.statfs(&context, Inode(inode))).map(Into::into)
    }

    /// Value of an extended attribute. See `Filesystem.getxattr`.
    fn getxattr<'py>(
        &self,
        inode: u64,
        name: &Bound<'_, PyAny>,
        ctx: &Bound<'py, PyContext>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (context, name) = (caller(ctx), names::os_string("name", name)?);
        let value = self.run(ctx.py(), |native| native.getxattr(&context, Inode(inode), &name))?;
        Ok(PyBytes::new(ctx.py(), &value))
    }

    /// Sets an extended attribute. See `Filesystem.setxattr`.
    fn setxattr(
        &self,
        inode: u64,
        name: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        flags: i32,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let (context, name) = (caller(ctx), names::os_string("name", name)?);
        let value = any_buffer("value", value)?;
        self.run(ctx.py(), |native| native.setxattr(&context, Inode(inode), &name, &value, flags))
    }

    /// Names of the extended attributes. See `Filesystem.listxattr`.
    fn listxattr<'py>(
        &self,
        inode: u64,
        ctx: &Bound<'py, PyContext>,
    ) -> PyResult<Bound<'py, PyList>> {
        let context = caller(ctx);
        let list = self.run(ctx.py(), |native| native.listxattr(&context, Inode(inode)))?;
        let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let names = names.map(|name| names::bytes_to_python(ctx.py(), name));
        PyList::new(ctx.py(), names.collect::<PyResult<Vec<_>>>()?)
    }

    /// Removes an extended attribute. See `Filesystem.removexattr`.
    fn removexattr(
        &self,
        inode: u64,
        name: &Bound<'_, PyAny>,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let (context, name) = (caller(ctx), names::os_string("name", name)?);
        self.run(ctx.py(), |native| native.removexattr(&context, Inode(inode), &name))
    }

    /// Allocates, frees or zeroes a range. See `Filesystem.fallocate`.
    fn fallocate(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        offset: u64,
        length: u64,
        mode: i32,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<()> {
        let (context, handle) = (caller(ctx), self.required_handle(handle)?);
        self.run(ctx.py(), |native| {
            native.fallocate(&context, Inode(inode), handle, offset, length, mode)
        })
    }

    /// Finds data or a hole. See `Filesystem.lseek`.
    fn lseek(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        offset: i64,
        whence: i32,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<u64> {
        let (context, handle) = (caller(ctx), self.required_handle(handle)?);
        self.run(ctx.py(), |native| native.lseek(&context, Inode(inode), handle, offset, whence))
    }

    /// Copies between two files of this mount. See `Filesystem.copy_file_range`.
    #[expect(unused_variables, reason = "the native file system needs the handles only")]
    fn copy_file_range(
        &self,
        in_inode: u64,
        in_handle: &Bound<'_, PyAny>,
        in_offset: u64,
        out_inode: u64,
        out_handle: &Bound<'_, PyAny>,
        out_offset: u64,
        length: u64,
        flags: u64,
        ctx: &Bound<'_, PyContext>,
    ) -> PyResult<u32> {
        let context = caller(ctx);
        let source = self.required_handle(in_handle)?;
        let target = self.required_handle(out_handle)?;
        self.run(ctx.py(), |native| {
            native.copy_file_range(&context, source, in_offset, target, out_offset, length, flags)
        })
    }

    /// A control command. See `Filesystem.ioctl`.
    fn ioctl<'py>(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        command: u32,
        data: &Bound<'_, PyAny>,
        out_size: u32,
        ctx: &Bound<'py, PyContext>,
    ) -> PyResult<(i32, Bound<'py, PyBytes>)> {
        let (context, handle) = (caller(ctx), self.required_handle(handle)?);
        let bytes = any_buffer("data", data)?;
        let (result, data) = self.run(ctx.py(), |native| {
            native.ioctl(&context, Inode(inode), handle, command, &bytes, out_size)
        })?;
        Ok((result, PyBytes::new(ctx.py(), &data)))
    }

    /// Files are always ready. The native file system leaves that to the
    /// kernel, which asks only where a class overrides this.
    #[expect(unused_variables, clippy::unused_self, reason = "the arguments of every poll")]
    fn poll(
        &self,
        inode: u64,
        handle: &Bound<'_, PyAny>,
        events: u32,
        waiter: Option<&Bound<'_, PyPollWaiter>>,
        ctx: &Bound<'_, PyContext>,
    ) -> u32 {
        events & READY
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().qualname()?;
        match slf.get().provider.get() {
            Some(provider) => Ok(format!("<{class}{}>", provider.describe(slf.py())?)),
            None => Ok(format!("<{class}, not initialised>")),
        }
    }
}

fn caller(ctx: &Bound<'_, PyContext>) -> Context {
    ctx.get().inner
}

fn any_buffer(argument: &str, value: &Bound<'_, PyAny>) -> PyResult<bytes::Bytes> {
    buffers::share(value)?
        .ok_or_else(|| numbers::wrong_type(argument, "bytes or another buffer", value))
}

/// A sink that takes everything.
#[derive(Default)]
struct Listing(Vec<PyDirectoryEntry>);

impl DirectorySink for Listing {
    fn add(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        self.0.push(PyDirectoryEntry {
            name: entry.name.to_owned(),
            inode: entry.inode,
            kind: entry.kind,
            entry: entry.entry.copied().map(PyEntry::from),
            next_offset: Some(entry.next_offset),
        });
        true
    }
}
