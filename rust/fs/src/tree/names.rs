//! The names of all directories, in three arrays.
//!
//! A name is found by a hash of its directory and itself. The names of one directory are
//! linked in the order in which they came, which is the order of its listing.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// In place of the index of a name: there is none.
pub(super) const NONE: u32 = u32::MAX;

/// All names.
#[derive(Debug, Default)]
pub(super) struct Names {
    entries: Vec<Name>,
    bytes: Vec<u8>,
    /// Indices of `entries`.
    table: HashTable<u32>,
    hasher: RandomState,
}

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    start: u64,
    /// The directory it is in.
    pub(super) parent: u32,
    /// Where it leads.
    pub(super) node: u32,
    /// The next in the directory, or [`NONE`].
    pub(super) next: u32,
    length: u8,
}

impl Names {
    /// Where `name` leads from the directory `parent`.
    pub(super) fn find(&self, parent: u32, name: &[u8]) -> Option<u32> {
        let hash = self.hash(parent, name);
        let index = self.table.find(hash, |index| {
            let found = &self.entries[*index as usize];
            found.parent == parent && self.text(found) == name
        })?;
        Some(self.entries[*index as usize].node)
    }

    /// Adds a name that is not there; its index, or `None` if there are too many.
    pub(super) fn push(&mut self, parent: u32, name: &[u8], node: u32) -> Option<u32> {
        let index = u32::try_from(self.entries.len()).ok().filter(|index| *index < NONE - 8)?;
        let length = u8::try_from(name.len()).ok()?;
        let hash = self.hash(parent, name);
        self.entries.push(Name {
            start: self.bytes.len() as u64,
            parent,
            node,
            next: NONE,
            length,
        });
        self.bytes.extend_from_slice(name);
        let Self { entries, bytes, table, hasher } = self;
        table.insert_unique(hash, index, |index| {
            let name = &entries[*index as usize];
            hasher.hash_one((name.parent, text(bytes, name)))
        });
        Some(index)
    }

    /// Links the name `next` behind `index`.
    pub(super) fn link(&mut self, index: u32, next: u32) {
        self.entries[index as usize].next = next;
    }

    /// A name and its bytes.
    pub(super) fn get(&self, index: u32) -> Option<(&Name, &[u8])> {
        let name = self.entries.get(index as usize)?;
        Some((name, self.text(name)))
    }

    /// Gives back memory that was kept for more names.
    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.bytes.shrink_to_fit();
        let Self { entries, bytes, table, hasher } = self;
        table.shrink_to_fit(|index| {
            let name = &entries[*index as usize];
            hasher.hash_one((name.parent, text(bytes, name)))
        });
    }

    fn hash(&self, parent: u32, name: &[u8]) -> u64 {
        self.hasher.hash_one((parent, name))
    }

    fn text(&self, name: &Name) -> &[u8] {
        text(&self.bytes, name)
    }
}

fn text<'a>(bytes: &'a [u8], name: &Name) -> &'a [u8] {
    let start = usize::try_from(name.start).expect("an index of the array");
    &bytes[start..start + usize::from(name.length)]
}
