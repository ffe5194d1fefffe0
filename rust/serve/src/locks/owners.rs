//! Who set locks through which open file, or tried to.
//!
//! More may be noted than is held: a range that is unlocked leaves its owner here until it
//! closes the file. Unlocking where nothing is locked does no harm.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use fusesg_fs::{Handle, Inode, LockOwner};
use parking_lot::Mutex;

/// The owners of locks of a mount.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    /// Inodes in the table, to be asked without the lock: most files are never locked.
    inodes: AtomicUsize,
    table: Mutex<HashMap<Inode, HashMap<LockOwner, Vec<Handle>>>>,
    /// How many open files have the same handle.
    open: Mutex<HashMap<(Inode, Handle), u64>>,
}

impl Owners {
    /// A file was opened.
    pub(super) fn opened(&self, inode: Inode, handle: Handle) {
        *self.open.lock().entry((inode, handle)).or_default() += 1;
    }

    /// A file was closed for good; whether no other one has its handle.
    pub(super) fn was_last(&self, inode: Inode, handle: Handle) -> bool {
        let mut open = self.open.lock();
        let Some(count) = open.get_mut(&(inode, handle)) else { return true };
        *count -= 1;
        if *count == 0 {
            open.remove(&(inode, handle));
            return true;
        }
        false
    }

    /// `owner` sets a lock through `handle`.
    pub(super) fn note(&self, inode: Inode, owner: LockOwner, handle: Handle) {
        let mut table = self.table.lock();
        let handles = table.entry(inode).or_default().entry(owner).or_default();
        if !handles.contains(&handle) {
            handles.push(handle);
        }
        self.inodes.store(table.len(), Ordering::Release);
    }

    /// Whether `owner` may have locks.
    pub(super) fn has(&self, inode: Inode, owner: LockOwner) -> bool {
        self.inodes.load(Ordering::Acquire) != 0
            && self.table.lock().get(&inode).is_some_and(|owners| owners.contains_key(&owner))
    }

    /// Who may have locks that were set through `handle`.
    pub(super) fn of_handle(&self, inode: Inode, handle: Handle) -> Vec<LockOwner> {
        if self.inodes.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let table = self.table.lock();
        let Some(owners) = table.get(&inode) else { return Vec::new() };
        let through_it = |(owner, handles): (&LockOwner, &Vec<Handle>)| {
            handles.contains(&handle).then_some(*owner)
        };
        owners.iter().filter_map(through_it).collect()
    }

    /// `owner` has no locks any more.
    pub(super) fn remove(&self, inode: Inode, owner: LockOwner) {
        let mut table = self.table.lock();
        if let Some(owners) = table.get_mut(&inode) {
            owners.remove(&owner);
            if owners.is_empty() {
                table.remove(&inode);
            }
        }
        self.inodes.store(table.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_found_until_it_is_removed() {
        let owners = Owners::default();
        let (file, me, other) = (Inode(2), LockOwner(7), LockOwner(8));
        assert!(!owners.has(file, me));
        owners.note(file, me, Handle(1));
        owners.note(file, me, Handle(2));
        owners.note(file, other, Handle(2));
        assert!(owners.has(file, me));
        assert_eq!(owners.of_handle(file, Handle(1)), [me]);
        assert_eq!(owners.of_handle(file, Handle(2)).len(), 2);
        owners.remove(file, me);
        assert!(!owners.has(file, me));
        assert_eq!(owners.of_handle(file, Handle(2)), [other]);
        owners.remove(file, other);
        assert_eq!(owners.inodes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn open_files_may_share_a_handle() {
        let owners = Owners::default();
        owners.opened(Inode(2), Handle(0));
        owners.opened(Inode(2), Handle(0));
        owners.opened(Inode(3), Handle(0));
        assert!(!owners.was_last(Inode(2), Handle(0)));
        assert!(owners.was_last(Inode(2), Handle(0)));
        assert!(owners.was_last(Inode(3), Handle(0)));
        assert!(owners.open.lock().is_empty());
    }
}
