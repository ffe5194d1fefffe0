//! What all requests of a client pass: numbers, the file system's door, and the wait.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fusesg_fs::{
    Context, Errno, Inode, Operation, OperationKind, Properties, Reply, Result, Unique,
};
use fusesg_sg::{
    CompletionCounters, Copied, CopyStatistics, PagePool, Patience, Request, RequestAllocator,
    SegmentList,
};

use super::ClientConfig;
use super::absent::Absent;
use super::appending::Appending;
use super::call::{Answer, Call, Calls, ClientReply};
use super::listing::Listing;
use crate::admission::Admitted;
use crate::responder::Wanted;
use crate::served::Served;
use crate::sys;
use crate::transport::TransportReply;

/// Asked on a thread that waits for an answer when a signal was handled there; true: the
/// caller does not want to wait any longer.
pub type Interrupted = Arc<dyn Fn() -> bool + Send + Sync>;

/// A file system and its one caller, from `init` to `destroy`.
pub(super) struct Session {
    pub(super) served: Arc<Served>,
    pub(super) config: ClientConfig,
    pub(super) interrupted: Option<Interrupted>,
    /// Answered ENOSYS; not asked for again.
    absent: Absent,
    next_unique: AtomicU64,
    /// Lookups that have not been given back.
    pub(super) lookups: AtomicU64,
    /// Where requests come from.
    pub(super) requests: Arc<RequestAllocator>,
    /// Pages for what is read and written through them.
    pub(super) pages: Arc<PagePool>,
    pub(super) completions: Arc<CompletionCounters>,
    pub(super) copies: CopyStatistics,
    /// Bytes of writes that were copied together.
    pub(super) joined: AtomicU64,
    pub(super) appending: Appending,
    /// Requests fail at once: the client ends.
    aborted: AtomicBool,
}

impl Session {
    pub(super) fn new(
        served: Arc<Served>,
        config: ClientConfig,
        interrupted: Option<Interrupted>,
    ) -> Arc<Self> {
        let requests = Arc::clone(served.connection.admission.requests());
        let pages = Arc::clone(&served.connection.in_process().pages);
        Arc::new(Self {
            served,
            config,
            interrupted,
            absent: Absent::default(),
            next_unique: AtomicU64::new(1),
            lookups: AtomicU64::new(0),
            requests,
            pages,
            completions: Arc::default(),
            copies: CopyStatistics::default(),
            joined: AtomicU64::new(0),
            appending: Appending::default(),
            aborted: AtomicBool::new(false),
        })
    }

    pub(super) fn properties(&self) -> &Properties {
        &self.served.properties
    }

    /// Whether READDIRPLUS is asked for.
    pub(super) fn lists_attributes(&self) -> bool {
        self.properties().readdirplus
    }

    /// EROFS where nothing may change.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.config.read_only { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// The mode of something that is created: without the umask, unless the file system has
    /// to apply it because of default ACLs.
    pub(super) fn creation_mode(&self, mode: u32) -> u32 {
        if self.properties().posix_acl { mode } else { mode & !self.config.umask }
    }

    /// Sends an operation and waits for its reply, which is none of data or a listing.
    pub(super) fn ask(&self, operation: Operation<'_>) -> Result<Reply> {
        self.ask_for(operation, Wanted::default())
    }

    /// The same for an answer of at most `wanted` bytes.
    pub(super) fn ask_for(&self, operation: Operation<'_>, wanted: Wanted) -> Result<Reply> {
        let _request = self.admit(operation.kind())?;
        self.ask_in_request(operation, wanted)
    }

    /// The same as part of a request that was allocated before.
    pub(super) fn ask_in_request(&self, operation: Operation<'_>, wanted: Wanted) -> Result<Reply> {
        match self.exchange(operation, wanted, None)? {
            Answer::Reply(reply) => reply,
            Answer::Data(_) | Answer::Listing(_) => Err(Errno::EIO),
        }
    }

    /// A request without pages. Closing must not fail for want of one.
    fn admit(&self, kind: OperationKind) -> Result<Request<()>> {
        if ends_something(kind) {
            return Ok(self.requests.allocate_nofail());
        }
        self.requests.allocate(0).map_err(|error| io::Error::from(error).into())
    }

    /// Asks for an operation that one can do without; `None` if the file system has said,
    /// now or before, that it does not have it.
    pub(super) fn ask_unless_absent(&self, operation: Operation<'_>) -> Result<Option<Reply>> {
        self.ask_unless_absent_for(operation, Wanted::default())
    }

    /// The same for an answer of at most `wanted` bytes.
    pub(super) fn ask_unless_absent_for(
        &self,
        operation: Operation<'_>,
        wanted: Wanted,
    ) -> Result<Option<Reply>> {
        let kind = operation.kind();
        if self.absent.contains(kind) {
            return Ok(None);
        }
        match self.ask_for(operation, wanted) {
            Err(Errno::ENOSYS) => {
                self.absent.insert(kind);
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Sends a READDIR or READDIRPLUS.
    pub(super) fn ask_for_listing(
        &self,
        operation: Operation<'_>,
        listing: Listing,
    ) -> Result<Listing> {
        let _request = self.admit(operation.kind())?;
        match self.exchange(operation, Wanted::default(), Some(listing))? {
            Answer::Listing(listing) => Ok(listing),
            Answer::Reply(Err(errno)) => Err(errno),
            Answer::Reply(Ok(_)) | Answer::Data(_) => Err(Errno::EIO),
        }
    }

    /// Sends an operation and waits for its answer.
    fn exchange(
        &self,
        operation: Operation<'_>,
        wanted: Wanted,
        listing: Option<Listing>,
    ) -> Result<Answer> {
        let sent = self.submit(operation, wanted, listing)?;
        self.wait(&sent)
    }

    /// Sends a READ of `size` bytes. `fill` brings the bytes to where they are wanted and
    /// tells how many there were; the request is over when it returns.
    pub(super) fn read(
        &self,
        operation: Operation<'_>,
        size: u32,
        fill: impl FnOnce(SegmentList, &dyn Patience) -> Result<u64>,
    ) -> Result<u64> {
        let sent = self.submit(operation, Wanted(size), None)?;
        let mut data = match self.wait(&sent)? {
            Answer::Data(data) => data,
            Answer::Reply(Err(errno)) => return Err(errno),
            Answer::Reply(Ok(_)) | Answer::Listing(_) => return Err(Errno::EIO),
        };
        let (list, wanted) = data.take();
        let filled = fill(list, &Uninterrupted { session: self, wanted: &wanted });
        drop(wanted);
        if data.close(&filled) {
            return filled;
        }
        // whoever was quicker leaves an errno
        match self.wait(&sent)? {
            Answer::Reply(Err(errno)) => Err(errno),
            Answer::Reply(Ok(_)) | Answer::Data(_) | Answer::Listing(_) => Err(Errno::EIO),
        }
    }

    fn submit(
        &self,
        operation: Operation<'_>,
        wanted: Wanted,
        listing: Option<Listing>,
    ) -> Result<Sent<'_>> {
        if self.aborted.load(Ordering::Acquire) && !ends_something(operation.kind()) {
            return Err(Errno::ECONNABORTED);
        }
        let unique = Unique(self.next_unique.fetch_add(1, Ordering::Relaxed));
        let calls = &self.served.connection.in_process().calls;
        let sent = Sent { calls, unique, call: calls.enter(unique) };
        let reply = ClientReply::new(Arc::clone(&sent.call), listing);
        let creates = matches!(
            operation.kind(),
            OperationKind::Mknod | OperationKind::Mkdir | OperationKind::Create
        );
        let context = Context {
            unique,
            uid: self.config.uid,
            gid: self.config.gid,
            pid: sys::thread_id(),
            umask: if creates { self.config.umask } else { 0 },
        };
        let connection = &self.served.connection;
        let reply = TransportReply::Client(reply);
        let responder = connection.begin(&context, &operation, wanted, reply);
        self.served.carry_out(Admitted { context, operation, responder });
        Ok(sent)
    }

    /// Whether a signal has come that ends the caller's wait.
    fn is_interrupted(&self) -> bool {
        self.interrupted.as_ref().is_some_and(|interrupted| interrupted())
    }

    fn wait(&self, sent: &Sent<'_>) -> Result<Answer> {
        let connection = &self.served.connection;
        let answer = sent.call.wait(|| {
            // a request that is just being answered is waited for
            self.is_interrupted() && connection.interrupt(sent.unique)
        });
        answer.ok_or_else(|| {
            connection.metrics.interrupted.fetch_add(1, Ordering::Relaxed);
            self.served.cancelled(sent.unique);
            Errno::EINTR
        })
    }

    /// Has every request that is under way fail, and those to come.
    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        let connection = &self.served.connection;
        let pending: Vec<_> = connection.in_flight.pending().collect();
        for request in pending {
            if connection.answer_for(&request, Errno::ECONNABORTED, || {}) {
                self.served.cancelled(request.unique);
            }
        }
    }

    /// Counts what became of the bytes of a READ. One that failed late is an error, as on a
    /// mount: a short answer would be taken for the end of the file.
    pub(super) fn account(&self, copied: Copied) -> Result<u64> {
        self.copies.add(&copied);
        match copied.failure {
            Some(error) => Err(error.into()),
            None => Ok(copied.bytes),
        }
    }

    pub(super) fn count_joined(&self, bytes: u64) {
        self.joined.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives lookups back.
    pub(super) fn forget(&self, inode: Inode, count: u64) {
        self.lookups.fetch_sub(count, Ordering::Relaxed);
        self.served.forget(inode, count);
    }
}

/// What must go on when everything is used up: it frees things.
fn ends_something(kind: OperationKind) -> bool {
    use OperationKind as Kind;
    matches!(kind, Kind::Flush | Kind::Release | Kind::Releasedir)
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Waits for a stream as long as somebody waits for the answer, and no signal ends that.
struct Uninterrupted<'a> {
    session: &'a Session,
    wanted: &'a dyn Patience,
}

impl Patience for Uninterrupted<'_> {
    fn keep_waiting(&self) -> io::Result<()> {
        self.wanted.keep_waiting()?;
        if self.session.is_interrupted() {
            return Err(Errno::EINTR.into());
        }
        Ok(())
    }
}

/// A request that is on its way.
struct Sent<'a> {
    calls: &'a Calls,
    unique: Unique,
    call: Arc<Call>,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.calls.leave(self.unique);
    }
}
