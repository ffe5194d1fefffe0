//! On a single CPU one reader waits for requests; the others stand by.
//!
//! There are always two readers at least, so that a request which takes long keeps nobody
//! else waiting. On several CPUs both wait in `read(2)`, and it is good that they do: the
//! scheduler wakes the one that is better placed. On a single CPU the second one only costs.
//! The kernel wakes whoever has waited longest, which is never the reader that has just
//! answered; but that one, interrupted by the client to whom it answered, would read the
//! client's next request without ever having slept. So each request costs a wake-up and
//! often a second switch to a reader that finds nothing: 8 to 17 per cent of a small request.
//!
//! So whoever comes back while another reader waits stands by, until
//! - the [sweeper](crate::sweeper), which looks every [`TICK`] while somebody stands by, finds
//!   that nobody reads, that nothing was answered since its last look, and that the reader which
//!   is busy sleeps. Operations that block are to be expected then, and for a while
//!   ([`FIRST_HOLD`], doubled each time up to [`LONGEST_HOLD`]) nobody stands by. A reader that
//!   computes, or would if it had the CPU, has [`COMPUTING`] for it;
//! - a reader's thread ends, as all do when the mount ends, or the sweeper sees that the
//!   mount has ended: a reader that never got a request ends without a word;
//! - there was nothing to do for a second.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::condvar::Condvar;
use crate::sweeper::Wakeup;
use crate::threads::{this_thread, thread_runs};

/// How long all readers may be busy with the same requests before another is called. A look costs
/// about 10 us, of which most are the timer's and the scheduler's: at 1 ms each request of 4 KiB
/// had to pay a twentieth more.
pub(crate) const TICK: Duration = Duration::from_millis(8);
/// How many looks in succession may find the same requests with a reader that runs. Where other
/// programs have the CPU for a few milliseconds another reader would not help.
const COMPUTING: u32 = 3;
/// How long nobody stands by after the first time that somebody had to be called.
const FIRST_HOLD: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_mins(1);

/// Who reads, and who stands by.
#[derive(Debug)]
pub(crate) struct Standby {
    enabled: bool,
    /// Readers in `read(2)`, or on their way to it.
    reading: AtomicUsize,
    standing_by: AtomicUsize,
    /// Readers, counted as reading, that forget inodes.
    forgetting: AtomicUsize,
    /// Requests that readers came back from.
    served: AtomicU64,
    /// Nobody is to stand by now.
    held: AtomicBool,
    state: Mutex<State>,
    called: Condvar,
    sweeper: Arc<Wakeup>,
}

#[derive(Debug)]
struct State {
    /// Counts the calls.
    calls: u64,
    closed: bool,
    hold: Duration,
    held_until: Option<Instant>,
    /// The threads of the readers that have served anything.
    threads: Vec<u32>,
}

/// Held by a reader while it serves a request.
#[derive(Debug)]
pub(crate) struct Busy<'a>(Option<&'a Standby>);

/// Held by a reader while it forgets an inode.
#[derive(Debug)]
pub(crate) struct Forgetting<'a>(Option<&'a Standby>);

/// What the sweeper remembers of its last look.
#[derive(Debug, Default)]
pub(crate) struct LastLook {
    served: u64,
    needed: bool,
    /// Looks in succession that found the same.
    looks: u32,
}

impl Standby {
    /// Of a mount with so many readers, which run on so many CPUs.
    pub(crate) fn new(readers: usize, cpus: usize, sweeper: Arc<Wakeup>) -> Self {
        Self {
            enabled: cpus == 1 && readers > 1,
            reading: AtomicUsize::new(readers),
            standing_by: AtomicUsize::new(0),
            forgetting: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            held: AtomicBool::new(false),
            state: Mutex::new(State {
                calls: 0,
                closed: false,
                hold: FIRST_HOLD,
                held_until: None,
                threads: Vec::new(),
            }),
            called: Condvar::new(),
            sweeper,
        }
    }

    /// The calling reader has read a request. When it comes back from it, it may stand by.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy<'_> {
        Busy(self.begin(|standby| standby.reading.fetch_sub(1, Ordering::SeqCst)))
    }

    /// The calling reader has read that an inode is to be forgotten. Many may come in one
    /// message, and nothing tells which is the last: the reader keeps its place meanwhile.
    pub(crate) fn forgetting(self: &Arc<Self>) -> Forgetting<'_> {
        Forgetting(self.begin(|standby| standby.forgetting.fetch_add(1, Ordering::SeqCst)))
    }

    /// The calling reader is not in `read(2)` any more; `count` says so.
    fn begin(self: &Arc<Self>, count: impl FnOnce(&Self) -> usize) -> Option<&Self> {
        if !self.enabled {
            return None;
        }
        know_reader(self);
        count(self);
        if self.is_used() {
            // after it was counted: see the protocol in sweeper.rs
            self.sweeper.note_request();
        }
        Some(self)
    }

    /// Whether somebody stands by.
    pub(crate) fn is_used(&self) -> bool {
        self.standing_by.load(Ordering::SeqCst) > 0
    }

    /// Whether somebody stands by while nobody reads, or only on the way to it.
    pub(crate) fn may_be_needed(&self) -> bool {
        self.is_used()
            && self.reading.load(Ordering::SeqCst) <= self.forgetting.load(Ordering::SeqCst)
    }

    /// The sweeper's look: calls all if the readers are stuck.
    pub(crate) fn look(&self, last: &mut LastLook) {
        if !self.enabled {
            return;
        }
        let served = self.served.load(Ordering::SeqCst);
        let needed = self.may_be_needed();
        let stuck = needed && last.needed && served == last.served;
        let looks = if stuck { last.looks + 1 } else { 0 };
        *last = LastLook { served, needed, looks };
        if self.held.load(Ordering::Relaxed) {
            self.end_hold();
        } else if stuck && (looks > COMPUTING || self.a_busy_reader_sleeps()) {
            self.hold();
        }
    }

    /// Whether more readers sleep than stand by.
    fn a_busy_reader_sleeps(&self) -> bool {
        let threads = self.state.lock().threads.clone();
        let asleep = threads.into_iter().filter(|thread| !thread_runs(*thread)).count();
        asleep > self.standing_by.load(Ordering::SeqCst)
    }

    /// Calls all readers, and lets nobody stand by for a while.
    fn hold(&self) {
        let mut state = self.state.lock();
        state.held_until = Some(Instant::now() + state.hold);
        state.hold = (state.hold * 2).min(LONGEST_HOLD);
        self.held.store(true, Ordering::Relaxed);
        self.call(&mut state);
    }

    fn end_hold(&self) {
        let mut state = self.state.lock();
        if state.held_until.is_some_and(|end| end <= Instant::now()) {
            state.held_until = None;
            self.held.store(false, Ordering::Relaxed);
        }
    }

    /// Calls all readers.
    pub(crate) fn call_all(&self) {
        if self.is_used() {
            self.call(&mut self.state.lock());
        }
    }

    /// Calls all readers for good.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.call(&mut state);
    }

    fn call(&self, state: &mut State) {
        state.calls += 1;
        self.called.notify_all();
    }

    /// Stands by, unless nobody else reads.
    #[cold]
    fn stand_by(&self) {
        let mut state = self.state.lock();
        if state.closed || self.held.load(Ordering::Relaxed) {
            return;
        }
        // the other may have got a request meanwhile: one reader is left in any case
        let leave_one = |reading| (reading > 1).then(|| reading - 1);
        let (on_leaving, on_failure) = (Ordering::SeqCst, Ordering::SeqCst);
        if self.reading.fetch_update(on_leaving, on_failure, leave_one).is_err() {
            return;
        }
        self.standing_by.fetch_add(1, Ordering::SeqCst);
        self.sweeper.look_now();
        let calls = state.calls;
        while state.calls == calls {
            self.called.wait(&mut state);
        }
        self.standing_by.fetch_sub(1, Ordering::SeqCst);
        self.reading.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let Some(standby) = self.0 else { return };
        standby.served.fetch_add(1, Ordering::SeqCst);
        if standby.reading.fetch_add(1, Ordering::SeqCst) > 0
            && !standby.held.load(Ordering::Relaxed)
        {
            standby.stand_by();
        }
    }
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        if let Some(standby) = self.0 {
            standby.forgetting.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Ends with its thread.
struct Reader(Arc<Standby>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Notes which thread it is, and calls the others when it ends: nothing else tells that fuser
/// has ended a reader.
fn know_reader(standby: &Arc<Standby>) {
    thread_local! {
        static READER: RefCell<Option<Reader>> = const { RefCell::new(None) };
    }
    READER.with_borrow_mut(|reader| {
        reader.get_or_insert_with(|| {
            standby.state.lock().threads.push(this_thread());
            Reader(Arc::clone(standby))
        });
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::{self, JoinHandle};

    use super::*;

    /// A thread that serves one request for each message, and says when it reads again.
    struct Server {
        requests: Sender<Option<Receiver<()>>>,
        reads: Receiver<()>,
        thread: JoinHandle<()>,
    }

    fn server(standby: &Arc<Standby>) -> Server {
        let standby = Arc::clone(standby);
        let (requests, read) = channel::<Option<Receiver<()>>>();
        let (says, reads) = channel();
        let thread = thread::spawn(move || {
            for blocked_by in read {
                {
                    let _busy = standby.busy();
                    if let Some(blocked_by) = blocked_by {
                        let _ = blocked_by.recv();
                    }
                }
                let _ = says.send(());
            }
        });
        Server { requests, reads, thread }
    }

    fn until(mut condition: impl FnMut() -> bool) {
        while !condition() {
            thread::yield_now();
        }
    }

    #[test]
    fn one_reads_and_the_others_stand_by_until_it_is_stuck() {
        let standby = Arc::new(Standby::new(3, 1, Arc::default()));
        let servers = [server(&standby), server(&standby), server(&standby)];
        for server in &servers[..2] {
            server.requests.send(None).expect("it lives");
        }
        until(|| standby.standing_by.load(Ordering::SeqCst) == 2);

        // the third serves one request after the other and never stands by
        for _ in 0..100 {
            servers[2].requests.send(None).expect("it lives");
            servers[2].reads.recv().expect("it reads again");
        }
        let mut last = LastLook::default();
        standby.look(&mut last);
        standby.look(&mut last);
        assert!(standby.is_used(), "a reader waits: nobody is needed");

        let (release, blocked_by) = channel();
        servers[2].requests.send(Some(blocked_by)).expect("it lives");
        until(|| {
            standby.look(&mut last);
            standby.held.load(Ordering::SeqCst)
        });
        for server in &servers[..2] {
            server.reads.recv().expect("it was called");
        }
        until(|| !standby.is_used());

        // and so soon after nobody stands by
        drop(release);
        for server in &servers {
            server.requests.send(None).expect("it lives");
            server.reads.recv().expect("it reads again");
        }
        assert!(!standby.is_used());
        for Server { requests, thread, .. } in servers {
            drop(requests);
            thread.join().expect("it ends");
        }
    }

    #[test]
    fn one_that_computes_may_keep_the_others_waiting_for_a_while() {
        let standby = Arc::new(Standby::new(2, 1, Arc::default()));
        let other = server(&standby);
        other.requests.send(None).expect("it lives");
        until(|| standby.is_used());

        let _computing = standby.busy();
        let mut last = LastLook::default();
        for _ in 0..=COMPUTING {
            standby.look(&mut last);
            assert!(standby.is_used() && !standby.held.load(Ordering::SeqCst));
        }
        standby.look(&mut last);
        other.reads.recv().expect("it was called");
    }

    #[test]
    fn a_reader_that_ends_calls_the_others() {
        let standby = Arc::new(Standby::new(2, 1, Arc::default()));
        let [stays, ends] = [server(&standby), server(&standby)];
        stays.requests.send(None).expect("it lives");
        until(|| standby.is_used());
        ends.requests.send(None).expect("it lives");
        ends.reads.recv().expect("the other stands by already");
        drop(ends.requests);
        ends.thread.join().expect("it ends");
        stays.reads.recv().expect("it was called");
        stays.requests.send(None).expect("it lives");
        stays.reads.recv().expect("nobody stands by any more");
    }

    #[test]
    fn nobody_stands_by_where_there_are_more_cpus() {
        let standby = Arc::new(Standby::new(2, 2, Arc::default()));
        for _ in 0..10 {
            drop(standby.busy());
        }
        assert!(!standby.is_used());
    }

    #[test]
    fn many_at_once_leave_one_reader() {
        let standby = Arc::new(Standby::new(8, 1, Arc::default()));
        let servers: Vec<_> = (0..8).map(|_| server(&standby)).collect();
        for round in 0..200 {
            for server in &servers {
                server.requests.send(None).expect("it lives");
            }
            until(|| standby.standing_by.load(Ordering::SeqCst) == 7);
            assert_eq!(standby.reading.load(Ordering::SeqCst), 1, "round {round}");
            for server in &servers {
                // the one that reads may have been slow to begin, and stand by only now
                until(|| {
                    standby.call_all();
                    server.reads.try_recv().is_ok()
                });
            }
        }
        standby.close();
    }
}
