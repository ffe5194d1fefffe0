//! Listings.
//!
//! A listing needs no open directory: its position is a cookie of the directory itself. So
//! OPENDIR is left to the transport.

use std::ffi::OsStr;

use super::Memory;
use super::directory::{DOT, DOT_DOT};
use crate::{DirectoryEntry, DirectorySink, FileType, Inode, Result};

impl Memory {
    /// Lists into `sink` from `offset` until it is full.
    pub(super) fn list(
        &self,
        inode: Inode,
        offset: u64,
        plus: bool,
        sink: &mut dyn DirectorySink,
    ) -> Result<()> {
        let node = self.inodes.get(inode)?;
        let directory = node.directory()?;
        node.was_read();
        let parent = directory.parent().map_or(node.number, |parent| parent.number);
        for (cookie, name, number) in [(DOT, ".", node.number), (DOT_DOT, "..", parent)] {
            if offset < cookie && !sink.add(&dots(name, number, cookie)) {
                return Ok(());
            }
        }
        for (cookie, name, node) in directory.names.read().after(offset.max(DOT_DOT)) {
            let entry = plus.then(|| self.entry(node));
            let fits = sink.add(&DirectoryEntry {
                name,
                inode: node.number,
                kind: Some(node.kind()),
                next_offset: cookie,
                entry: entry.as_ref(),
            });
            if !fits {
                if plus {
                    self.inodes.forget(node.number, 1);
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// The directory, to be listed.
    pub(super) fn check_directory(&self, inode: Inode) -> Result<()> {
        self.inodes.get(inode)?.directory().map(drop)
    }
}

fn dots(name: &str, inode: Inode, cookie: u64) -> DirectoryEntry<'_> {
    DirectoryEntry {
        name: OsStr::new(name),
        inode,
        kind: Some(FileType::Directory),
        next_offset: cookie,
        entry: None,
    }
}
