//! The in-process client: plays the kernel's part over any file system, without a mount.
//!
//! ```text
//!  caller's thread ─► path walk, open files ─► Session ─► served.rs ─► Dispatch
//!        ▲                                       │ waits                   │
//!        └───────── pages of the request ◄───────┴──── Call ◄── Responder ◄┘
//! ```
//! A call is carried out on the thread that makes it: a native file system answers there, a
//! Python one as well. What the operations pass (names, absent operations, metrics, trace,
//! deadlines) is what they pass on a mount.
//!
//! | concept | file |
//! |---|---|
//! | [`Client`]: from `init` to `destroy` | `mod.rs`, `life.rs` |
//! | [`ClientConfig`] | `config.rs` |
//! | a request and the wait for its answer | `session.rs`, `call.rs` |
//! | operations that are not there | `absent.rs` |
//! | lookups, counted and given back; paths | `node.rs`, `path_walk.rs` |
//! | who may do what | `permissions.rs` |
//! | open files, their positions and flags | `open_file.rs`, `opening.rs` |
//! | bytes: into the caller's memory; through pages of our own | `direct.rs`, `buffered.rs`, `appending.rs` |
//! | the requests of one I/O at the same time; I/Os that nobody waits for | `background.rs`, `workers.rs` |
//! | positions, holes, copies from file to file | `ranges.rs` |
//! | names, attributes, listings, extended attributes | `names.rs`, `attributes.rs`, `listing.rs`, `xattrs.rs` |
//! | [`ClientStatistics`] | `statistics.rs` |
//!
//! Nothing is cached, neither names nor attributes nor data: each call asks. The order and
//! the arguments of the requests are the kernel's.

mod absent;
mod appending;
mod attributes;
mod background;
mod buffered;
mod call;
mod config;
mod direct;
mod life;
mod listing;
mod names;
mod node;
mod open_file;
mod opening;
mod path_walk;
mod permissions;
mod ranges;
mod session;
mod statistics;
mod workers;
mod xattrs;

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use fusesg_fs::{Errno, Result};
use parking_lot::Mutex;

pub use buffered::PagesRead;
pub(crate) use call::{Calls, ClientReply, InProcess};
pub use config::ClientConfig;
pub use direct::MAX_SEGMENTS;
pub use listing::ClientEntry;
pub use session::Interrupted;
pub use statistics::ClientStatistics;

use life::{Life, Use};
use open_file::OpenFiles;
use session::Session;
use workers::Workers;

use crate::connection::Connection;
use crate::served::Served;
use crate::{Dispatch, absent as absent_operations, sweeper};

/// Uses a file system as the kernel would on behalf of a program. Dropped, it closes.
///
/// Paths begin at the file system's root, with or without a slash. File descriptors are
/// the client's own numbers, far above those of the system. All methods may be called from
/// any thread, and from the file system itself.
pub struct Client {
    session: Arc<Session>,
    dispatch: Arc<dyn Dispatch>,
    files: OpenFiles,
    life: Life,
    workers: Workers,
    /// Until closed.
    sweeper: Mutex<Option<JoinHandle<()>>>,
}

impl Client {
    /// Calls the file system's `init`. `interrupted` is asked when a signal was handled on a
    /// thread that waits for an answer, and says whether to go on waiting.
    pub fn new(
        dispatch: Arc<dyn Dispatch>,
        config: ClientConfig,
        interrupted: Option<Interrupted>,
    ) -> Result<Self> {
        let mut config = config.within_range();
        let properties = dispatch.properties();
        config.read_only |=
            properties.read_only || absent_operations::cannot_be_modified(&properties);
        let connection =
            Connection::in_process_of(&config.connection(), &properties, config.pages());
        let served = Served::new(Arc::clone(&dispatch), Arc::clone(&connection), properties);
        dispatch.init()?;
        let sweeper = sweeper::spawn(&connection, &dispatch, &config.connection(), None)
            .inspect_err(|_| dispatch.destroy())?;
        Ok(Self {
            workers: Workers::new(config.max_background),
            session: Session::new(served, config, interrupted),
            dispatch,
            files: OpenFiles::default(),
            life: Life::default(),
            sweeper: Mutex::new(Some(sweeper)),
        })
    }

    /// The settings as they are in force.
    pub fn config(&self) -> &ClientConfig {
        &self.session.config
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.life.is_closed()
    }

    /// Ends it: open files are closed, and the file system's `destroy` is called. Requests
    /// that are under way have [`ClientConfig::close_grace`] to end; then their callers get
    /// ECONNABORTED. Whatever is called later fails with ENOTCONN. Idempotent.
    pub fn close(&self) {
        if !self.life.close() {
            return;
        }
        self.life.wait_for_users(self.session.config.close_grace, || self.session.abort());
        self.workers.close();
        self.files.close_all();
        if let Some(sweeper) = self.sweeper.lock().take() {
            self.session.served.connection.sweeper.stop();
            if sweeper.join().is_err() {
                log::error!("the sweeper of a client panicked");
            }
        }
        life::destroy(&*self.dispatch);
    }

    /// Held as long as a call runs.
    fn enter(&self) -> Result<Use<'_>> {
        self.life.enter().ok_or(Errno::ENOTCONN)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", self.config()).finish_non_exhaustive()
    }
}
