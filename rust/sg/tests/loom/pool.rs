//! The page pool.

use fusesg_sg::{PAGE_SIZE, PagePool};
use loom::thread;

use crate::every_order;

const PAGE: u64 = PAGE_SIZE as u64;

#[test]
fn two_threads_never_get_the_same_buffer() {
    every_order(|| {
        let pool = PagePool::new(PAGE_SIZE, 1);
        drop(pool.take().expect("memory"));
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.take().expect("memory"))
        };
        let mine = pool.take().expect("memory");
        let theirs = other.join().expect("it ends");
        assert_ne!(mine.as_ptr(), theirs.as_ptr());
        let statistics = pool.statistics();
        assert_eq!((statistics.hits, statistics.misses), (1, 2));
        assert_eq!((statistics.bytes_resident, statistics.bytes_idle), (2 * PAGE, 0));
    });
}

#[test]
fn the_high_water_mark_holds_when_all_come_back_at_once() {
    every_order(|| {
        let pool = PagePool::new(PAGE_SIZE, 1);
        let threads = [(); 2].map(|()| {
            let pool = pool.clone();
            thread::spawn(move || drop(pool.take().expect("memory")))
        });
        for thread in threads {
            thread.join().expect("it ends");
        }
        let statistics = pool.statistics();
        assert_eq!((statistics.bytes_resident, statistics.bytes_idle), (PAGE, PAGE));
    });
}

#[test]
fn trimming_while_buffers_are_taken_and_returned_keeps_the_books() {
    every_order(|| {
        let pool = PagePool::new(PAGE_SIZE, 4);
        drop(pool.take_many(2).expect("memory"));
        let other = {
            let pool = pool.clone();
            thread::spawn(move || drop(pool.take_many(2).expect("memory")))
        };
        pool.trim();
        other.join().expect("it ends");
        let statistics = pool.statistics();
        assert_eq!(statistics.bytes_resident, statistics.bytes_idle);
        pool.trim();
        assert_eq!(pool.statistics().bytes_resident, 0);
    });
}
