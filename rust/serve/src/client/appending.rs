//! Writes to files that are open for appending.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use fusesg_fs::{Inode, Result};
use parking_lot::Mutex;

use super::open_file::OpenFile;
use super::session::Session;

/// One appending write to each inode at a time: the next one begins where it ends.
#[derive(Debug, Default)]
pub(super) struct Appending(Mutex<HashMap<Inode, Weak<Mutex<()>>>>);

impl Appending {
    pub(super) fn lock_of(&self, inode: Inode) -> Arc<Mutex<()>> {
        let mut locks = self.0.lock();
        locks.retain(|_, lock| lock.strong_count() > 0);
        let known = locks.get(&inode).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let lock = Arc::default();
            locks.insert(inode, Arc::downgrade(&lock));
            lock
        })
    }
}

impl Session {
    /// Carries out a write where it belongs: at `offset`, or at the end of a file that is open
    /// for appending. Returns where that was, and how many bytes were taken.
    pub(super) fn write_at(
        &self,
        file: &OpenFile,
        offset: u64,
        write: impl FnOnce(&Self, u64) -> Result<u64>,
    ) -> Result<(u64, u64)> {
        if file.has_positions() {
            return write(self, offset).map(|written| (offset, written));
        }
        let lock = self.appending.lock_of(file.inode());
        let _one_at_a_time = lock.lock();
        let end = self.attributes_of(file.inode(), Some(file.handle()))?.size;
        write(self, end).map(|written| (end, written))
    }
}
