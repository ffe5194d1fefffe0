//! A pool for each size of buffer, so that a page does not cost a megabyte.

use std::sync::Arc;

use crate::{PAGE_SIZE, PagePool, PoolStatistics};

/// Pages of a medium buffer: what the kernel reads ahead by default, and all that a request
/// could have when requests had a fixed number of pages.
const MEDIUM_PAGES: usize = 32;

/// Idle buffers that are kept of each size, and those of them that stay when trimmed.
const PAGE_MARKS: (usize, usize) = (8, 512);
const MEDIUM_MARKS: (usize, usize) = (0, 16);
const LARGE_MARKS: (usize, usize) = (0, 16);

/// Pools of pages, of medium and of the largest buffers that are needed.
#[derive(Debug)]
pub struct PagePools {
    /// From the smallest to the largest.
    pools: Vec<Arc<PagePool>>,
}

impl PagePools {
    /// Pools for buffers of up to `largest` bytes; more is allocated when asked for, and
    /// freed after use.
    pub fn new(largest: usize) -> Self {
        let sizes = [
            (PAGE_SIZE, PAGE_MARKS),
            (MEDIUM_PAGES * PAGE_SIZE, MEDIUM_MARKS),
            (largest, LARGE_MARKS),
        ];
        let needed = |size| size == PAGE_SIZE || size == largest || size < largest;
        let mut pools = Vec::new();
        for (size, (low, high)) in sizes {
            if needed(size)
                && pools.last().is_none_or(|last: &Arc<PagePool>| last.buffer_size() < size)
            {
                pools.push(PagePool::with_marks(size, low, high));
            }
        }
        Self { pools }
    }

    /// The pool of single pages.
    pub fn pages(&self) -> &Arc<PagePool> {
        &self.pools[0]
    }

    /// The pool with the smallest buffers that hold `bytes` bytes, or with the largest.
    pub fn for_bytes(&self, bytes: u64) -> &Arc<PagePool> {
        let fitting = self.pools.iter().find(|pool| bytes <= pool.buffer_size() as u64);
        fitting.unwrap_or_else(|| &self.pools[self.pools.len() - 1])
    }

    /// Frees idle buffers of all sizes down to their low-water marks.
    pub fn trim(&self) {
        for pool in &self.pools {
            pool.trim();
        }
    }

    /// The numbers of all sizes together.
    pub fn statistics(&self) -> PoolStatistics {
        let mut sum = PoolStatistics::default();
        for pool in &self.pools {
            sum += pool.statistics();
        }
        sum
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn sizes(pools: &PagePools) -> Vec<usize> {
        pools.pools.iter().map(|pool| pool.buffer_size()).collect()
    }

    #[test]
    fn sizes_ascend_up_to_the_largest() {
        let medium = MEDIUM_PAGES * PAGE_SIZE;
        assert_eq!(sizes(&PagePools::new(1_044_480)), [PAGE_SIZE, medium, 1_044_480]);
        assert_eq!(sizes(&PagePools::new(medium)), [PAGE_SIZE, medium]);
        assert_eq!(sizes(&PagePools::new(2 * PAGE_SIZE)), [PAGE_SIZE, 2 * PAGE_SIZE]);
        for smallest in [0, 1, PAGE_SIZE] {
            assert_eq!(sizes(&PagePools::new(smallest)), [PAGE_SIZE]);
        }
    }

    #[test]
    fn each_length_has_the_smallest_buffer_that_holds_it() {
        let pools = PagePools::new(1_044_480);
        let size = |bytes| pools.for_bytes(bytes).buffer_size();
        assert_eq!([0, 1, 4096].map(size), [PAGE_SIZE; 3]);
        assert_eq!([4097, 131_072].map(size), [131_072; 2]);
        assert_eq!([131_073, 1_044_480, u64::MAX].map(size), [1_044_480; 3]);
    }

    #[test]
    fn the_numbers_of_all_sizes_add_up() {
        let pools = PagePools::new(1_044_480);
        let lent = [1, 5000, 1_000_000].map(|bytes| pools.for_bytes(bytes).take().expect("memory"));
        assert_eq!(pools.statistics().bytes_resident, 4096 + 131_072 + 1_044_480);
        drop(lent);
        assert_eq!(pools.statistics().bytes_idle, pools.statistics().bytes_resident);
        pools.trim();
        assert_eq!(pools.statistics().bytes_resident, 4096);
        assert_eq!(pools.statistics().misses, 3);
    }
}
