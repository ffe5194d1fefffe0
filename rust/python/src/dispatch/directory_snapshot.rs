//! A directory listing that stays the same while it is read.
//!
//! A class whose entries carry no positions of their own is asked once, at offset 0; the
//! answer is kept for the open directory, and positions are indices into it. So names
//! that come and go meanwhile make nothing appear twice or get lost, and telldir and
//! seekdir work. rewinddir asks the class again.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fusesg_fs::{DirectoryEntry, DirectorySink, Entry, FileType, Handle, Inode, PathTable};
use parking_lot::Mutex;

use crate::values::directory_entry::PyDirectoryEntry;
use crate::values::entry::PyEntry;

/// Attributes older than this are not sent with a name: it may have been removed since,
/// and the kernel would believe it back into existence.
const FRESH: Duration = Duration::from_secs(1);

/// What libfuse shows as the inode of a `..` it does not know.
const UNKNOWN_INODE: Inode = Inode(0xffff_ffff);

/// One name of a listing.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// What it says; may be `.` or `..`.
    pub(crate) text: OsString,
    /// `d_ino`; 0 if the class did not say it.
    pub(crate) inode: Inode,
    /// `d_type`, if it is known.
    pub(crate) kind: Option<FileType>,
    /// What a lookup would answer, if the class said.
    ///
    /// Boxed: most listings have none, and long ones are kept whole.
    pub(crate) entry: Option<Box<PyEntry>>,
}

impl From<PyDirectoryEntry> for Name {
    fn from(entry: PyDirectoryEntry) -> Self {
        let PyDirectoryEntry { name: text, inode, kind, entry, .. } = entry;
        Self { text, inode, kind, entry: entry.map(Box::new) }
    }
}

/// A sink that counts the lookups in what it passes on: the kernel gives each one back.
pub(crate) struct CountingSink<'a> {
    sink: &'a mut dyn DirectorySink,
    /// The kernel asked for attributes, too.
    plus: bool,
    /// What is listed, if numbers are those of a table.
    directory: Option<Directory<'a>>,
    counted: Vec<Inode>,
}

/// A directory of a file system of paths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Directory<'a> {
    pub(crate) paths: &'a PathTable,
    pub(crate) inode: Inode,
}

impl<'a> CountingSink<'a> {
    pub(crate) fn new(
        sink: &'a mut dyn DirectorySink,
        plus: bool,
        directory: Option<Directory<'a>>,
    ) -> Self {
        Self { sink, plus, directory, counted: Vec::new() }
    }

    /// Passes a name on, `next_offset` being the position after it; `false` if it does not
    /// fit any more.
    pub(crate) fn add(&mut self, name: &Name, next_offset: u64) -> bool {
        // the kernel does not look the dots up
        let entry = name.entry.as_deref().filter(|_| self.plus && !is_dot(&name.text));
        if let Some(directory) = self.directory {
            return self.add_path(directory, name, entry.map(|entry| entry.0), next_offset);
        }
        let taken = self.sink.add(&DirectoryEntry {
            name: &name.text,
            inode: name.inode,
            kind: name.kind,
            next_offset,
            entry: entry.map(|entry| &entry.0),
        });
        if let Some(entry) = entry.filter(|_| taken) {
            self.counted.push(entry.delivered().attributes.inode);
        }
        taken
    }

    /// The same, where the table says which numbers the names have.
    fn add_path(
        &mut self,
        directory: Directory<'_>,
        name: &Name,
        entry: Option<Entry>,
        next_offset: u64,
    ) -> bool {
        let Directory { paths, inode: parent } = directory;
        // a directory that the kernel has forgotten meanwhile has no names to remember
        let known = entry.and_then(|mut entry| {
            let inode = paths.remember(parent, &name.text, &entry.attributes).ok()?;
            entry.attributes.inode = inode;
            Some(entry)
        });
        let inode = match &known {
            Some(entry) => entry.attributes.inode,
            None if name.text == "." => parent,
            None if name.text == ".." && parent == Inode::ROOT => parent,
            None => match paths.child(parent, &name.text) {
                Some(inode) => inode,
                None if name.inode == Inode(0) || name.inode == Inode::ROOT => UNKNOWN_INODE,
                None => name.inode,
            },
        };
        let kind = name.kind.or_else(|| is_dot(&name.text).then_some(FileType::Directory));
        let entry = known.as_ref();
        let listed = DirectoryEntry { name: &name.text, inode, kind, next_offset, entry };
        let taken = self.sink.add(&listed);
        match &known {
            Some(_) if taken => self.counted.push(inode),
            Some(_) => paths.forget(inode, 1),
            None => {}
        }
        taken
    }

    /// The inodes of which the kernel will give a lookup back, if the listing reaches it.
    pub(crate) fn into_counted(self) -> Vec<Inode> {
        self.counted
    }
}

/// A listing as the class gave it at one moment.
#[derive(Debug)]
pub(crate) struct DirectorySnapshot {
    names: Vec<Name>,
    taken: Instant,
    /// How many names had been renamed or removed by then.
    changes: u64,
}

impl DirectorySnapshot {
    /// Keeps `names`; `.` and `..` are added where the class left them out.
    pub(crate) fn new(inode: Inode, names: Vec<Name>, directory: Option<Directory<'_>>) -> Self {
        let mut all: Vec<_> = dots(inode)
            .into_iter()
            .filter(|dot| !names.iter().any(|name| name.text == dot.text))
            .collect();
        all.extend(names);
        Self { names: all, taken: Instant::now(), changes: changes(directory) }
    }

    /// Puts the names from position `offset` into `sink`, until it is full.
    pub(crate) fn fill(&self, offset: u64, sink: &mut CountingSink<'_>) {
        sink.plus &= self.taken.elapsed() < FRESH && changes(sink.directory) == self.changes;
        let first = usize::try_from(offset).unwrap_or(usize::MAX).min(self.names.len());
        for (position, name) in (offset + 1..).zip(&self.names[first..]) {
            if !sink.add(name, position) {
                break;
            }
        }
    }
}

/// What a table of paths has seen change.
fn changes(directory: Option<Directory<'_>>) -> u64 {
    directory.map_or(0, |directory| directory.paths.changes())
}

/// `.` and `..` of a directory.
fn dots(directory: Inode) -> [Name; 2] {
    let parent = if directory == Inode::ROOT { directory } else { UNKNOWN_INODE };
    [(".", directory), ("..", parent)].map(|(text, inode)| Name {
        text: text.into(),
        inode,
        kind: Some(FileType::Directory),
        entry: None,
    })
}

/// Whether it is `.` or `..`.
pub(crate) fn is_dot(name: &OsStr) -> bool {
    name == "." || name == ".."
}

/// The listings of the open directories of one mount.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    of: Mutex<HashMap<Handle, Arc<DirectorySnapshot>>>,
}

impl Listings {
    /// The listing an open directory is read from.
    pub(crate) fn get(&self, handle: Handle) -> Option<Arc<DirectorySnapshot>> {
        self.of.lock().get(&handle).cloned()
    }

    /// Keeps a listing, in place of an earlier one.
    pub(crate) fn set(&self, handle: Handle, listing: Arc<DirectorySnapshot>) {
        let before = self.of.lock().insert(handle, listing);
        drop(before);
    }

    /// The directory was closed.
    pub(crate) fn remove(&self, handle: Handle) {
        let before = self.of.lock().remove(&handle);
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` entries and refuses the next.
    struct Sink {
        room: usize,
        taken: Vec<(String, u64)>,
    }

    impl DirectorySink for Sink {
        fn add(&mut self, entry: &DirectoryEntry<'_>) -> bool {
            if self.taken.len() == self.room {
                return false;
            }
            self.taken.push((entry.name.to_string_lossy().into_owned(), entry.next_offset));
            true
        }
    }

    fn name(text: &str) -> Name {
        Name { text: text.into(), inode: Inode(7), kind: Some(FileType::Regular), entry: None }
    }

    fn read_all(snapshot: &DirectorySnapshot, room: usize) -> Vec<String> {
        let (mut names, mut offset) = (Vec::new(), 0);
        loop {
            let mut sink = Sink { room, taken: Vec::new() };
            snapshot.fill(offset, &mut CountingSink::new(&mut sink, false, None));
            let Some((_, last)) = sink.taken.last() else { return names };
            offset = *last;
            names.extend(sink.taken.into_iter().map(|(name, _)| name));
        }
    }

    #[test]
    fn nothing_is_lost_or_repeated_whatever_fits_the_buffer() {
        let names: Vec<_> = (0..10).map(|number| name(&number.to_string())).collect();
        let snapshot = DirectorySnapshot::new(Inode::ROOT, names, None);
        let whole = read_all(&snapshot, 100);
        assert_eq!(whole[..3], [".", "..", "0"]);
        assert_eq!(whole.len(), 12);
        for room in 1..13 {
            assert_eq!(read_all(&snapshot, room), whole);
        }
    }

    #[test]
    fn dots_of_the_class_are_kept_and_not_doubled() {
        let snapshot =
            DirectorySnapshot::new(Inode(5), vec![name("a"), name(".."), name(".")], None);
        assert_eq!(read_all(&snapshot, 100), ["a", "..", "."]);
    }

    #[test]
    fn a_position_beyond_the_end_is_the_end() {
        let snapshot = DirectorySnapshot::new(Inode(5), vec![name("a")], None);
        let mut sink = Sink { room: 10, taken: Vec::new() };
        snapshot.fill(u64::MAX >> 1, &mut CountingSink::new(&mut sink, false, None));
        assert!(sink.taken.is_empty());
    }
}
