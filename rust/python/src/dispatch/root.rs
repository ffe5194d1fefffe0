//! What the root of a mounted file system is, and what it has to be.
//!
//! The kernel wants a directory over a directory and a file over a file. A class says only
//! when it is asked what it has; so it is asked once, where its methods leave that open.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use fusesg_fs::FileType;

/// The root of one mounted file system.
#[derive(Debug)]
pub(crate) struct Root {
    /// What is mounted over; `None` without a mount.
    expected: Option<FileType>,
    /// [`ask`](Self::ask) is at it.
    asking: AtomicBool,
    /// What it is instead.
    wrong: OnceLock<FileType>,
}

impl Root {
    pub(crate) fn new(expected: Option<FileType>) -> Self {
        Self { expected, asking: AtomicBool::new(false), wrong: OnceLock::new() }
    }

    /// What the root would have to be, if that is not `kind`.
    pub(crate) fn refuses(&self, kind: FileType) -> Option<FileType> {
        let expected = self.expected.filter(|expected| *expected != kind)?;
        let _ = self.wrong.set(kind);
        Some(expected)
    }

    /// Whether somebody else tells that it is of the wrong type.
    pub(crate) fn is_asked(&self) -> bool {
        self.asking.load(Ordering::Relaxed)
    }

    /// What the root of the file system mounted at `point` is, if it cannot be mounted there.
    pub(crate) fn ask(&self, point: &Path) -> Option<FileType> {
        self.asking.store(true, Ordering::Relaxed);
        // a class that cannot tell now may do so later
        let _ = point.symlink_metadata();
        self.asking.store(false, Ordering::Relaxed);
        self.wrong.get().copied()
    }
}

/// Why a root of type `kind` cannot be mounted at `point`, and what to do about it.
pub(crate) fn wrong_place(class: &str, kind: FileType, point: &Path) -> String {
    let shown = point.display();
    match kind {
        FileType::Directory => format!(
            "the root of {class} is a directory and cannot be mounted over the file {shown}; \
             name a directory, or make one: mkdir"
        ),
        FileType::Regular => format!(
            "the root of {class} is a regular file and cannot be mounted over the directory \
             {shown}; name a file, or make an empty one: touch"
        ),
        other => format!("the root of {class} is a {other:?}; it must be a directory or a file"),
    }
}
