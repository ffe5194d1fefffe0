//! `Client`: a file system used in this process, as the kernel would use it for a program.
//!
//! | concept | file |
//! |---|---|
//! | [`PyClient`]: paths, open files, names | `mod.rs` |
//! | bytes, on the calling thread and for asyncio | `data.rs` |
//! | its life: made, closed, at the interpreter's exit, after a fork | `live.rs` |
//! | its settings; arguments, checked | `settings.rs`, `arguments.rs` |
//! | its numbers: `Client.statistics()` | `statistics.rs` |
//!
//! The calling thread gives up the GIL for the call, and a callback of a Python file system
//! takes it again on the same thread.

mod arguments;
mod data;
mod live;
mod settings;
mod statistics;

use std::sync::Arc;

use fusesg_fs::{FileType, RenameFlags, Result};
use fusesg_serve::{Client, ClientEntry};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use arguments::{path, position};
pub(crate) use data::PyPending;
use live::LiveClient;
pub(crate) use live::close_all;

use crate::conversions::{names, value};
use crate::values::attributes::PyAttributes;
use crate::values::filesystem_statistics::PyFilesystemStatistics;
use crate::values::set_attributes::PySetAttributes;

/// A file system that is used without a mount.
#[pyclass(frozen, name = "Client", module = "fusesg._core")]
pub(crate) struct PyClient {
    live: Arc<LiveClient>,
}

/// One name of a listing: name, inode, mode of its type (0: not told), attributes if there are any.
type Listed<'py> = (Bound<'py, PyString>, u64, u32, Option<PyAttributes>);

impl PyClient {
    /// Calls the client without the GIL. An error tells of `path`.
    fn at<T: Send>(
        &self,
        path: &Bound<'_, PyAny>,
        call: impl FnOnce(&Client) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.live.call(path.py(), &[path], call)
    }

    /// The same without a path.
    fn on<T: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&Client) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.live.call(py, &[], call)
    }
}

#[pymethods]
impl PyClient {
    /// Calls the file system's `init`; `settings` are options by name.
    #[new]
    fn new(filesystem: &Bound<'_, PyAny>, settings: &Bound<'_, PyDict>) -> PyResult<Self> {
        Ok(Self { live: LiveClient::new(filesystem, settings)? })
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.live.is_closed()
    }

    /// Closes what is open, and calls the file system's `destroy`.
    fn close(&self, py: Python<'_>) {
        self.live.close(py);
    }

    /// What was asked for, and how.
    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let live = &self.live;
        value::to_python(py, &statistics::numbers(&live.client.statistics(), &live.core))
    }

    // Open files

    /// Opens a file or directory.
    #[pyo3(signature = (path, flags, mode))]
    fn open(&self, path: &Bound<'_, PyAny>, flags: i32, mode: u32) -> PyResult<i32> {
        let bytes = self::path("path", path)?;
        self.at(path, |client| client.open(&bytes, flags, mode))
    }

    /// Closes a descriptor.
    fn close_file(&self, py: Python<'_>, fd: i32) -> PyResult<()> {
        self.on(py, |client| client.close_file(fd))
    }

    /// Moves a file's position.
    fn lseek(&self, py: Python<'_>, fd: i32, offset: i64, whence: i32) -> PyResult<u64> {
        self.on(py, |client| client.seek(fd, offset, whence))
    }

    /// Attributes of an open file.
    fn fstat(&self, py: Python<'_>, fd: i32) -> PyResult<PyAttributes> {
        self.on(py, |client| client.file_attributes(fd)).map(PyAttributes)
    }

    /// Changes attributes of an open file.
    fn fsetattr(
        &self,
        py: Python<'_>,
        fd: i32,
        changes: &Bound<'_, PySetAttributes>,
    ) -> PyResult<()> {
        let changes = changes.get().0;
        self.on(py, |client| client.set_file_attributes(fd, &changes)).map(drop)
    }

    /// Stores what was written.
    fn fsync(&self, py: Python<'_>, fd: i32, datasync: bool) -> PyResult<()> {
        self.on(py, |client| client.sync(fd, datasync))
    }

    /// Allocates or removes space.
    fn fallocate(
        &self,
        py: Python<'_>,
        fd: i32,
        mode: i32,
        offset: &Bound<'_, PyAny>,
        length: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (offset, length) = (position("offset", offset)?, position("length", length)?);
        self.on(py, |client| client.allocate(fd, mode, offset, length))
    }

    /// Copies bytes of one file to another.
    fn copy_file_range(
        &self,
        py: Python<'_>,
        src: i32,
        dst: i32,
        count: &Bound<'_, PyAny>,
        offset_src: &Bound<'_, PyAny>,
        offset_dst: &Bound<'_, PyAny>,
    ) -> PyResult<u64> {
        let count = position("count", count)?;
        let from = position("offset_src", offset_src)?;
        let to = position("offset_dst", offset_dst)?;
        self.on(py, |client| client.copy_range(src, from, dst, to, count))
    }

    // Attributes

    /// Attributes of what a path leads to.
    fn stat(&self, path: &Bound<'_, PyAny>, follow: bool) -> PyResult<PyAttributes> {
        let bytes = self::path("path", path)?;
        self.at(path, |client| client.attributes(&bytes, follow)).map(PyAttributes)
    }

    /// Changes attributes of what a path leads to.
    fn setattr(
        &self,
        path: &Bound<'_, PyAny>,
        changes: &Bound<'_, PySetAttributes>,
        follow: bool,
    ) -> PyResult<()> {
        let (bytes, changes) = (self::path("path", path)?, changes.get().0);
        self.at(path, |client| client.set_attributes(&bytes, follow, &changes)).map(drop)
    }

    /// Whether the caller may do what `mask` says; an error if not.
    fn access(&self, path: &Bound<'_, PyAny>, mask: u32, follow: bool) -> PyResult<()> {
        let bytes = self::path("path", path)?;
        self.at(path, |client| client.access(&bytes, mask, follow))
    }

    /// Numbers of the file system.
    fn statvfs(&self, path: &Bound<'_, PyAny>) -> PyResult<PyFilesystemStatistics> {
        let bytes = self::path("path", path)?;
        let found = self.at(path, |client| client.filesystem_statistics(&bytes));
        found.map(PyFilesystemStatistics::from)
    }

    /// The same at an open file.
    fn fstatvfs(&self, py: Python<'_>, fd: i32) -> PyResult<PyFilesystemStatistics> {
        let found = self.on(py, |client| client.file_filesystem_statistics(fd));
        found.map(PyFilesystemStatistics::from)
    }

    // Names

    /// The entries of a directory.
    fn list<'py>(&self, path: &Bound<'py, PyAny>) -> PyResult<Vec<Listed<'py>>> {
        let bytes = self::path("path", path)?;
        let entries = self.at(path, |client| client.list(&bytes))?;
        let listed = |entry: ClientEntry| {
            let name = names::to_python(path.py(), &entry.name)?;
            let attributes = entry.attributes.map(PyAttributes);
            Ok((name, entry.inode.0, entry.kind.map_or(0, FileType::mode), attributes))
        };
        entries.into_iter().map(listed).collect()
    }

    /// Makes a directory.
    fn mkdir(&self, path: &Bound<'_, PyAny>, mode: u32) -> PyResult<()> {
        let bytes = self::path("path", path)?;
        self.at(path, |client| client.make_directory(&bytes, mode))
    }

    /// Makes a file, FIFO, socket or device.
    fn mknod(&self, path: &Bound<'_, PyAny>, mode: u32, device: u32) -> PyResult<()> {
        let bytes = self::path("path", path)?;
        self.at(path, |client| client.make_node(&bytes, mode, device))
    }

    /// Removes a directory.
    fn rmdir(&self, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = self::path("path", path)?;
        self.at(path, |client| client.remove_directory(&bytes))
    }

    /// Removes a name of a file.
    fn unlink(&self, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = self::path("path", path)?;
        self.at(path, |client| client.unlink(&bytes))
    }

    /// Renames or exchanges.
    fn rename(&self, src: &Bound<'_, PyAny>, dst: &Bound<'_, PyAny>, flags: u32) -> PyResult<()> {
        let (from, to) = (path("src", src)?, path("dst", dst)?);
        let flags = RenameFlags::from_bits_retain(flags);
        self.live.call(src.py(), &[src, dst], |client| client.rename(&from, &to, flags))
    }

    /// Gives a file another name.
    fn link(&self, src: &Bound<'_, PyAny>, dst: &Bound<'_, PyAny>, follow: bool) -> PyResult<()> {
        let (from, to) = (path("src", src)?, path("dst", dst)?);
        self.live.call(src.py(), &[src, dst], |client| client.make_link(&from, &to, follow))
    }

    /// Makes a symbolic link.
    fn symlink(&self, src: &Bound<'_, PyAny>, dst: &Bound<'_, PyAny>) -> PyResult<()> {
        let (target, link) = (path("src", src)?, path("dst", dst)?);
        self.live.call(src.py(), &[src, dst], |client| client.make_symlink(&target, &link))
    }

    /// The text of a symbolic link.
    fn readlink<'py>(&self, path: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
        let bytes = self::path("path", path)?;
        let target = self.at(path, |client| client.read_link(&bytes))?;
        names::to_python(path.py(), &target)
    }

    // Extended attributes

    /// The value of an attribute.
    fn getxattr(
        &self,
        path: &Bound<'_, PyAny>,
        attribute: &Bound<'_, PyAny>,
        follow: bool,
    ) -> PyResult<Py<PyAny>> {
        let (bytes, name) = (self::path("path", path)?, self::path("attribute", attribute)?);
        let value = self.at(path, |client| client.get_xattr(&bytes, &name, follow))?;
        Ok(pyo3::types::PyBytes::new(path.py(), &value).into_any().unbind())
    }

    /// Sets an attribute.
    fn setxattr(
        &self,
        path: &Bound<'_, PyAny>,
        attribute: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        flags: i32,
        follow: bool,
    ) -> PyResult<()> {
        let (bytes, name) = (self::path("path", path)?, self::path("attribute", attribute)?);
        let value = arguments::bytes("value", value)?;
        self.at(path, |client| client.set_xattr(&bytes, &name, &value, flags, follow))
    }

    /// The names of all attributes.
    fn listxattr<'py>(
        &self,
        path: &Bound<'py, PyAny>,
        follow: bool,
    ) -> PyResult<Vec<Bound<'py, PyString>>> {
        let bytes = self::path("path", path)?;
        let found = self.at(path, |client| client.list_xattrs(&bytes, follow))?;
        found.iter().map(|name| names::to_python(path.py(), name)).collect()
    }

    /// Removes an attribute.
    fn removexattr(
        &self,
        path: &Bound<'_, PyAny>,
        attribute: &Bound<'_, PyAny>,
        follow: bool,
    ) -> PyResult<()> {
        let (bytes, name) = (self::path("path", path)?, self::path("attribute", attribute)?);
        self.at(path, |client| client.remove_xattr(&bytes, &name, follow))
    }

    // Bytes

    /// Reads at most `size` bytes; at the file's position if `offset` is None.
    fn read(
        &self,
        py: Python<'_>,
        fd: i32,
        size: &Bound<'_, PyAny>,
        offset: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        data::read(&self.live, py, fd, size, offset)
    }

    /// Writes bytes; at the file's position if `offset` is None.
    fn write(
        &self,
        py: Python<'_>,
        fd: i32,
        data: &Bound<'_, PyAny>,
        offset: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        data::write(&self.live, py, fd, data, offset)
    }

    /// Reads into buffers; at the file's position if `offset` is None.
    fn readv(
        &self,
        py: Python<'_>,
        fd: i32,
        buffers: &Bound<'_, PyAny>,
        offset: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        data::read_into(&self.live, py, fd, buffers, offset)
    }

    /// Writes buffers; at the file's position if `offset` is None.
    fn writev(
        &self,
        py: Python<'_>,
        fd: i32,
        buffers: &Bound<'_, PyAny>,
        offset: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        data::write_from(&self.live, py, fd, buffers, offset)
    }

    /// Begins to read; `done(result, error)` is called in `loop`.
    #[pyo3(signature = (fd, size, offset, r#loop, done))]
    fn begin_read(
        &self,
        fd: i32,
        size: &Bound<'_, PyAny>,
        offset: &Bound<'_, PyAny>,
        r#loop: Py<PyAny>,
        done: Py<PyAny>,
    ) -> PyResult<data::PyPending> {
        data::begin_read(&self.live, fd, size, offset, data::Awaiting::new(r#loop, done))
    }

    /// Begins to read into buffers; `done(result, error)` is called in `loop`.
    #[pyo3(signature = (fd, buffers, offset, r#loop, done))]
    fn begin_readv(
        &self,
        fd: i32,
        buffers: &Bound<'_, PyAny>,
        offset: &Bound<'_, PyAny>,
        r#loop: Py<PyAny>,
        done: Py<PyAny>,
    ) -> PyResult<data::PyPending> {
        data::begin_readv(&self.live, fd, buffers, offset, data::Awaiting::new(r#loop, done))
    }

    /// Begins to write buffers; `done(result, error)` is called in `loop`.
    #[pyo3(signature = (fd, buffers, offset, r#loop, done))]
    fn begin_writev(
        &self,
        fd: i32,
        buffers: &Bound<'_, PyAny>,
        offset: &Bound<'_, PyAny>,
        r#loop: Py<PyAny>,
        done: Py<PyAny>,
    ) -> PyResult<data::PyPending> {
        data::begin_writev(&self.live, fd, buffers, offset, data::Awaiting::new(r#loop, done))
    }
}
