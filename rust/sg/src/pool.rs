//! Page-aligned buffers that are reused, so that a reply costs no page fault.

use std::collections::TryReserveError;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::sys::Pages;

/// A bounded stack of page-aligned buffers, shared by the serving threads.
///
/// Last returned, first taken: the buffer that is still in the CPU's cache.
#[derive(Debug)]
pub struct PagePool {
    buffer_size: usize,
    high_water: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Pages>,
    statistics: PoolStatistics,
}

/// Counters of a [`PagePool`] since its creation.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolStatistics {
    /// Buffers that were taken from the pool.
    pub hits: u64,
    /// Buffers that had to be allocated.
    pub misses: u64,
    /// Bytes that idle buffers hold now.
    pub bytes_idle: u64,
}

impl PagePool {
    /// A pool of buffers of `buffer_size` bytes that keeps at most `high_water` idle ones.
    pub fn new(buffer_size: usize, high_water: usize) -> Arc<Self> {
        Arc::new(Self { buffer_size, high_water, state: Mutex::default() })
    }

    /// A buffer for `length` bytes: one of the pool's, or, for more than those hold, one of
    /// that size which is freed after use.
    pub fn take_at_least(self: &Arc<Self>, length: usize) -> Result<PooledBuffer, TryReserveError> {
        if length <= self.buffer_size {
            return self.take();
        }
        self.state.lock().statistics.misses += 1;
        Ok(PooledBuffer { pages: Some(Pages::allocate(length)?), pool: Arc::clone(self) })
    }

    /// A buffer for one request.
    pub fn take(self: &Arc<Self>) -> Result<PooledBuffer, TryReserveError> {
        let reused = {
            let mut state = self.state.lock();
            let reused = state.idle.pop();
            if reused.is_some() {
                state.statistics.hits += 1;
                state.statistics.bytes_idle -= self.buffer_size as u64;
            } else {
                state.statistics.misses += 1;
            }
            reused
        };
        let pages = match reused {
            Some(pages) => pages,
            None => Pages::allocate(self.buffer_size)?,
        };
        Ok(PooledBuffer { pages: Some(pages), pool: Arc::clone(self) })
    }

    /// Counters since creation.
    pub fn statistics(&self) -> PoolStatistics {
        self.state.lock().statistics
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
        if self.len() != self.pool.buffer_size {
            return;
        }
        let mut state = self.pool.state.lock();
        if state.idle.len() < self.pool.high_water {
            state.statistics.bytes_idle += self.pool.buffer_size as u64;
            state.idle.extend(self.pages.take());
        }
    }
}
