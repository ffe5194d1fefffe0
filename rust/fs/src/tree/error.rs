//! Why something cannot be added to a tree.

use std::fmt;

use crate::Errno;

/// Why something cannot be added to a tree, which is then as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// No file can have this path.
    Path(BadName),
    /// There is something of that path already.
    Exists,
    /// A part of the path is there and no directory.
    NotADirectory,
    /// What is to be linked is not there.
    NotFound,
    /// A directory cannot have a second name.
    IsADirectory,
    /// Numbers for inodes have run out.
    Full,
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// There is no name in it.
    Empty,
    /// Two slashes in a row, or one at the end.
    EmptyPart,
    /// A part is `.` or `..`.
    Dots,
    /// A part is longer than 255 bytes.
    TooLong,
    /// There is a NUL in it.
    Nul,
}

impl AddError {
    /// The error number that says the same.
    pub fn errno(self) -> Errno {
        match self {
            Self::Path(BadName::TooLong) => Errno::ENAMETOOLONG,
            Self::Path(_) => Errno::EINVAL,
            Self::Exists => Errno::EEXIST,
            Self::NotADirectory => Errno::ENOTDIR,
            Self::NotFound => Errno::ENOENT,
            Self::IsADirectory => Errno::EISDIR,
            Self::Full => Errno::ENOSPC,
        }
    }
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(bad) => bad.fmt(f),
            other => other.errno().fmt(f),
        }
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::EmptyPart => "has a part without a name: two slashes in a row, or one at the end",
            Self::Dots => "has a part that is \".\" or \"..\"",
            Self::TooLong => "has a part of more than 255 bytes",
            Self::Nul => "contains a NUL byte",
        })
    }
}

impl std::error::Error for AddError {}
