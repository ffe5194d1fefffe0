//! Handles that Python's open and opendir returned.

use std::sync::Arc;

use fusesg_fs::{Handle, OpenData};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::threads::reaper;

/// Set in the numbers of handles that live here, never in those of a native file system.
const PYTHON: u64 = 1 << 63;

/// Set besides where the bytes of the file are known, and Python is not asked for them.
const DATA: u64 = 1 << 62;
/// What is left for how often a slot was used: 30 bits.
const GENERATION: u64 = 0x3fff_ffff;

/// An open file or directory of a Python class.
#[derive(Debug)]
pub(crate) struct OpenObject {
    /// `None` where the class has no opendir: the kernel still gets a number.
    object: Option<Py<PyAny>>,
    /// What it consists of, if that is known.
    data: Option<Arc<OpenData>>,
}

impl OpenObject {
    /// The class's object, or None.
    pub(crate) fn object(&self, py: Python<'_>) -> Py<PyAny> {
        match &self.object {
            Some(object) => object.clone_ref(py),
            None => py.None(),
        }
    }

    /// The bytes, if they are known.
    pub(crate) fn data(&self) -> Option<&OpenData> {
        self.data.as_deref()
    }
}

impl Drop for OpenObject {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            reaper::defer(object);
        }
    }
}

/// The open files and directories of one mount, by the number the kernel knows.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    /// Counts reuses, so that a stale number finds nothing.
    generation: u32,
    open: Option<Arc<OpenObject>>,
}

impl Handles {
    /// Gives `object` a number.
    pub(crate) fn insert(&self, object: Option<Py<PyAny>>) -> Handle {
        Handle(PYTHON | self.place(OpenObject { object, data: None }))
    }

    /// Gives `object`, an open file with these bytes, a number.
    pub(crate) fn insert_data(&self, object: Py<PyAny>, data: Arc<OpenData>) -> Handle {
        Handle(PYTHON | DATA | self.place(OpenObject { object: Some(object), data: Some(data) }))
    }

    /// Index and generation, without marks.
    fn place(&self, open: OpenObject) -> u64 {
        let open = Some(Arc::new(open));
        let mut table = self.table.lock();
        let index = if let Some(index) = table.free.pop() {
            table.slots[index as usize].open = open;
            index
        } else {
            let index = u32::try_from(table.slots.len()).expect("fewer than 2^32 open files");
            table.slots.push(Slot { generation: 0, open });
            index
        };
        let generation = u64::from(table.slots[index as usize].generation) & GENERATION;
        generation << 32 | u64::from(index)
    }

    /// What has this number.
    pub(crate) fn get(&self, handle: Handle) -> Option<Arc<OpenObject>> {
        let table = self.table.lock();
        let slot = table.slots.get(index_of(handle))?;
        slot.has(handle).then(|| slot.open.clone())?
    }

    /// Takes the number back.
    pub(crate) fn remove(&self, handle: Handle) -> Option<Arc<OpenObject>> {
        let mut table = self.table.lock();
        let index = index_of(handle);
        let slot = table.slots.get_mut(index).filter(|slot| slot.has(handle))?;
        let open = slot.open.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        table.free.push(u32::try_from(index).expect("an index of the table"));
        Some(open)
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        let table = self.table.lock();
        table.slots.len() - table.free.len()
    }

    /// Drops them all: the mount has ended.
    pub(crate) fn clear(&self) {
        let table = std::mem::take(&mut *self.table.lock());
        drop(table);
    }
}

impl Slot {
    fn has(&self, handle: Handle) -> bool {
        let generation = handle.0 >> 32 & GENERATION;
        is_python(handle) && u64::from(self.generation) & GENERATION == generation
    }
}

/// Whether the number was given by this table.
pub(crate) fn is_python(handle: Handle) -> bool {
    handle.0 & PYTHON != 0
}

/// Whether the number was given by [`Handles::insert_data`].
pub(crate) fn is_data(handle: Handle) -> bool {
    handle.0 & (PYTHON | DATA) == PYTHON | DATA
}

fn index_of(handle: Handle) -> usize {
    usize::try_from(handle.0 & 0xffff_ffff).expect("32 bits fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_not_valid_again_after_its_slot_is_reused() {
        let handles = Handles::default();
        let first = handles.insert(None);
        assert!(is_python(first));
        assert!(handles.get(first).is_some());
        assert!(handles.remove(first).is_some());
        let second = handles.insert(None);
        assert_ne!(first, second);
        assert!(handles.get(first).is_none());
        assert!(handles.remove(first).is_none());
        assert!(handles.get(second).is_some());
        assert_eq!(handles.len(), 1);
    }

    #[test]
    fn a_native_number_is_never_found() {
        let handles = Handles::default();
        handles.insert(None);
        assert!(handles.get(Handle(0)).is_none());
        assert!(handles.remove(Handle(0)).is_none());
    }
}
