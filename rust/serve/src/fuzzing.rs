//! Parsers of what the kernel tells in bytes, made public for the fuzzers in `rust/fuzz`.

use std::path::Path;

use crate::caller::{self, Caller};
use crate::mounting::topmost_of;

/// Mount id and device minor of what is on top at `point`, from the bytes of
/// `/proc/self/mountinfo`.
pub fn topmost_mount(mountinfo: &[u8], point: &Path) -> Option<(u64, u32)> {
    topmost_of(mountinfo, point).map(|mount| (mount.id.id, mount.id.minor))
}

/// What `/proc/TID/status` says about a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerState {
    /// It waits, as a part of that process.
    Alive(u32),
    /// A signal that ends its wait has come.
    Killed,
    /// It ended.
    Gone,
}

/// The state of thread `tid`, from the bytes of `/proc/TID/status`.
pub fn caller_state(tid: u32, status: &[u8]) -> CallerState {
    match caller::judge(tid, status) {
        Caller::Alive { process, .. } => CallerState::Alive(process),
        Caller::Killed => CallerState::Killed,
        Caller::Gone => CallerState::Gone,
    }
}
