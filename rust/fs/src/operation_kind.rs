//! The operations by name, and sets of them.

use std::fmt;

macro_rules! operation_kinds {
    ($($(#[$doc:meta])* $name:ident = $method:literal),* $(,)?) => {
        /// Which operation; names and order follow the kernel's opcodes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each is the kernel's operation of that name")]
        pub enum OperationKind {
            $($(#[$doc])* $name),*
        }

        impl OperationKind {
            /// All kinds, in order of their number.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Name of the method that implements it, as Python and logs spell it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $method),*
                }
            }
        }
    };
}

operation_kinds! {
    Lookup = "lookup",
    Forget = "forget",
    Getattr = "getattr",
    Setattr = "setattr",
    Readlink = "readlink",
    Symlink = "symlink",
    Mknod = "mknod",
    Mkdir = "mkdir",
    Unlink = "unlink",
    Rmdir = "rmdir",
    Rename = "rename",
    Link = "link",
    Open = "open",
    Read = "read",
    Write = "write",
    Statfs = "statfs",
    Release = "release",
    Fsync = "fsync",
    Setxattr = "setxattr",
    Getxattr = "getxattr",
    Listxattr = "listxattr",
    Removexattr = "removexattr",
    Flush = "flush",
    Opendir = "opendir",
    Readdir = "readdir",
    Readdirplus = "readdirplus",
    Releasedir = "releasedir",
    Fsyncdir = "fsyncdir",
    Getlk = "getlk",
    Setlk = "setlk",
    Access = "access",
    Create = "create",
    Bmap = "bmap",
    Ioctl = "ioctl",
    Poll = "poll",
    Fallocate = "fallocate",
    Lseek = "lseek",
    CopyFileRange = "copy_file_range",
}

impl OperationKind {
    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The kind with that method name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of operations, one bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct OperationSet(u64);

impl OperationSet {
    /// No operation.
    pub const EMPTY: Self = Self(0);
    /// Every operation.
    pub const ALL: Self = Self((1 << OperationKind::COUNT) - 1);

    /// Operations that change something: a file system without any is read-only.
    pub const MODIFYING: Self = {
        use OperationKind as Kind;
        Self::EMPTY
            .with(Kind::Setattr)
            .with(Kind::Symlink)
            .with(Kind::Mknod)
            .with(Kind::Mkdir)
            .with(Kind::Unlink)
            .with(Kind::Rmdir)
            .with(Kind::Rename)
            .with(Kind::Link)
            .with(Kind::Write)
            .with(Kind::Create)
            .with(Kind::Setxattr)
            .with(Kind::Removexattr)
            .with(Kind::Fallocate)
            .with(Kind::CopyFileRange)
    };

    /// This set and `kind`.
    #[must_use]
    pub const fn with(self, kind: OperationKind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// This set but for `kind`.
    #[must_use]
    pub const fn without(self, kind: OperationKind) -> Self {
        Self(self.0 & !(1 << kind as u8))
    }

    /// Whether `kind` is in the set.
    pub const fn contains(self, kind: OperationKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in order of their number.
    pub fn iter(self) -> impl Iterator<Item = OperationKind> {
        OperationKind::ALL.iter().copied().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<OperationKind> for OperationSet {
    fn from_iter<I: IntoIterator<Item = OperationKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for OperationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
