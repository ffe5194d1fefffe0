//! The completion counter: one I/O in several parts, completed once.
//!
//! ```text
//!  Submission ──part(8K)──► Part ─┐
//!      │ holds one reference      ├── any thread, any order ──► count 0 ──► Completion
//!      └──────part(8K)──► Part ───┘                             wait, callback or future
//! ```
//! Parts follow one another without gaps, in the order of submission. Whoever carries one out
//! tells how many bytes it moved, or why it could not. The submission holds a reference of its
//! own: without it, a first part that completes before the second is submitted would
//! complete the whole I/O. (Patlasov 2012, "fuse: add support of async IO", and the
//! reference that its successors start with.)
//!
//! The result of the whole, in order of precedence:
//!
//! 1. the error that came first in time, wherever its part lies;
//! 2. for a write of which a part was short: EIO;
//! 3. for a read: the bytes before the first hole, that is before the end of the short part
//!    that lies nearest to the start;
//! 4. all bytes.
//!
//! A part that tells of more bytes than were asked for is an error, EIO. So is one that is
//! dropped. The memory of a part has to be given up before it is completed: when the last
//! part completes, the I/O is over.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering};

/// Which way the bytes of an I/O go, and so what a short part means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// A short part is a hole: bytes behind it do not count.
    Read,
    /// A short part is an error.
    Write,
}

/// Counters of I/Os that have completed; shared by those that shall be counted together.
/// Nothing is ordered by them.
#[derive(Debug, Default)]
pub struct CompletionCounters {
    ios: AtomicU64,
    parts: AtomicU64,
    holes: AtomicU64,
    errors: AtomicU64,
    cancelled: AtomicU64,
}

/// The numbers of [`CompletionCounters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompletionStatistics {
    /// I/Os that completed.
    pub ios: u64,
    /// Parts of them.
    pub parts: u64,
    /// I/Os of which a part was short.
    pub holes: u64,
    /// I/Os that failed, not counting those that were cancelled.
    pub errors: u64,
    /// I/Os that were cancelled.
    pub cancelled: u64,
}

impl CompletionCounters {
    /// The numbers.
    pub fn statistics(&self) -> CompletionStatistics {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CompletionStatistics {
            ios: load(&self.ios),
            parts: load(&self.parts),
            holes: load(&self.holes),
            errors: load(&self.errors),
            cancelled: load(&self.cancelled),
        }
    }

    fn count(&self, state: &State, result: &io::Result<u64>) {
        let add = |counter: &AtomicU64, number| counter.fetch_add(number, Ordering::Relaxed);
        add(&self.ios, 1);
        add(&self.parts, state.parts);
        add(&self.holes, u64::from(state.hole.is_some()));
        add(&self.cancelled, u64::from(state.cancelled));
        add(&self.errors, u64::from(result.is_err() && !state.cancelled));
    }
}

/// The right to add parts to an I/O. Dropped, or [finished](Self::finish), there are no more.
#[derive(Debug)]
pub struct Submission {
    io: Arc<Io>,
}

/// The obligation to carry out one part of an I/O. Dropped, it has failed with EIO.
#[derive(Debug)]
pub struct Part {
    /// Until completed.
    io: Option<Arc<Io>>,
    position: u64,
    length: u64,
}

/// The result of an I/O, to be had in one of three ways: [`wait`](Self::wait),
/// [`on_complete`](Self::on_complete), or as a future. Dropped, the I/O goes on and its
/// result goes nowhere.
#[derive(Debug)]
pub struct Completion {
    io: Arc<Io>,
}

/// Cancels an I/O whose [`Completion`] is elsewhere.
#[derive(Clone, Debug)]
pub struct Canceller {
    io: Arc<Io>,
}

#[derive(Debug)]
struct Io {
    direction: Direction,
    counters: Option<Arc<CompletionCounters>>,
    /// It is known that the I/O fails. Never goes back.
    doomed: AtomicBool,
    state: Mutex<State>,
    /// There is a result to be taken.
    completed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Parts that have not completed, and one more for the submission.
    outstanding: u64,
    /// Parts that there are.
    parts: u64,
    /// Bytes of the whole, if no part is short.
    size: u64,
    /// Where the short part nearest to the start ends.
    hole: Option<u64>,
    /// What failed first.
    error: Option<io::Error>,
    cancelled: bool,
    /// Once the I/O has completed, until somebody takes it.
    result: Option<io::Result<u64>>,
    delivery: Delivery,
}

/// Who takes the result.
enum Delivery {
    /// Nobody yet, or a thread that waits.
    Pull,
    /// A task that has polled.
    Wake(Waker),
    Call(Box<dyn FnOnce(io::Result<u64>) + Send>),
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pull => "Pull",
            Self::Wake(_) => "Wake",
            Self::Call(_) => "Call",
        })
    }
}

impl Submission {
    /// An I/O without parts, and the way to its result.
    pub fn new(direction: Direction) -> (Self, Completion) {
        Self::with(direction, None)
    }

    /// The same, counted in `counters` when it completes.
    pub fn counted(direction: Direction, counters: &Arc<CompletionCounters>) -> (Self, Completion) {
        Self::with(direction, Some(Arc::clone(counters)))
    }

    fn with(direction: Direction, counters: Option<Arc<CompletionCounters>>) -> (Self, Completion) {
        let io = Arc::new(Io {
            direction,
            counters,
            doomed: AtomicBool::new(false),
            state: Mutex::new(State {
                outstanding: 1,
                parts: 0,
                size: 0,
                hole: None,
                error: None,
                cancelled: false,
                result: None,
                delivery: Delivery::Pull,
            }),
            completed: Condvar::default(),
        });
        (Self { io: Arc::clone(&io) }, Completion { io })
    }

    /// The next part: `length` bytes from where the one before it ends.
    ///
    /// There is no error to be returned here: if the I/O would pass `u64::MAX` bytes, it fails
    /// with EOVERFLOW, like one that fails for any other reason.
    pub fn part(&mut self, length: u64) -> Part {
        let mut state = self.io.lock();
        let position = state.size;
        self.io.extend(&mut state, length);
        state.outstanding += 1;
        state.parts += 1;
        drop(state);
        Part { io: Some(Arc::clone(&self.io)), position, length }
    }

    /// `length` bytes that are there already follow: the next part begins behind them.
    pub fn skip(&mut self, length: u64) {
        self.io.extend(&mut self.io.lock(), length);
    }

    /// There are no more parts. The same as dropping it.
    pub fn finish(self) {}

    /// There are no more parts, because the next one could not be submitted.
    pub fn fail(self, error: io::Error) {
        self.io.fail(&mut self.io.lock(), error);
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        self.io.put(self.io.lock());
    }
}

impl Part {
    /// Where in the I/O it begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that it is asked for.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether it need not be carried out any more, since the I/O was cancelled or has
    /// failed. It has to be completed all the same, with whatever result.
    pub fn is_cancelled(&self) -> bool {
        self.io.as_ref().is_some_and(|io| io.doomed.load(Ordering::Acquire))
    }

    /// Tells how many bytes were moved, or why it failed. If it is the last to complete, the
    /// I/O's callback runs in here.
    pub fn complete(mut self, result: io::Result<u64>) {
        self.fold(result);
    }

    fn fold(&mut self, result: io::Result<u64>) {
        let Some(io) = self.io.take() else { return };
        let mut state = io.lock();
        match result {
            Ok(bytes) if bytes > self.length => io.fail(&mut state, errno(libc::EIO)),
            // position + length fits, or the I/O has failed already
            Ok(bytes) if bytes < self.length => {
                let end = self.position.saturating_add(bytes);
                state.hole = Some(state.hole.map_or(end, |hole| hole.min(end)));
            }
            Ok(_) => {}
            Err(error) => io.fail(&mut state, error),
        }
        io.put(state);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.fold(Err(errno(libc::EIO)));
    }
}

impl Completion {
    /// Waits for the result.
    pub fn wait(self) -> io::Result<u64> {
        // else the last part would wake the task that has polled, and not this thread
        self.forget_waker();
        let mut state = self.io.lock();
        loop {
            if let Some(result) = state.take_result() {
                return result;
            }
            state = self.io.completed.wait(state);
        }
    }

    /// Has `callback` called with the result, by the thread that completes the last part; at
    /// once, if that is done. No lock is held meanwhile. It must not panic: it may be
    /// called by a part that a panic drops.
    pub fn on_complete(self, callback: impl FnOnce(io::Result<u64>) + Send + 'static) {
        let mut state = self.io.lock();
        if let Some(result) = state.take_result() {
            drop(state);
            return callback(result);
        }
        let before = mem::replace(&mut state.delivery, Delivery::Call(Box::new(callback)));
        drop(state);
        // the waker of an earlier poll: dropping it may run anything, also what needs the lock
        drop(before);
    }

    /// Makes the I/O fail with ECANCELED, unless it has completed or failed already. It still
    /// completes only when all parts have: they may be using memory of whoever waits.
    pub fn cancel(&self) {
        self.io.cancel();
    }

    /// The same from elsewhere, also when the completion is used up.
    pub fn canceller(&self) -> Canceller {
        Canceller { io: Arc::clone(&self.io) }
    }

    /// The task that has polled is not woken any more.
    fn forget_waker(&self) {
        let mut state = self.io.lock();
        let waker = match &state.delivery {
            Delivery::Wake(_) => mem::replace(&mut state.delivery, Delivery::Pull),
            _ => Delivery::Pull,
        };
        drop(state);
        // dropping it may run anything, also what needs the lock
        drop(waker);
    }
}

impl Future for Completion {
    type Output = io::Result<u64>;

    /// # Panics
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        // cloning and dropping wakers runs the executor's code, which may drop other parts
        let waker = context.waker().clone();
        let mut state = self.io.lock();
        if let Some(result) = state.take_result() {
            drop(state);
            return Poll::Ready(result);
        }
        let before = mem::replace(&mut state.delivery, Delivery::Wake(waker));
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.forget_waker();
    }
}

impl Canceller {
    /// See [`Completion::cancel`].
    pub fn cancel(&self) {
        self.io.cancel();
    }
}

impl Io {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Adds to the size of the whole.
    fn extend(&self, state: &mut State, length: u64) {
        match state.size.checked_add(length) {
            Some(size) => state.size = size,
            None => self.fail(state, errno(libc::EOVERFLOW)),
        }
    }

    /// The first error is kept.
    fn fail(&self, state: &mut State, error: io::Error) {
        if state.error.is_none() {
            state.error = Some(error);
            self.doomed.store(true, Ordering::Release);
        }
    }

    fn cancel(&self) {
        let mut state = self.lock();
        if state.outstanding > 0 && state.error.is_none() {
            state.cancelled = true;
            self.fail(&mut state, errno(libc::ECANCELED));
        }
    }

    /// Gives one reference back; with the last, the I/O completes.
    fn put(&self, mut state: MutexGuard<'_, State>) {
        state.outstanding -= 1;
        if state.outstanding > 0 {
            return;
        }
        let result = state.conclude(self.direction);
        if let Some(counters) = &self.counters {
            counters.count(&state, &result);
        }
        match mem::replace(&mut state.delivery, Delivery::Pull) {
            Delivery::Pull => {
                state.result = Some(result);
                self.completed.notify_all();
            }
            Delivery::Wake(waker) => {
                state.result = Some(result);
                drop(state);
                waker.wake();
            }
            Delivery::Call(callback) => {
                drop(state);
                callback(result);
            }
        }
    }
}

impl State {
    /// The result of the I/O, when nothing is outstanding.
    fn conclude(&mut self, direction: Direction) -> io::Result<u64> {
        match (self.error.take(), self.hole, direction) {
            (Some(error), _, _) => Err(error),
            (None, Some(_), Direction::Write) => Err(errno(libc::EIO)),
            (None, Some(hole), Direction::Read) => Ok(hole),
            (None, None, _) => Ok(self.size),
        }
    }

    /// The result, if the I/O has completed.
    fn take_result(&mut self) -> Option<io::Result<u64>> {
        let result = self.result.take();
        assert!(result.is_some() || self.outstanding > 0, "the result was taken before");
        result
    }
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}
