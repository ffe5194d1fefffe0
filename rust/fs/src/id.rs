//! Numbers that name things in the protocol, one type each so that they cannot be mixed up.

use std::fmt;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$name> for u64 {
            fn from(value: $name) -> u64 {
                value.0
            }
        }
    };
}

identifier! {
    /// An inode of the mounted file system: the kernel's node id and `st_ino` in one.
    Inode
}

identifier! {
    /// What open or opendir returned; the kernel hands it back with read, write, release …
    Handle
}

identifier! {
    /// Identifies one request of one mount; never reused while the mount lives.
    Unique
}

identifier! {
    /// Who owns a POSIX lock (the kernel's hashed `files_struct`).
    LockOwner
}

impl Inode {
    /// The root directory of every mount.
    pub const ROOT: Self = Self(1);
}
