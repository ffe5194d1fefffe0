//! System calls and CPython calls that the standard library and PyO3 do not offer safely.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::process;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// A duplicate of `fd` that closes on exec.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl takes any number; a number that is no open descriptor is EBADF.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Access mode and status flags of an open descriptor (`F_GETFL`).
pub(crate) fn status_flags(fd: RawFd) -> io::Result<i32> {
    // SAFETY: as in `duplicate`.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags < 0 { Err(io::Error::last_os_error()) } else { Ok(flags) }
}

/// Effective user and group of this process.
pub(crate) fn effective_ids() -> (u32, u32) {
    // SAFETY: always succeeds and touches no memory.
    let uid = unsafe { libc::geteuid() };
    // SAFETY: as above.
    let gid = unsafe { libc::getegid() };
    (uid, gid)
}

/// Whether this is the thread that the process began with, on which Python runs signal
/// handlers.
pub(crate) fn is_main_thread() -> bool {
    // SAFETY: always succeeds and touches no memory.
    let thread = unsafe { libc::gettid() };
    u32::try_from(thread) == Ok(std::process::id())
}

/// Whether the process or thread `other` runs in this process's memory: a thread of ours, or
/// a child of vfork() or posix_spawn() that has not begun its program yet.
pub(crate) fn has_our_memory(other: u32) -> bool {
    const KCMP_VM: libc::c_long = 1;
    let (ours, other) = (libc::c_long::from(process::id()), libc::c_long::from(other));
    // SAFETY: kcmp compares two processes in the kernel; the two indices are not used.
    unsafe { libc::syscall(libc::SYS_kcmp, ours, other, KCMP_VM, 0, 0) == 0 }
}

/// Whether this is the interpreter that the process began with, not a sub-interpreter.
pub(crate) fn is_main_interpreter(_py: Python<'_>) -> bool {
    // SAFETY: the calling thread is attached to an interpreter, as `_py` proves.
    let interpreter = unsafe { ffi::PyInterpreterState_Get() };
    // SAFETY: that interpreter runs this very code.
    unsafe { ffi::PyInterpreterState_GetID(interpreter) == 0 }
}

/// The kernel's number of this thread.
pub(crate) fn thread_number() -> u32 {
    // SAFETY: always succeeds and touches no memory.
    unsafe { libc::gettid() }.cast_unsigned()
}

/// An eventfd: a descriptor that becomes readable when it is signalled.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us; nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The descriptor.
    pub(crate) fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Makes it readable.
    pub(crate) fn signal(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: the pointer and the length are those of `one`. It can only fail where 2^64
        // signals have not been read, and then it is readable.
        unsafe { libc::write(self.number(), one.as_ptr().cast(), one.len()) };
    }

    /// Makes it not readable until the next signal.
    pub(crate) fn clear(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: the pointer and the length are those of `count`. It fails where nothing has
        // been signalled, and then there is nothing to clear.
        unsafe { libc::read(self.number(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// Whether `await` takes the object: its class has `__await__`.
pub(crate) fn is_awaitable(object: &Bound<'_, PyAny>) -> bool {
    has_slot(object, ffi::Py_am_await)
}

/// Whether `async for` takes the object: its class has `__aiter__`.
pub(crate) fn is_async_iterable(object: &Bound<'_, PyAny>) -> bool {
    has_slot(object, ffi::Py_am_aiter)
}

fn has_slot(object: &Bound<'_, PyAny>, slot: i32) -> bool {
    let class = object.get_type_ptr();
    // SAFETY: the object is alive, and so is its class. The function looks the slot up, for
    // any class since Python 3.10.
    !unsafe { ffi::PyType_GetSlot(class, slot) }.is_null()
}

/// What a coroutine, a generator or another iterator did with what was sent to it.
pub(crate) enum Sent<'py> {
    /// It yielded this.
    Yielded(Bound<'py, PyAny>),
    /// It returned this, and has ended.
    Returned(Bound<'py, PyAny>),
}

/// `iterator.send(value)`, without a StopIteration for what is returned.
pub(crate) fn send<'py>(
    iterator: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Sent<'py>> {
    let py = iterator.py();
    let mut result = std::ptr::null_mut();
    // SAFETY: both objects are alive and the GIL is held; `result` takes one reference.
    let sent = unsafe { ffi::PyIter_Send(iterator.as_ptr(), value.as_ptr(), &raw mut result) };
    // SAFETY: a new reference, or null with an exception set.
    let result = unsafe { Bound::from_owned_ptr_or_err(py, result) }?;
    Ok(match sent {
        ffi::PySendResult::PYGEN_NEXT => Sent::Yielded(result),
        _ => Sent::Returned(result),
    })
}

/// `os.fsdecode`: bytes of a name as str, what is not text as lone surrogates.
pub(crate) fn decode_name<'py>(py: Python<'py>, name: &OsStr) -> PyResult<Bound<'py, PyString>> {
    let bytes = name.as_bytes();
    let length = ffi::Py_ssize_t::try_from(bytes.len()).expect("a slice is within isize");
    // SAFETY: pointer and length are those of a live slice; the call copies from it.
    let object = unsafe { ffi::PyUnicode_DecodeFSDefaultAndSize(bytes.as_ptr().cast(), length) };
    // SAFETY: a new reference, or null with an exception set.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, object) }?;
    Ok(object.cast_into()?)
}

/// A Python thread state that stays with a thread Python did not create.
#[derive(Debug)]
pub(crate) struct KeptThreadState {
    thread_state: *mut ffi::PyThreadState,
    before: ffi::PyGILState_STATE,
}

impl KeptThreadState {
    /// Gives this thread a thread state; `None` if it has one (a Python thread has, and
    /// Python takes care of it). Waits for the GIL and leaves it again.
    pub(crate) fn acquire() -> Option<Self> {
        // SAFETY: may be called by any thread at any time once Python runs, and this code
        // is part of an extension module.
        if !unsafe { ffi::PyGILState_GetThisThreadState() }.is_null() {
            return None;
        }
        // SAFETY: the interpreter is not ending: the caller is inside the gate.
        let before = unsafe { ffi::PyGILState_Ensure() };
        // SAFETY: the GIL is held since the line above, by this thread.
        let thread_state = unsafe { ffi::PyEval_SaveThread() };
        Some(Self { thread_state, before })
    }

    /// Deletes the thread state. To be called on the thread that acquired it.
    pub(crate) fn release(self) {
        // SAFETY: `thread_state` is this thread's and detached; the caller is inside the gate.
        unsafe { ffi::PyEval_RestoreThread(self.thread_state) };
        // SAFETY: matches the `PyGILState_Ensure` of `acquire`; the GIL is held.
        unsafe { ffi::PyGILState_Release(self.before) };
    }
}
