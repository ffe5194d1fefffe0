//! Which readers run callbacks, and who runs those of the others: flat combining.
//!
//! A callback may block, or touch its own mount. If all readers were inside callbacks, the
//! request that such a callback waits for would never be read. So one of them at least stays
//! out of Python, and an operation for which there is no place goes to the
//! [`executors`](crate::threads::executors).
//!
//! Two readers in Python are worth it while one of them reads a file without the GIL. Where
//! each wants the GIL for most of its callback they only take it from each other, and every
//! operation costs a sleep and a wake-up. So whoever goes in while another is there measures
//! how long it waited for the GIL. If that was long, one reader stays alone inside for
//! [`HOLD`]: the others hand their operations to it and go back to reading, and it runs them
//! after its own, oldest first.
//!
//! What was handed over does not wait for a callback that blocks. When there was no progress
//! for [`PATIENCE`] and those inside sleep, the next reader goes in or calls an executor; if no
//! more requests come, the executors' monitor does so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fusesg_serve::{Condvar, this_thread, thread_runs};
use parking_lot::{Mutex, MutexGuard};

use crate::threads::executors::{Job, STALL, refuse, taken_from};
use crate::threads::gil_waiters::Request;

/// While none of the readers inside has made progress for this long, their callbacks count as
/// blocked if they sleep. Below it, waiting for a place is cheaper than another thread.
const PATIENCE: Duration = Duration::from_micros(100);
/// How long one reader stays alone after two have waited for the GIL.
const HOLD: Duration = Duration::from_millis(10);
/// Which share of its time inside a second reader may wait for the GIL.
const WAITS: f64 = 0.6;
/// What one measured share weighs against those before it.
const WEIGHT: f64 = 0.25;
/// How long what was handed over waits for a callback that computes.
const COMPUTING: Duration = Duration::from_millis(8);

/// Instead of a number of readers: whoever asks serves itself.
const NONE_READS: usize = usize::MAX;

/// Who is inside callbacks, and what waits for them.
#[derive(Debug)]
pub(crate) struct Combining {
    state: Mutex<State>,
    /// A reader left, and others wait for its place.
    left: Condvar,
    /// Those who stand by are to read again.
    called: Condvar,
    /// How many readers there are, or [`NONE_READS`].
    readers: usize,
    /// How many may be inside.
    places: usize,
}

#[derive(Debug)]
struct State {
    /// The threads inside.
    inside: Vec<u32>,
    /// How many wait for a place.
    waiting: usize,
    /// How many stand by, while one stays alone.
    standing_by: usize,
    /// When one of them last entered, left, or took on what another had handed over.
    progress: Instant,
    /// Those inside were seen asleep, with that progress.
    asleep_since: Option<Instant>,
    /// What was handed over, and when.
    handed: VecDeque<(Instant, Job)>,
    /// Counts what was handed over, and what of it a reader ran.
    handings: u64,
    combined: u64,
    closed: bool,
    /// The share of its time that a second reader waited for the GIL lately.
    gil_wait: f64,
    /// One reader stays alone until then.
    alone_until: Option<Instant>,
}

/// What a reader is to do with an operation for Python.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    /// Run the callback.
    Enter(Place<'a>),
    /// Give it to the reader that is inside: [`Combining::hand_over`].
    HandOver,
    /// Give it to an executor.
    Blocked,
}

/// What the monitor remembers of its last look.
#[derive(Debug, Default)]
pub(crate) struct Look {
    handings: u64,
    /// Something was handed over since the look before.
    pub(super) found_something: bool,
}

impl Combining {
    /// For a mount with so many readers; `None` where those who ask serve themselves, as the
    /// callers of a client in this process do: each of them runs its own callbacks.
    pub(crate) fn new(readers: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                inside: Vec::new(),
                waiting: 0,
                standing_by: 0,
                progress: Instant::now(),
                asleep_since: None,
                handed: VecDeque::new(),
                handings: 0,
                combined: 0,
                closed: false,
                gil_wait: 0.0,
                alone_until: None,
            }),
            left: Condvar::new(),
            called: Condvar::new(),
            readers: readers.unwrap_or(NONE_READS),
            places: readers.map_or(NONE_READS, |readers| readers.saturating_sub(1).max(1)),
        })
    }

    /// The calling reader has an operation for Python. One that is `costly` to hand over, for
    /// the bytes that it brings, rather waits.
    pub(crate) fn turn(&self, costly: bool) -> Turn<'_> {
        let mut state = self.state.lock();
        loop {
            let now = Instant::now();
            if self.readers == NONE_READS || state.inside.is_empty() {
                return Turn::Enter(self.enter(&mut state, now));
            }
            let patience_ends = state.progress + PATIENCE;
            if patience_ends <= now {
                if all_sleep(&mut state) {
                    self.call_all(&mut state);
                    return self.enter_beside(&mut state, now).map_or(Turn::Blocked, Turn::Enter);
                }
                return Turn::HandOver;
            }
            if !costly && state.one_stays_alone(now) {
                return Turn::HandOver;
            }
            if let Some(place) = self.enter_beside(&mut state, now) {
                return Turn::Enter(place);
            }
            state.waiting += 1;
            self.left.wait_until(&mut state, patience_ends);
            state.waiting -= 1;
        }
    }

    /// Gives `job` to the readers that are inside. If they have left meanwhile, the calling one
    /// has a place and the job.
    pub(crate) fn hand_over(&self, job: Job) -> Option<(Place<'_>, Job)> {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            refuse(job);
            return None;
        }
        if state.inside.is_empty() {
            return Some((self.enter(&mut state, Instant::now()), job));
        }
        state.handed.push_back((Instant::now(), job));
        state.handings += 1;
        self.stand_by(&mut state);
        None
    }

    /// While one stays alone inside, one other reads requests for it. More would only be woken
    /// in turn, for a request each.
    fn stand_by(&self, state: &mut MutexGuard<'_, State>) {
        let elsewhere = state.inside.len() + state.waiting + state.standing_by;
        let another_reads = self.readers > elsewhere + 1;
        if let Some(until) = state.alone_until.filter(|_| another_reads) {
            state.standing_by += 1;
            self.called.wait_until(state, until);
            state.standing_by -= 1;
        }
    }

    /// Nobody stays alone any more.
    fn call_all(&self, state: &mut State) {
        state.alone_until = None;
        if state.standing_by > 0 {
            self.called.notify_all();
        }
    }

    fn enter_beside(&self, state: &mut State, now: Instant) -> Option<Place<'_>> {
        (state.inside.len() < self.places).then(|| self.enter(state, now))
    }

    fn enter(&self, state: &mut State, now: Instant) -> Place<'_> {
        let is_beside = self.readers != NONE_READS && !state.inside.is_empty();
        let thread = this_thread();
        state.inside.push(thread);
        state.progress = now;
        Place { combining: self, thread, gil_wait: is_beside.then_some(GilWait::Asked(now)) }
    }

    /// The monitor's look: what was handed over to callbacks that block.
    pub(super) fn look(&self, last: &mut Look) -> Option<VecDeque<(Instant, Job)>> {
        let mut state = self.state.lock();
        let oldest = state.handed.front().map(|(since, _)| *since);
        last.found_something = oldest.is_some() || state.handings != last.handings;
        last.handings = state.handings;
        let waited = oldest?.elapsed();
        let overdue = waited >= COMPUTING || waited >= STALL && all_sleep(&mut state);
        overdue.then(|| {
            self.call_all(&mut state);
            std::mem::take(&mut state.handed)
        })
    }

    /// Whether something was handed over since.
    pub(super) fn has_news(&self, last: &Look) -> bool {
        self.state.lock().handings != last.handings
    }

    /// Takes the requests that were handed over and satisfy `wanted`; the caller answers them.
    pub(super) fn take_requests(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        taken_from(&mut self.state.lock().handed, wanted).collect()
    }

    /// Nothing more is handed over; returns what was.
    pub(super) fn close(&self) -> VecDeque<(Instant, Job)> {
        let mut state = self.state.lock();
        state.closed = true;
        self.call_all(&mut state);
        std::mem::take(&mut state.handed)
    }

    /// How many operations were handed over and wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().handed.len()
    }

    /// How many operations were run by another reader than the one that had read them.
    pub(crate) fn combined(&self) -> u64 {
        self.state.lock().combined
    }
}

/// Whether all who are inside sleep. One that computes, or would if it had a CPU, has
/// [`PATIENCE`] again.
fn all_sleep(state: &mut MutexGuard<'_, State>) -> bool {
    let progress = state.progress;
    if state.asleep_since == Some(progress) {
        return true;
    }
    let inside = state.inside.clone();
    let all_sleep = MutexGuard::unlocked(state, || !inside.into_iter().any(thread_runs));
    if all_sleep {
        state.asleep_since = Some(progress);
    } else if state.progress == progress {
        state.progress = Instant::now();
    }
    all_sleep
}

impl State {
    fn one_stays_alone(&mut self, now: Instant) -> bool {
        match self.alone_until {
            None => false,
            Some(until) if now < until => true,
            Some(_) => {
                // the next ones try again
                self.alone_until = None;
                self.gil_wait = 0.0;
                false
            }
        }
    }

    /// A second reader has waited for the GIL, and then had it for its callback.
    fn measured(&mut self, waited: Duration, ran: Duration, now: Instant) {
        let inside = (waited + ran).as_secs_f64();
        if inside > 0.0 {
            self.gil_wait += WEIGHT * (waited.as_secs_f64() / inside - self.gil_wait);
        }
        if self.gil_wait > WAITS {
            self.alone_until = Some(now + HOLD);
        }
    }
}

/// A reader's right to run callbacks.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    combining: &'a Combining,
    thread: u32,
    /// Of one that went in while another was there.
    gil_wait: Option<GilWait>,
}

#[derive(Clone, Copy, Debug)]
enum GilWait {
    /// It asked for the GIL then.
    Asked(Instant),
    /// It had waited for so long when it had the GIL, which was then.
    Had(Duration, Instant),
}

impl Place<'_> {
    /// The reader has the GIL, and is about to run its callback.
    pub(crate) fn has_gil(&mut self) {
        if let Some(GilWait::Asked(asked)) = self.gil_wait {
            let now = Instant::now();
            self.gil_wait = Some(GilWait::Had(now - asked, now));
        }
    }

    /// It has given the GIL back.
    pub(crate) fn gave_gil_back(&mut self) {
        if let Some(GilWait::Had(waited, since)) = self.gil_wait.take() {
            let now = Instant::now();
            self.combining.state.lock().measured(waited, now - since, now);
        }
    }

    /// Leaves, unless something was handed over.
    pub(crate) fn leave_if_done(self) -> Option<Self> {
        let mut state = self.combining.state.lock();
        if state.handed.is_empty() {
            self.leave(&mut state);
            drop(state);
            std::mem::forget(self);
            return None;
        }
        drop(state);
        Some(self)
    }

    /// What was handed over first; leaves if there is nothing.
    pub(crate) fn next(self) -> Option<(Self, Job)> {
        let mut state = self.combining.state.lock();
        let Some((_, job)) = state.handed.pop_front() else {
            self.leave(&mut state);
            drop(state);
            std::mem::forget(self);
            return None;
        };
        state.progress = Instant::now();
        state.combined += 1;
        drop(state);
        Some((self, job))
    }

    fn leave(&self, state: &mut State) {
        if let Some(index) = state.inside.iter().position(|thread| *thread == self.thread) {
            state.inside.swap_remove(index);
        }
        state.progress = Instant::now();
        if state.waiting > 0 {
            self.combining.left.notify_one();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave(&mut self.combining.state.lock());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{self, JoinHandle};

    use super::*;

    /// A reader whose callback blocks until the sender is dropped.
    fn blocked_reader(combining: &Arc<Combining>) -> (Sender<()>, JoinHandle<()>) {
        let (go_on, blocked) = channel();
        let (says, inside) = channel();
        let combining = Arc::clone(combining);
        let thread = thread::spawn(move || {
            let Turn::Enter(place) = combining.turn(false) else { panic!("there is a place") };
            says.send(this_thread()).expect("the test waits");
            assert!(blocked.recv().is_err());
            drop(place);
        });
        let number = inside.recv().expect("it enters");
        while thread_runs(number) {
            thread::yield_now();
        }
        (go_on, thread)
    }

    fn wait_until_impatient(combining: &Combining) {
        while combining.state.lock().progress.elapsed() < PATIENCE {
            thread::yield_now();
        }
    }

    /// As if two readers had fought for the GIL.
    fn one_stays_alone(combining: &Combining) {
        let mut state = combining.state.lock();
        for _ in 0..8 {
            state.measured(Duration::from_micros(9), Duration::from_micros(1), Instant::now());
        }
        // long enough for a test on a busy machine
        state.alone_until = state.alone_until.map(|until| until + Duration::from_mins(1));
    }

    fn job(runs: &Arc<AtomicUsize>) -> Job {
        let runs = Arc::clone(runs);
        let run = Box::new(move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
        });
        Job { request: None, run }
    }

    #[test]
    fn all_but_one_reader_may_be_inside() {
        let combining = Combining::new(Some(3));
        let first = blocked_reader(&combining);
        let second = blocked_reader(&combining);
        assert!(matches!(combining.turn(false), Turn::Blocked), "the last one has to read");
        for (go_on, thread) in [first, second] {
            drop(go_on);
            thread.join().expect("it leaves");
        }
        assert!(matches!(combining.turn(false), Turn::Enter(_)));
    }

    #[test]
    fn whoever_is_alone_runs_what_is_handed_over_in_order() {
        let combining = Combining::new(Some(2));
        let Turn::Enter(place) = combining.turn(false) else { panic!("nobody is inside") };
        one_stays_alone(&combining);
        let order = Arc::new(Mutex::new(Vec::new()));
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                for number in 0..3 {
                    let order = Arc::clone(&order);
                    let run = Box::new(move |_| order.lock().push((number, this_thread())));
                    // the first reader runs, or waits for a CPU: it is not blocked
                    assert!(matches!(combining.turn(false), Turn::HandOver));
                    assert!(combining.hand_over(Job { request: None, run }).is_none());
                }
            });
            // what it does meanwhile
            while !reader.is_finished() {
                thread::yield_now();
            }
        });
        assert_eq!(combining.waiting(), 3);
        let mut place = place.leave_if_done();
        while let Some((still, job)) = place.take().and_then(Place::next) {
            job.run();
            place = Some(still);
        }
        let here = this_thread();
        assert_eq!(*order.lock(), [(0, here), (1, here), (2, here)]);
        assert_eq!((combining.combined(), combining.waiting()), (3, 0));
        assert!(combining.state.lock().inside.is_empty(), "it has left");
    }

    #[test]
    fn nothing_is_handed_over_to_nobody() {
        let combining = Combining::new(Some(2));
        let runs = Arc::default();
        let Some((place, job)) = combining.hand_over(job(&runs)) else { panic!("who runs it?") };
        job.run();
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert!(place.next().is_none());
    }

    #[test]
    fn bytes_that_cost_too_much_to_keep_are_not_handed_over() {
        let combining = Combining::new(Some(3));
        let (go_on, thread) = blocked_reader(&combining);
        one_stays_alone(&combining);
        assert!(matches!(combining.turn(true), Turn::Enter(_)));
        drop(go_on);
        thread.join().expect("it leaves");
    }

    #[test]
    fn a_callback_that_blocks_does_not_keep_the_others_out() {
        let combining = Combining::new(Some(3));
        let (go_on, thread) = blocked_reader(&combining);
        one_stays_alone(&combining);
        wait_until_impatient(&combining);
        assert!(matches!(combining.turn(false), Turn::Enter(_)));
        assert!(combining.state.lock().alone_until.is_none(), "nobody stands by any more");
        drop(go_on);
        thread.join().expect("it leaves");
    }

    #[test]
    fn the_monitor_gets_what_a_blocked_callback_leaves_waiting() {
        let combining = Combining::new(Some(2));
        let (go_on, thread) = blocked_reader(&combining);
        let runs = Arc::default();
        assert!(combining.hand_over(job(&runs)).is_none());
        let mut last = Look::default();
        assert!(combining.has_news(&last));
        let overdue = loop {
            if let Some(overdue) = combining.look(&mut last) {
                break overdue;
            }
            assert!(last.found_something);
        };
        assert_eq!(overdue.len(), 1);
        assert!(overdue[0].0.elapsed() >= STALL);
        assert!(combining.look(&mut last).is_none() && !last.found_something);
        drop(go_on);
        thread.join().expect("it leaves");
    }

    #[test]
    fn two_may_try_again_after_a_while() {
        let combining = Combining::new(Some(3));
        let Turn::Enter(first) = combining.turn(false) else { panic!("nobody is inside") };
        combining.state.lock().measured(HOLD, Duration::ZERO, Instant::now());
        while combining.state.lock().alone_until.is_none() {
            combining.state.lock().measured(HOLD, Duration::ZERO, Instant::now());
        }
        let second = loop {
            match combining.turn(false) {
                Turn::Enter(place) => break place,
                Turn::HandOver => thread::yield_now(),
                Turn::Blocked => panic!("the first runs"),
            }
        };
        assert!(second.gil_wait.is_some(), "it measures");
        drop((first, second));
    }

    #[test]
    fn who_stands_by_reads_again_when_somebody_blocks() {
        let combining = Combining::new(Some(4));
        let (go_on, thread) = blocked_reader(&combining);
        one_stays_alone(&combining);
        let runs = Arc::default();
        let stands_by = {
            let (combining, job) = (Arc::clone(&combining), job(&runs));
            thread::spawn(move || assert!(combining.hand_over(job).is_none()))
        };
        while combining.state.lock().standing_by == 0 {
            thread::yield_now();
        }
        wait_until_impatient(&combining);
        let Turn::Enter(place) = combining.turn(false) else { panic!("the first one sleeps") };
        stands_by.join().expect("it was called");
        let (place, job) = place.next().expect("what it handed over");
        job.run();
        assert!(place.next().is_none());
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        drop(go_on);
        thread.join().expect("it leaves");
    }

    #[test]
    fn whoever_serves_itself_never_waits_for_others() {
        let combining = Combining::new(None);
        let enter = || match combining.turn(false) {
            Turn::Enter(place) => place,
            other => panic!("{other:?}"),
        };
        let mut places: Vec<_> = (0..100).map(|_| enter()).collect();
        // neither when a callback computes for long
        wait_until_impatient(&combining);
        places.push(enter());
        assert!(places.iter().all(|place| place.gil_wait.is_none()));
    }
}
