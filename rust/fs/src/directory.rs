//! Directory listings.

use std::ffi::OsStr;

use crate::{Entry, FileType, Inode};

/// One name in a directory.
#[derive(Clone, Copy, Debug)]
pub struct DirectoryEntry<'a> {
    /// The name, without `/` or NUL.
    pub name: &'a OsStr,
    /// `d_ino`.
    pub inode: Inode,
    /// `d_type`; `None` is `DT_UNKNOWN`, and who wants to know it looks the name up.
    pub kind: Option<FileType>,
    /// Position after this entry: what the next READDIR asks for. Never 0.
    pub next_offset: u64,
    /// For READDIRPLUS: what a LOOKUP of the name would answer, which then counts as
    /// one lookup; `None` gives the kernel the name only.
    pub entry: Option<&'a Entry>,
}

/// Where READDIR and READDIRPLUS put their entries: the kernel's buffer.
pub trait DirectorySink {
    /// Appends an entry. `false`: the buffer is full and the entry is *not* in it; stop
    /// and answer (the kernel asks again from this entry).
    fn add(&mut self, entry: &DirectoryEntry<'_>) -> bool;
}
