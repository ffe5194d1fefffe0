//! A Python file system behind the dispatch trait.
//!
//! Each operation takes one of three ways: to the class, if the class defines its method;
//! to the native file system the class derives from; or it is answered here, where only
//! the core's own tables are concerned. The last two never touch the GIL.

use std::cell::RefCell;
use std::fmt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fusesg_fs::{
    Claim, Context, Entry, Errno, FileSystem, FileType, Handle, Inode, Opened, Operation,
    OperationKind, OperationSet, PathTable, Properties, Reply, Result, Unique,
};
use fusesg_serve::{Delivery, Dispatch, Native, Responder, Value};
use fusesg_sg::{PagePools, Segment, SegmentList};
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::callbacks::{self, Callback, Outcome};
use crate::conversions::errors;
use crate::conversions::numbers::type_name;
use crate::dispatch::directory_snapshot::{CountingSink, Directory, Listings};
use crate::dispatch::fetches::Fetches;
use crate::dispatch::handles::{self, Handles};
use crate::dispatch::implementation::{Declared, Methods};
use crate::dispatch::life_cycle;
use crate::dispatch::open_data;
use crate::dispatch::root::Root;
use crate::log_queue;
use crate::sys;
use crate::threads::combining::Combining;
use crate::threads::event_loop::{EventLoop, Key};
use crate::threads::executors::{Executors, Job};
use crate::threads::gil_waiters::{MountId, Request};
use crate::threads::thread_state;

/// How long unmounting waits for callbacks that run.
pub(super) const CALLBACKS_END: Duration = Duration::from_secs(1);

/// A mounted Python object, as its callbacks need it.
pub(crate) struct Core {
    pub(crate) mount: MountId,
    /// For log records.
    pub(crate) class_name: String,
    pub(crate) methods: Methods,
    /// The native file system that the class derives from.
    pub(crate) native: Option<Native<dyn FileSystem>>,
    pub(crate) handles: Handles,
    pub(crate) listings: Listings,
    /// The paths of what the kernel knows, for a file system of paths.
    pub(crate) paths: Option<Arc<PathTable>>,
    /// Buffers that hold the data of writes.
    pub(crate) pools: PagePools,
    pub(crate) root: Root,
    /// A bare handle from open keeps cached pages.
    pub(crate) keep_cache: bool,
    /// The kernel collects what is written.
    pub(crate) writeback: bool,
    /// It was said that a write took nothing.
    pub(crate) nothing_written_told: AtomicBool,
    /// Operations of which it was said that the event loop waited for them itself.
    pub(super) loop_waits_told: Mutex<OperationSet>,
    /// Native handles may be offered for kernel passthrough.
    pub(crate) offers_passthrough: bool,
    /// What goes to Python.
    python: OperationSet,
    /// What is implemented only for open files whose bytes are known.
    data_only: OperationSet,
    /// How many operations went to Python.
    callbacks: AtomicU64,
    properties: Properties,
    /// Which readers run callbacks.
    pub(crate) combining: Arc<Combining>,
    pub(crate) executors: Arc<Executors>,
    /// Where callbacks are awaited.
    pub(crate) event_loop: Arc<EventLoop>,
    /// READs whose data comes later.
    pub(crate) fetches: Arc<Fetches>,
    /// FORGETs on their way to the class.
    forgets: Mutex<Vec<(Inode, u64)>>,
    /// What the class's init raised.
    init_error: Mutex<Option<PyErr>>,
}

/// What answers an operation, and which lookups were counted for a listing in it.
struct Answer {
    result: Result<Reply>,
    counted: Vec<Inode>,
}

impl From<Result<Reply>> for Answer {
    fn from(result: Result<Reply>) -> Self {
        Self { result, counted: Vec::new() }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("class", &self.class_name).finish_non_exhaustive()
    }
}

/// What of a mount's settings concerns the dispatcher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Threads of the transport; `None` if whoever asks serves itself.
    pub(crate) reader_threads: Option<usize>,
    /// Threads for callbacks, besides.
    pub(crate) max_python_threads: usize,
    /// `Fetch` pieces that may be carried out at a time.
    pub(crate) max_fetches: usize,
    /// Size of the largest write.
    pub(crate) max_write: u32,
    /// The kernel collects what is written.
    pub(crate) writeback: bool,
    /// What is mounted over, and so what the root has to be; `None` without a mount.
    pub(crate) root: Option<FileType>,
}

impl Core {
    /// Finds out what `filesystem` implements; TypeError if it cannot be served.
    pub(crate) fn new(
        filesystem: &Bound<'_, PyAny>,
        native: Option<Arc<dyn FileSystem>>,
        limits: Limits,
        event_loop: EventLoop,
    ) -> PyResult<Self> {
        let declared = Declared::of(filesystem)?;
        if declared.by_path && native.is_some() {
            return Err(PyTypeError::new_err(format!(
                "{} is a file system of paths and derives from a native one, which is one of \
                 inodes",
                type_name(filesystem)
            )));
        }
        let methods = Methods::of(filesystem, declared.by_path)?;
        let python = methods.operations();
        let properties =
            declared.properties(python, native.as_ref().map(|native| native.properties()));
        let class_name = filesystem.get_type().name()?.to_string();
        let combining = Combining::new(limits.reader_threads);
        let executors = Arc::new(Executors::new(limits.max_python_threads, Arc::clone(&combining)));
        let event_loop = Arc::new(event_loop);
        let fetches = Fetches::new(
            class_name.clone(),
            limits.max_fetches,
            Arc::clone(&executors),
            Arc::clone(&event_loop),
        );
        let elsewhere =
            native.as_ref().map_or(python, |native| native.properties().implemented.union(python));
        let data_only = properties.implemented.intersection(open_data::ANSWERED);
        let data_only = data_only.difference(elsewhere);
        Ok(Self {
            mount: MountId::next(),
            class_name,
            methods,
            native: native.map(Native::new),
            handles: Handles::default(),
            listings: Listings::default(),
            paths: declared.by_path.then(Arc::default),
            pools: PagePools::new(limits.max_write as usize),
            root: Root::new(limits.root),
            keep_cache: declared.keep_cache.unwrap_or(false),
            writeback: limits.writeback,
            nothing_written_told: AtomicBool::new(false),
            loop_waits_told: Mutex::new(OperationSet::EMPTY),
            offers_passthrough: properties.kernel_passthrough,
            python,
            data_only,
            callbacks: AtomicU64::new(0),
            properties,
            combining,
            executors,
            event_loop,
            fetches,
            forgets: Mutex::default(),
            init_error: Mutex::default(),
        })
    }

    /// What the class's init raised, once.
    pub(crate) fn take_init_error(&self) -> Option<PyErr> {
        self.init_error.lock().take()
    }

    /// Whether the class or its native file system has the operation.
    pub(crate) fn implements(&self, kind: OperationKind) -> bool {
        self.properties.implemented.contains(kind)
    }

    /// Whether its methods leave open what the root is: a directory has names in it, a file
    /// has not.
    pub(crate) fn root_is_open(&self, mountpoint: FileType) -> bool {
        let has_names = self.implements(OperationKind::Readdir)
            || self.implements(OperationKind::Lookup) && self.paths.is_none();
        has_names != (mountpoint == FileType::Directory)
    }

    /// One more operation goes to Python.
    pub(crate) fn count_callback(&self) {
        self.callbacks.fetch_add(1, Ordering::Relaxed);
    }

    /// How many operations went to Python so far.
    pub(crate) fn callbacks(&self) -> u64 {
        self.callbacks.load(Ordering::Relaxed)
    }

    /// Takes the requests of this mount's own process that wait for an executor, for the
    /// event loop, or for what these fetch.
    pub(crate) fn take_queued(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        let mut requests = self.executors.take_requests(&wanted);
        requests.extend(self.event_loop.take_requests(&wanted));
        requests.extend(self.fetches.take_requests(wanted));
        requests
    }

    /// Carries out what the callback decided.
    pub(crate) fn finish(
        self: &Arc<Self>,
        mut request: Request,
        operation: &Operation<'_>,
        outcome: Result<Outcome>,
    ) {
        if !matches!(outcome, Ok(Outcome::Awaitable(_))) {
            // what the callback did to names is known by now, and whoever has the answer may
            // go on
            drop(request.claim.take());
        }
        let answer = match outcome {
            Ok(Outcome::Awaitable(to_await)) => {
                return self.await_in_loop(request, operation, to_await);
            }
            Ok(Outcome::Fetch(data)) => {
                request.responder.set_aside();
                let request = if data.is_awaited() {
                    self.unless_loop_waits(request, false)
                } else {
                    Some(request)
                };
                if let Some(request) = request {
                    self.fetches.begin(request, data);
                }
                return;
            }
            Ok(Outcome::Reply(reply)) => Ok(reply).into(),
            Ok(Outcome::WritePlan(plan)) => carry_out(&plan, operation).into(),
            Ok(Outcome::Listing) => self.list(operation, &mut request.responder),
            Ok(Outcome::Listed(result, counted)) => {
                Answer { result: result.map(|()| Reply::Done), counted }
            }
            Err(errno) => Err(errno).into(),
        };
        if matches!(operation.kind(), OperationKind::Release | OperationKind::Releasedir)
            && let Some(handle) = handle_of(operation)
        {
            self.close(operation.inode(), handle);
        }
        let Request { context, responder, .. } = request;
        self.answer(&context, operation, responder, answer);
    }

    /// Fills a listing that was taken before.
    fn list(&self, operation: &Operation<'_>, responder: &mut Responder) -> Answer {
        let (Operation::Readdir { inode, handle, offset }
        | Operation::Readdirplus { inode, handle, offset }) = operation
        else {
            return Err(Errno::EIO).into();
        };
        let Some(listing) = self.listings.get(*handle) else { return Err(Errno::EBADF).into() };
        let plus = operation.kind() == OperationKind::Readdirplus;
        let mut sink = CountingSink::new(responder, plus, self.directory(*inode));
        listing.fill(*offset, &mut sink);
        Answer { result: Ok(Reply::Done), counted: sink.into_counted() }
    }

    /// What a listing of `inode` has to know, in a file system of paths.
    pub(crate) fn directory(&self, inode: Inode) -> Option<Directory<'_>> {
        self.paths.as_deref().map(|paths| Directory { paths, inode })
    }

    /// Forgets an open file or directory.
    fn close(&self, inode: Inode, handle: Handle) {
        if let Some(paths) = &self.paths {
            paths.closed(inode, handle);
        }
        self.listings.remove(handle);
        drop(self.handles.remove(handle));
    }

    /// Answers, and takes back what was in an answer that nobody waits for any more.
    fn answer(
        self: &Arc<Self>,
        context: &Context,
        operation: &Operation<'_>,
        responder: Responder,
        answer: Answer,
    ) {
        let Answer { mut result, counted } = answer;
        if let Some(paths) = &self.paths {
            result = note(paths, operation, result);
        }
        let listed = result.is_ok();
        let (entry, handle) = match &result {
            Ok(Reply::Entry(entry)) => (Some(entry.attributes.inode), None),
            Ok(Reply::Created(entry, opened)) => {
                (Some(entry.attributes.inode), Some((entry.attributes.inode, opened.handle)))
            }
            Ok(Reply::Opened(opened)) => match operation {
                Operation::Open { inode, .. } | Operation::Opendir { inode, .. } => {
                    (None, Some((*inode, opened.handle)))
                }
                _ => (None, None),
            },
            _ => (None, None),
        };
        let sent = responder.answer(result) == Delivery::Sent;
        if !(sent && listed) {
            for inode in counted {
                self.forget(inode, 1);
            }
        }
        if sent {
            return;
        }
        if let Some((inode, handle)) = handle {
            self.release_unused(context, operation.kind(), inode, handle);
        }
        if let Some(inode) = entry.filter(|inode| *inode != Inode(0)) {
            self.forget(inode, 1);
        }
    }

    /// Releases a handle that the kernel never got.
    fn release_unused(
        self: &Arc<Self>,
        context: &Context,
        opened_by: OperationKind,
        inode: Inode,
        handle: Handle,
    ) {
        let directory = opened_by == OperationKind::Opendir;
        let (kind, release) = if directory {
            (OperationKind::Releasedir, Operation::Releasedir { inode, handle, flags: 0 })
        } else {
            let release = Operation::Release { inode, handle, flags: 0, lock_owner: None };
            (OperationKind::Release, release)
        };
        if handles::is_data(handle) {
            // nobody else knows it
        } else if self.python.contains(kind) {
            thread_state::attach(|py| {
                let callback = Callback {
                    py,
                    core: self,
                    context,
                    responder: None,
                    description: RefCell::default(),
                };
                // what it raises was logged; there is nobody to tell
                if let Ok(Outcome::Awaitable(release)) = callbacks::call(callback, &release) {
                    let _ = self.run_errand(py, self.methods.name(kind), release.awaitable, None);
                }
            });
        } else if let Some(native) = &self.native
            && !handles::is_python(handle)
        {
            let native = native.file_system();
            let _ = if directory {
                native.releasedir(inode, handle)
            } else {
                native.release(inode, handle)
            };
        }
        self.close(inode, handle);
    }

    /// Whether the core answers by itself, without the class.
    fn own_answer(&self, operation: &Operation<'_>, responder: &mut Responder) -> Option<Answer> {
        if self.python.is_empty() {
            return None;
        }
        let kind = operation.kind();
        if let Some(handle) = handle_of(operation).filter(|handle| handles::is_data(*handle)) {
            if kind == OperationKind::Release {
                self.close(operation.inode(), handle);
                return Some(Ok(Reply::Done).into());
            }
            if open_data::ANSWERED.contains(kind) {
                let open = self.handles.get(handle);
                let answer = open.as_ref().and_then(|open| open.data()).ok_or(Errno::EBADF);
                return Some(answer.and_then(|data| open_data::answer(data, operation)).into());
            }
        }
        match operation {
            // the rest of a listing that was taken before
            Operation::Readdir { handle, offset, .. }
            | Operation::Readdirplus { handle, offset, .. }
                if *offset != 0
                    && self.python.contains(kind)
                    && self.listings.get(*handle).is_some() =>
            {
                Some(self.list(operation, responder))
            }
            _ if self.python.contains(kind) => None,
            _ if self.data_only.contains(kind) => Some(open_data::absent(kind).into()),
            // the number keeps this open directory's listing apart from the others'
            Operation::Opendir { .. } if self.native.is_none() => {
                let handle = self.handles.insert(None);
                Some(Answer::from(Ok(Reply::Opened(Opened { handle, ..Opened::default() }))))
            }
            Operation::Release { inode, handle, .. }
            | Operation::Releasedir { inode, handle, .. } => {
                self.close(*inode, *handle);
                let is_native = self.native.is_some() && !handles::is_python(*handle);
                (!is_native).then(|| Ok(Reply::Done).into())
            }
            _ => None,
        }
    }

    /// The operation as the native file system may see it: without Python handles.
    fn for_native<'a>(&self, operation: Operation<'a>) -> Result<Operation<'a>> {
        match operation {
            // these know the inode as well
            Operation::Getattr { inode, handle } => Ok(Operation::Getattr {
                inode,
                handle: handle.filter(|handle| !handles::is_python(*handle)),
            }),
            Operation::Setattr { inode, handle, changes } => Ok(Operation::Setattr {
                inode,
                handle: handle.filter(|handle| !handles::is_python(*handle)),
                changes,
            }),
            // what isatty() asks of every file
            Operation::Ioctl { handle, .. } if handles::is_python(handle) => Err(Errno::ENOTTY),
            // the kernel then copies by reads and writes
            Operation::CopyFileRange { in_handle, out_handle, .. }
                if handles::is_data(in_handle) || handles::is_data(out_handle) =>
            {
                Err(Errno::ENOTSUP)
            }
            other if python_handle(&other).is_some() => {
                log_queue::error(format!(
                    "{class} opened a file with a handle of its own, which the native {kind} \
                     cannot use: {class}.{kind} must be overridden too; answered EBADF",
                    class = self.class_name,
                    kind = other.kind()
                ));
                Err(Errno::EBADF)
            }
            other => Ok(other),
        }
    }

    /// Hands the collected FORGETs to the class, batch by batch.
    fn run_forgets(self: &Arc<Self>) {
        loop {
            let batch = std::mem::take(&mut *self.forgets.lock());
            if batch.is_empty() {
                return;
            }
            let done = thread_state::attach(|py| {
                let Some(method) = self.methods.get(OperationKind::Forget) else { return };
                for (inode, count) in batch {
                    let told = method.call1(py, (inode.0, count)).and_then(|returned| {
                        if !sys::is_awaitable(returned.bind(py)) {
                            return Ok(());
                        }
                        self.run_errand(py, "forget", returned, None)
                    });
                    if let Err(error) = told {
                        self.log_exception(py, "forget", &error);
                    }
                }
            });
            if done.is_none() {
                return;
            }
        }
    }

    /// Takes back lookups. Nobody waits for it, so the class is told by an executor.
    fn forget(self: &Arc<Self>, inode: Inode, count: u64) {
        if let Some(paths) = &self.paths {
            paths.forget(inode, count);
        } else if self.python.contains(OperationKind::Forget) {
            let mut forgets = self.forgets.lock();
            forgets.push((inode, count));
            if forgets.len() > 1 {
                // the job that the first of them submitted takes this one along
                return;
            }
            drop(forgets);
            let core = Arc::clone(self);
            let run = Box::new(move |_| core.run_forgets());
            self.executors.submit(Job { request: None, run });
        } else if let Some(native) = &self.native {
            native.forget(inode, count);
        }
    }

    pub(crate) fn log_exception(&self, py: Python<'_>, method: &str, error: &PyErr) {
        let traceback = errors::traceback(py, error);
        log_queue::error(format!("{}.{method} raised\n{traceback}", self.class_name));
    }
}

/// The dispatch trait over a shared [`Core`].
#[derive(Clone, Debug)]
pub(crate) struct PythonDispatch(pub(crate) Arc<Core>);

impl Dispatch for PythonDispatch {
    fn properties(&self) -> Properties {
        self.0.properties
    }

    fn mounted(&self, point: &Path, device: u64) {
        if let Some(native) = &self.0.native {
            native.mounted(point, device);
        }
    }

    fn unmounted(&self, device: u64) {
        if let Some(native) = &self.0.native {
            native.unmounted(device);
        }
    }

    fn init(&self) -> Result<()> {
        let core = &self.0;
        if let Some(native) = &core.native {
            native.init()?;
        }
        let Some(init) = &core.methods.init else { return Ok(()) };
        let Err(error) = life_cycle::init(core, init) else { return Ok(()) };
        *core.init_error.lock() = error;
        if let Some(native) = &core.native {
            native.destroy();
        }
        Err(Errno::EIO)
    }

    fn dispatch(&self, context: Context, operation: Operation<'_>, mut responder: Responder) {
        let core = &self.0;
        if let Some(answer) = core.own_answer(&operation, &mut responder) {
            return core.answer(&context, &operation, responder, answer);
        }
        if !core.python.contains(operation.kind()) {
            let Some(native) = &core.native else {
                let _delivery = responder.answer(Err(Errno::ENOSYS));
                return;
            };
            match core.for_native(operation) {
                Ok(operation) => native.dispatch(context, operation, responder),
                Err(errno) => {
                    let _delivery = responder.answer(Err(errno));
                }
            }
            return;
        }
        let claim = core.paths.as_ref().map(|paths| paths.claim(&operation));
        let is_free = claim.as_ref().is_none_or(Claim::is_free);
        let request = Request { context, responder, mount: core.mount, claim };
        if !is_free {
            return core.call_when_free(request, operation);
        }
        if core.methods.asynchronous().contains(operation.kind()) {
            return core.call_in_loop(request, operation.into_owned());
        }
        core.call(request, operation);
    }

    fn forget(&self, inode: Inode, count: u64) {
        self.0.forget(inode, count);
    }

    fn cancelled(&self, unique: Unique) {
        self.0.fetches.cancel(unique);
        self.0.event_loop.cancel(Key::Request(unique));
    }

    fn idle(&self) {
        self.0.pools.trim();
        self.0.fetches.trim();
        if let Some(native) = &self.0.native {
            native.idle();
        }
    }

    fn numbers(&self) -> Value {
        self.0.numbers()
    }

    fn destroy(&self) {
        let core = &self.0;
        core.fetches.close();
        let all_ended = core.event_loop.cancel_all(CALLBACKS_END);
        if !all_ended {
            log::warn!(
                "a coroutine of {} still runs; it was left behind when its mount ended",
                core.class_name
            );
        }
        if !core.executors.close(CALLBACKS_END) {
            log::warn!(
                "a callback of {} still runs; it was left behind when its mount ended",
                core.class_name
            );
        }
        core.run_forgets();
        if all_ended {
            // what forget has awaited
            core.event_loop.wait_until_idle(CALLBACKS_END);
        }
        if core.methods.destroy.is_some() {
            life_cycle::destroy(core);
        }
        core.handles.clear();
        core.close_loop();
        if let Some(native) = &core.native {
            native.destroy();
        }
    }
}

/// Learns from an answer what the table of paths has to know, before the kernel has it.
fn note(paths: &PathTable, operation: &Operation<'_>, result: Result<Reply>) -> Result<Reply> {
    match (operation, &result) {
        // a name that does not exist, which the kernel may believe for the negative timeout
        (Operation::Lookup { parent, name }, Err(Errno::ENOENT)) => {
            paths.unlink(*parent, name);
            return Ok(Reply::Entry(Entry::NEGATIVE));
        }
        // what the attributes of a file say of its size after it has lost its last name
        (Operation::Write { inode, offset, .. }, Ok(Reply::Written(bytes))) => {
            paths.written(*inode, offset.saturating_add(u64::from(*bytes)));
        }
        _ => {}
    }
    result
}

/// Writes the request's bytes where the plan says.
fn carry_out(plan: &SegmentList, operation: &Operation<'_>) -> Result<Reply> {
    let Operation::Write { data, .. } = operation else { return Err(Errno::EIO) };
    let mut written = 0;
    for segment in plan.segments() {
        let length = usize::try_from(segment.len()).map_err(|_| Errno::EIO)?;
        let bytes = data.get(written..written + length).ok_or(Errno::EIO)?;
        if let Segment::Extent(extent) = segment
            && let Err(error) = extent.backing.file().write_all_at(bytes, extent.offset)
        {
            // what was written before counts; a later write meets the error again
            return if written == 0 { Err(error.into()) } else { taken(written) };
        }
        written += length;
    }
    taken(written)
}

fn taken(bytes: usize) -> Result<Reply> {
    Ok(Reply::Written(u32::try_from(bytes).map_err(|_| Errno::EIO)?))
}

/// A Python handle among the handles of an operation.
fn python_handle(operation: &Operation<'_>) -> Option<Handle> {
    if let Operation::CopyFileRange { in_handle, out_handle, .. } = operation {
        return [*in_handle, *out_handle].into_iter().find(|handle| handles::is_python(*handle));
    }
    handle_of(operation).filter(|handle| handles::is_python(*handle))
}

/// The handle that an operation on an open file carries.
fn handle_of(operation: &Operation<'_>) -> Option<Handle> {
    match operation {
        Operation::Read { handle, .. }
        | Operation::Write { handle, .. }
        | Operation::Release { handle, .. }
        | Operation::Fsync { handle, .. }
        | Operation::Flush { handle, .. }
        | Operation::Readdir { handle, .. }
        | Operation::Readdirplus { handle, .. }
        | Operation::Releasedir { handle, .. }
        | Operation::Fsyncdir { handle, .. }
        | Operation::Getlk { handle, .. }
        | Operation::Setlk { handle, .. }
        | Operation::Ioctl { handle, .. }
        | Operation::Poll { handle, .. }
        | Operation::Fallocate { handle, .. }
        | Operation::Lseek { handle, .. } => Some(*handle),
        Operation::Getattr { handle, .. } | Operation::Setattr { handle, .. } => *handle,
        _ => None,
    }
}
