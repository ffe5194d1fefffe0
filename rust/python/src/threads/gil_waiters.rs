//! Who waits for the GIL, since when, and which request would be answered with it.
//!
//! A thread that waits for the GIL cannot answer. It leaves its request here meanwhile, so
//! that the watchdog can, which never needs the GIL.

use std::cell::Cell;
use std::fmt;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fusesg_fs::{Claim, Context, Errno};
use fusesg_serve::{GENERATIONS, PerProcess, Responder};
use parking_lot::Mutex;

use crate::sys;
use crate::threads::watchdog;

/// A request on its way to its callback.
#[derive(Debug)]
pub(crate) struct Request {
    /// Who asks.
    pub(crate) context: Context,
    /// How to answer.
    pub(crate) responder: Responder,
    /// Which mount it came from.
    pub(crate) mount: MountId,
    /// The paths that its callback uses, in a file system of paths; until that has ended.
    pub(crate) claim: Option<Claim>,
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
    /// Whether this process waits for the answer: a thread of it asks, or a child for whose
    /// execve() the thread waits that made it, with the GIL if by `os.posix_spawn`.
    pub(crate) fn is_ours(&self) -> bool {
        let asks = self.context.pid;
        asks != 0 && (is_thread_of_this_process(asks) || sys::has_our_memory(asks))
    }

    /// Whether somebody waits for the answer.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.responder.cancellation().is_cancelled()
    }

    /// Answers an error and describes the request for the log.
    pub(crate) fn fail(self, errno: Errno) -> String {
        let description = format!("{} of thread {}", self.responder.kind(), self.context.pid);
        let _delivery = self.responder.answer(Err(errno));
        description
    }
}

/// Whether a thread of this process has that number.
pub(crate) fn is_thread_of_this_process(thread: u32) -> bool {
    Path::new(&format!("/proc/self/task/{thread}")).exists()
}

/// This thread belongs to the group of threads `group` (never 0) from now on.
pub(crate) fn join_group(group: usize) {
    GROUP.set(group);
}

/// Whether a thread of the group waits for the GIL.
pub(crate) fn group_waits(group: usize) -> bool {
    SLOTS.iter().any(|slot| {
        let state = slot.state.lock();
        state.since.is_some() && state.group == group
    })
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

/// This thread has no slot in a forked child yet.
pub(crate) fn after_fork_in_child() {
    SLOT.set(None);
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
    /// Its group, 0 if none.
    group: usize,
    /// What it waits for.
    request: Option<Request>,
}

/// Threads beyond the table's size are served, but not watched.
static SLOTS: PerProcess<LazyLock<Box<[Slot]>>> = PerProcess::new(
    [const { LazyLock::new(|| (0..256).map(|_| Slot::free()).collect()) }; GENERATIONS],
);

impl Slot {
    fn free() -> Self {
        let state = State { since: None, group: 0, request: None };
        Self { claimed: AtomicUsize::new(0), state: Mutex::new(state) }
    }
}

thread_local! {
    // neither has a destructor: registering one takes the dynamic loader's lock, and the
    // thread that waits in dlopen for this very request has it
    static SLOT: Cell<Option<usize>> = const { Cell::new(None) };
    static GROUP: Cell<usize> = const { Cell::new(0) };
}

/// This thread's slot; `None` if all are taken.
fn claim_slot() -> Option<&'static Slot> {
    let index = SLOT.get().or_else(|| {
        SLOTS.iter().position(|slot| {
            slot.claimed.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    });
    SLOT.set(index);
    index.map(|index| &SLOTS[index])
}

/// Frees this thread's slot for another thread.
pub(crate) fn release_slot() {
    if let Some(index) = SLOT.take() {
        SLOTS[index].claimed.store(0, Ordering::Release);
    }
}

/// This thread waits for the GIL until [`end`](Self::end) or drop.
pub(crate) struct Waiting {
    slot: Option<&'static Slot>,
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
        let slot = claim_slot();
        if let Some(slot) = slot {
            let mut state = slot.state.lock();
            state.since = Some(Instant::now());
            state.group = GROUP.get();
            state.request = request.take();
        }
        watchdog::someone_waits();
        Self { slot, request }
    }

    /// Ends the wait; `None` if the watchdog answered the request, or there was none.
    pub(crate) fn end(mut self) -> Option<Request> {
        self.finish()
    }

    fn finish(&mut self) -> Option<Request> {
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
