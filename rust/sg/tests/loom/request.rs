//! Slots and the reserved request of the request allocator.

use std::sync::Arc;

use fusesg_sg::RequestAllocator;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::every_order;

/// Counts who is inside, and fails if there are too many.
struct Room {
    inside: AtomicUsize,
    places: usize,
}

impl Room {
    fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { inside: AtomicUsize::new(0), places })
    }

    fn visit(&self) {
        assert!(self.inside.fetch_add(1, Ordering::AcqRel) < self.places);
        self.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

#[test]
fn whoever_waits_for_the_only_slot_gets_it() {
    every_order(|| {
        let (allocator, room) = (RequestAllocator::new(1), Room::new(1));
        let threads = [(); 2].map(|()| {
            let (allocator, room) = (Arc::clone(&allocator), Arc::clone(&room));
            thread::spawn(move || {
                let _request = allocator.allocate::<u8>(1).expect("inline");
                room.visit();
            })
        });
        for thread in threads {
            thread.join().expect("it ends");
        }
        let statistics = allocator.statistics();
        assert_eq!((statistics.allocated, statistics.outstanding), (2, 0));
    });
}

#[test]
fn a_slot_of_another_share_wakes_whoever_waits() {
    every_order(|| {
        let (allocator, room) = (RequestAllocator::new(2), Room::new(1));
        // one is taken for good; the waiting thread has to find the other, in either share
        let _taken = allocator.allocate::<u8>(0).expect("inline");
        let other = {
            let (allocator, room) = (Arc::clone(&allocator), Arc::clone(&room));
            thread::spawn(move || {
                let _request = allocator.allocate::<u8>(0).expect("inline");
                room.visit();
            })
        };
        let request = allocator.allocate::<u8>(0).expect("inline");
        room.visit();
        drop(request);
        other.join().expect("it ends");
        assert_eq!(allocator.statistics().outstanding, 1);
    });
}

#[test]
fn two_slots_that_are_freed_at_once_serve_two_who_wait() {
    every_order(|| {
        let allocator = RequestAllocator::new(2);
        let held = [(); 2].map(|()| allocator.allocate::<u8>(0).expect("inline"));
        let threads = [(); 2].map(|()| {
            let allocator = Arc::clone(&allocator);
            thread::spawn(move || allocator.allocate::<u8>(0).expect("inline"))
        });
        drop(held);
        // neither gives its slot back, which would let the other one look again
        let _served = threads.map(|thread| thread.join().expect("it ends"));
        assert_eq!(allocator.statistics().outstanding, 2);
    });
}

#[test]
fn the_reserved_request_has_one_user_at_a_time() {
    every_order(|| {
        let (allocator, room) = (RequestAllocator::new(1), Room::new(1));
        let threads = [(); 2].map(|()| {
            let (allocator, room) = (Arc::clone(&allocator), Arc::clone(&room));
            thread::spawn(move || {
                let _request = allocator.reserved::<u8>();
                room.visit();
            })
        });
        let _request = allocator.reserved::<u8>();
        room.visit();
        drop(_request);
        for thread in threads {
            thread.join().expect("it ends");
        }
        let statistics = allocator.statistics();
        assert_eq!((statistics.reserved_uses, statistics.outstanding), (3, 0));
    });
}

#[test]
fn with_the_slot_taken_for_good_what_must_not_fail_goes_on() {
    every_order(|| {
        let allocator = RequestAllocator::new(1);
        let _stuck = allocator.allocate::<u8>(1).expect("the only slot");
        let threads = [(); 2].map(|()| {
            let allocator = Arc::clone(&allocator);
            thread::spawn(move || assert!(allocator.allocate_nofail::<u8>().is_reserved()))
        });
        for thread in threads {
            thread.join().expect("it ends");
        }
        let statistics = allocator.statistics();
        assert_eq!((statistics.reserved_uses, statistics.outstanding), (2, 1));
    });
}

#[test]
fn what_must_not_fail_takes_the_slot_or_the_reserve_whichever_comes() {
    every_order(|| {
        let allocator = RequestAllocator::new(1);
        let other = {
            let allocator = Arc::clone(&allocator);
            thread::spawn(move || drop(allocator.allocate::<u8>(1).expect("inline")))
        };
        drop(allocator.allocate_nofail::<u8>());
        other.join().expect("it ends");
        let statistics = allocator.statistics();
        assert_eq!(statistics.allocated + statistics.reserved_uses, 2);
        assert_eq!(statistics.outstanding, 0);
    });
}
