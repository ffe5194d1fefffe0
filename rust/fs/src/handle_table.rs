//! Numbers for open files and directories.

use std::sync::Arc;

use parking_lot::RwLock;

use crate::{Errno, Handle, Result};

/// What is open, by the number that the kernel gives back.
///
/// A number is an index and how often that place was used before, so that a late operation
/// on a released handle is an error and never another file.
#[derive(Debug)]
pub(crate) struct HandleTable<T> {
    slots: RwLock<Slots<T>>,
}

#[derive(Debug)]
struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    /// Counts from 1, so that no handle is 0.
    generation: u32,
    value: Option<Arc<T>>,
}

impl<T> Default for HandleTable<T> {
    fn default() -> Self {
        Self { slots: RwLock::new(Slots { slots: Vec::new(), free: Vec::new() }) }
    }
}

impl<T> HandleTable<T> {
    /// Takes a free number for `value`.
    pub(crate) fn insert(&self, value: T) -> Result<Handle> {
        let mut table = self.slots.write();
        let index = if let Some(index) = table.free.pop() {
            index
        } else {
            let index = u32::try_from(table.slots.len()).map_err(|_| Errno::ENFILE)?;
            table.slots.push(Slot { generation: 0, value: None });
            index
        };
        let slot = &mut table.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1).max(1);
        slot.value = Some(Arc::new(value));
        Ok(Handle(u64::from(slot.generation) << 32 | u64::from(index)))
    }

    /// What `handle` stands for; EBADF if it was released.
    pub(crate) fn get(&self, handle: Handle) -> Result<Arc<T>> {
        let (index, generation) = split(handle);
        match self.slots.read().slots.get(index as usize) {
            Some(Slot { generation: current, value: Some(value) }) if *current == generation => {
                Ok(Arc::clone(value))
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// Frees the number; requests in flight may hold the value a little longer.
    pub(crate) fn remove(&self, handle: Handle) -> Result<Arc<T>> {
        let (index, generation) = split(handle);
        let mut table = self.slots.write();
        let slot = table.slots.get_mut(index as usize).ok_or(Errno::EBADF)?;
        if slot.generation != generation {
            return Err(Errno::EBADF);
        }
        let value = slot.value.take().ok_or(Errno::EBADF)?;
        table.free.push(index);
        Ok(value)
    }

    /// Frees all numbers.
    pub(crate) fn clear(&self) {
        let mut closed = Vec::new();
        let mut table = self.slots.write();
        let Slots { slots, free } = &mut *table;
        for (index, slot) in (0..).zip(slots) {
            if let Some(value) = slot.value.take() {
                free.push(index);
                closed.push(value);
            }
        }
        drop(table);
        // closing may wait for another file system: not with the lock held
        drop(closed);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
fn split(handle: Handle) -> (u32, u32) {
    (handle.0 as u32, (handle.0 >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_handle_never_names_another_file() {
        let table = HandleTable::default();
        let first = table.insert("first").unwrap();
        assert_ne!(first, Handle(0));
        assert_eq!(*table.remove(first).unwrap(), "first");
        let second = table.insert("second").unwrap();
        assert_eq!(table.get(first), Err(Errno::EBADF));
        assert_eq!(table.remove(first), Err(Errno::EBADF));
        assert_eq!(*table.get(second).unwrap(), "second");
        assert_eq!(table.get(Handle(u64::MAX)), Err(Errno::EBADF));
    }

    #[test]
    fn a_cleared_table_holds_nothing_and_goes_on() {
        let table = HandleTable::default();
        let value = Arc::new(());
        let old = table.insert(Arc::clone(&value)).unwrap();
        table.clear();
        assert_eq!(Arc::strong_count(&value), 1);
        assert_eq!(table.get(old), Err(Errno::EBADF));
        let new = table.insert(value).unwrap();
        assert_ne!(new, old);
        assert_eq!(table.get(old), Err(Errno::EBADF));
    }
}
