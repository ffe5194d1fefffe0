//! File handles: a file system's own name of an inode, which needs no open descriptor.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::retry;

/// Most bytes a handle may have (`MAX_HANDLE_SZ`).
const MAX_BYTES: usize = 128;

/// `struct file_handle` with room for the largest handle.
#[repr(C)]
#[derive(Clone, PartialEq, Eq)]
struct RawHandle {
    bytes: u32,
    kind: i32,
    data: [u8; MAX_BYTES],
}

/// What open_by_handle_at(2) opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileHandle {
    kind: i32,
    data: Box<[u8]>,
}

/// The handle of the inode behind a descriptor, and the id of the mount it was found on.
pub(crate) fn name_to_handle_at(fd: BorrowedFd<'_>) -> io::Result<(FileHandle, i32)> {
    let capacity = u32::try_from(MAX_BYTES).expect("a small constant");
    let mut raw = RawHandle { bytes: capacity, kind: 0, data: [0; MAX_BYTES] };
    let mut mount_id = 0;
    let (handle, mount) = (&raw mut raw, &raw mut mount_id);
    // SAFETY: `raw` is laid out as file_handle and says how much room it has.
    retry(|| unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            fd.as_raw_fd(),
            c"".as_ptr(),
            handle,
            mount,
            libc::AT_EMPTY_PATH,
        )
    })?;
    let used = usize::try_from(raw.bytes).unwrap_or(MAX_BYTES).min(MAX_BYTES);
    Ok((FileHandle { kind: raw.kind, data: raw.data[..used].into() }, mount_id))
}

/// open_by_handle_at(2), always close-on-exec; `mount` is any open file of the mount.
pub(crate) fn open_by_handle_at(
    mount: BorrowedFd<'_>,
    handle: &FileHandle,
    flags: i32,
) -> io::Result<OwnedFd> {
    let bytes = u32::try_from(handle.data.len()).expect("at most MAX_BYTES");
    let mut raw = RawHandle { bytes, kind: handle.kind, data: [0; MAX_BYTES] };
    raw.data[..handle.data.len()].copy_from_slice(&handle.data);
    let start = &raw mut raw;
    let flags = flags | libc::O_CLOEXEC;
    // SAFETY: `raw` is laid out as file_handle and lives through the call.
    let fd = retry(|| unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), start, flags)
    })?;
    let fd = i32::try_from(fd).expect("descriptors are ints");
    // SAFETY: the kernel just gave this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
