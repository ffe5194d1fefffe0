//! The page pool: alignment, reuse, bounds, the counters.

use fusesg_sg::{OutOfMemory, PAGE_SIZE, PagePool, PoolStatistics};
use proptest::prelude::*;

const PAGE: u64 = PAGE_SIZE as u64;

#[test]
fn buffers_start_on_a_page_and_are_zeroed_once() {
    let pool = PagePool::new(10_000, 1);
    let mut buffer = pool.take().unwrap();
    assert_eq!(buffer.as_ptr() as usize % PAGE_SIZE, 0);
    assert_eq!(buffer.len(), 10_000);
    assert!(buffer.iter().all(|byte| *byte == 0));
    buffer.fill(1);
    drop(buffer);
    assert!(pool.take().unwrap().iter().all(|byte| *byte == 1));
}

/// Page faults of the calling thread that needed no disk.
fn minor_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("/proc");
    // the fields after the name, which may hold anything; minflt is the tenth of all
    let fields = stat.rsplit_once(')').expect("a name").1;
    fields.split_whitespace().nth(7).and_then(|field| field.parse().ok()).expect("a number")
}

#[test]
fn buffers_are_faulted_in_before_they_are_lent() {
    const PAGES: usize = 512;
    let pool = PagePool::new(PAGES * PAGE_SIZE, 1);
    let mut buffer = pool.take().unwrap();
    let before = minor_faults();
    for page in buffer.chunks_mut(PAGE_SIZE) {
        page[0] = 1;
    }
    // the test's own code and stack may cause one or two
    assert!(minor_faults() - before < PAGES as u64 / 4);
}

#[test]
fn a_returned_buffer_is_the_next_one_taken() {
    let pool = PagePool::new(PAGE_SIZE, 4);
    let first = pool.take().unwrap();
    let address = first.as_ptr();
    drop(first);
    assert_eq!(pool.take().unwrap().as_ptr(), address);
    assert_eq!((pool.statistics().hits, pool.statistics().misses), (1, 1));
}

#[test]
fn no_more_than_the_high_water_mark_stays_idle() {
    let pool = PagePool::new(PAGE_SIZE, 2);
    let taken: Vec<_> = (0..5).map(|_| pool.take().unwrap()).collect();
    assert_eq!(pool.statistics().bytes_resident, 5 * PAGE);
    drop(taken);
    assert_eq!(pool.statistics().bytes_idle, 2 * PAGE);
    assert_eq!(pool.statistics().bytes_resident, 2 * PAGE);
}

#[test]
fn trimmed_it_shrinks_to_the_low_water_mark_and_lent_buffers_stay() {
    let pool = PagePool::with_marks(PAGE_SIZE, 1, 8);
    let lent = pool.take().unwrap();
    drop(pool.take_many(4).unwrap());
    pool.trim();
    let statistics = pool.statistics();
    assert_eq!(statistics.bytes_low_water, PAGE);
    assert_eq!((statistics.bytes_idle, statistics.bytes_resident), (PAGE, 2 * PAGE));
    pool.trim();
    assert_eq!(pool.statistics(), statistics);
    drop(lent);
    assert_eq!(pool.statistics().bytes_idle, 2 * PAGE);
}

#[test]
fn what_is_trimmed_goes_back_to_the_system() {
    let pool = PagePool::new(64 * PAGE_SIZE, 1);
    let buffer = pool.take().unwrap();
    let at = buffer.as_ptr() as u64;
    let is_mapped = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().any(|line| {
            let (start, rest) = line.split_once('-').unwrap();
            let end = rest.split_once(' ').unwrap().0;
            (hexadecimal(start)..hexadecimal(end)).contains(&at)
        })
    };
    assert!(is_mapped());
    drop(buffer);
    assert!(is_mapped());
    pool.trim();
    assert!(!is_mapped());
}

fn hexadecimal(text: &str) -> u64 {
    u64::from_str_radix(text, 16).expect("an address")
}

#[test]
fn many_are_taken_at_once_idle_ones_first() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    drop(pool.take_many(3).unwrap());
    let taken = pool.take_many(5).unwrap();
    assert_eq!(taken.len(), 5);
    let mut addresses: Vec<_> = taken.iter().map(|page| page.as_ptr() as usize).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 5);
    assert_eq!((pool.statistics().hits, pool.statistics().misses), (3, 5));
    assert!(pool.take_many(0).unwrap().is_empty());
}

#[test]
fn out_of_memory_is_an_error_and_keeps_nothing() {
    for size in [usize::MAX, usize::MAX - PAGE_SIZE, 1 << 47] {
        let pool = PagePool::new(size, 4);
        assert_eq!(pool.take().unwrap_err(), OutOfMemory);
        assert_eq!(pool.take_many(3).unwrap_err(), OutOfMemory);
        assert_eq!(pool.statistics().bytes_resident, 0);
    }
    let pool = PagePool::new(PAGE_SIZE, 4);
    assert_eq!(pool.take_many(usize::MAX).unwrap_err(), OutOfMemory);
    assert_eq!(pool.take_at_least(1 << 47).unwrap_err(), OutOfMemory);
    assert_eq!(pool.statistics().bytes_resident, 0);
}

#[test]
fn a_larger_buffer_than_the_pool_has_is_freed_after_use() {
    let pool = PagePool::new(PAGE_SIZE, 4);
    let large = pool.take_at_least(PAGE_SIZE + 1).unwrap();
    assert_eq!(large.len(), PAGE_SIZE + 1);
    drop(large);
    let statistics = pool.statistics();
    assert_eq!((statistics.bytes_idle, statistics.bytes_resident), (0, 0));
    assert_eq!(pool.take_at_least(PAGE_SIZE).unwrap().len(), PAGE_SIZE);
}

#[test]
fn threads_never_share_a_buffer() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    std::thread::scope(|scope| {
        for mark in 0..4_u8 {
            let pool = &pool;
            scope.spawn(move || {
                for turn in 0..2000 {
                    let mut buffers = pool.take_many(turn % 3).unwrap();
                    buffers.push(pool.take().unwrap());
                    for buffer in &mut buffers {
                        buffer.fill(mark);
                    }
                    assert!(buffers.iter().all(|buffer| buffer.iter().all(|byte| *byte == mark)));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..500 {
                pool.trim();
            }
        });
    });
    let statistics = pool.statistics();
    assert_eq!(statistics.bytes_resident, statistics.bytes_idle);
    assert!(statistics.bytes_idle <= 8 * PAGE);
}

/// The pool as numbers.
#[derive(Default)]
struct Oracle {
    low: usize,
    high: usize,
    idle: usize,
    lent: usize,
    peak: usize,
    hits: u64,
    misses: u64,
}

impl Oracle {
    fn take(&mut self) {
        self.lent += 1;
        if self.idle > 0 {
            self.idle -= 1;
            self.hits += 1;
        } else {
            self.misses += 1;
        }
        self.peak = self.peak.max(self.idle + self.lent);
    }

    fn put_back(&mut self) {
        self.lent -= 1;
        self.idle = (self.idle + 1).min(self.high);
    }

    fn says(&self) -> PoolStatistics {
        PoolStatistics {
            hits: self.hits,
            misses: self.misses,
            bytes_resident: (self.idle + self.lent) as u64 * PAGE,
            bytes_peak: self.peak as u64 * PAGE,
            bytes_idle: self.idle as u64 * PAGE,
            bytes_low_water: self.low.min(self.high) as u64 * PAGE,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Take,
    TakeMany(usize),
    PutBack(usize),
    Trim,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Take),
        2 => (0_usize..12).prop_map(Step::TakeMany),
        6 => any::<usize>().prop_map(Step::PutBack),
        1 => Just(Step::Trim),
    ]
}

proptest! {
    #[test]
    fn random_sequences_agree_with_the_oracle(
        low in 0_usize..4,
        high in 0_usize..8,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let pool = PagePool::with_marks(PAGE_SIZE, low, high);
        let mut oracle = Oracle { low, high, ..Oracle::default() };
        let mut lent = Vec::new();
        for step in steps {
            match step {
                Step::Take => {
                    lent.push(pool.take().unwrap());
                    oracle.take();
                }
                Step::TakeMany(count) => {
                    lent.extend(pool.take_many(count).unwrap());
                    (0..count).for_each(|_| oracle.take());
                }
                Step::PutBack(which) if !lent.is_empty() => {
                    drop(lent.swap_remove(which % lent.len()));
                    oracle.put_back();
                }
                Step::PutBack(_) => {}
                Step::Trim => {
                    pool.trim();
                    oracle.idle = oracle.idle.min(low.min(high));
                }
            }
            prop_assert_eq!(pool.statistics(), oracle.says());
        }
    }
}
