//! Parsers of what the kernel tells in bytes, made public for the fuzzers in `rust/fuzz`.

use crate::passthrough::Record;

/// One record of getdents64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryRecord<'a> {
    /// Inode number.
    pub inode: u64,
    /// Where the next record is.
    pub next_offset: u64,
    /// Bytes of the record.
    pub length: usize,
    /// Type of the file.
    pub kind: u8,
    /// Name, without the NUL behind it.
    pub name: &'a [u8],
}

/// The first record in `bytes`; `None` if they do not begin with a whole one.
pub fn directory_record(bytes: &[u8]) -> Option<DirectoryRecord<'_>> {
    let Record { inode, next_offset, length, kind, name } = Record::parse(bytes)?;
    Some(DirectoryRecord { inode, next_offset, length, kind, name: name.to_bytes() })
}
