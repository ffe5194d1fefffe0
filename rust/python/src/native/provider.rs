//! What a native file system is to its class in Python, and who makes it.

use std::fmt::Debug;
use std::sync::Arc;

use fusesg_fs::memory::Memory;
use fusesg_fs::passthrough::Passthrough;
use fusesg_fs::tree::Tree;
use fusesg_fs::{FileSystem, Inode};
use pyo3::prelude::*;

use crate::native::operations::PyNative;

/// A native file system whose operations Python may call.
pub(crate) trait NativeFileSystem: FileSystem + Debug {
    /// Counts one more lookup of `inode`, for an entry that is answered a second time;
    /// `false` if the inode is not known any more.
    fn retain(&self, inode: Inode) -> bool;
}

impl NativeFileSystem for Passthrough {
    fn retain(&self, inode: Inode) -> bool {
        self.retain(inode)
    }
}

impl NativeFileSystem for Memory {
    fn retain(&self, inode: Inode) -> bool {
        self.retain(inode)
    }
}

impl NativeFileSystem for Tree {
    fn retain(&self, inode: Inode) -> bool {
        // nothing is ever forgotten
        self.contains(inode)
    }
}

/// What a mount wants of the native file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountOptions {
    /// Open files are offered to the kernel.
    pub(crate) kernel_passthrough: bool,
    /// The kernel writes back late.
    pub(crate) writeback: bool,
}

/// Keeps the native file system of one object in Python, from one mount to the next.
///
/// Two mounts of one object share it: `super()` cannot tell from which one a call comes.
pub(crate) trait Provider: Send + Sync + 'static {
    /// The native file system for a mount with these options: one for which nothing counts
    /// that Python kept of an ended mount.
    fn for_mount(
        &self,
        py: Python<'_>,
        options: MountOptions,
    ) -> PyResult<Arc<dyn NativeFileSystem>>;

    /// The native file system as it is now.
    fn current(&self, py: Python<'_>) -> PyResult<Arc<dyn NativeFileSystem>>;

    /// What `repr` tells after the name of the class.
    fn describe(&self, py: Python<'_>) -> PyResult<String>;
}

/// The native file system that `filesystem` derives from, if it does, for a mount or client.
pub(crate) fn native_of(
    filesystem: &Bound<'_, PyAny>,
    options: MountOptions,
) -> PyResult<Option<Arc<dyn FileSystem>>> {
    let Ok(native) = filesystem.cast::<PyNative>() else { return Ok(None) };
    Ok(Some(native.get().for_mount(filesystem.py(), options)?))
}
