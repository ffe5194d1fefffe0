//! How much a file system may hold.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Errno, Result};

/// Bytes and inodes: what is held, and what may be.
///
/// Whoever needs several units takes them in one step, before anything is changed. So an
/// operation that fails for want of space has changed nothing.
#[derive(Debug)]
pub(super) struct Limits {
    /// Pages of files, targets of links, extended attributes.
    pub(super) bytes: Account,
    /// Inodes, and names beyond the first of each.
    pub(super) inodes: Account,
}

#[derive(Debug)]
pub(super) struct Account {
    limit: u64,
    used: AtomicU64,
}

impl Account {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    /// Takes `amount`; ENOSPC, and nothing taken, if that is more than is left.
    pub(super) fn take(&self, amount: u64) -> Result<()> {
        if amount == 0 {
            return Ok(());
        }
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(amount).filter(|used| *used <= self.limit)
        });
        taken.map(drop).map_err(|_| Errno::ENOSPC)
    }

    pub(super) fn give_back(&self, amount: u64) {
        if amount != 0 {
            self.used.fetch_sub(amount, Ordering::Relaxed);
        }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn left(&self) -> u64 {
        self.limit - self.used.load(Ordering::Relaxed)
    }
}
