//! The page pool: alignment, reuse, bound.

use fusesg_sg::{PAGE_SIZE, PagePool};

#[test]
fn buffers_start_on_a_page_and_are_zeroed_once() {
    let pool = PagePool::new(10_000, 1);
    let buffer = pool.take().unwrap();
    assert_eq!(buffer.as_ptr() as usize % PAGE_SIZE, 0);
    assert_eq!(buffer.len(), 10_000);
    assert!(buffer.iter().all(|byte| *byte == 0));
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
    drop(taken);
    assert_eq!(pool.statistics().bytes_idle, 2 * PAGE_SIZE as u64);
}

#[test]
fn threads_never_share_a_buffer() {
    let pool = PagePool::new(PAGE_SIZE, 8);
    std::thread::scope(|scope| {
        for mark in 0..4_u8 {
            let pool = &pool;
            scope.spawn(move || {
                for _ in 0..2000 {
                    let mut buffer = pool.take().unwrap();
                    buffer.fill(mark);
                    assert!(buffer.iter().all(|byte| *byte == mark));
                }
            });
        }
    });
    assert_eq!(pool.statistics().hits + pool.statistics().misses, 8000);
}
