//! A directory of this machine, served natively.
//!
//! Every inode that the kernel knows is kept by an O_PATH descriptor, so an operation never
//! walks a path: the kernel resolved the names already, and calls take one descriptor and at
//! most one name in it. Trees deeper than PATH_MAX, renames above an inode, deleted files
//! and names that are not UTF-8 need no special care.
//!
//! | concept | file |
//! |---|---|
//! | [`Passthrough`], its options, how it is opened | `mod.rs` |
//! | the operations, one line each | `operations.rs` |
//! | inodes the kernel knows, lookup counts | `inodes.rs` |
//! | inode numbers: the backing's own wherever possible | `inode_numbers.rs` |
//! | descriptors or file handles that keep inodes, the budget | `anchor.rs` |
//! | whose name the thread acts in | `credentials.rs` |
//! | who clears set-user-id and set-group-id, and when | `privileges.rs` |
//! | lookup, create, rename, link, remove | `names.rs` |
//! | what a created inode's mode becomes: umask and default ACLs | `creation_mode.rs` |
//! | getattr, setattr, statfs | `attributes.rs` |
//! | open, create, release | `open_files.rs` |
//! | where a mount inside its source would meet itself | `own_mounts.rs` |
//! | read, write and what else works on an open file | `data.rs` |
//! | what the kernel reads and writes by itself | `kernel_io.rs` |
//! | listings | `directory.rs` |
//! | extended attributes and ACLs | `xattr.rs` |
//! | from an O_PATH descriptor to the rest of the system calls | `magic_links.rs` |
//! | system calls | `sys/` |
//!
//! # Rights
//!
//! Mount it with `default_permissions`: the kernel then checks every caller with the
//! caller's real groups before an operation arrives here, and nothing is checked again.

mod anchor;
mod attributes;
mod creation_mode;
mod credentials;
mod data;
mod directory;
mod inode_numbers;
mod inodes;
mod kernel_io;
mod magic_links;
mod names;
mod open_files;
mod operations;
mod own_mounts;
mod privileges;
pub(crate) mod sys;
mod xattr;

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anchor::Anchors;
use credentials::Credentials;
use directory::DirectoryStream;
use inodes::Inodes;
use magic_links::MagicLinks;
use open_files::OpenFile;
use own_mounts::OwnMounts;

#[cfg(feature = "fuzzing")]
pub(crate) use directory::Record;

use crate::Inode;
use crate::handle_table::HandleTable;

/// How a directory is served.
#[derive(Clone, Debug, Default)]
pub struct PassthroughOptions {
    /// Offer open files to the kernel, which then reads and writes them by itself. A file
    /// so served is open for writing on this machine as long as it is open on the mount.
    pub kernel_passthrough: bool,
    /// The mount uses the kernel's writeback cache: files opened for writing are read too,
    /// and the kernel alone knows where they end. Excludes `kernel_passthrough`.
    pub writeback: bool,
    /// Let the kernel keep the targets of symbolic links. Right where nobody else replaces
    /// links in the directory.
    pub cache_symlinks: bool,
    /// How many descriptors remembered inodes may hold, all file systems of the process
    /// together; beyond it they keep file handles where possible. `None`: half of the
    /// limit of open files.
    pub descriptor_budget: Option<u64>,
}

/// The tree below a directory, with the backing's own inode numbers, owners and times.
#[derive(Debug)]
pub struct Passthrough {
    options: PassthroughOptions,
    /// Absolute, without symbolic links.
    source: PathBuf,
    own_mounts: OwnMounts,
    inodes: Inodes,
    files: HandleTable<OpenFile>,
    directories: HandleTable<DirectoryStream>,
    links: MagicLinks,
    credentials: Credentials,
    /// The backing file system has POSIX ACLs.
    posix_acl: bool,
    /// Mounts that serve it now.
    mounts: AtomicUsize,
}

impl Passthrough {
    /// Serves the tree below `source`, which may be a symbolic link to a directory.
    ///
    /// Raises the process' soft limit of open files to the hard limit. Open it in the
    /// process that serves it: it does not survive a fork.
    pub fn open(source: &Path, options: PassthroughOptions) -> io::Result<Self> {
        let links = MagicLinks::open()?;
        let root = open_directory(source, libc::O_PATH)?;
        let status = sys::statx(root.as_fd(), c"")?;
        let identity = attributes::identity(&status);
        // what cannot be listed can be served all the same, without file handles
        let readable = open_directory(source, 0).ok();
        let anchors = Anchors::new(readable, options.descriptor_budget)?;
        let acl = sys::getxattr(&magic_links::path(root.as_fd()), xattr::ACCESS_ACL);
        let posix_acl = match acl {
            Ok(_) => true,
            Err(error) => error.raw_os_error() == Some(libc::ENODATA),
        };
        Ok(Self {
            options,
            source: source.canonicalize()?,
            own_mounts: OwnMounts::default(),
            inodes: Inodes::new(root, identity, anchors),
            files: HandleTable::default(),
            directories: HandleTable::default(),
            links,
            credentials: Credentials::current()?,
            posix_acl,
            mounts: AtomicUsize::new(0),
        })
    }

    /// Whether the last mount that served it has ended. It has then forgotten all inodes
    /// and closed all files: the kernel does not give back what it knew.
    pub fn has_ended(&self) -> bool {
        self.inodes.have_ended()
    }

    fn mount_begins(&self) {
        self.mounts.fetch_add(1, Ordering::Relaxed);
    }

    fn mount_ends(&self) {
        if self.mounts.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.files.clear();
            self.directories.clear();
            self.inodes.end();
        }
    }

    /// Counts one more lookup of `inode`, for an entry that is answered a second time;
    /// `false` if the inode is not known any more.
    pub fn retain(&self, inode: Inode) -> bool {
        self.inodes.retain(inode)
    }

    /// How many inodes the kernel knows besides the root.
    pub fn known_inodes(&self) -> usize {
        self.inodes.len()
    }
}

fn open_directory(path: &Path, flags: i32) -> io::Result<OwnedFd> {
    let flags = flags | libc::O_DIRECTORY;
    Ok(OpenOptions::new().read(true).custom_flags(flags).open(path)?.into())
}
