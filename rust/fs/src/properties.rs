//! What a file system declares about itself before it is mounted.

use crate::OperationSet;

/// Facts from which the transport derives the capabilities it asks the kernel for.
///
/// Each is a promise; `docs/architecture.md` has the table capability → condition → duty.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a promise of its own")]
pub struct Properties {
    /// Operations that are implemented; the others are answered by the transport's
    /// table of absent operations and never reach the file system.
    pub implemented: OperationSet,
    /// Directory listings carry an [`Entry`](crate::Entry) with each name.
    pub readdirplus: bool,
    /// Access ACLs are kept in `system.posix_acl_*`; the file system applies default
    /// ACLs and the umask itself on creation.
    pub posix_acl: bool,
    /// Set-user-id and set-group-id bits and `security.capability` are cleared on write,
    /// truncate and chown by the file system (HANDLE_KILLPRIV_V2).
    pub clears_privileges: bool,
    /// O_TRUNC is carried out by open itself.
    pub atomic_o_trunc: bool,
    /// Lookups and listings of one directory may run at the same time.
    pub parallel_directory_operations: bool,
    /// `open` may offer a backing for kernel passthrough.
    pub kernel_passthrough: bool,
    /// Symbolic links never change their target: the kernel may cache it.
    pub cache_symlinks: bool,
    /// Content changes only through this mount or with an invalidation. Where `open` or
    /// `opendir` is not implemented the kernel then stops asking and keeps what it cached.
    pub keep_cache_without_open: bool,
    /// The file system cannot be modified: mount read-only.
    pub read_only: bool,
}
