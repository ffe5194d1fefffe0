//! The asyncio event loop of a mount: where awaitables are awaited.
//!
//! ```text
//!  any thread ──► submit ──► queue ──► eventfd ──► the loop ──► drain ──► one task for each
//!  without the GIL           one wake-up for many               │            │ finishes at once,
//!                                                               │            ▼ or later
//!                                                               └──── answers, without the GIL
//! ```
//! The loop is either a program's own, in which `async with mount(...)` runs, or it is run by
//! a thread that belongs to the mount and is started when the loop is first needed. Nobody
//! needs the GIL to hand work over, so the readers of an asynchronous class never take it.
//!
//! This layer knows nothing of file systems: it carries out [`Work`].
//!
//! | concept | file |
//! |---|---|
//! | [`EventLoop`]: its queue, what it runs, its end | `mod.rs` |
//! | what the loop calls: the queue is taken, tasks begin | `drain.rs` |
//! | making a task whose first step runs at once | `tasks.rs` |
//! | [`Work`] on its way through a task | `coroutine.rs` |

mod coroutine;
mod drain;
mod tasks;

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fusesg_fs::Unique;
use fusesg_serve::Condvar;
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::imports;
use crate::sys::EventFd;
use crate::threads::gil_waiters::Request;
use crate::threads::{reaper, thread_state, watchdog};

use coroutine::Running;
use drain::Drain;

const THREAD_NAME: &str = "fusesg-asyncio";

/// Something to be awaited, and what comes before and after. Dropped, it will not be carried
/// out, or not to its end.
pub(crate) trait Work: Send {
    /// By what it may be cancelled.
    fn key(&self) -> Key;

    /// For the name of its task, as asyncio's debugging aids show it.
    fn name<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny>;

    /// Begins, in the loop's thread.
    fn begin<'py>(&mut self, py: Python<'py>) -> Step<'py>;

    /// What was awaited has come to an end.
    fn resume<'py>(&mut self, py: Python<'py>, outcome: PyResult<Bound<'py, PyAny>>) -> Step<'py>;

    /// Gives away the request that it is to answer, if that satisfies `wanted`.
    fn take_request(&mut self, wanted: &dyn Fn(&Request) -> bool) -> Option<Request>;
}

/// What is left to do when nothing has to be awaited any more; needs no GIL.
pub(crate) type Rest = Box<dyn FnOnce() + Send>;

/// How [`Work`] goes on.
pub(crate) enum Step<'py> {
    /// When this has been awaited.
    Await(Bound<'py, PyAny>),
    /// Not: this is the rest, which does not block.
    Finish(Rest),
    /// Not at all.
    Nothing,
}

/// What may be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// The request of that number.
    Request(Unique),
    /// A part of a request.
    Part(u64),
    /// Work that nobody waits for, and that goes on when requests are refused already.
    Other(u64),
}

impl Key {
    /// A part that no other is.
    pub(crate) fn part() -> Self {
        Self::Part(next_number())
    }

    /// Other work.
    pub(crate) fn other() -> Self {
        Self::Other(next_number())
    }
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Numbers of an event loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoopStatistics {
    /// Tasks that have begun and not ended.
    pub(crate) tasks: usize,
    /// Work that waits for the loop.
    pub(crate) queued: usize,
}

/// An event loop, from the first time it is needed.
pub(crate) struct EventLoop {
    shared: Arc<Shared>,
    /// The program's own loop (`fusesg._loop.RunningLoop`), if it is to be that.
    running: Mutex<Option<Py<PyAny>>>,
}

/// What the mount and the loop share.
struct Shared {
    state: Mutex<State>,
    /// A task ended.
    ended: Condvar,
    /// The loop has been woken and has not looked yet.
    woken: AtomicBool,
    /// The thread in which the loop runs; 0 before it does.
    thread: AtomicU32,
    /// It is the program's own.
    is_foreign: AtomicBool,
}

#[derive(Default)]
struct State {
    phase: Phase,
    queue: VecDeque<Item>,
    /// Since when the queue has not been empty.
    waiting_since: Option<Instant>,
    /// What was in the queue is being begun.
    beginning: bool,
    /// Tasks that have begun and not ended.
    running: HashMap<Key, Arc<Running>>,
    /// `LoopThread` or `RunningLoop` of `fusesg._loop`, once it has been started.
    bound: Option<Py<PyAny>>,
    /// Wakes the loop, as long as that reads it.
    wake: Option<Arc<EventFd>>,
}

impl State {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.beginning && self.running.is_empty()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// Requests are refused, and what runs has been cancelled.
    Ending,
    /// Everything is refused.
    Closed,
}

/// What was queued and what ran in a loop that is gone.
type Undone = (VecDeque<Item>, HashMap<Key, Arc<Running>>);

/// What the loop is told.
enum Item {
    Begin(Box<dyn Work>),
    Cancel(Key),
    CancelAll,
    /// Leave the loop, and end its thread if that is ours.
    Close,
}

thread_local! {
    /// Address of the `Shared` whose loop runs in this thread, else 0.
    static LOOP_OF_THREAD: Cell<usize> = const { Cell::new(0) };
}

impl EventLoop {
    /// One in a thread of its own, or that of `running` (`fusesg._loop.RunningLoop`).
    pub(crate) fn new(running: Option<Py<PyAny>>) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            ended: Condvar::new(),
            woken: AtomicBool::new(false),
            thread: AtomicU32::new(0),
            is_foreign: AtomicBool::new(running.is_some()),
        };
        Self { shared: Arc::new(shared), running: Mutex::new(running) }
    }

    /// It is to be that of `running`, unless another has been started.
    pub(crate) fn run_in(&self, running: Py<PyAny>) {
        let state = self.shared.state.lock();
        let not_used = if state.bound.is_none() {
            self.shared.is_foreign.store(true, Ordering::Relaxed);
            self.running.lock().replace(running)
        } else {
            Some(running)
        };
        drop(state);
        drop(not_used);
    }

    /// Makes sure that there is a loop to carry out what is submitted.
    pub(crate) fn start(&self, py: Python<'_>) -> PyResult<()> {
        if self.shared.state.lock().bound.is_some() {
            return Ok(());
        }
        let running = self.running.lock().as_ref().map(|running| running.clone_ref(py));
        let is_own = running.is_none();
        let bound = match running {
            Some(running) => running,
            None => imports::loop_thread(py)?.call1((THREAD_NAME,))?.unbind(),
        };
        let mut state = self.shared.state.lock();
        if state.bound.is_some() || state.phase == Phase::Closed {
            let is_closed = state.phase == Phase::Closed;
            drop(state);
            // another thread was quicker; this one's loop has not begun to run
            if is_own {
                bound.call_method0(py, intern!(py, "discard"))?;
            }
            let closed = || Err(PyRuntimeError::new_err("the event loop is closed"));
            return if is_closed { closed() } else { Ok(()) };
        }
        state.bound = Some(bound.clone_ref(py));
        drop(state);
        self.attach(bound.bind(py)).inspect_err(|_| {
            let mut state = self.shared.state.lock();
            state.wake = None;
            let bound = state.bound.take();
            drop(state);
            drop(bound);
        })
    }

    fn attach(&self, bound: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = bound.py();
        let event_loop = bound.getattr(intern!(py, "loop"))?;
        let wake = Arc::new(EventFd::new()?);
        self.shared.state.lock().wake = Some(Arc::clone(&wake));
        // what was queued before could not wake it
        wake.signal();
        let descriptor = wake.number();
        let drain = Bound::new(py, Drain::new(&self.shared, wake, &event_loop)?)?;
        bound.call_method1(intern!(py, "attach"), (descriptor, drain)).map(drop)
    }

    /// The loop itself; starts it.
    pub(crate) fn python_loop(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.start(py)?;
        let state = self.shared.state.lock();
        let is_open = state.phase != Phase::Closed;
        let bound = state.bound.as_ref().filter(|_| is_open).map(|bound| bound.clone_ref(py));
        drop(state);
        match bound {
            Some(bound) => bound.getattr(py, intern!(py, "loop")),
            None => Err(PyRuntimeError::new_err("the event loop is closed")),
        }
    }

    /// Has `work` carried out. Needs no GIL. The loop must have been [started](Self::start).
    pub(crate) fn submit(&self, work: Box<dyn Work>) {
        if let Err(refused) = self.shared.put(Item::Begin(work)) {
            drop(refused);
        }
        watchdog::someone_waits();
    }

    /// Cancels what has that key, if it is still there. Does not block, needs no GIL.
    pub(crate) fn cancel(&self, key: Key) {
        if self.shared.state.lock().bound.is_some() {
            drop(self.shared.put(Item::Cancel(key)));
        }
    }

    /// The number of the thread in which the loop runs; 0 before and afterwards.
    pub(crate) fn thread(&self) -> u32 {
        self.shared.thread.load(Ordering::Relaxed)
    }

    /// Whether the loop runs in the thread of that number.
    pub(crate) fn is_in(&self, thread: u32) -> bool {
        thread != 0 && self.thread() == thread
    }

    /// Whether this is the thread in which the loop runs.
    pub(crate) fn is_here(&self) -> bool {
        LOOP_OF_THREAD.get() == self.shared.address()
            && self.shared.thread.load(Ordering::Relaxed) != 0
    }

    /// Whether what runs in it has been cancelled, or was left undone, because it ends.
    pub(crate) fn is_ending(&self) -> bool {
        self.shared.state.lock().phase != Phase::Open
    }

    /// How long the loop has not looked at what it is to do; `None` if there is nothing.
    pub(crate) fn stalled_for(&self) -> Option<Duration> {
        self.shared.state.lock().waiting_since.map(|since| since.elapsed())
    }

    /// Takes the requests that satisfy `wanted`; the caller answers them.
    pub(crate) fn take_requests(&self, wanted: &dyn Fn(&Request) -> bool) -> Vec<Request> {
        let mut state = self.shared.state.lock();
        let mut requests = Vec::new();
        for item in &mut state.queue {
            if let Item::Begin(work) = item {
                requests.extend(work.take_request(wanted));
            }
        }
        let running: Vec<_> = state.running.values().cloned().collect();
        drop(state);
        requests.extend(running.iter().filter_map(|running| running.take_request(wanted)));
        requests
    }

    /// Numbers.
    pub(crate) fn statistics(&self) -> LoopStatistics {
        let state = self.shared.state.lock();
        LoopStatistics { tasks: state.running.len(), queued: state.queue.len() }
    }

    /// Refuses requests from now on, cancels what runs, and waits until it has ended. Returns
    /// whether all of it did before `timeout`.
    pub(crate) fn cancel_all(&self, timeout: Duration) -> bool {
        let mut state = self.shared.state.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Ending;
        }
        let queue = mem::take(&mut state.queue);
        let (refused, others) = queue.into_iter().partition::<VecDeque<_>, _>(
            |item| matches!(item, Item::Begin(work) if !matches!(work.key(), Key::Other(_))),
        );
        state.queue = others;
        let is_bound = state.bound.is_some();
        drop(state);
        drop(refused);
        if is_bound && self.shared.put(Item::CancelAll).is_ok() {
            return self.wait_until_idle(timeout);
        }
        true
    }

    /// Waits until nothing is queued and nothing runs; `false` when `timeout` passed first.
    pub(crate) fn wait_until_idle(&self, timeout: Duration) -> bool {
        // the loop cannot go on while its thread waits for it
        if self.is_here() {
            return self.shared.state.lock().is_idle();
        }
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state.lock();
        while !state.is_idle() {
            if self.shared.ended.wait_until(&mut state, deadline).timed_out() {
                return state.is_idle();
            }
        }
        true
    }

    /// The loop will not run again.
    pub(crate) fn abandon(&self) {
        if let Some((queue, running)) = self.shared.lose() {
            drop(queue);
            for running in running.values() {
                running.abandon();
            }
        }
        LOOP_OF_THREAD.set(0);
    }

    /// Refuses everything from now on, leaves the loop, and ends its thread if that is ours.
    /// Returns whether the thread ended before `timeout`.
    pub(crate) fn close(&self, timeout: Duration) -> PyResult<bool> {
        let refused = self.shared.close();
        drop(refused);
        if self.shared.is_foreign.load(Ordering::Relaxed) || self.is_here() {
            return Ok(true);
        }
        let closed = thread_state::attach(|py| {
            let state = self.shared.state.lock();
            let bound = state.bound.as_ref().map(|bound| bound.clone_ref(py));
            drop(state);
            let Some(thread) = bound else { return Ok(true) };
            let timeout = timeout.as_secs_f64();
            thread.call_method1(py, intern!(py, "join"), (timeout,))?.extract(py)
        });
        // the interpreter is ending, and the thread with it
        closed.unwrap_or(Ok(true))
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        drop(self.shared.close());
        let bound = self.shared.state.lock().bound.take();
        bound.into_iter().chain(self.running.get_mut().take()).for_each(reaper::defer);
    }
}

impl Shared {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Queues an item and wakes the loop; gives it back if it is not wanted any more.
    fn put(&self, item: Item) -> Result<(), Item> {
        let mut state = self.state.lock();
        let accepted = match (&item, state.phase) {
            (Item::Begin(work), Phase::Ending) => matches!(work.key(), Key::Other(_)),
            (_, phase) => phase != Phase::Closed,
        };
        if !accepted {
            return Err(item);
        }
        state.queue.push_back(item);
        state.waiting_since.get_or_insert_with(Instant::now);
        let wake = self.to_be_woken(&state);
        drop(state);
        if let Some(wake) = wake {
            wake.signal();
        }
        Ok(())
    }

    /// What wakes the loop, if nothing has yet.
    fn to_be_woken(&self, state: &State) -> Option<Arc<EventFd>> {
        if self.woken.swap(true, Ordering::SeqCst) { None } else { state.wake.clone() }
    }

    /// Takes what is queued; `wake` is what has woken the loop.
    fn take(&self, wake: &EventFd) -> VecDeque<Item> {
        // in this order: a signal that were cleared after it had been allowed would be lost,
        // and nobody would give another
        wake.clear();
        let mut state = self.state.lock();
        self.woken.store(false, Ordering::SeqCst);
        state.waiting_since = None;
        state.beginning = true;
        mem::take(&mut state.queue)
    }

    /// All that was taken has begun.
    fn have_begun(&self) {
        let mut state = self.state.lock();
        state.beginning = false;
        if state.phase != Phase::Open {
            self.ended.notify_all();
        }
    }

    /// A task has begun and has not ended yet.
    fn enter(&self, key: Key, running: Arc<Running>) {
        let before = self.state.lock().running.insert(key, running);
        drop(before);
    }

    /// A task has ended.
    fn leave(&self, key: Key) {
        let mut state = self.state.lock();
        let ended = state.running.remove(&key);
        if state.phase != Phase::Open {
            self.ended.notify_all();
        }
        drop(state);
        drop(ended);
    }

    /// Refuses everything from now on, and tells the loop. Returns what was queued.
    fn close(&self) -> VecDeque<Item> {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return VecDeque::new();
        }
        state.phase = Phase::Closed;
        state.waiting_since = None;
        let refused = mem::replace(&mut state.queue, VecDeque::from([Item::Close]));
        let wake = self.to_be_woken(&state);
        drop(state);
        if let Some(wake) = wake {
            wake.signal();
        }
        refused
    }

    /// The loop will never run again. Returns what it leaves undone, `None` if it was to end.
    fn lose(&self) -> Option<Undone> {
        let mut state = self.state.lock();
        let expected = state.phase == Phase::Closed;
        state.phase = Phase::Closed;
        state.waiting_since = None;
        let undone = (mem::take(&mut state.queue), mem::take(&mut state.running));
        state.wake = None;
        self.ended.notify_all();
        drop(state);
        self.thread.store(0, Ordering::Relaxed);
        (!expected).then_some(undone)
    }
}
