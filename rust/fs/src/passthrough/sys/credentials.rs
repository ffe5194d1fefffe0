//! The calling thread's file system ids and capabilities.
//!
//! By number throughout: the C library's setters change all threads of the process.

use std::io;

use super::retry;

/// `_LINUX_CAPABILITY_VERSION_3`: 64-bit sets in two halves.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Capability sets of a thread, bit n for capability n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// What the kernel checks.
    pub(crate) effective: u64,
    /// What may become effective.
    pub(crate) permitted: u64,
    /// What execve keeps.
    pub(crate) inheritable: u64,
}

/// setfsuid(2) for this thread only; returns the uid before. `u32::MAX` changes nothing.
pub(crate) fn setfsuid(uid: u32) -> u32 {
    // SAFETY: takes no memory of ours.
    let before = unsafe { libc::syscall(libc::SYS_setfsuid, uid) };
    id(before)
}

/// setfsgid(2) for this thread only; returns the gid before. `u32::MAX` changes nothing.
pub(crate) fn setfsgid(gid: u32) -> u32 {
    // SAFETY: takes no memory of ours.
    let before = unsafe { libc::syscall(libc::SYS_setfsgid, gid) };
    id(before)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an id has 32 bits, which syscall(2) returns in a long"
)]
fn id(result: libc::c_long) -> u32 {
    result as u32
}

/// Capabilities of this thread.
pub(crate) fn capabilities() -> io::Result<Capabilities> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut halves = [Half::default(); 2];
    let (header, start) = (&raw mut header, halves.as_mut_ptr());
    // SAFETY: version 3 has a header and two halves.
    retry(|| unsafe { libc::syscall(libc::SYS_capget, header, start) })?;
    let join =
        |part: fn(&Half) -> u32| u64::from(part(&halves[0])) | u64::from(part(&halves[1])) << 32;
    Ok(Capabilities {
        effective: join(|half| half.effective),
        permitted: join(|half| half.permitted),
        inheritable: join(|half| half.inheritable),
    })
}

/// Gives this thread the sets of `base` with another effective set.
pub(crate) fn set_effective_capabilities(base: &Capabilities, effective: u64) -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let half = |shift: u32| Half {
        effective: low_half(effective >> shift),
        permitted: low_half(base.permitted >> shift),
        inheritable: low_half(base.inheritable >> shift),
    };
    let halves = [half(0), half(32)];
    let (header, start) = (&raw mut header, halves.as_ptr());
    // SAFETY: version 3 has a header and two halves.
    retry(|| unsafe { libc::syscall(libc::SYS_capset, header, start) })?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn low_half(set: u64) -> u32 {
    set as u32
}
