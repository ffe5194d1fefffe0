//! Which requests are being served: who asked, since when, and who may answer.
//!
//! A table of atomics: beginning and ending a request is two read-modify-writes on a
//! cache line that usually belongs to the serving thread alone; nothing is allocated
//! and nothing is locked. A responder may end its request on any thread.
//!
//! The table also decides who answers. A slot's state holds the request's number and a
//! phase; the callback's answer and the [sweeper](crate::sweeper) each try to move it
//! from pending, and exactly one of them succeeds. Request numbers are never reused
//! while a mount lives, so a late attempt can never hit the slot's next request.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use fusesg_fs::{Inode, OperationKind, Unique};
use fusesg_sg::thread_number;

use crate::clock;
use crate::metrics::Started;
use crate::threads::this_thread;

const SLOTS_PER_CHUNK: usize = 64;
/// 64 times this many requests are tracked at the same time; more are served untracked.
const CHUNKS: usize = 512;
/// Threads start looking for a free slot in chunks of their own, up to this many.
const HOME_CHUNKS: usize = 8;

/// The requests being served by one mount.
pub(crate) struct InFlight {
    chunks: Box<[OnceLock<Box<Chunk>>; CHUNKS]>,
    /// Chunks that were ever used are below this index.
    used: AtomicUsize,
}

/// Aligned to two cache lines: the CPU prefetches lines in pairs.
#[repr(align(128))]
struct Chunk {
    occupied: AtomicU64,
    slots: [Slot; SLOTS_PER_CHUNK],
}

struct Slot {
    /// `unique << 2 | phase`, 0 while the slot is free.
    state: AtomicU64,
    /// [`Started::to_bits`].
    started: AtomicU64,
    /// `kind << 32 | pid`
    caller: AtomicU64,
    /// The file it is about, and which part of it.
    inode: AtomicU64,
    offset: AtomicU64,
    size: AtomicU32,
    /// The thread that carries it out, 0 if that is none that can be told.
    thread: AtomicU32,
    reported_slow: AtomicBool,
    waits: AtomicBool,
}

impl Slot {
    const fn free() -> Self {
        Self {
            state: AtomicU64::new(0),
            started: AtomicU64::new(0),
            caller: AtomicU64::new(0),
            inode: AtomicU64::new(0),
            offset: AtomicU64::new(0),
            size: AtomicU32::new(0),
            thread: AtomicU32::new(0),
            reported_slow: AtomicBool::new(false),
            waits: AtomicBool::new(false),
        }
    }
}

const PENDING: u64 = 0;
const ANSWERED: u64 = 1;
const CANCELLED: u64 = 2;

fn state(unique: Unique, phase: u64) -> u64 {
    unique.0 << 2 | phase
}

/// A place in the table; `None` inside when the table was full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    index: Option<u32>,
    pub(crate) started: Started,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) unique: Unique,
    pub(crate) kind: OperationKind,
    /// Thread number of the caller.
    pub(crate) pid: u32,
    pub(crate) inode: Inode,
    /// Where it reads or writes, and how much.
    pub(crate) offset: u64,
    pub(crate) size: u32,
}

/// A request as the sweeper sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(crate) ticket: Ticket,
    pub(crate) unique: Unique,
    pub(crate) kind: OperationKind,
    pub(crate) pid: u32,
    pub(crate) inode: Inode,
    /// Where it reads or writes, and how much.
    pub(crate) offset: u64,
    pub(crate) size: u32,
    /// Who carries it out, 0 if that cannot be told.
    pub(crate) thread: u32,
    pub(crate) age: Duration,
    /// It waits for another program, and may do so for ever.
    pub(crate) waits: bool,
}

impl InFlight {
    pub(crate) fn new() -> Self {
        Self { chunks: Box::new([const { OnceLock::new() }; CHUNKS]), used: AtomicUsize::new(0) }
    }

    /// Enters a request.
    pub(crate) fn begin(&self, subject: Subject, started: Started) -> Ticket {
        let Subject { unique, kind, pid, inode, offset, size } = subject;
        let home = thread_number() % HOME_CHUNKS;
        for distance in 0..CHUNKS {
            let chunk_index = (home + distance) % CHUNKS;
            let chunk = self.chunk(chunk_index);
            let Some(slot_index) = chunk.acquire() else { continue };
            let slot = &chunk.slots[slot_index];
            slot.started.store(started.to_bits(), Ordering::Relaxed);
            slot.caller.store((kind as u64) << 32 | u64::from(pid), Ordering::Relaxed);
            slot.inode.store(inode.0, Ordering::Relaxed);
            slot.offset.store(offset, Ordering::Relaxed);
            slot.size.store(size, Ordering::Relaxed);
            slot.thread.store(0, Ordering::Relaxed);
            slot.reported_slow.store(false, Ordering::Relaxed);
            slot.waits.store(false, Ordering::Relaxed);
            slot.state.store(state(unique, PENDING), Ordering::Release);
            let index = u32::try_from(chunk_index * SLOTS_PER_CHUNK + slot_index).ok();
            return Ticket { index, started };
        }
        Ticket { index: None, started }
    }

    /// Takes the right to answer for the callback; `false` if the request was answered
    /// without it.
    pub(crate) fn claim(&self, ticket: Ticket, unique: Unique) -> bool {
        self.move_on(ticket, unique, ANSWERED)
    }

    /// Takes the right to answer for the sweeper.
    pub(crate) fn cancel(&self, ticket: Ticket, unique: Unique) -> bool {
        ticket.index.is_some() && self.move_on(ticket, unique, CANCELLED)
    }

    fn move_on(&self, ticket: Ticket, unique: Unique, phase: u64) -> bool {
        self.slot(ticket).is_none_or(|slot| {
            slot.state
                .compare_exchange(
                    state(unique, PENDING),
                    state(unique, phase),
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
        })
    }

    /// Whether the sweeper answered.
    pub(crate) fn is_cancelled(&self, ticket: Ticket, unique: Unique) -> bool {
        self.slot(ticket)
            .is_some_and(|slot| slot.state.load(Ordering::Acquire) == state(unique, CANCELLED))
    }

    /// Whether this is the first time the request is reported as slow.
    pub(crate) fn report_slow_once(&self, ticket: Ticket) -> bool {
        self.slot(ticket).is_some_and(|slot| !slot.reported_slow.swap(true, Ordering::Relaxed))
    }

    /// This thread carries a request out from now on.
    pub(crate) fn set_thread(&self, ticket: Ticket) {
        if let Some(slot) = self.slot(ticket) {
            slot.thread.store(this_thread(), Ordering::Relaxed);
        }
    }

    /// A request waits for that thread; for none, if it is 0. The one that carried it out is
    /// free for others.
    pub(crate) fn leave_to(&self, ticket: Ticket, thread: u32) {
        if let Some(slot) = self.slot(ticket) {
            slot.thread.store(thread, Ordering::Relaxed);
        }
    }

    /// Whether a request waits for another program, and so for no thread of ours. When it does
    /// so no longer, its age is counted anew.
    pub(crate) fn set_waits(&self, ticket: Ticket, waits: bool) {
        if let Some(slot) = self.slot(ticket) {
            if waits {
                slot.thread.store(0, Ordering::Relaxed);
            } else {
                slot.started.store(Started::untimed(clock::now()).to_bits(), Ordering::Relaxed);
            }
            slot.waits.store(waits, Ordering::Release);
        }
    }

    /// Removes a request.
    pub(crate) fn end(&self, ticket: Ticket) {
        if let Some(index) = ticket.index
            && let Some(chunk) = self.chunks[index as usize / SLOTS_PER_CHUNK].get()
        {
            let slot_index = index as usize % SLOTS_PER_CHUNK;
            chunk.slots[slot_index].state.store(0, Ordering::Release);
            chunk.occupied.fetch_and(!(1 << slot_index), Ordering::Release);
        }
    }

    /// Requests being served now, and those that were answered and whose callbacks still run.
    pub(crate) fn count(&self) -> usize {
        self.used_chunks().map(|(_, chunk)| chunk.occupied().count_ones() as usize).sum()
    }

    /// Whether no request is being served.
    pub(crate) fn is_empty(&self) -> bool {
        self.used_chunks().all(|(_, chunk)| chunk.occupied() == 0)
    }

    /// The requests that nobody has answered yet, a snapshot.
    pub(crate) fn pending(&self) -> impl Iterator<Item = Pending> {
        self.in_phase(PENDING)
    }

    /// The requests that the sweeper has answered and whose callbacks still run.
    pub(crate) fn cancelled(&self) -> impl Iterator<Item = Pending> {
        self.in_phase(CANCELLED)
    }

    fn in_phase(&self, phase: u64) -> impl Iterator<Item = Pending> {
        let now = clock::now();
        self.used_chunks().flat_map(move |(chunk_index, chunk)| {
            let occupied = chunk.occupied();
            (0..SLOTS_PER_CHUNK).filter(move |slot| occupied & (1 << slot) != 0).filter_map(
                move |slot_index| chunk.slots[slot_index].read(chunk_index, slot_index, now, phase),
            )
        })
    }

    fn used_chunks(&self) -> impl Iterator<Item = (usize, &Chunk)> {
        let used = self.used.load(Ordering::SeqCst);
        self.chunks[..used].iter().enumerate().filter_map(|(i, chunk)| Some((i, &**chunk.get()?)))
    }

    fn chunk(&self, index: usize) -> &Chunk {
        self.chunks[index].get_or_init(|| {
            self.used.fetch_max(index + 1, Ordering::SeqCst);
            Box::new(Chunk {
                occupied: AtomicU64::new(0),
                slots: [const { Slot::free() }; SLOTS_PER_CHUNK],
            })
        })
    }

    fn slot(&self, ticket: Ticket) -> Option<&Slot> {
        let index = ticket.index? as usize;
        Some(&self.chunks[index / SLOTS_PER_CHUNK].get()?.slots[index % SLOTS_PER_CHUNK])
    }
}

impl Chunk {
    fn occupied(&self) -> u64 {
        // ordered after the sweeper's own announcement that it goes to sleep, and before
        // a request's check whether it sleeps (see sweeper.rs)
        self.occupied.load(Ordering::SeqCst)
    }

    fn acquire(&self) -> Option<usize> {
        loop {
            let free = !self.occupied.load(Ordering::Relaxed);
            if free == 0 {
                return None;
            }
            let slot = free.trailing_zeros() as usize;
            let bit = 1 << slot;
            if self.occupied.fetch_or(bit, Ordering::SeqCst) & bit == 0 {
                return Some(slot);
            }
        }
    }
}

impl Slot {
    fn read(&self, chunk_index: usize, slot_index: usize, now: u64, phase: u64) -> Option<Pending> {
        let before = self.state.load(Ordering::Acquire);
        let started = Started::from_bits(self.started.load(Ordering::Acquire));
        let caller = self.caller.load(Ordering::Acquire);
        let inode = Inode(self.inode.load(Ordering::Acquire));
        let offset = self.offset.load(Ordering::Acquire);
        let size = self.size.load(Ordering::Acquire);
        let thread = self.thread.load(Ordering::Acquire);
        let waits = self.waits.load(Ordering::Acquire);
        // another request moved in meanwhile: too young to matter
        if before == 0 || before & 3 != phase || self.state.load(Ordering::Relaxed) != before {
            return None;
        }
        let kind = *OperationKind::ALL.get(usize::try_from(caller >> 32).ok()?)?;
        let index = u32::try_from(chunk_index * SLOTS_PER_CHUNK + slot_index).ok();
        Some(Pending {
            ticket: Ticket { index, started },
            unique: Unique(before >> 2),
            kind,
            pid: u32::try_from(caller & u64::from(u32::MAX)).ok()?,
            inode,
            offset,
            size,
            thread,
            age: Duration::from_nanos(now.saturating_sub(started.at())),
            waits,
        })
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pending()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(unique: u64, kind: OperationKind, pid: u32) -> Subject {
        Subject { unique: Unique(unique), kind, pid, inode: Inode(9), offset: 5, size: 6 }
    }

    #[test]
    fn one_answer_per_request() {
        let table = InFlight::new();
        let ticket = table.begin(request(4, OperationKind::Read, 7), Started::now());
        assert_eq!(table.count(), 1);
        assert!(table.cancel(ticket, Unique(4)));
        assert!(!table.claim(ticket, Unique(4)));
        assert!(table.is_cancelled(ticket, Unique(4)));
        assert_eq!(table.cancelled().map(|request| request.unique).next(), Some(Unique(4)));
        table.end(ticket);
        assert!(table.is_empty());
        let next = table.begin(request(6, OperationKind::Write, 7), Started::now());
        assert!(!table.cancel(ticket, Unique(4)), "an old ticket does not reach the next request");
        assert!(table.claim(next, Unique(6)));
    }

    #[test]
    fn pending_tells_who_asked() {
        let table = InFlight::new();
        let tickets: Vec<_> = (1..=200)
            .map(|n| table.begin(request(n * 2, OperationKind::Getattr, 33), Started::now()))
            .collect();
        assert_eq!(table.count(), 200);
        let mut seen: Vec<_> = table.pending().map(|pending| pending.unique.0).collect();
        seen.sort_unstable();
        assert_eq!(seen, (1..=200).map(|n| n * 2).collect::<Vec<_>>());
        assert!(table.pending().all(|p| p.pid == 33 && p.kind == OperationKind::Getattr));
        assert!(table.pending().all(|p| (p.inode, p.offset, p.size) == (Inode(9), 5, 6)));
        assert!(table.pending().all(|p| p.thread == 0));
        table.set_thread(tickets[7]);
        let threads: Vec<_> = table.pending().map(|p| p.thread).filter(|id| *id != 0).collect();
        assert_eq!(threads, [this_thread()]);
        table.leave_to(tickets[7], 0);
        assert!(table.pending().all(|p| p.thread == 0));
        table.set_thread(tickets[8]);
        table.set_waits(tickets[8], true);
        assert!(table.pending().all(|p| p.thread == 0), "it waits, and the thread does not");
        for ticket in tickets {
            table.end(ticket);
        }
        assert!(table.is_empty());
    }

    #[test]
    fn a_full_table_serves_untracked() {
        let table = InFlight::new();
        let all = (CHUNKS * SLOTS_PER_CHUNK) as u64;
        for number in 0..all {
            table.begin(request(number + 1, OperationKind::Read, 1), Started::now());
        }
        let extra = table.begin(request(all + 1, OperationKind::Read, 1), Started::now());
        assert!(!table.cancel(extra, Unique(all + 1)));
        assert!(table.claim(extra, Unique(all + 1)));
        table.end(extra);
        assert_eq!(table.count() as u64, all);
    }
}
