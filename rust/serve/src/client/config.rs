//! Settings of one client.

use std::sync::Arc;
use std::time::Duration;

use fusesg_sg::{PAGE_SIZE, Packing, PagePool, PageSize};

use crate::{MountConfig, sys};

/// Marks of the pool of pages.
const REQUESTS_OF_PAGES: usize = 4;
const LOW_WATER: usize = 16;

/// Settings of one client: whom it acts for, and the limits of the kernel that it plays.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent options")]
pub struct ClientConfig {
    /// The kernel's page size: how the caller's memory and the file are cut into pages.
    pub page_size: PageSize,
    /// Pages that one request may have.
    pub max_pages: usize,
    /// Largest READ in bytes.
    pub max_read: u32,
    /// Largest WRITE in bytes.
    pub max_write: u32,
    /// How the segments of a readv or writev share requests.
    pub packing: Packing,
    /// Send all requests of one I/O at once, instead of one after another.
    pub asynchronous: bool,
    /// Requests of one I/O, and I/Os of [`Client::submit`](crate::Client::submit), that are
    /// carried out at the same time.
    pub max_background: usize,
    /// Requests that there may be at the same time; more wait.
    pub max_requests: usize,
    /// User on whose behalf requests are made.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
    /// The user's further groups.
    pub groups: Vec<u32>,
    /// What is taken from the mode of all that is created.
    pub umask: u32,
    /// Check permissions by mode and owner, as the kernel does by default.
    pub default_permissions: bool,
    /// Refuse everything that changes something.
    pub read_only: bool,
    /// Answer ETIMEDOUT to a request older than this.
    pub request_timeout: Option<Duration>,
    /// Warn of a request older than this.
    pub slow_request_warning: Option<Duration>,
    /// How long requests may take after [`Client::close`](crate::Client::close).
    pub close_grace: Duration,
    /// Log every operation and its answer at debug level (target `fusesg::trace`).
    pub trace: bool,
}

impl Default for ClientConfig {
    /// The limits of a current kernel, on behalf of this process.
    fn default() -> Self {
        let (uid, gid) = sys::effective_user_and_group();
        Self {
            page_size: PageSize::default(),
            max_pages: 256,
            max_read: 1 << 20,
            max_write: 1 << 20,
            packing: Packing::Request,
            asynchronous: false,
            max_background: 64,
            max_requests: 1024,
            uid,
            gid,
            groups: sys::supplementary_groups(),
            umask: own_umask().unwrap_or(0o022),
            default_permissions: true,
            read_only: false,
            request_timeout: None,
            slow_request_warning: Some(Duration::from_secs(30)),
            close_grace: Duration::from_secs(1),
            trace: false,
        }
    }
}

/// The umask of this process; umask(2) tells it only to who changes it.
fn own_umask() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

impl ClientConfig {
    /// With what is out of range brought into it.
    pub(super) fn within_range(mut self) -> Self {
        let page = u32::try_from(PAGE_SIZE).expect("pages are small");
        // the kernel's own bounds, whatever its page size
        self.max_pages = self.max_pages.clamp(1, 65_535);
        self.max_read = self.max_read.max(page);
        self.max_write = self.max_write.max(page);
        self.max_background = self.max_background.max(1);
        self.max_requests = self.max_requests.max(1);
        self
    }

    /// Pages for requests that go through pages of the client's own. Idle ones are kept for
    /// some of the largest requests, and few for long.
    pub(super) fn pages(&self) -> Arc<PagePool> {
        PagePool::with_marks(self.page_size.bytes(), LOW_WATER, self.max_pages * REQUESTS_OF_PAGES)
    }

    /// What a connection wants to know, whatever its transport.
    pub(super) fn connection(&self) -> MountConfig {
        MountConfig {
            max_write: self.max_write,
            max_requests: self.max_requests,
            request_timeout: self.request_timeout,
            slow_request_warning: self.slow_request_warning,
            trace: self.trace,
            ..MountConfig::new("")
        }
    }
}
