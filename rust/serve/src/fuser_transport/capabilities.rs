//! What we ask of the kernel: a function of the file system and the mount's settings.
//!
//! Every capability that is asked for is a duty. [`TABLE`] has them all, with the
//! condition under which the duty is met. Never asked for, because fuser 0.18.0 cannot
//! carry what they bring: FLOCK_LOCKS (it does not pass on which locks are flock's),
//! SETXATTR_EXT (its parser panics), SECURITY_CTX and CREATE_SUPP_GROUP (arguments are
//! dropped), HAS_RESEND, OVER_IO_URING, ALLOW_IDMAP, REQUEST_TIMEOUT; and EXPORT_SUPPORT
//! (lookups of `..` by number).

use fuser::{InitFlags, KernelConfig};
use fusesg_fs::{OperationKind, Properties};

use crate::{MountConfig, Readdirplus};

/// What the conditions look at.
struct Facts<'a> {
    properties: &'a Properties,
    config: &'a MountConfig,
}

impl Facts<'_> {
    fn implements(&self, kind: OperationKind) -> bool {
        self.properties.implemented.contains(kind)
    }

    fn stops_asking(&self, kind: OperationKind) -> bool {
        self.properties.keep_cache_without_open && !self.implements(kind)
    }

    fn lists_attributes(&self) -> bool {
        self.properties.readdirplus && self.config.readdirplus != Readdirplus::Never
    }

    fn passthrough(&self) -> bool {
        // the kernel has one or the other
        self.properties.kernel_passthrough
            && self.config.kernel_passthrough
            && !self.config.writeback_cache
    }
}

type Condition = fn(&Facts<'_>) -> bool;

const ALWAYS: Condition = |_| true;

/// Capability, condition; the comment is the duty.
const TABLE: &[(InitFlags, Condition)] = &[
    // reads of one file may come out of order and at the same time
    (InitFlags::FUSE_ASYNC_READ, ALWAYS),
    // writes may be larger than a page
    (InitFlags::FUSE_BIG_WRITES, ALWAYS),
    // parts of one direct I/O may come at the same time
    (InitFlags::FUSE_ASYNC_DIO, ALWAYS),
    // mtime and size change when content changes: the kernel drops its pages by them
    (InitFlags::FUSE_AUTO_INVAL_DATA, ALWAYS),
    // requests have up to `max_write` bytes
    (InitFlags::FUSE_MAX_PAGES, ALWAYS),
    // a session that was aborted ends with ECONNABORTED instead of ENODEV
    (InitFlags::FUSE_ABORT_ERROR, ALWAYS),
    // shared mappings of files opened for direct I/O may read stale pages
    (InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP, ALWAYS),
    // no duty: the kernel tells what it can do
    (InitFlags::FUSE_HAS_EXPIRE_ONLY, ALWAYS),
    (InitFlags::FUSE_SPLICE_READ, ALWAYS),
    (InitFlags::FUSE_SPLICE_WRITE, ALWAYS),
    (InitFlags::FUSE_SPLICE_MOVE, ALWAYS),
    // listings carry attributes, and each such entry counts as a lookup
    (InitFlags::FUSE_DO_READDIRPLUS, |f| f.lists_attributes()),
    // the kernel chooses which do
    (InitFlags::FUSE_READDIRPLUS_AUTO, |f| {
        f.lists_attributes() && f.config.readdirplus == Readdirplus::Auto
    }),
    // lookups and listings of one directory may come at the same time
    (InitFlags::FUSE_PARALLEL_DIROPS, |f| f.properties.parallel_directory_operations),
    // open truncates
    (InitFlags::FUSE_ATOMIC_O_TRUNC, |f| f.properties.atomic_o_trunc),
    // a link's target never changes
    (InitFlags::FUSE_CACHE_SYMLINKS, |f| f.properties.cache_symlinks || f.config.cache_symlinks),
    // OPEN and OPENDIR are answered ENOSYS
    (InitFlags::FUSE_NO_OPEN_SUPPORT, |f| f.stops_asking(OperationKind::Open)),
    (InitFlags::FUSE_NO_OPENDIR_SUPPORT, |f| f.stops_asking(OperationKind::Opendir)),
    // set-id bits and security.capability are cleared on write, truncate and chown
    (InitFlags::FUSE_HANDLE_KILLPRIV_V2, |f| f.properties.clears_privileges),
    // access ACLs are kept, default ACLs inherited, and the umask is ours to apply
    (InitFlags::FUSE_POSIX_ACL, |f| f.properties.posix_acl),
    (InitFlags::FUSE_DONT_MASK, |f| f.properties.posix_acl),
    // locks are ours; with half of it the kernel's local locks are the right ones
    (InitFlags::FUSE_POSIX_LOCKS, |f| {
        f.implements(OperationKind::Getlk) && f.implements(OperationKind::Setlk)
    }),
    // a write may come late, without its file, on nobody's behalf
    (InitFlags::FUSE_WRITEBACK_CACHE, |f| f.config.writeback_cache),
    // opens of one inode all have the same backing, or all have none
    (InitFlags::FUSE_PASSTHROUGH, |f| f.passthrough()),
];

/// How deep a backing file may be stacked: 1 allows ordinary file systems.
const STACK_DEPTH: u32 = 1;

/// Asks for what the table says, as far as the kernel offers it; returns what it is.
pub(super) fn negotiate(
    kernel: &mut KernelConfig,
    properties: &Properties,
    config: &MountConfig,
) -> InitFlags {
    let granted = wanted(properties, config) & kernel.capabilities();
    for flag in granted.iter() {
        if let Err(refused) = kernel.add_capabilities(flag) {
            log::warn!("the kernel offered {refused:?} and then refused it");
        }
    }
    if granted.contains(InitFlags::FUSE_PASSTHROUGH)
        && let Err(limit) = kernel.set_max_stack_depth(STACK_DEPTH)
    {
        log::warn!("stacking depth {STACK_DEPTH} is above the limit {limit}");
    }
    set_sizes(kernel, config);
    granted
}

fn wanted(properties: &Properties, config: &MountConfig) -> InitFlags {
    let facts = Facts { properties, config };
    TABLE
        .iter()
        .filter(|(_, condition)| condition(&facts))
        .fold(InitFlags::empty(), |flags, (flag, _)| flags | *flag)
}

/// Each setter refuses what is out of range and names the nearest value it takes.
fn set_sizes(kernel: &mut KernelConfig, config: &MountConfig) {
    if let Err(nearest) = kernel.set_max_write(config.max_write) {
        log::warn!("max_write {} is out of range, {nearest} is used", config.max_write);
        let _ = kernel.set_max_write(nearest);
    }
    if let Some(max_readahead) = config.max_readahead
        && let Err(nearest) = kernel.set_max_readahead(max_readahead)
    {
        // what is above the kernel's offer is set through sysfs, see `readahead.rs`
        let _ = kernel.set_max_readahead(nearest);
    }
    if let Err(nearest) = kernel.set_max_background(config.max_background) {
        let _ = kernel.set_max_background(nearest);
    }
    if let Some(threshold) = config.congestion_threshold
        && let Err(nearest) = kernel.set_congestion_threshold(threshold)
    {
        let _ = kernel.set_congestion_threshold(nearest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> MountConfig {
        MountConfig::new("/nowhere")
    }

    #[test]
    fn nothing_is_promised_for_a_file_system_that_promises_nothing() {
        let flags = wanted(&Properties::default(), &config());
        for duty in [
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
            InitFlags::FUSE_POSIX_ACL,
            InitFlags::FUSE_DONT_MASK,
            InitFlags::FUSE_POSIX_LOCKS,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_PASSTHROUGH,
            InitFlags::FUSE_WRITEBACK_CACHE,
            InitFlags::FUSE_NO_OPEN_SUPPORT,
        ] {
            assert!(!flags.contains(duty), "{duty:?}");
        }
        assert!(flags.contains(InitFlags::FUSE_ASYNC_READ));
    }

    #[test]
    fn locks_need_both_halves() {
        let implemented = [OperationKind::Setlk].into_iter().collect();
        let half = Properties { implemented, ..Properties::default() };
        assert!(!wanted(&half, &config()).contains(InitFlags::FUSE_POSIX_LOCKS));
        let implemented = [OperationKind::Setlk, OperationKind::Getlk].into_iter().collect();
        let whole = Properties { implemented, ..Properties::default() };
        assert!(wanted(&whole, &config()).contains(InitFlags::FUSE_POSIX_LOCKS));
    }

    #[test]
    fn the_writeback_cache_excludes_passthrough() {
        let properties = Properties { kernel_passthrough: true, ..Properties::default() };
        let mut config = config();
        config.kernel_passthrough = true;
        assert!(wanted(&properties, &config).contains(InitFlags::FUSE_PASSTHROUGH));
        config.writeback_cache = true;
        assert!(!wanted(&properties, &config).contains(InitFlags::FUSE_PASSTHROUGH));
    }

    #[test]
    fn listings_carry_attributes_where_both_sides_want_them() {
        let plus = InitFlags::FUSE_DO_READDIRPLUS;
        let auto = InitFlags::FUSE_READDIRPLUS_AUTO;
        for (offered, when, expected) in [
            (true, Readdirplus::Auto, plus | auto),
            (true, Readdirplus::Always, plus),
            (true, Readdirplus::Never, InitFlags::empty()),
            (false, Readdirplus::Always, InitFlags::empty()),
        ] {
            let properties = Properties { readdirplus: offered, ..Properties::default() };
            let config = MountConfig { readdirplus: when, ..config() };
            assert_eq!(wanted(&properties, &config) & (plus | auto), expected, "{when:?}");
        }
    }

    #[test]
    fn what_fuser_cannot_carry_is_never_asked_for() {
        let everything = TABLE.iter().fold(InitFlags::empty(), |flags, (flag, _)| flags | *flag);
        for flag in [
            InitFlags::FUSE_FLOCK_LOCKS,
            InitFlags::FUSE_EXPORT_SUPPORT,
            InitFlags::FUSE_SETXATTR_EXT,
            InitFlags::FUSE_SECURITY_CTX,
            InitFlags::FUSE_CREATE_SUPP_GROUP,
            InitFlags::FUSE_HAS_RESEND,
            InitFlags::FUSE_OVER_IO_URING,
            InitFlags::FUSE_ALLOW_IDMAP,
            InitFlags::FUSE_REQUEST_TIMEOUT,
        ] {
            assert!(!everything.contains(flag), "{flag:?}");
        }
    }
}
