//! Operations that the file system does not have: answered ENOSYS once, never asked again.

use std::sync::atomic::{AtomicU64, Ordering};

use fusesg_fs::OperationKind;

/// What every open of a 64-bit program has, and the kernel passes on.
pub(super) const O_LARGEFILE: i32 = 0o100_000;

/// The operations that were answered ENOSYS, one bit each.
#[derive(Debug, Default)]
pub(super) struct Absent(AtomicU64);

impl Absent {
    pub(super) fn contains(&self, kind: OperationKind) -> bool {
        self.0.load(Ordering::Relaxed) & 1 << kind as u8 != 0
    }

    pub(super) fn insert(&self, kind: OperationKind) {
        self.0.fetch_or(1 << kind as u8, Ordering::Relaxed);
    }
}
