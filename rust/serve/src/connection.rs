//! What all requests of one mount or client share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fusesg_fs::{Attributes, Context, Errno, FileType, OpenedFlags, Operation, Properties, Unique};
use fusesg_sg::PagePool;

use crate::MountConfig;
use crate::admission::Admission;
use crate::affinity;
use crate::client::{Calls, InProcess};
use crate::data_path::DataPath;
use crate::in_flight::{InFlight, Pending, Subject};
use crate::kernel_passthrough::KernelPassthrough;
use crate::known_names::{KnownNames, NameKey};
use crate::locks::Locks;
use crate::metrics::{Metrics, OldRequest, Started, Statistics};
use crate::notifier::NotificationQueue;
use crate::own_reply::OwnReply;
use crate::responder::{Responder, Wanted};
use crate::standby::Standby;
use crate::sweeper::Wakeup;
use crate::trace;
use crate::transport::TransportReply;

/// Requests that the statistics tell one by one.
const MOST_NAMED: usize = 8;

/// The state that every request of a mount or client passes: table, counters, data path,
/// timeouts.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) entry_timeout: Duration,
    pub(crate) attribute_timeout: Duration,
    pub(crate) negative_timeout: Duration,
    /// How the kernel treats files and directories whose open does not decide it.
    pub(crate) file_defaults: OpenedFlags,
    pub(crate) directory_defaults: OpenedFlags,
    /// What directories are said to be best read by.
    pub(crate) directory_buffer: u32,
    pub(crate) in_flight: InFlight,
    pub(crate) admission: Admission,
    pub(crate) sweeper: Arc<Wakeup>,
    pub(crate) standby: Arc<Standby>,
    pub(crate) metrics: Metrics,
    pub(crate) data_path: DataPath,
    pub(crate) own_reply: OwnReply,
    pub(crate) passthrough: KernelPassthrough,
    pub(crate) notifications: Arc<NotificationQueue>,
    pub(crate) known_names: KnownNames,
    pub(crate) locks: Locks,
    /// A request that waited for itself was answered, and its callback may still run.
    pub(crate) deadlocked: AtomicBool,
    /// The file system keeps ACLs.
    pub(crate) posix_acl: bool,
    /// The in-process client's; a mount has a device instead.
    in_process: Option<InProcess>,
    trace: bool,
}

impl Connection {
    /// Of a mount.
    pub(crate) fn new(
        config: &MountConfig,
        properties: &Properties,
        own_reply: OwnReply,
    ) -> Arc<Self> {
        Arc::new(Self::with(config, properties, own_reply, None))
    }

    /// Of a client: there is no device.
    pub(crate) fn in_process_of(
        config: &MountConfig,
        properties: &Properties,
        pages: Arc<PagePool>,
    ) -> Arc<Self> {
        let in_process = InProcess { calls: Calls::default(), pages };
        Arc::new(Self::with(config, properties, OwnReply::without_device(), Some(in_process)))
    }

    /// What a client's connection has.
    pub(crate) fn in_process(&self) -> &InProcess {
        self.in_process.as_ref().expect("asked for by the client only")
    }

    /// Gives idle memory back.
    pub(crate) fn trim(&self) {
        self.data_path.pools.trim();
        if let Some(InProcess { pages, .. }) = &self.in_process {
            pages.trim();
        }
    }

    fn with(
        config: &MountConfig,
        properties: &Properties,
        own_reply: OwnReply,
        in_process: Option<InProcess>,
    ) -> Self {
        let sweeper = Arc::new(Wakeup::default());
        let standby =
            Standby::new(config.reader_threads, affinity::cpus(config), Arc::clone(&sweeper));
        Self {
            entry_timeout: config.entry_timeout,
            attribute_timeout: config.attribute_timeout,
            negative_timeout: config.negative_timeout,
            file_defaults: config.file_defaults(),
            directory_defaults: config.directory_defaults(),
            directory_buffer: config.directory_buffer,
            in_flight: InFlight::new(),
            admission: Admission::new(config.max_requests),
            sweeper,
            standby: Arc::new(standby),
            metrics: Metrics::default(),
            data_path: DataPath::new(config),
            own_reply,
            passthrough: KernelPassthrough::default(),
            notifications: Arc::new(NotificationQueue::default()),
            known_names: KnownNames::new(),
            locks: Locks::default(),
            deadlocked: AtomicBool::new(false),
            posix_acl: properties.posix_acl,
            in_process,
            trace: config.trace,
        }
    }

    /// What is shown as the preferred size of I/O.
    pub(crate) fn block_size(&self, attributes: &Attributes) -> u32 {
        match attributes.kind {
            FileType::Directory => attributes.block_size.max(self.directory_buffer),
            _ => attributes.block_size,
        }
    }

    /// Whether whoever makes the requests is still there.
    pub(crate) fn is_connected(&self) -> bool {
        self.in_process.is_some() || self.own_reply.is_connected()
    }

    /// Enters a request; the responder leaves it.
    pub(crate) fn begin(
        self: &Arc<Self>,
        context: &Context,
        operation: &Operation<'_>,
        wanted: Wanted,
        reply: TransportReply,
    ) -> Responder {
        let kind = operation.kind();
        let (offset, size) = match operation {
            Operation::Read { offset, .. } | Operation::Write { offset, .. } => (*offset, wanted.0),
            _ => (0, 0),
        };
        let trace = (self.trace && trace::enabled()).then(|| trace::describe(operation));
        let started = match &trace {
            Some(_) => Started::now(),
            None => self.metrics.begin(kind, context.unique.0),
        };
        let subject = Subject {
            unique: context.unique,
            kind,
            pid: context.pid,
            inode: operation.inode(),
            offset,
            size,
        };
        let ticket = self.in_flight.begin(subject, started);
        self.sweeper.note_request();
        Responder::new(
            Arc::clone(self),
            context.unique,
            kind,
            operation.inode(),
            ticket,
            wanted,
            self.name_of(operation),
            trace,
            reply,
        )
    }

    /// The name that an answer with an entry will be about.
    fn name_of(&self, operation: &Operation<'_>) -> Option<NameKey> {
        match operation {
            Operation::Lookup { parent, name }
            | Operation::Mknod { parent, name, .. }
            | Operation::Mkdir { parent, name, .. }
            | Operation::Symlink { parent, name, .. }
            | Operation::Create { parent, name, .. }
            | Operation::Link { new_parent: parent, new_name: name, .. } => {
                Some(self.known_names.key(*parent, name))
            }
            _ => None,
        }
    }

    /// Whether a callback whose request waited for itself, and was answered, goes on and asks
    /// for the same: the answer would take another such callback, without end.
    pub(crate) fn repeats_deadlock(&self, context: &Context, operation: &Operation<'_>) -> bool {
        // 0: a caller that cannot be told, and likewise of threads
        self.deadlocked.load(Ordering::SeqCst)
            && context.pid != 0
            // a close cannot fail, and nobody waits for it
            && !matches!(operation, Operation::Release { .. } | Operation::Releasedir { .. })
            && self.in_flight.cancelled().any(|request| {
                request.thread == context.pid
                    && request.kind == operation.kind()
                    && request.inode == operation.inode()
            })
    }

    /// Forgets that a request waited for itself, once no callback goes on whose request was
    /// answered in its place.
    pub(crate) fn end_deadlocked(&self) {
        if self.deadlocked.load(Ordering::SeqCst)
            && !self.in_flight.cancelled().any(|request| request.thread != 0)
        {
            self.deadlocked.store(false, Ordering::SeqCst);
        }
    }

    /// Answers a request in its callback's place, if the callback is not quicker. `before` is
    /// called in between: what it counts is counted when the caller has the answer.
    pub(crate) fn answer_for(
        &self,
        request: &Pending,
        errno: Errno,
        before: impl FnOnce(),
    ) -> bool {
        if !self.take_over(request) {
            return false;
        }
        before();
        if let Some(InProcess { calls, .. }) = &self.in_process {
            calls.error(request.unique, errno);
        } else if let Err(error) = self.own_reply.error(request.unique, errno) {
            log::warn!("request {} could not be answered {errno}: {error}", request.unique);
        }
        true
    }

    /// Takes the right to answer a request that its caller does not want to wait for.
    pub(crate) fn interrupt(&self, unique: Unique) -> bool {
        let request = self.in_flight.pending().find(|request| request.unique == unique);
        request.is_some_and(|request| self.take_over(&request))
    }

    /// Takes the right to answer for the callback, and counts the answer: whatever the callback
    /// comes to, and whenever, counts no more.
    fn take_over(&self, request: &Pending) -> bool {
        let taken = self.in_flight.cancel(request.ticket, request.unique);
        if taken {
            self.metrics.count(request.kind, true, 0);
            self.metrics.end(request.kind, request.ticket.started);
        }
        taken
    }

    /// The mount's numbers.
    pub(crate) fn statistics(&self) -> Statistics {
        use std::sync::atomic::Ordering::Relaxed;
        let given_up: Vec<_> = self.in_flight.cancelled().collect();
        Statistics {
            operations: self.metrics.operations(),
            in_flight: self.in_flight.count().saturating_sub(given_up.len()),
            parked: self.admission.parked(),
            oldest: oldest(self.in_flight.pending().collect()),
            given_up: given_up.len(),
            oldest_given_up: oldest(given_up),
            interrupted: self.metrics.interrupted.load(Relaxed),
            timed_out: self.metrics.timed_out.load(Relaxed),
            requests: self.admission.statistics(),
            pool: self.data_path.pools.statistics(),
            notifications: self.notifications.statistics(),
            locks: self.locks.statistics(),
            data_path: self.data_path.statistics(),
        }
    }
}

/// Those that came first, the oldest first.
fn oldest(mut requests: Vec<Pending>) -> Vec<OldRequest> {
    requests.sort_by_key(|request| std::cmp::Reverse(request.age));
    requests.truncate(MOST_NAMED);
    requests.into_iter().map(Into::into).collect()
}
