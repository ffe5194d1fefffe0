//! Settings of one mount.

use std::path::PathBuf;
use std::time::Duration;

use fusesg_fs::OpenedFlags;

/// When a listing carries the attributes of what it lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readdirplus {
    /// When the kernel expects them to be asked for: at the beginning of a directory, and
    /// while its names are looked up.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Settings of one mount. Python's `Config` documents each; the defaults are the same.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent mount options")]
pub struct MountConfig {
    /// Where to mount: an existing directory, or a regular file for a file system whose
    /// root is one.
    pub mountpoint: PathBuf,
    /// Source name shown in /proc/mounts.
    pub source: String,
    /// Subtype: the file system type is shown as `fuse.SUBTYPE`.
    pub subtype: String,
    /// Threads that read requests, at least 2.
    pub reader_threads: usize,
    /// Let other users in.
    pub allow_other: bool,
    /// The kernel checks permissions by mode, owner and ACL.
    pub default_permissions: bool,
    /// Mount read-only.
    pub read_only: bool,
    /// Honour set-user-id bits.
    pub suid: bool,
    /// Allow device files.
    pub dev: bool,
    /// Allow programs to be executed.
    pub exec: bool,
    /// Do not update access times.
    pub noatime: bool,
    /// Default for entries that do not say.
    pub entry_timeout: Duration,
    /// Default for attributes that do not say.
    pub attribute_timeout: Duration,
    /// How long the kernel may believe that a name does not exist.
    pub negative_timeout: Duration,
    /// Largest WRITE in bytes, which also sets the largest READ.
    pub max_write: u32,
    /// READs that are answered with at least this many bytes of files, pipes and sockets go
    /// through a pipe, without a copy; for smaller ones setting that up costs more than the
    /// copy. Above [`max_write`](Self::max_write) it is never done.
    pub splice_threshold: u32,
    /// The kernel may take pages of such an answer over instead of copying them. A page that
    /// it takes leaves the cache of the file that it comes from, and is read from the disk
    /// again by whoever wants it next. That costs far more than the copies that are saved, so
    /// it is only for files that are read once, and through this mount.
    pub splice_move: bool,
    /// Readahead in bytes; more than the kernel's offer needs the right to write to sysfs.
    pub max_readahead: Option<u32>,
    /// Requests the kernel may have in flight in the background.
    pub max_background: u16,
    /// Background requests above which the kernel holds back readahead.
    pub congestion_threshold: Option<u16>,
    /// Operations that are carried out at the same time, at least one. Further ones wait;
    /// one that closes a file never waits for others than its like.
    pub max_requests: usize,
    /// Kernel writeback cache.
    pub writeback_cache: bool,
    /// Let the kernel read and write backing files itself, where the file system offers them.
    pub kernel_passthrough: bool,
    /// Open files are read and written past the page cache.
    pub direct_io: bool,
    /// What the page cache has of a file is kept when it is opened again.
    pub keep_cache: bool,
    /// Closing a file sends no FLUSH.
    pub no_flush: bool,
    /// Direct writes within a file may come at the same time.
    pub parallel_direct_writes: bool,
    /// The kernel keeps listings until the directory's mtime changes.
    pub cache_directories: bool,
    /// The kernel keeps the targets of symbolic links.
    pub cache_symlinks: bool,
    /// When listings carry attributes, where the file system has them.
    pub readdirplus: Readdirplus,
    /// What directories are said to be best read by (`st_blksize`), which is how much the C
    /// library asks for, and so the size of a READDIR.
    pub directory_buffer: u32,
    /// The CPUs that the serving threads, and the threads that they start, may run on;
    /// `None`: as the process may.
    pub cpu_affinity: Option<Vec<usize>>,
    /// Answer ETIMEDOUT to a request older than this.
    pub request_timeout: Option<Duration>,
    /// Warn of a request older than this.
    pub slow_request_warning: Option<Duration>,
    /// How long open files keep working after [`Mount::unmount`](crate::Mount::unmount).
    pub unmount_grace: Duration,
    /// `HOST:PORT` where Prometheus may ask for the numbers; anybody may who reaches it.
    pub metrics: Option<String>,
    /// Log every operation and its answer at debug level (target `fusesg::trace`).
    pub trace: bool,
}

impl MountConfig {
    /// The defaults, for a mount at `mountpoint`.
    pub fn new(mountpoint: impl Into<PathBuf>) -> Self {
        Self {
            mountpoint: mountpoint.into(),
            source: "fusesg".into(),
            subtype: "fusesg".into(),
            reader_threads: 3,
            allow_other: false,
            default_permissions: true,
            read_only: false,
            suid: false,
            dev: false,
            exec: true,
            noatime: false,
            entry_timeout: Duration::from_secs(1),
            attribute_timeout: Duration::from_secs(1),
            negative_timeout: Duration::ZERO,
            // two pages less than 1 MiB: a pipe of 1 MiB, the largest that a process without
            // CAP_SYS_RESOURCE may have, then holds the header and a whole request from
            // anywhere in a file, for it touches a page more if it does not start at one
            max_write: 1_040_384,
            splice_threshold: 32 * 1024,
            splice_move: false,
            max_readahead: None,
            max_background: 128,
            congestion_threshold: None,
            max_requests: 4096,
            writeback_cache: false,
            kernel_passthrough: false,
            direct_io: false,
            keep_cache: false,
            no_flush: false,
            parallel_direct_writes: false,
            cache_directories: false,
            cache_symlinks: false,
            readdirplus: Readdirplus::Auto,
            directory_buffer: 32 * 1024,
            cpu_affinity: None,
            request_timeout: None,
            slow_request_warning: Some(Duration::from_secs(30)),
            unmount_grace: Duration::from_secs(1),
            metrics: None,
            trace: false,
        }
    }

    /// How files are treated whose `open` does not decide it.
    pub(crate) fn file_defaults(&self) -> OpenedFlags {
        let mut flags = OpenedFlags::empty();
        flags.set(OpenedFlags::DIRECT_IO, self.direct_io);
        flags.set(OpenedFlags::KEEP_CACHE, self.keep_cache);
        flags.set(OpenedFlags::NO_FLUSH, self.no_flush);
        flags.set(OpenedFlags::PARALLEL_DIRECT_WRITES, self.parallel_direct_writes);
        flags
    }

    /// How directories are treated whose `opendir` does not decide it.
    pub(crate) fn directory_defaults(&self) -> OpenedFlags {
        // kept over the next opendir, or caching would only save a rewinddir
        let cached = OpenedFlags::CACHE_DIRECTORY | OpenedFlags::KEEP_CACHE;
        if self.cache_directories { cached } else { OpenedFlags::empty() }
    }
}
