//! Callbacks that are awaited.
//!
//! A method that is `async def` is called in the event loop, which then awaits it; one that
//! is not may still return an awaitable, and is called where other methods are. Either way
//! [`AwaitedCallback`] holds the request from its arrival to its answer.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use fusesg_fs::{Context, Errno, Inode, Operation, OperationKind, Reply, Result};
use fusesg_sg::Segment;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::callbacks::{self, Callback, Outcome, ToAwait};
use crate::conversions::errors;
use crate::dispatch::dispatcher::{CALLBACKS_END, Core};
use crate::threads::event_loop::{Key, Step, Work};
use crate::threads::executors::Job;
use crate::threads::gil_waiters::Request;
use crate::threads::{reaper, thread_state};
use crate::{imports, log_queue, sys};

impl Core {
    /// Starts the event loop if the class has methods that need it.
    pub(crate) fn start_loop(&self, py: Python<'_>) -> PyResult<()> {
        if self.methods.is_asynchronous() { self.event_loop.start(py) } else { Ok(()) }
    }

    /// Has the method called and awaited in the event loop.
    pub(super) fn call_in_loop(self: &Arc<Self>, request: Request, operation: Operation<'static>) {
        if let Some(request) = self.unless_loop_waits(request, self.event_loop.is_here()) {
            request.responder.leave_to(self.event_loop.thread());
            self.event_loop.submit(Box::new(AwaitedCallback::new(self, request, operation)));
        }
    }

    /// Gives the request back, unless the loop's own thread waits for its answer, as a client's
    /// call does that came `from_loop`: then the loop could never come to it, and EDEADLK says
    /// so.
    pub(super) fn unless_loop_waits(&self, request: Request, from_loop: bool) -> Option<Request> {
        let kind = request.responder.kind();
        // nobody waits for these
        let waits = !matches!(kind, OperationKind::Release | OperationKind::Releasedir);
        if !(waits && (from_loop || self.event_loop.is_in(request.context.pid))) {
            return Some(request);
        }
        self.tell_loop_waits(kind);
        let _delivery = request.responder.answer(Err(Errno::EDEADLK));
        None
    }

    /// Says once for each method that the loop waited for it: code in a loop may ask for ever.
    fn tell_loop_waits(&self, kind: OperationKind) {
        {
            let mut told = self.loop_waits_told.lock();
            if told.contains(kind) {
                return;
            }
            *told = told.with(kind);
        }
        log_queue::error(format!(
            "{}.{}: the event loop that is to await it waits for it itself; answered EDEADLK \
             (code in a loop uses a mount by `await asyncio.to_thread(os.stat, path)`; said once \
             for each method, the statistics count on)",
            self.class_name,
            self.methods.name(kind)
        ));
    }

    /// Calls a method of which only the end is of interest. Where it is to be awaited, the
    /// outcome is told later: to the receiver.
    pub(super) fn call_and_tell(
        self: &Arc<Self>,
        py: Python<'_>,
        name: &'static str,
        method: &Py<PyAny>,
    ) -> PyResult<Option<mpsc::Receiver<PyResult<()>>>> {
        let returned = method.call0(py)?;
        if !sys::is_awaitable(returned.bind(py)) {
            return Ok(None);
        }
        let (done, outcome) = mpsc::channel();
        self.run_errand(py, name, returned, Some(done))?;
        Ok(Some(outcome))
    }

    /// Has something awaited of which only the end is of interest; without `done`, what it
    /// raises is logged.
    pub(crate) fn run_errand(
        self: &Arc<Self>,
        py: Python<'_>,
        method: &'static str,
        awaitable: Py<PyAny>,
        done: Option<mpsc::Sender<PyResult<()>>>,
    ) -> PyResult<()> {
        self.event_loop.start(py)?;
        self.event_loop.submit(Box::new(Errand::new(self, method, awaitable, done)));
        Ok(())
    }

    /// Has awaited what a method returned that is no `async def` itself.
    pub(super) fn await_in_loop(
        self: &Arc<Self>,
        request: Request,
        operation: &Operation<'_>,
        to_await: ToAwait,
    ) {
        request.responder.leave_to(self.event_loop.thread());
        let operation = operation.clone().into_owned();
        let work = AwaitedCallback::called(self, request, operation, to_await);
        let from_loop = self.event_loop.is_here();
        let work = work.map_request(|request| self.unless_loop_waits(request, from_loop));
        if let Some(work) = work {
            self.event_loop.submit(Box::new(work));
        }
    }

    /// Leaves the event loop, or ends it.
    pub(crate) fn close_loop(&self) {
        let closed = self.event_loop.close(CALLBACKS_END).unwrap_or_else(|error| {
            thread_state::attach(|py| {
                let traceback = errors::traceback(py, &error);
                log_queue::error(format!("the event loop could not be closed\n{traceback}"));
            });
            true
        });
        if !closed {
            log::warn!("the event loop of {} does not end; it was left behind", self.class_name);
        }
    }
}

/// A request on its way through the event loop.
struct AwaitedCallback {
    core: Arc<Core>,
    /// Until answered; or the watchdog took it.
    request: Option<Request>,
    context: Context,
    operation: Operation<'static>,
    /// What the method returned, if it has been called already.
    awaitable: Option<Py<PyAny>>,
    /// What it has come to, while it is awaited what is to be told of that.
    result: Option<Py<PyAny>>,
    key: Key,
    /// When the loop began it, if its request is timed.
    began: Option<Instant>,
}

impl AwaitedCallback {
    /// The method is to be called in the loop.
    fn new(core: &Arc<Core>, request: Request, operation: Operation<'static>) -> Self {
        let (key, context) = (Key::Request(request.responder.unique()), request.context);
        let (core, request) = (Arc::clone(core), Some(request));
        Self { core, request, context, operation, awaitable: None, result: None, key, began: None }
    }

    /// The method has been called.
    fn called(
        core: &Arc<Core>,
        request: Request,
        operation: Operation<'static>,
        to_await: ToAwait,
    ) -> Self {
        let mut callback = Self::new(core, request, operation);
        callback.awaitable = Some(to_await.awaitable);
        callback.result = to_await.result;
        callback
    }

    /// Itself, if `keep` keeps its request.
    fn map_request(mut self, keep: impl FnOnce(Request) -> Option<Request>) -> Option<Self> {
        self.request = self.request.take().and_then(keep);
        self.request.is_some().then_some(self)
    }

    /// Gives back what the method has made, of which the kernel will never hear.
    fn give_back(&self, result: &Py<PyAny>) {
        thread_state::attach(|py| {
            let callback = Callback {
                py,
                core: &self.core,
                context: &self.context,
                responder: None,
                description: RefCell::default(),
            };
            callbacks::discard(&callback, &self.operation, result.bind(py));
        });
    }

    /// Judges what the method has come to.
    fn end<'py>(
        &mut self,
        py: Python<'py>,
        judge: impl FnOnce(Callback<'_, 'py>, &Operation<'_>, Option<Py<PyAny>>) -> Result<Outcome>,
    ) -> Step<'py> {
        let Some(mut request) = self.request.take() else { return Step::Nothing };
        let result = self.result.take();
        let callback = Callback {
            py,
            core: &self.core,
            context: &request.context,
            responder: Some(&mut request.responder),
            description: RefCell::default(),
        };
        let outcome = match judge(callback, &self.operation, result) {
            Ok(Outcome::Awaitable(ToAwait { awaitable, result })) => {
                self.request = Some(request);
                self.result = result;
                return Step::Await(awaitable.into_bound(py));
            }
            outcome => outcome,
        };
        if let Some(began) = self.began {
            request.responder.time_callback(None, began.elapsed());
        }
        let core = Arc::clone(&self.core);
        let operation = mem::replace(&mut self.operation, NONE);
        Step::Finish(Box::new(move || {
            if !may_block(&outcome) {
                core.finish(request, &operation, outcome);
                return;
            }
            // the loop's thread is spared what a device or a peer takes
            request.responder.set_aside();
            let for_job = Arc::clone(&core);
            let run = move |request: Option<Request>| {
                if let Some(request) = request {
                    request.responder.carried_out_here();
                    for_job.finish(request, &operation, outcome);
                }
            };
            core.executors.submit(Job { request: Some(request), run: Box::new(run) });
        }))
    }
}

/// What stands where an operation was.
const NONE: Operation<'static> = Operation::Readlink { inode: Inode(0) };

impl Work for AwaitedCallback {
    fn key(&self) -> Key {
        self.key
    }

    fn name<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.core.methods.task_name(py, self.operation.kind())
    }

    fn begin<'py>(&mut self, py: Python<'py>) -> Step<'py> {
        let Some(request) = self.request.as_ref().filter(|request| request.is_wanted()) else {
            return Step::Nothing;
        };
        self.began = request.responder.is_timed().then(Instant::now);
        request.responder.carried_out_here();
        if let Some(awaitable) = self.awaitable.take() {
            return Step::Await(awaitable.into_bound(py));
        }
        self.core.count_callback();
        self.end(py, |callback, operation, _| callbacks::call(callback, operation))
    }

    fn resume<'py>(&mut self, py: Python<'py>, outcome: PyResult<Bound<'py, PyAny>>) -> Step<'py> {
        self.end(py, |callback, operation, result| match result {
            Some(result) => callbacks::described(callback, operation, result.bind(py), outcome),
            None => callbacks::awaited(callback, operation, outcome),
        })
    }

    fn take_request(&mut self, wanted: &dyn Fn(&Request) -> bool) -> Option<Request> {
        self.request.take_if(|request| wanted(request))
    }
}

impl Drop for AwaitedCallback {
    fn drop(&mut self) {
        // first, since what follows waits for the GIL and runs the class's code
        if let Some(request) = self.request.take() {
            // cancelled before it began, or left undone by a loop that ended
            let errno = if request.is_wanted() { Errno::EIO } else { Errno::EINTR };
            let _no_one_waits = request.responder.answer(Err(errno));
        }
        discard(self.awaitable.take());
        if let Some(result) = self.result.take() {
            self.give_back(&result);
        }
    }
}

/// Whether sending it may take a device's or a peer's time.
fn may_block(outcome: &Result<Outcome>) -> bool {
    match outcome {
        Ok(Outcome::Reply(Reply::Data(list))) => !list.segments().iter().all(|segment| {
            matches!(segment, Segment::Buffer(_) | Segment::Pages(_) | Segment::Zeros(_))
        }),
        Ok(Outcome::WritePlan(_)) => true,
        _ => false,
    }
}

/// Something to be awaited of which only the end is of interest: `init`, `destroy`, `forget`
/// and the release of a handle that the kernel never got.
struct Errand {
    core: Arc<Core>,
    method: &'static str,
    awaitable: Option<Py<PyAny>>,
    key: Key,
    /// Told the outcome; else what it raises is logged.
    done: Option<mpsc::Sender<PyResult<()>>>,
}

impl Errand {
    fn new(
        core: &Arc<Core>,
        method: &'static str,
        awaitable: Py<PyAny>,
        done: Option<mpsc::Sender<PyResult<()>>>,
    ) -> Self {
        let awaitable = Some(awaitable);
        Self { core: Arc::clone(core), method, awaitable, key: Key::other(), done }
    }
}

impl Work for Errand {
    fn key(&self) -> Key {
        self.key
    }

    fn name<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        PyString::new(py, &format!("{}.{}", self.core.class_name, self.method)).into_any()
    }

    fn begin<'py>(&mut self, py: Python<'py>) -> Step<'py> {
        self.awaitable.take().map_or(Step::Nothing, |object| Step::Await(object.into_bound(py)))
    }

    fn resume<'py>(&mut self, py: Python<'py>, outcome: PyResult<Bound<'py, PyAny>>) -> Step<'py> {
        let outcome = outcome.map(drop);
        match (&self.done, outcome) {
            (Some(done), outcome) => drop(done.send(outcome)),
            (None, Err(error)) => self.core.log_exception(py, self.method, &error),
            (None, Ok(())) => {}
        }
        Step::Nothing
    }

    fn take_request(&mut self, _: &dyn Fn(&Request) -> bool) -> Option<Request> {
        None
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        discard(self.awaitable.take());
    }
}

/// Gives up something that will not be awaited: Python would warn of a coroutine that was
/// not closed.
pub(super) fn discard(awaitable: Option<Py<PyAny>>) {
    let Some(awaitable) = awaitable else { return };
    let closed = thread_state::attach(|py| {
        let awaitable = awaitable.bind(py);
        if imports::is_coroutine(awaitable).unwrap_or(false) {
            // it has not begun, so nothing of it runs
            let _ = awaitable.call_method0("close");
        }
    });
    let _ = closed;
    reaper::defer(awaitable);
}
