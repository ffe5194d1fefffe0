//! Who waits for a lock, in order of arrival, and who tries again when.
//!
//! When a lock of an inode is released through this process, on any mount, those who wait
//! for a lock of that inode try again: one after the other, the first first, so that two who
//! want the same get it in order. A lock may also be released elsewhere, by a file server or
//! another process; so they try again from time to time, too, more and more seldom.
//!
//! A thread says who is next; the trying itself is done by the [line for
//! requests](crate::admission), which has a thread for whoever blocks.
//!
//! Refusing and releasing may cross: the lock is released after it was refused and before
//! who was refused is in the line. So releases are counted, and who arrives in the line
//! tries again at once if one was counted since it began.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fusesg_fs::{Errno, Handle, Inode, LockOwner, Operation, Unique};
use parking_lot::Mutex;

use super::owners::Owners;
use super::{LockStep, Setting};
use crate::admission::Admitted;
use crate::condvar::Condvar;
use crate::per_process::{GENERATIONS, PerProcess};
use crate::responder::Responder;
use crate::served::Served;

/// When those who wait try again although nothing was released here: at first, and at last.
const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_millis(250);

/// Releases are counted apart for some groups of inodes.
const GROUPS: usize = 64;
static RELEASES: [AtomicU64; GROUPS] = [const { AtomicU64::new(0) }; GROUPS];
/// Requests of this process that wait for a lock.
static WAITING: PerProcess<AtomicUsize> =
    PerProcess::new([const { AtomicUsize::new(0) }; GENERATIONS]);
/// The mounts of this process with locks: several may show the same object.
static MOUNTS: PerProcess<Mutex<Vec<Weak<Served>>>> =
    PerProcess::new([const { Mutex::new(Vec::new()) }; GENERATIONS]);

/// The locks of one mount, as far as the server has to do with them.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    kept: AtomicBool,
    pub(super) owners: Owners,
    line: Mutex<Line>,
    changed: Condvar,
    waited: AtomicU64,
    retries: AtomicU64,
}

/// What became of those who wanted locks on one mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockStatistics {
    /// Requests that wait for a lock now.
    pub waiting: usize,
    /// Requests that had to wait.
    pub waited: u64,
    /// How often one of them was tried again.
    pub retries: u64,
}

#[derive(Debug, Default)]
struct Line {
    queues: HashMap<Inode, Queue>,
    /// What is to be done as soon as possible: unlock for those who close.
    work: VecDeque<Admitted<'static>>,
    arrivals: u64,
    closed: bool,
}

/// Where in the line a request was when it was its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    number: u64,
    /// How often something had been released.
    releases: u64,
}

/// Those who wait for locks of one inode.
#[derive(Debug)]
struct Queue {
    waiting: BTreeMap<u64, (Setting, Responder)>,
    /// While they try, one after the other: the first number that has not.
    round: Option<u64>,
    /// How often something was released since they wait.
    releases: u64,
    /// One of them is in the file system.
    trying: bool,
    next_round: Instant,
    pause: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            round: None,
            releases: 0,
            trying: false,
            next_round: Instant::now() + FIRST_RETRY,
            pause: FIRST_RETRY,
        }
    }
}

impl Queue {
    fn is_over(&self) -> bool {
        self.waiting.is_empty() && !self.trying
    }

    /// They try again, the first first, also if some have just tried.
    fn released(&mut self) {
        self.releases += 1;
        self.round = Some(0);
    }

    /// Who tries now; `None` if nobody does before `next_round`, or one is about to.
    fn next(&mut self, now: Instant) -> Option<(Setting, Responder)> {
        if self.trying || self.waiting.is_empty() {
            return None;
        }
        if self.round.is_none() && now >= self.next_round {
            self.round = Some(0);
        }
        let first = self.round?;
        let Some(number) = self.waiting.range(first..).next().map(|(number, _)| *number) else {
            self.round = None;
            self.next_round = now + self.pause;
            self.pause = (self.pause * 2).min(LAST_RETRY);
            return None;
        };
        self.round = Some(number + 1);
        self.trying = true;
        let (mut setting, responder) = self.waiting.remove(&number)?;
        setting.place = Some(Place { number, releases: self.releases });
        Some((setting, responder))
    }

    /// Whether something was released since it was the turn of `place`, so that it is that
    /// of another one.
    fn would_overtake(&self, place: Place) -> bool {
        place.releases != self.releases && self.waiting.range(..place.number).next().is_some()
    }
}

impl Line {
    /// Who tries now, or when to look again.
    fn next(&mut self, now: Instant) -> Result<(Setting, Responder), Option<Instant>> {
        self.queues.retain(|_, queue| !queue.is_over());
        if let Some(next) = self.queues.values_mut().find_map(|queue| queue.next(now)) {
            return Ok(next);
        }
        let idle = self.queues.values().filter(|queue| !queue.trying);
        Err(idle.map(|queue| queue.next_round).min())
    }
}

fn group(inode: Inode) -> &'static AtomicU64 {
    &RELEASES[usize::try_from(inode.0 % GROUPS as u64).unwrap_or_default()]
}

/// Those who wait for a lock of the inode try again, on all mounts: another mount may show
/// the same object.
pub(super) fn released(inode: Inode) {
    group(inode).fetch_add(1, Ordering::SeqCst);
    if WAITING.load(Ordering::SeqCst) == 0 {
        return;
    }
    let mounts: Vec<_> = MOUNTS.lock().iter().filter_map(Weak::upgrade).collect();
    for served in mounts {
        let locks = &served.connection.locks;
        if let Some(queue) = locks.line.lock().queues.get_mut(&inode) {
            queue.released();
        }
        locks.changed.notify_one();
    }
}

impl Locks {
    /// Whether the file system keeps POSIX locks.
    pub(crate) fn are_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// How many locks were released so far, of this inode or another.
    pub(super) fn releases(inode: Inode) -> u64 {
        group(inode).load(Ordering::SeqCst)
    }

    /// A file was opened. Several may have the same handle.
    pub(crate) fn opened(&self, inode: Inode, handle: Handle) {
        self.owners.opened(inode, handle);
    }

    /// The owner's locks of a closed file are gone.
    pub(super) fn closed(&self, inode: Inode, owner: LockOwner) {
        self.owners.remove(inode, owner);
        released(inode);
    }

    /// Has a refused request wait; given back if it cannot.
    pub(super) fn wait(&self, setting: Setting, mut responder: Responder) -> Option<Responder> {
        responder.leave_request();
        responder.set_waits(true);
        let mut line = self.line.lock();
        if line.closed {
            return Some(responder);
        }
        line.arrivals += 1;
        let arrival = line.arrivals;
        let queue = line.queues.entry(setting.inode).or_default();
        let number = if let Some(place) = setting.place {
            queue.trying = false;
            place.number
        } else {
            self.waited.fetch_add(1, Ordering::Relaxed);
            // what it waits for may not take long
            queue.pause = FIRST_RETRY;
            queue.next_round = queue.next_round.min(Instant::now() + FIRST_RETRY);
            arrival
        };
        WAITING.fetch_add(1, Ordering::SeqCst);
        if setting.releases != Self::releases(setting.inode) {
            queue.released();
        }
        // after the line is locked: the sweeper looks into it when it has answered
        if responder.cancellation().is_cancelled() {
            WAITING.fetch_sub(1, Ordering::SeqCst);
            return Some(responder);
        }
        queue.waiting.insert(number, (setting, responder));
        self.changed.notify_one();
        None
    }

    /// Whether it is no longer the turn of a request that was in the line.
    pub(super) fn would_overtake(&self, setting: &Setting) -> bool {
        setting.place.is_some_and(|place| {
            let line = self.line.lock();
            line.queues.get(&setting.inode).is_some_and(|queue| queue.would_overtake(place))
        })
    }

    /// A request that was in the line has been tried, and has an answer.
    pub(super) fn was_tried(&self, setting: &Setting) {
        if setting.place.is_some() {
            if let Some(queue) = self.line.lock().queues.get_mut(&setting.inode) {
                queue.trying = false;
            }
            self.changed.notify_one();
        }
    }

    /// Has an operation carried out by another thread; given back if the mount has ended.
    pub(super) fn carry_out(&self, admitted: Admitted<'static>) -> Option<Admitted<'static>> {
        let mut line = self.line.lock();
        if line.closed {
            return Some(admitted);
        }
        line.work.push_back(admitted);
        self.changed.notify_one();
        None
    }

    /// Takes a request out of the line that was answered by somebody else.
    pub(crate) fn give_up(&self, unique: Unique) {
        if !self.are_kept() {
            return;
        }
        let given_up = {
            let mut line = self.line.lock();
            line.queues.values_mut().find_map(|queue| {
                let of_it = |(_, (setting, _)): &(&u64, &(Setting, Responder))| {
                    setting.context.unique == unique
                };
                let number = *queue.waiting.iter().find(of_it)?.0;
                queue.waiting.remove(&number)
            })
        };
        if let Some((_, responder)) = given_up {
            WAITING.fetch_sub(1, Ordering::SeqCst);
            let _nobody_waits = responder.answer(Err(Errno::EINTR));
        }
    }

    /// The next operation for the file system; waits for it. `None`: the mount has ended.
    fn next(&self) -> Option<Admitted<'static>> {
        let mut line = self.line.lock();
        loop {
            if line.closed {
                return None;
            }
            if let Some(work) = line.work.pop_front() {
                return Some(work);
            }
            match line.next(Instant::now()) {
                Ok((setting, responder)) => {
                    drop(line);
                    WAITING.fetch_sub(1, Ordering::SeqCst);
                    return Some(self.tried_again(setting, responder));
                }
                Err(Some(time)) => {
                    self.changed.wait_until(&mut line, time);
                }
                Err(None) => self.changed.wait(&mut line),
            }
        }
    }

    fn tried_again(&self, mut setting: Setting, mut responder: Responder) -> Admitted<'static> {
        self.retries.fetch_add(1, Ordering::Relaxed);
        setting.releases = Self::releases(setting.inode);
        // who closed another descriptor of the file meanwhile waits all the same
        self.owners.note(setting.inode, setting.owner, setting.handle);
        let (context, operation): (_, Operation<'static>) = (setting.context, setting.operation());
        responder.set_waits(false);
        responder.set_lock_step(LockStep::Setting(setting));
        Admitted { context, operation, responder }
    }

    /// Answers EIO to all who wait, and ends the thread.
    pub(crate) fn close(&self) {
        let (waiting, work) = {
            let mut line = self.line.lock();
            line.closed = true;
            self.changed.notify_all();
            let queues = std::mem::take(&mut line.queues).into_values();
            let waiting: Vec<_> = queues.flat_map(|queue| queue.waiting.into_values()).collect();
            (waiting, std::mem::take(&mut line.work))
        };
        WAITING.fetch_sub(waiting.len(), Ordering::SeqCst);
        let responders = waiting.into_iter().map(|(_, responder)| responder);
        let unlocking = work.into_iter().map(|work| work.responder.without_lock_step());
        for responder in responders.chain(unlocking) {
            let _nobody_waits = responder.answer(Err(Errno::EIO));
        }
    }

    /// The numbers of those who wait.
    pub(crate) fn statistics(&self) -> LockStatistics {
        let waiting =
            self.line.lock().queues.values().map(|queue| queue.waiting.len()).sum::<usize>();
        LockStatistics {
            waiting,
            waited: self.waited.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }
}

/// Starts the thread of a mount whose file system keeps locks; `None` if it keeps none.
/// [`Locks::close`] ends it.
pub(crate) fn spawn(served: &Arc<Served>) -> io::Result<Option<JoinHandle<()>>> {
    if !super::are_kept(&served.properties) {
        return Ok(None);
    }
    let for_thread = Arc::clone(served);
    let thread = thread::Builder::new().name("fusesg-locks".into()).spawn(move || {
        let connection = &for_thread.connection;
        while let Some(admitted) = connection.locks.next() {
            connection.admission.carry_out(&for_thread, admitted);
        }
    })?;
    served.connection.locks.kept.store(true, Ordering::Relaxed);
    let mut mounts = MOUNTS.lock();
    mounts.retain(|served| served.strong_count() > 0);
    mounts.push(Arc::downgrade(served));
    Ok(Some(thread))
}
