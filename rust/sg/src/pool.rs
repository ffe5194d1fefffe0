//! Page-aligned buffers that are reused, so that a reply costs no page fault.

use std::ops::{AddAssign, Deref, DerefMut};
use std::sync::Arc;

use crate::OutOfMemory;
use crate::sync::Mutex;
use crate::sys::Pages;

/// A bounded stack of page-aligned, prefaulted buffers of one size, shared by threads.
///
/// Last returned, first taken: the buffer that is still in the CPU's cache. What more than
/// the *high-water mark* would stay idle is freed at once; [`trim`](Self::trim), for when
/// nothing is going on, frees what is more than the *low-water mark*.
///
/// A buffer that was used before holds what was left in it.
#[derive(Debug)]
pub struct PagePool {
    buffer_size: usize,
    low_water: usize,
    high_water: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Pages>,
    /// Buffers that exist, lent ones included, and the most that ever did.
    resident: usize,
    peak: usize,
    hits: u64,
    misses: u64,
}

/// Numbers of a [`PagePool`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatistics {
    /// Buffers that were taken from the pool.
    pub hits: u64,
    /// Buffers that had to be allocated.
    pub misses: u64,
    /// Bytes of all buffers that exist now, lent or idle.
    pub bytes_resident: u64,
    /// The most of those that ever existed at a time; of several pools the sum of each one's.
    pub bytes_peak: u64,
    /// Bytes of the buffers that are idle.
    pub bytes_idle: u64,
    /// Bytes that [`trim`](PagePool::trim) leaves idle at most.
    pub bytes_low_water: u64,
}

impl AddAssign for PoolStatistics {
    fn add_assign(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.bytes_resident += other.bytes_resident;
        self.bytes_peak += other.bytes_peak;
        self.bytes_idle += other.bytes_idle;
        self.bytes_low_water += other.bytes_low_water;
    }
}

impl PagePool {
    /// A pool of buffers of `buffer_size` bytes that keeps at most `high_water` idle ones,
    /// and none when trimmed.
    pub fn new(buffer_size: usize, high_water: usize) -> Arc<Self> {
        Self::with_marks(buffer_size, 0, high_water)
    }

    /// A pool of buffers of `buffer_size` bytes that keeps at most `high_water` idle ones,
    /// and `low_water` when trimmed.
    pub fn with_marks(buffer_size: usize, low_water: usize, high_water: usize) -> Arc<Self> {
        let low_water = low_water.min(high_water);
        Arc::new(Self { buffer_size, low_water, high_water, state: Mutex::default() })
    }

    /// Bytes of each buffer.
    pub fn buffer_size(&self) -> usize {
        self.buffer_size
    }

    /// A buffer for one request.
    pub fn take(self: &Arc<Self>) -> Result<PooledBuffer, OutOfMemory> {
        let reused = {
            let mut state = self.state.lock();
            let reused = state.idle.pop();
            state.account_taken(1, usize::from(reused.is_some()));
            reused
        };
        let pages = match reused {
            Some(pages) => pages,
            None => self.allocate().inspect_err(|_| self.state.lock().resident -= 1)?,
        };
        Ok(PooledBuffer { pages: Some(pages), pool: Arc::clone(self) })
    }

    /// `count` buffers, or none: the pool is locked once for all of them.
    pub fn take_many(self: &Arc<Self>, count: usize) -> Result<Vec<PooledBuffer>, OutOfMemory> {
        // both before anything is taken: nothing is to be put back if they cannot be had
        let mut buffers = Vec::new();
        buffers.try_reserve_exact(count).map_err(|_| OutOfMemory)?;
        let mut reused = Vec::new();
        reused.try_reserve_exact(count.min(self.high_water)).map_err(|_| OutOfMemory)?;
        {
            let mut state = self.state.lock();
            let kept = state.idle.len().saturating_sub(count);
            reused.extend(state.idle.drain(kept..));
            state.account_taken(count, reused.len());
        }
        let lend = |pages| PooledBuffer { pages: Some(pages), pool: Arc::clone(self) };
        buffers.extend(reused.into_iter().rev().map(lend));
        while buffers.len() < count {
            match self.allocate() {
                Ok(pages) => buffers.push(lend(pages)),
                Err(error) => {
                    // those in `buffers` go back by themselves
                    self.state.lock().resident -= count - buffers.len();
                    return Err(error);
                }
            }
        }
        Ok(buffers)
    }

    /// A buffer for `length` bytes: one of the pool's, or, for more than those hold, one of
    /// that size which is freed after use and is no part of `bytes_resident`.
    pub fn take_at_least(self: &Arc<Self>, length: usize) -> Result<PooledBuffer, OutOfMemory> {
        if length <= self.buffer_size {
            return self.take();
        }
        self.state.lock().misses += 1;
        Ok(PooledBuffer { pages: Some(Pages::allocate(length)?), pool: Arc::clone(self) })
    }

    /// Frees idle buffers down to the low-water mark.
    pub fn trim(&self) {
        let freed = {
            let mut state = self.state.lock();
            if state.idle.len() <= self.low_water {
                return;
            }
            // the bottom of the stack has been idle longest
            let excess = state.idle.len() - self.low_water;
            state.note_peak();
            state.resident -= excess;
            let kept = state.idle.split_off(excess);
            std::mem::replace(&mut state.idle, kept)
        };
        // given back to the system while nobody waits for the lock
        drop(freed);
    }

    /// The numbers.
    pub fn statistics(&self) -> PoolStatistics {
        let mut state = self.state.lock();
        state.note_peak();
        let bytes = |buffers: usize| (buffers as u64).saturating_mul(self.buffer_size as u64);
        PoolStatistics {
            hits: state.hits,
            misses: state.misses,
            bytes_resident: bytes(state.resident),
            bytes_peak: bytes(state.peak),
            bytes_idle: bytes(state.idle.len()),
            bytes_low_water: bytes(self.low_water),
        }
    }

    fn allocate(&self) -> Result<Pages, OutOfMemory> {
        Pages::allocate(self.buffer_size)
    }

    /// Keeps a buffer for the next request, or frees it.
    fn put_back(&self, pages: Pages) {
        let mut state = self.state.lock();
        // a stack that cannot grow is as full as one at its mark
        if state.idle.len() < self.high_water && state.idle.try_reserve(1).is_ok() {
            state.idle.push(pages);
        } else {
            state.note_peak();
            state.resident -= 1;
            drop(state);
            drop(pages);
        }
    }
}

impl State {
    /// Notes how many there were, before there are fewer. Not when buffers are taken: then it
    /// is not known yet whether they can be had.
    fn note_peak(&mut self) {
        self.peak = self.peak.max(self.resident);
    }

    /// Counts `count` buffers, of which `hits` were there already.
    fn account_taken(&mut self, count: usize, hits: usize) {
        self.hits += hits as u64;
        self.misses += (count - hits) as u64;
        self.resident += count - hits;
    }
}

/// A page-aligned buffer that goes back to its pool when dropped.
#[derive(Debug)]
pub struct PooledBuffer {
    pages: Option<Pages>,
    pool: Arc<PagePool>,
}

impl Deref for PooledBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.pages.as_ref().expect("present until dropped")
    }
}

impl DerefMut for PooledBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.pages.as_mut().expect("present until dropped")
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        // one that was larger than the pool's was never part of it
        if let Some(pages) = self.pages.take()
            && pages.len() == self.pool.buffer_size
        {
            self.pool.put_back(pages);
        }
    }
}
