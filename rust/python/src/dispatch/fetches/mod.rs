//! READs that are answered with `Fetch` pieces: several at a time, each answered once.
//!
//! ```text
//!  read returned ──► begin ──► queue ──┬─► executor: calls a function ──┬─► data into pages ──► part
//!  [Fetch, ...]                 at most│                                │ it was async after all
//!                          max_fetches └─► event loop: awaits ◄─────────┘──► data into pages ...
//!                         of the mount                                       last part: the answer
//! ```
//! The thread that ran `read` does not wait for any of it. A piece that fails ends the whole
//! answer at once: what is queued never starts, what is awaited is cancelled, and what a
//! function that still runs returns goes nowhere. The same happens when the caller is killed,
//! when the deadline passes, and when the mount ends.
//!
//! | concept | file |
//! |---|---|
//! | the bound, the queue, the reads that wait | `mod.rs` |
//! | one read: its parts, and the answer made of them | `read.rs` |
//! | one piece: calling its source, getting its data into pages | `piece.rs` |

mod piece;
mod read;

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;

use fusesg_fs::{Errno, Reply, Result, Unique};
use fusesg_sg::{
    CompletionCounters, CompletionStatistics, Direction, PAGE_SIZE, PagePool, PoolStatistics,
    Segment, SegmentList, Submission,
};
use parking_lot::Mutex;

use crate::data::segments::ReadData;
use crate::threads::event_loop::EventLoop;
use crate::threads::executors::{Executors, Job};
use crate::threads::gil_waiters::Request;

use piece::Piece;
use read::{Assembly, FetchedRead};

/// Pages for fetched data that are kept, until the mount is idle: 4 MiB.
const POOLED_PAGES: usize = 1024;

/// The reads of one mount that are being fetched.
pub(crate) struct Fetches {
    /// For log records.
    class_name: String,
    /// Pieces that may be carried out at a time.
    limit: usize,
    executors: Arc<Executors>,
    event_loop: Arc<EventLoop>,
    /// For what is fetched.
    pool: Arc<PagePool>,
    counters: Arc<CompletionCounters>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Pieces that have not begun.
    queue: VecDeque<Piece>,
    /// Pieces that have, and have not ended.
    running: usize,
    /// Reads that are not answered.
    reads: HashMap<Unique, Arc<FetchedRead>>,
    closed: bool,
}

/// Numbers of the pieces of one mount.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FetchStatistics {
    /// Being carried out.
    pub(crate) running: usize,
    /// Waiting for others to end.
    pub(crate) queued: usize,
    /// The pages for what is fetched.
    pub(crate) pool: PoolStatistics,
}

impl fmt::Debug for Fetches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetches").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Fetches {
    /// For a mount of an object of that class.
    pub(crate) fn new(
        class_name: String,
        limit: usize,
        executors: Arc<Executors>,
        event_loop: Arc<EventLoop>,
    ) -> Arc<Self> {
        Arc::new(Self {
            class_name,
            limit: limit.max(1),
            executors,
            event_loop,
            pool: PagePool::new(PAGE_SIZE, POOLED_PAGES),
            counters: Arc::default(),
            state: Mutex::default(),
        })
    }

    /// Answers `request`, a READ, once `data` is there.
    pub(crate) fn begin(self: &Arc<Self>, request: Request, data: ReadData) {
        let unique = request.responder.unique();
        let cancellation = request.responder.cancellation();
        let (mut submission, completion) = Submission::counted(Direction::Read, &self.counters);
        let mut parts = Vec::with_capacity(data.fetches.len());
        let mut layout = Vec::with_capacity(data.fetches.len());
        let mut fetches = Vec::with_capacity(data.fetches.len());
        for (before, fetch) in data.fetches {
            submission.skip(before.len());
            parts.push(submission.part(fetch.get().length()));
            layout.push(before);
            fetches.push(fetch);
        }
        submission.skip(data.rest.len());
        let assembly = Arc::new(Assembly::new(request, layout, data.rest));
        let read = FetchedRead::new(Arc::clone(&assembly), parts, completion.canceller());
        let read = Arc::new(read);
        let for_answer = Arc::clone(self);
        completion.on_complete(move |result| for_answer.answer(unique, &assembly, result));
        let pieces: Vec<_> = fetches
            .into_iter()
            .enumerate()
            .map(|(index, fetch)| Piece::new(self, &read, index, fetch))
            .collect();
        let mut state = self.state.lock();
        if !state.closed {
            state.reads.insert(unique, read);
            state.queue.extend(pieces);
        }
        // else the pieces are dropped, which fails the read
        drop(state);
        submission.finish();
        // it may have been cancelled before it could be found
        if cancellation.is_cancelled() {
            self.cancel(unique);
        }
        self.start_pieces();
    }

    /// Nobody wants the answer to `unique` any more, if it is one of these. Does not block.
    pub(crate) fn cancel(&self, unique: Unique) {
        let read = self.state.lock().reads.get(&unique).cloned();
        if let Some(read) = read {
            read.cancel();
            self.abandon(&read);
        }
    }

    /// Takes the requests that satisfy `wanted`; the caller answers them.
    pub(crate) fn take_requests(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        let state = self.state.lock();
        state.reads.values().filter_map(|read| read.assembly().take_request(&wanted)).collect()
    }

    /// Begins nothing more, and gives up what has begun.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let queue = mem::take(&mut state.queue);
        let reads: Vec<_> = state.reads.values().cloned().collect();
        drop(state);
        for read in reads {
            read.cancel();
            self.abandon(&read);
        }
        drop(queue);
    }

    /// Gives back the memory of pages that nobody uses.
    pub(crate) fn trim(&self) {
        self.pool.trim();
    }

    /// Numbers of the pieces.
    pub(crate) fn statistics(&self) -> FetchStatistics {
        let state = self.state.lock();
        FetchStatistics {
            running: state.running,
            queued: state.queue.len(),
            pool: self.pool.statistics(),
        }
    }

    /// Numbers of the reads.
    pub(crate) fn completions(&self) -> CompletionStatistics {
        self.counters.statistics()
    }

    /// Starts as many pieces as may run.
    fn start_pieces(self: &Arc<Self>) {
        let mut started = Vec::new();
        let mut state = self.state.lock();
        while state.running < self.limit
            && let Some(mut piece) = state.queue.pop_front()
        {
            state.running += 1;
            piece.hold(Running(Arc::clone(self)));
            started.push(piece);
        }
        drop(state);
        for piece in started {
            if piece.is_asynchronous() {
                piece.await_in_loop(None);
            } else {
                let run = Box::new(move |_| piece.run());
                self.executors.submit_slow(Job { request: None, run });
            }
        }
    }

    /// Gives up what is left of a read that has failed or was cancelled: it is answered now.
    fn abandon(&self, read: &Arc<FetchedRead>) {
        let mut state = self.state.lock();
        let (queued, others) = mem::take(&mut state.queue)
            .into_iter()
            .partition::<VecDeque<_>, _>(|piece| piece.is_of(read));
        state.queue = others;
        drop(state);
        for awaited in read.give_up() {
            self.event_loop.cancel(awaited);
        }
        drop(queued);
    }

    /// Answers a read: all its parts have completed.
    fn answer(&self, unique: Unique, assembly: &Assembly, result: io::Result<u64>) {
        let ended = self.state.lock().reads.remove(&unique);
        drop(ended);
        // else the watchdog has answered; or nobody waits, and the request stays until the
        // last function has returned: until then it may ask whether it was cancelled
        let Some(request) = assembly.take_request(Request::is_wanted) else { return };
        let result = result.map(|bytes| assembly.list(bytes)).map_err(Errno::from);
        let blocks = result.as_ref().is_ok_and(may_block);
        let answer = move |request: Request, result: Result<SegmentList>| {
            let _nothing_to_take_back = request.responder.answer(result.map(Reply::Data));
        };
        if blocks && MUST_NOT_BLOCK.get() {
            let run = move |request| {
                // unless the watchdog answered meanwhile
                if let Some(request) = request {
                    answer(request, result);
                }
            };
            self.executors.submit_slow(Job { request: Some(request), run: Box::new(run) });
        } else {
            answer(request, result);
        }
    }
}

/// The right to be carried out; given back when dropped.
struct Running(Arc<Fetches>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state.lock().running -= 1;
        self.0.start_pieces();
    }
}

thread_local! {
    static MUST_NOT_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` on a thread that others depend on, such as an event loop's.
fn without_blocking<R>(body: impl FnOnce() -> R) -> R {
    let before = MUST_NOT_BLOCK.replace(true);
    let result = body();
    MUST_NOT_BLOCK.set(before);
    result
}

/// Whether getting the bytes may take a device's or a peer's time.
fn may_block(list: &SegmentList) -> bool {
    let in_memory = |segment: &Segment| {
        matches!(segment, Segment::Buffer(_) | Segment::Pages(_) | Segment::Zeros(_))
    };
    !list.segments().iter().all(in_memory)
}
