//! The obligation to answer one request, exactly once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fusesg_fs::{
    DirectoryEntry, DirectorySink, Entry, Errno, Inode, OpenedFlags, OperationKind, Reply, Result,
    Unique,
};
use fusesg_sg::{PAGE_SIZE, PageDescriptor, Patience, SegmentList};

use crate::Delivery;
use crate::admission::OperationRequest;
use crate::connection::Connection;
use crate::data_reply::DataReply;
use crate::fuser_transport::FuserReply;
use crate::in_flight::Ticket;
use crate::known_names::NameKey;
use crate::locks::{self, LockStep};
use crate::transport::TransportReply;
use crate::{access_lists, names, trace};

/// How much the request asked for, in the operation's own unit (bytes, or nothing).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted(pub(crate) u32);

/// Answers one request. Dropped without an answer, it answers EIO.
///
/// For READDIR and READDIRPLUS it is also the sink of the entries; answer with
/// [`Reply::Done`] once they are in. It may be sent to another thread and outlive the
/// mount; its answer then goes nowhere.
#[derive(Debug)]
pub struct Responder {
    connection: Arc<Connection>,
    unique: Unique,
    kind: OperationKind,
    inode: Inode,
    ticket: Ticket,
    wanted: Wanted,
    /// The operation's arguments, if the mount is traced.
    trace: Option<Box<str>>,
    /// Why the listing cannot be sent.
    bad_listing: Option<Errno>,
    /// What the operation is served with, once it was admitted; returned with the answer.
    request: Option<OperationRequest>,
    /// The name that an entry is looked up or made for.
    name: Option<NameKey>,
    /// Where the file system's answer is not the end.
    lock_step: Option<Box<LockStep>>,
    /// Until answered: the transport's way back.
    reply: Option<TransportReply>,
}

/// Tells whether a request was answered without its callback because the caller was killed
/// or the deadline passed. Cheap to clone and to ask.
#[derive(Clone, Debug)]
pub struct Cancellation {
    connection: Arc<Connection>,
    unique: Unique,
    ticket: Ticket,
}

impl Cancellation {
    /// Whether the callback's answer is no longer wanted. Meaningful until it is given.
    pub fn is_cancelled(&self) -> bool {
        self.connection.in_flight.is_cancelled(self.ticket, self.unique)
    }
}

impl Responder {
    pub(crate) fn new(
        connection: Arc<Connection>,
        unique: Unique,
        kind: OperationKind,
        inode: Inode,
        ticket: Ticket,
        wanted: Wanted,
        name: Option<NameKey>,
        trace: Option<Box<str>>,
        reply: TransportReply,
    ) -> Self {
        let reply = Some(reply);
        Self {
            connection,
            unique,
            kind,
            inode,
            ticket,
            wanted,
            trace,
            bad_listing: None,
            request: None,
            name,
            lock_step: None,
            reply,
        }
    }

    /// The operation may go on with `request`.
    pub(crate) fn set_request(&mut self, request: OperationRequest) {
        self.request = Some(request);
    }

    /// Gives the request back: the operation waits for something else than to be carried out.
    pub(crate) fn leave_request(&mut self) {
        if self.request.take().is_some() {
            self.connection.admission.request_freed();
        }
    }

    /// Whether the operation waits for something that may take as long as it likes.
    pub(crate) fn set_waits(&self, waits: bool) {
        self.connection.in_flight.set_waits(self.ticket, waits);
    }

    /// The file system's answer goes to [`locks::proceed`] first.
    pub(crate) fn set_lock_step(&mut self, step: LockStep) {
        self.lock_step = Some(Box::new(step));
    }

    /// Takes it back.
    pub(crate) fn take_lock_step(&mut self) -> Option<Box<LockStep>> {
        self.lock_step.take()
    }

    /// The next answer is sent.
    pub(crate) fn without_lock_step(mut self) -> Self {
        self.lock_step = None;
        self
    }

    /// The request.
    pub fn unique(&self) -> Unique {
        self.unique
    }

    /// The operation that is to be answered.
    pub fn kind(&self) -> OperationKind {
        self.kind
    }

    /// This thread carries the operation out from now on: should it wait for the very file
    /// that it is to read, that can be told.
    pub fn carried_out_here(&self) {
        self.connection.in_flight.set_thread(self.ticket);
    }

    /// No thread carries the operation out for now. To be said before another may begin with
    /// it: what this thread waits for next is no concern of the operation.
    pub fn set_aside(&self) {
        self.leave_to(0);
    }

    /// The thread of that number is to carry the operation out, and nobody else will.
    pub fn leave_to(&self, thread: u32) {
        self.connection.in_flight.leave_to(self.ticket, thread);
    }

    /// Whether this is one of the requests of which [`time_callback`](Self::time_callback)
    /// wants to know where the time goes: reading the clock for each would cost too much.
    pub fn is_timed(&self) -> bool {
        self.ticket.started.is_timed()
    }

    /// The callback in Python ran for so long, after it had waited so long for the
    /// interpreter, if that is known.
    pub fn time_callback(&self, gil_wait: Option<Duration>, run: Duration) {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let metrics = &self.connection.metrics;
        metrics.time_callback(self.kind, gil_wait.map(nanoseconds), nanoseconds(run));
    }

    /// A flag that turns true when the answer is no longer wanted.
    pub fn cancellation(&self) -> Cancellation {
        Cancellation {
            connection: Arc::clone(&self.connection),
            unique: self.unique,
            ticket: self.ticket,
        }
    }

    /// Sends the answer. A reply of a kind that does not answer the operation, or data
    /// longer than asked for, is answered EIO and logged.
    pub fn answer(mut self, result: Result<Reply>) -> Delivery {
        let Some(step) = self.lock_step.take() else { return self.answer_now(result) };
        let connection = Arc::clone(&self.connection);
        match locks::proceed(&connection.locks, *step, self, result) {
            Some((responder, result)) => responder.answer_now(result),
            // there is nothing in it that could have to be taken back
            None => Delivery::Sent,
        }
    }

    fn answer_now(mut self, result: Result<Reply>) -> Delivery {
        let Some(transport) = self.reply.take() else { return Delivery::Dropped };
        match (self.check(result), transport) {
            (Ok(Reply::Data(list)), TransportReply::Fuser(fuser)) => {
                self.send_to_kernel(fuser, &list)
            }
            (Ok(Reply::Data(list)), TransportReply::Client(client)) => {
                client.data(DataInHand { list, responder: Some(self) });
                // there is nothing in it that could have to be taken back
                Delivery::Sent
            }
            (result, transport) => self.send(transport, result),
        }
    }

    /// Sends the answer to a READ of the kernel's.
    fn send_to_kernel(&mut self, fuser: FuserReply, list: &SegmentList) -> Delivery {
        let connection = &*self.connection;
        // bytes are fetched before the right to answer is taken: a slow source must not
        // keep a killed caller waiting
        let reply = match DataReply::fetch(list, &connection.data_path, &WhileWanted(self)) {
            Ok(reply) => reply,
            Err(errno) => return self.send(TransportReply::Fuser(fuser), Err(errno)),
        };
        let (bytes, in_pages) = (reply.len(), reply.in_pages());
        use_pages(self.request.as_mut(), in_pages);
        let claimed = self.claim();
        if claimed {
            self.count(false, bytes as u64);
            reply.send(connection, self.unique, fuser);
        } else {
            TransportReply::Fuser(fuser).discard();
        }
        let text = self.trace.as_ref().map(|_| trace::answer(&Ok(Reply::Data(list.clone()))));
        self.close(claimed, text)
    }

    /// Sends any other answer.
    fn send(&mut self, transport: TransportReply, result: Result<Reply>) -> Delivery {
        use_pages(self.request.as_mut(), bytes_in_pages(self.kind, &result));
        let claimed = self.claim();
        let failed = is_failure(self.kind, &result);
        let text = self.trace.as_ref().map(|_| trace::answer(&result));
        if claimed {
            self.count(failed, moved_bytes(&result));
            self.note_name(&result);
            self.note_open(&result);
        }
        let sent = if claimed {
            transport.send(&self.connection, self.unique, self.inode, result)
        } else {
            transport.discard();
            false
        };
        if claimed && !sent && !failed {
            self.connection.metrics.count_unsent(self.kind);
        }
        self.close(sent, text)
    }

    /// Remembers which file the kernel is told of that was opened.
    fn note_open(&self, result: &Result<Reply>) {
        let locks = &self.connection.locks;
        match result {
            Ok(Reply::Opened(opened)) if self.kind == OperationKind::Open && locks.are_kept() => {
                locks.opened(self.inode, opened.handle);
            }
            Ok(Reply::Created(entry, opened)) if locks.are_kept() => {
                locks.opened(entry.attributes.inode, opened.handle);
            }
            _ => {}
        }
    }

    /// Remembers what the kernel is told that a name means.
    fn note_name(&self, result: &Result<Reply>) {
        if let Some(name) = self.name
            && let Ok(Reply::Entry(entry) | Reply::Created(entry, _)) = result
        {
            self.connection.known_names.note(name, entry.attributes.inode);
        }
    }

    fn claim(&self) -> bool {
        self.connection.in_flight.claim(self.ticket, self.unique)
    }

    fn count(&self, failed: bool, bytes: u64) {
        self.connection.metrics.count(self.kind, failed, bytes);
    }

    /// Leaves the table; times and traces the answer.
    fn close(&self, claimed: bool, text: Option<String>) -> Delivery {
        let connection = &*self.connection;
        let given_up = connection.in_flight.is_cancelled(self.ticket, self.unique);
        let nanoseconds =
            (!given_up).then(|| connection.metrics.end(self.kind, self.ticket.started)).flatten();
        connection.in_flight.end(self.ticket);
        if let (Some(arguments), Some(text)) = (&self.trace, text) {
            // whatever is traced is timed, or was when it was given up
            let time =
                nanoseconds.map_or_else(|| self.ticket.started.elapsed(), Duration::from_nanos);
            trace::log(self.unique, self.kind, arguments, &text, time);
        }
        if claimed { Delivery::Sent } else { Delivery::Dropped }
    }

    /// The answer, or EIO where it is not one to this operation.
    fn check(&self, result: Result<Reply>) -> Result<Reply> {
        if let Some(errno) = self.bad_listing {
            return Err(errno);
        }
        let reply = match result {
            // the same statement as an entry without inode, and cached like it
            Err(Errno::ENOENT)
                if self.kind == OperationKind::Lookup
                    && !self.connection.negative_timeout.is_zero() =>
            {
                return Ok(Reply::Entry(Entry::NEGATIVE));
            }
            other => other?,
        };
        let reply = self.without_acls(self.with_flush(reply));
        if !answers(self.kind, &reply) {
            return Err(self.refuse(&format!("{} is no answer to it", name(&reply))));
        }
        let wanted = u64::from(self.wanted.0);
        match &reply {
            Reply::Data(list) if list.len() > wanted => {
                Err(self.refuse(&format!("{} bytes, {wanted} were asked for", list.len())))
            }
            Reply::Written(bytes) if u64::from(*bytes) > wanted => {
                Err(self.refuse(&format!("{bytes} bytes taken, {wanted} were given")))
            }
            Reply::Ioctl { data, .. } if data.len() as u64 > wanted => {
                Err(self.refuse(&format!("{} bytes, {wanted} have room", data.len())))
            }
            Reply::Xattr(value) if wanted != 0 && value.len() as u64 > wanted => Err(Errno::ERANGE),
            Reply::Xattr(value) if wanted == 0 => match u32::try_from(value.len()) {
                Ok(length) => Ok(Reply::Written(length)),
                Err(_) => Err(Errno::E2BIG),
            },
            Reply::Entry(entry) | Reply::Created(entry, _)
                if entry.attributes.inode == Inode(0) && self.kind != OperationKind::Lookup =>
            {
                Err(self.refuse("an entry without inode"))
            }
            Reply::Entry(entry) | Reply::Created(entry, _)
                if entry.attributes.inode == Inode::ROOT =>
            {
                Err(self.refuse("inode 1, which is the root's"))
            }
            _ => Ok(reply),
        }
    }

    /// Where locks are kept by the file system, closing a file has to be told.
    fn with_flush(&self, mut reply: Reply) -> Reply {
        if self.connection.locks.are_kept()
            && let Reply::Opened(opened) | Reply::Created(_, opened) = &mut reply
        {
            opened.flags.remove(OpenedFlags::NO_FLUSH);
            opened.decided.insert(OpenedFlags::NO_FLUSH);
        }
        reply
    }

    /// What the file system keeps of ACLs is none, if it does not say that it keeps them.
    fn without_acls(&self, mut reply: Reply) -> Reply {
        if self.kind == OperationKind::Listxattr
            && !self.connection.posix_acl
            && let Reply::Xattr(names) = &mut reply
        {
            access_lists::remove_from(names);
        }
        reply
    }

    fn refuse(&self, why: &str) -> Errno {
        log::error!("{} of inode {} was answered with {why}; EIO instead", self.kind, self.inode);
        Errno::EIO
    }
}

/// Waits for a stream as long as somebody waits for the answer.
struct WhileWanted<'r>(&'r Responder);

impl Patience for WhileWanted<'_> {
    fn keep_waiting(&self) -> io::Result<()> {
        let Responder { connection, ticket, unique, .. } = self.0;
        if connection.in_flight.is_cancelled(*ticket, *unique) || !connection.is_connected() {
            // seen by nobody: the answer has been given, or there is nobody to give it to
            return Err(io::Error::from_raw_os_error(libc::ECANCELED));
        }
        Ok(())
    }
}

/// The answer to a READ on its way to a caller in this process: the request is being served
/// until the caller has brought the bytes to where it wants them.
#[derive(Debug)]
pub(crate) struct DataInHand {
    list: SegmentList,
    /// Until closed. Has given away its reply.
    responder: Option<Responder>,
}

impl DataInHand {
    /// Where the bytes are, and how long those of streams are worth waiting for. The list is
    /// taken, since pages that nobody else has can be moved.
    pub(crate) fn take(&mut self) -> (SegmentList, impl Patience) {
        let responder = self.responder.as_ref().expect("present until closed");
        (std::mem::take(&mut self.list), WhileWanted(responder))
    }

    /// The request is over; tells whether nobody else answered it meanwhile.
    pub(crate) fn close(mut self, outcome: &Result<u64>) -> bool {
        self.end(outcome)
    }

    fn end(&mut self, outcome: &Result<u64>) -> bool {
        let Some(responder) = self.responder.take() else { return false };
        let claimed = responder.claim();
        let text = responder.trace.as_ref().map(|_| match outcome {
            Ok(bytes) => format!("{bytes} bytes"),
            Err(errno) => errno.to_string(),
        });
        if claimed {
            responder.count(outcome.is_err(), outcome.unwrap_or(0));
        }
        responder.close(claimed, text) == Delivery::Sent
    }
}

impl Drop for DataInHand {
    /// Nobody came for the data: its caller does not wait any more.
    fn drop(&mut self) {
        self.end(&Err(Errno::EINTR));
    }
}

impl DirectorySink for Responder {
    fn add(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        if let Some(wrong) = names::wrong_in_listing(entry.name) {
            self.bad_listing = Some(self.refuse(&wrong));
            return false;
        }
        let Some(reply) = &mut self.reply else { return false };
        let added = reply.add_entry(&self.connection, entry);
        if added && let Some(looked_up) = entry.entry {
            let names = &self.connection.known_names;
            names.note(names.key(self.inode, entry.name), looked_up.attributes.inode);
        }
        added
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(step) = self.lock_step.take() {
            locks::abandoned(&self.connection.locks, &step);
        }
        if let Some(transport) = self.reply.take() {
            log::error!("{} of inode {} was never answered; EIO instead", self.kind, self.inode);
            let _ = self.send(transport, Err(Errno::EIO));
        }
        self.leave_request();
    }
}

/// Describes the pages of a request that `bytes` bytes take.
fn use_pages(request: Option<&mut OperationRequest>, mut bytes: usize) {
    let Some(request) = request else { return };
    while let Some(descriptor) = PageDescriptor::new(0, bytes.min(PAGE_SIZE))
        && !descriptor.is_empty()
        && request.pages.push((), descriptor).is_ok()
    {
        bytes -= descriptor.len();
    }
}

/// Bytes in the pages of a request, for an answer other than [`Reply::Data`].
fn bytes_in_pages(kind: OperationKind, result: &Result<Reply>) -> usize {
    match result {
        Ok(Reply::Written(bytes)) if kind == OperationKind::Write => *bytes as usize,
        Ok(Reply::Ioctl { data, .. }) => data.len(),
        Ok(Reply::Done) if matches!(kind, OperationKind::Readdir | OperationKind::Readdirplus) => {
            PAGE_SIZE
        }
        _ => 0,
    }
}

/// Whether an answer counts as an error. That a name does not exist is none, however it is
/// told.
fn is_failure(kind: OperationKind, result: &Result<Reply>) -> bool {
    match result {
        Ok(_) => false,
        Err(errno) => !(kind == OperationKind::Lookup && *errno == Errno::ENOENT),
    }
}

/// Bytes that count as moved.
fn moved_bytes(result: &Result<Reply>) -> u64 {
    match result {
        Ok(Reply::Written(bytes)) => u64::from(*bytes),
        Ok(Reply::Xattr(value)) => value.len() as u64,
        _ => 0,
    }
}

/// Whether a reply of this kind answers the operation.
fn answers(kind: OperationKind, reply: &Reply) -> bool {
    use OperationKind as Kind;
    match reply {
        Reply::Done => matches!(
            kind,
            Kind::Unlink
                | Kind::Rmdir
                | Kind::Rename
                | Kind::Release
                | Kind::Fsync
                | Kind::Setxattr
                | Kind::Removexattr
                | Kind::Flush
                | Kind::Readdir
                | Kind::Readdirplus
                | Kind::Releasedir
                | Kind::Fsyncdir
                | Kind::Setlk
                | Kind::Access
                | Kind::Fallocate
        ),
        Reply::Entry(_) => {
            matches!(kind, Kind::Lookup | Kind::Mknod | Kind::Mkdir | Kind::Symlink | Kind::Link)
        }
        Reply::Created(..) => kind == Kind::Create,
        Reply::Attributes(_) => matches!(kind, Kind::Getattr | Kind::Setattr),
        Reply::Target(_) => kind == Kind::Readlink,
        Reply::Opened(_) => matches!(kind, Kind::Open | Kind::Opendir),
        Reply::Data(_) => kind == Kind::Read,
        Reply::Written(_) => matches!(kind, Kind::Write | Kind::CopyFileRange),
        Reply::Statistics(_) => kind == Kind::Statfs,
        Reply::Xattr(_) => matches!(kind, Kind::Getxattr | Kind::Listxattr),
        Reply::Lock(_) => kind == Kind::Getlk,
        Reply::Block(_) => kind == Kind::Bmap,
        Reply::Ioctl { .. } => kind == Kind::Ioctl,
        Reply::Events(_) => kind == Kind::Poll,
        Reply::Offset(_) => kind == Kind::Lseek,
    }
}

/// The reply's variant, for the log.
fn name(reply: &Reply) -> String {
    let debug = format!("{reply:?}");
    let end = debug.find(|c: char| !c.is_alphanumeric()).unwrap_or(debug.len());
    debug[..end].to_owned()
}
