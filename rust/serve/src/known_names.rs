//! Which inode the kernel was last told for a name.
//!
//! To tell the kernel that a name was deleted takes the inode that it had, and who deleted it
//! may no longer know. So the answers to lookups are noted here, in a table of fixed size:
//! names are hashed, and a name whose place was taken by another is not known any more. A
//! wrong inode does no harm, since the kernel compares it with its own.

use std::ffi::OsStr;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use fusesg_fs::Inode;

/// Names in a chunk, and chunks, which are made when they are first needed. All together 4 MiB.
const PLACES: usize = 1024;
const CHUNKS: usize = 256;

/// A name in a directory, hashed; a free place has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameKey(NonZeroU64);

/// The table.
pub(crate) struct KnownNames {
    hasher: RandomState,
    chunks: Box<[OnceLock<Box<[Place; PLACES]>>; CHUNKS]>,
}

/// Key and inode are not written at once: who reads them in between gets a wrong inode.
struct Place {
    key: AtomicU64,
    inode: AtomicU64,
}

impl KnownNames {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), chunks: Box::new([const { OnceLock::new() }; CHUNKS]) }
    }

    /// The key of a name.
    pub(crate) fn key(&self, parent: Inode, name: &OsStr) -> NameKey {
        let hash = self.hasher.hash_one((parent.0, name.as_encoded_bytes()));
        NameKey(NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN))
    }

    /// The kernel is told that the name means `inode`.
    pub(crate) fn note(&self, key: NameKey, inode: Inode) {
        let (chunk, place) = Self::split(key);
        let places = self.chunks[chunk].get_or_init(|| {
            let free = || Place { key: AtomicU64::new(0), inode: AtomicU64::new(0) };
            Box::new(std::array::from_fn(|_| free()))
        });
        places[place].key.store(key.0.get(), Ordering::Relaxed);
        places[place].inode.store(inode.0, Ordering::Relaxed);
    }

    /// What the kernel was told last, if that is still known.
    pub(crate) fn inode(&self, key: NameKey) -> Option<Inode> {
        let (chunk, place) = Self::split(key);
        let place = &self.chunks[chunk].get()?[place];
        let inode = Inode(place.inode.load(Ordering::Relaxed));
        (place.key.load(Ordering::Relaxed) == key.0.get() && inode != Inode(0)).then_some(inode)
    }

    fn split(NameKey(key): NameKey) -> (usize, usize) {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
        let key = key.get() as usize;
        (key % CHUNKS, key / CHUNKS % PLACES)
    }
}

impl fmt::Debug for KnownNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownNames").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_inode_is_known() {
        let names = KnownNames::new();
        let key = names.key(Inode(1), OsStr::new("a"));
        assert_eq!(names.inode(key), None);
        names.note(key, Inode(7));
        names.note(key, Inode(8));
        assert_eq!(names.inode(key), Some(Inode(8)));
        assert_eq!(names.inode(names.key(Inode(2), OsStr::new("a"))), None);
    }

    #[test]
    fn most_names_of_a_large_tree_are_known() {
        let names = KnownNames::new();
        let key = |number: u64| names.key(Inode(1), OsStr::new(&number.to_string()));
        for number in 1..=20_000 {
            names.note(key(number), Inode(number));
        }
        let known = (1..=20_000).filter(|n| names.inode(key(*n)) == Some(Inode(*n))).count();
        assert!(known > 19_000, "{known} of 20000");
    }
}
