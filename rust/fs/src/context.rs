//! Who asks.

use crate::Unique;

/// The caller of an operation.
///
/// For a READ or WRITE that comes from the page cache `uid`, `gid` and `pid` mean
/// nothing: the kernel sends them on nobody's behalf.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// The request.
    pub unique: Unique,
    /// Effective user of the caller.
    pub uid: u32,
    /// Effective group of the caller.
    pub gid: u32,
    /// Thread id of the caller, 0 when it is in another pid namespace or the kernel itself.
    pub pid: u32,
    /// The caller's umask, where the operation creates something; else 0.
    pub umask: u32,
}
