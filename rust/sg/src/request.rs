//! Requests: a slot, a page vector sized by need, and one request in reserve.
//!
//! ```text
//!                        pages ≤ INLINE_PAGES: arrays are part of the request
//!  allocate(pages) ──►   more: two arrays on the heap, both or neither
//!                                    │
//!  max_requests slots ◄── dropped: arrays freed and the slot returned, together
//!  1 reserved request ◄── dropped: handed to whoever waits for it
//! ```
//! The slots bound how much is in progress at a time. What must go on when all of them are
//! taken, and must never fail for memory, uses the reserved request: it has no pages, and so
//! nothing to allocate. It serves one user at a time; others wait for it.
//! (Patlasov 2012, "fuse: general infrastructure for pages[] of variable size" and
//! "fuse: categorize fuse_get_req()".)
//!
//! A free slot costs its taker one compare-and-swap, and returning it one addition, on cache
//! lines that a thread usually has to itself: slots and counters are spread over shares, and
//! a thread goes to another's share only when its own is empty.

use std::fmt;
use std::sync::Arc;

use crate::page_vector::{INLINE_PAGES, OutOfMemory, PageVector};
use crate::sync::{
    AtomicU64, AtomicUsize, Condvar, Mutex, Ordering, SHARDS, home_shard, order_for_the_model,
};

/// Where requests come from. Shared by all threads of a mount or a client.
#[derive(Debug)]
pub struct RequestAllocator {
    max_requests: usize,
    shares: [Share; SHARDS],
    /// Threads that are in line for a slot.
    waiting: AtomicUsize,
    waits: AtomicU64,
    failures: AtomicU64,
    line: Mutex<Line>,
    slot_freed: Condvar,
    reserved: Mutex<Reserved>,
    reserved_freed: Condvar,
}

/// Some of the slots, and the numbers of the requests in them.
#[repr(align(128))]
#[derive(Debug)]
struct Share {
    free: AtomicUsize,
    allocated: AtomicU64,
    heap: AtomicU64,
    pages_requested: AtomicU64,
    pages_used: AtomicU64,
}

/// Turns, numbered in the order in which threads came for them: whoever comes later cannot
/// be quicker than whoever waits, so nobody waits for ever.
#[derive(Debug, Default)]
struct Line {
    /// Turns that were given out.
    given: u64,
    /// Turns that are over: the number of the one whose turn it is.
    over: u64,
}

impl Line {
    /// A turn behind all others.
    fn join(&mut self) -> u64 {
        self.given += 1;
        self.given - 1
    }

    fn is_empty(&self) -> bool {
        self.given == self.over
    }
}

/// Who has the reserved request, and who waits for it: the turn is over when it is returned.
#[derive(Debug, Default)]
struct Reserved {
    line: Line,
    waits: u64,
}

impl Reserved {
    fn in_use(&self) -> bool {
        !self.line.is_empty()
    }

    fn uses(&self) -> u64 {
        self.line.over + u64::from(self.in_use())
    }
}

/// Why there is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocateError {
    /// All slots are taken.
    Exhausted,
    /// There is no memory for the page vector.
    OutOfMemory,
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted => f.write_str("as many requests as allowed are in progress"),
            Self::OutOfMemory => OutOfMemory.fmt(f),
        }
    }
}

impl std::error::Error for AllocateError {}

impl From<OutOfMemory> for AllocateError {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// Numbers of a [`RequestAllocator`]. They are counted one by one while requests come and
/// go, and agree with each other once nothing does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestStatistics {
    /// Requests that were given a slot.
    pub allocated: u64,
    /// Requests in use now, the reserved one included.
    pub outstanding: u64,
    /// Requests with a slot whose arrays were part of them.
    pub inline: u64,
    /// Requests with a slot whose arrays were on the heap.
    pub heap: u64,
    /// Pages that requests had room for.
    pub pages_requested: u64,
    /// Pages that they had in the end.
    pub pages_used: u64,
    /// Uses of the reserved request.
    pub reserved_uses: u64,
    /// Times that somebody had to wait for a slot or for the reserved request.
    pub waits: u64,
    /// Requests that failed for memory.
    pub failures: u64,
}

impl RequestAllocator {
    /// An allocator with `max_requests` slots, at least one, and the reserved request.
    pub fn new(max_requests: usize) -> Arc<Self> {
        let max_requests = max_requests.max(1);
        let slots_of = |index| max_requests / SHARDS + usize::from(index < max_requests % SHARDS);
        Arc::new(Self {
            max_requests,
            shares: std::array::from_fn(|index| Share::new(slots_of(index))),
            waiting: AtomicUsize::new(0),
            waits: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            line: Mutex::new(Line::default()),
            slot_freed: Condvar::default(),
            reserved: Mutex::new(Reserved::default()),
            reserved_freed: Condvar::default(),
        })
    }

    /// How many requests may be in progress, besides the reserved one.
    pub fn max_requests(&self) -> usize {
        self.max_requests
    }

    /// A request with room for `pages` pages, if a slot is free that nobody waits for.
    ///
    /// # Errors
    /// [`AllocateError::Exhausted`] without such a slot, [`AllocateError::OutOfMemory`]
    /// without memory for the page vector. Neither keeps anything.
    pub fn try_allocate<T: Default>(
        self: &Arc<Self>,
        pages: usize,
    ) -> Result<Request<T>, AllocateError> {
        let slot = self.try_slot_in_turn().ok_or(AllocateError::Exhausted)?;
        Ok(self.fill(slot, pages)?)
    }

    /// A request with room for `pages` pages; waits until a slot is free, in the order of
    /// arrival.
    ///
    /// # Errors
    /// [`OutOfMemory`] without memory for the page vector. The slot is free again then.
    pub fn allocate<T: Default>(self: &Arc<Self>, pages: usize) -> Result<Request<T>, OutOfMemory> {
        let slot = self.try_slot_in_turn().unwrap_or_else(|| self.wait_for_slot());
        self.fill(slot, pages)
    }

    /// The reserved request, without pages. Waits for its users before; never fails.
    pub fn reserved<T: Default>(self: &Arc<Self>) -> Request<T> {
        let mut reserved = self.reserved.lock();
        if reserved.in_use() {
            reserved.waits += 1;
        }
        let turn = reserved.line.join();
        while reserved.line.over != turn {
            reserved = self.reserved_freed.wait(reserved);
        }
        self.without_pages(Slot::Reserved)
    }

    /// The reserved request, without pages, unless somebody uses it or waits for it.
    pub fn try_reserved<T: Default>(self: &Arc<Self>) -> Option<Request<T>> {
        let mut reserved = self.reserved.lock();
        if reserved.in_use() {
            return None;
        }
        reserved.line.join();
        Some(self.without_pages(Slot::Reserved))
    }

    /// A request without pages for what must not fail: one with a slot if there is one free,
    /// whoever waits for it, else the reserved one.
    pub fn allocate_nofail<T: Default>(self: &Arc<Self>) -> Request<T> {
        match self.try_slot() {
            Some(slot) => {
                self.shares[slot].count_allocated(0);
                self.without_pages(Slot::Share(slot))
            }
            None => self.reserved(),
        }
    }

    /// The numbers.
    pub fn statistics(&self) -> RequestStatistics {
        let sum = |counter: fn(&Share) -> &AtomicU64| -> u64 {
            self.shares.iter().map(|share| counter(share).load(Ordering::Relaxed)).sum()
        };
        let free: usize = self.shares.iter().map(|share| share.free.load(Ordering::Relaxed)).sum();
        let (allocated, heap) = (sum(|share| &share.allocated), sum(|share| &share.heap));
        let reserved = self.reserved.lock();
        RequestStatistics {
            allocated,
            outstanding: self.max_requests.saturating_sub(free) as u64
                + u64::from(reserved.in_use()),
            inline: allocated.saturating_sub(heap),
            heap,
            pages_requested: sum(|share| &share.pages_requested),
            pages_used: sum(|share| &share.pages_used),
            reserved_uses: reserved.uses(),
            waits: reserved.waits + self.waits.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    /// Takes a slot: the number of its share.
    fn try_slot(&self) -> Option<usize> {
        let home = home_shard();
        (0..SHARDS).map(|step| (home + step) % SHARDS).find(|share| self.shares[*share].take())
    }

    /// As [`try_slot`](Self::try_slot), but leaves slots to those who wait for them.
    fn try_slot_in_turn(&self) -> Option<usize> {
        if self.waiting.load(Ordering::Relaxed) == 0 { self.try_slot() } else { None }
    }

    fn wait_for_slot(&self) -> usize {
        let mut line = self.line.lock();
        let turn = line.join();
        self.waits.fetch_add(1, Ordering::Relaxed);
        // First say that somebody waits, then look for a slot; `put_back` returns the slot
        // and then looks whether somebody waits. One of the two sees the other.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        order_for_the_model();
        let slot = loop {
            if line.over == turn
                && let Some(slot) = self.try_slot()
            {
                break slot;
            }
            line = self.slot_freed.wait(line);
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        line.over += 1;
        if !line.is_empty() {
            // there may be a slot for the next one, too
            self.slot_freed.notify_all();
        }
        slot
    }

    fn put_back(&self, slot: Slot, pages_used: usize) {
        match slot {
            Slot::Share(index) => {
                let share = &self.shares[index];
                if pages_used != 0 {
                    share.pages_used.fetch_add(pages_used as u64, Ordering::Relaxed);
                }
                share.free.fetch_add(1, Ordering::SeqCst);
                order_for_the_model();
                if self.waiting.load(Ordering::SeqCst) != 0 {
                    // not between somebody's last look and the beginning of its sleep
                    let _line = self.line.lock();
                    // only one of them may take it, and which one nobody here knows
                    self.slot_freed.notify_all();
                }
            }
            Slot::Reserved => {
                let mut reserved = self.reserved.lock();
                reserved.line.over += 1;
                if reserved.in_use() {
                    self.reserved_freed.notify_all();
                }
            }
        }
    }

    /// The request of a slot that was taken.
    fn fill<T: Default>(
        self: &Arc<Self>,
        slot: usize,
        pages: usize,
    ) -> Result<Request<T>, OutOfMemory> {
        match PageVector::new(pages) {
            Ok(vector) => {
                self.shares[slot].count_allocated(pages);
                let lease = Lease::new(self, Slot::Share(slot));
                Ok(Request { pages: vector, lease })
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                self.put_back(Slot::Share(slot), 0);
                Err(error)
            }
        }
    }

    fn without_pages<T: Default>(self: &Arc<Self>, slot: Slot) -> Request<T> {
        Request { pages: PageVector::default(), lease: Lease::new(self, slot) }
    }
}

impl Share {
    fn new(slots: usize) -> Self {
        Self {
            free: AtomicUsize::new(slots),
            allocated: AtomicU64::new(0),
            heap: AtomicU64::new(0),
            pages_requested: AtomicU64::new(0),
            pages_used: AtomicU64::new(0),
        }
    }

    fn take(&self) -> bool {
        // what is loaded decides whether a thread sleeps: see `wait_for_slot`
        let mut free = self.free.load(Ordering::SeqCst);
        while let Some(rest) = free.checked_sub(1) {
            match self.free.compare_exchange_weak(free, rest, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => free = now,
            }
        }
        false
    }

    fn count_allocated(&self, pages: usize) {
        self.allocated.fetch_add(1, Ordering::Relaxed);
        if pages != 0 {
            self.pages_requested.fetch_add(pages as u64, Ordering::Relaxed);
        }
        if pages > INLINE_PAGES {
            self.heap.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A slot with the pages of one request. Dropped, it gives up its pages and then returns the
/// slot.
#[derive(Debug)]
pub struct Request<T> {
    /// The pages.
    pub pages: PageVector<T>,
    // after the pages: whoever gets the slot finds their memory free as well
    lease: Lease,
}

impl<T> Request<T> {
    /// Whether it is the reserved one.
    pub fn is_reserved(&self) -> bool {
        self.lease.slot == Slot::Reserved
    }
}

impl<T> AsMut<PageVector<T>> for Request<T> {
    fn as_mut(&mut self) -> &mut PageVector<T> {
        &mut self.pages
    }
}

impl<T> Drop for Request<T> {
    fn drop(&mut self) {
        self.lease.pages_used = self.pages.len();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// Of the share with this number.
    Share(usize),
    Reserved,
}

/// The right to be in progress.
#[derive(Debug)]
struct Lease {
    allocator: Arc<RequestAllocator>,
    slot: Slot,
    pages_used: usize,
}

impl Lease {
    fn new(allocator: &Arc<RequestAllocator>, slot: Slot) -> Self {
        Self { allocator: Arc::clone(allocator), slot, pages_used: 0 }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.allocator.put_back(self.slot, self.pages_used);
    }
}
