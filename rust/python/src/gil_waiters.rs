//! Who waits for the GIL, since when, and which request would be answered with it.
//!
//! A thread that waits for the GIL cannot answer. It leaves its request here meanwhile, so
//! that the watchdog can, which never needs the GIL.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fusesg_fs::{Context, Errno};
use fusesg_serve::Responder;
use parking_lot::Mutex;

use crate::watchdog;

/// A request on its way to its callback.
#[derive(Debug)]
pub(crate) struct Request {
    /// Who asks.
    pub(crate) context: Context,
    /// How to answer.
    pub(crate) responder: Responder,
    /// Which mount it came from.
    pub(crate) mount: MountId,
}

/// Number of a mount in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MountId(pub(crate) u64);

impl MountId {
    /// A number that no other mount of this process has.
    pub(crate) fn next() -> Self {
        use std::sync::atomic::AtomicU64;
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Request {
    /// Whether a thread of this process asks.
    pub(crate) fn is_ours(&self) -> bool {
        self.context.pid != 0
            && std::path::Path::new(&format!("/proc/self/task/{}", self.context.pid)).exists()
    }

    /// Answers an error and describes the request for the log.
    pub(crate) fn fail(self, errno: Errno) -> String {
        let description = format!("{} of thread {}", self.responder.kind(), self.context.pid);
        let _delivery = self.responder.answer(Err(errno));
        description
    }
}

/// Lets `counter` count how many threads of a group wait for the GIL: this thread is one.
pub(crate) fn count_waiting(counter: Arc<AtomicUsize>) {
    COUNTER.set(Some(counter));
}

/// How long the thread that waits longest for the GIL has waited; `None` if none waits.
pub(crate) fn longest_wait() -> Option<Duration> {
    let since = SLOTS.iter().filter_map(|slot| slot.state.lock().since).min()?;
    Some(since.elapsed())
}

/// Takes the requests of `mount` that wait for the GIL and satisfy `wanted`; the caller
/// answers them.
pub(crate) fn take_requests(mount: MountId, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
    SLOTS
        .iter()
        .filter_map(|slot| {
            slot.state.lock().request.take_if(|request| request.mount == mount && wanted(request))
        })
        .collect()
}

/// Forgets the threads of the parent: in a forked child none of them exists.
pub(crate) fn after_fork_in_child() {
    for slot in &SLOTS {
        slot.claimed.store(0, Ordering::Release);
        if let Some(mut state) = slot.state.try_lock() {
            state.since = None;
            // its descriptors are the parent's business
            if let Some(request) = state.request.take() {
                std::mem::forget(request);
            }
        }
    }
    SLOT.with(|slot| slot.index.set(None));
}

/// One thread's place in the table.
struct Slot {
    /// 1 when a thread owns it.
    claimed: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    /// Since when the thread waits, if it does.
    since: Option<Instant>,
    /// What it waits for.
    request: Option<Request>,
}

/// Threads beyond the table's size are served, but not watched.
static SLOTS: [Slot; 256] = [const {
    Slot { claimed: AtomicUsize::new(0), state: Mutex::new(State { since: None, request: None }) }
}; 256];

thread_local! {
    static SLOT: ClaimedSlot = const { ClaimedSlot { index: Cell::new(None) } };
    static COUNTER: RefCell<Option<Arc<AtomicUsize>>> = const { RefCell::new(None) };
}

/// This thread's slot, free for another thread when this one ends.
struct ClaimedSlot {
    index: Cell<Option<usize>>,
}

impl ClaimedSlot {
    fn get(&self) -> Option<&'static Slot> {
        if self.index.get().is_none() {
            self.index.set(SLOTS.iter().position(|slot| {
                slot.claimed.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            }));
        }
        self.index.get().map(|index| &SLOTS[index])
    }
}

impl Drop for ClaimedSlot {
    fn drop(&mut self) {
        if let Some(index) = self.index.take() {
            SLOTS[index].claimed.store(0, Ordering::Release);
        }
    }
}

/// This thread waits for the GIL until [`end`](Self::end) or drop.
pub(crate) struct Waiting {
    slot: Option<&'static Slot>,
    counter: Option<Arc<AtomicUsize>>,
    /// The request of a thread that has no slot.
    request: Option<Request>,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}

impl Waiting {
    /// Begins to wait, leaving `request` to the watchdog meanwhile.
    pub(crate) fn begin(mut request: Option<Request>) -> Self {
        let slot = SLOT.try_with(ClaimedSlot::get).ok().flatten();
        if let Some(slot) = slot {
            let mut state = slot.state.lock();
            state.since = Some(Instant::now());
            state.request = request.take();
        }
        let counter = COUNTER.try_with(|counter| counter.borrow().clone()).ok().flatten();
        if let Some(counter) = &counter {
            counter.fetch_add(1, Ordering::AcqRel);
        }
        watchdog::someone_waits();
        Self { slot, counter, request }
    }

    /// Ends the wait; `None` if the watchdog answered the request, or there was none.
    pub(crate) fn end(mut self) -> Option<Request> {
        self.finish()
    }

    fn finish(&mut self) -> Option<Request> {
        if let Some(counter) = self.counter.take() {
            counter.fetch_sub(1, Ordering::AcqRel);
        }
        match self.slot.take() {
            Some(slot) => {
                let mut state = slot.state.lock();
                state.since = None;
                state.request.take()
            }
            None => self.request.take(),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // an unanswered request answers EIO
        self.finish();
    }
}
