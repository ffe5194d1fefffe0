//! The request allocator: slots, arrays sized by need, the reserved request, the counters.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use fusesg_sg::{
    AllocateError, OutOfMemory, PAGE_SIZE, PageDescriptor, PagePool, PooledBuffer, Request,
    RequestAllocator, RequestStatistics,
};
use proptest::prelude::*;

type Allocator = Arc<RequestAllocator>;

fn whole() -> PageDescriptor {
    PageDescriptor::new(0, PAGE_SIZE).expect("a page")
}

// Kernel-facts 1.1, item 01: variable page arrays.

#[test]
fn one_page_or_none_needs_no_memory_of_its_own() {
    let allocator = RequestAllocator::new(8);
    let requests = [0, 1].map(|pages| allocator.allocate::<u64>(pages).expect("inline"));
    assert_eq!(requests.each_ref().map(|request| request.pages.max_pages()), [0, 1]);
    assert!(requests.iter().all(|request| request.pages.is_inline()));
    let statistics = allocator.statistics();
    assert_eq!((statistics.inline, statistics.heap), (2, 0));
}

#[test]
fn two_pages_and_more_are_on_the_heap() {
    let allocator = RequestAllocator::new(8);
    let requests = [2, 32, 256].map(|pages| allocator.allocate::<u64>(pages).expect("memory"));
    assert_eq!(requests.each_ref().map(|request| request.pages.max_pages()), [2, 32, 256]);
    assert!(requests.iter().all(|request| !request.pages.is_inline()));
    let statistics = allocator.statistics();
    assert_eq!((statistics.inline, statistics.heap, statistics.pages_requested), (0, 3, 290));
}

#[test]
fn arrays_start_zeroed_also_in_a_slot_that_was_used() {
    let allocator = RequestAllocator::new(1);
    for pages in [1, 32] {
        for _ in 0..2 {
            let mut request = allocator.allocate::<u64>(pages).expect("memory");
            assert_eq!((request.pages.len(), request.pages.bytes()), (0, 0));
            request.pages.push(7, whole()).expect("room");
            assert_eq!(request.pages.pages(), [7]);
        }
    }
}

#[test]
fn without_memory_for_the_arrays_neither_they_nor_the_slot_are_kept() {
    let allocator = RequestAllocator::new(1);
    for pages in [usize::MAX, usize::MAX / 8, isize::MAX as usize / 8, 1 << 48] {
        assert_eq!(allocator.allocate::<u64>(pages).unwrap_err(), OutOfMemory, "{pages}");
        assert_eq!(
            allocator.try_allocate::<u64>(pages).unwrap_err(),
            AllocateError::OutOfMemory,
            "{pages}"
        );
        assert_eq!(allocator.statistics().outstanding, 0);
    }
    let statistics = allocator.statistics();
    assert_eq!((statistics.failures, statistics.allocated, statistics.pages_requested), (8, 0, 0));
    assert!(allocator.try_allocate::<u64>(256).is_ok());
}

#[test]
fn the_error_is_enomem() {
    let error = std::io::Error::from(OutOfMemory);
    assert_eq!(error.raw_os_error(), Some(12));
}

#[test]
fn a_request_gives_back_its_pages_before_its_slot() {
    let pool = PagePool::new(PAGE_SIZE, 32);
    let allocator = RequestAllocator::new(1);
    let mut request = allocator.allocate::<Option<PooledBuffer>>(4).expect("memory");
    for page in pool.take_many(4).expect("memory") {
        request.pages.push(Some(page), whole()).expect("room");
    }
    thread::scope(|scope| {
        let next = scope.spawn(|| {
            let _request = allocator.allocate::<u64>(0).expect("inline");
            pool.statistics().bytes_idle
        });
        while allocator.statistics().waits == 0 {
            thread::yield_now();
        }
        drop(request);
        assert_eq!(next.join().expect("it ends"), 4 * PAGE_SIZE as u64);
    });
}

#[test]
fn the_reserved_request_has_no_pages_and_starts_anew_each_time() {
    let allocator = RequestAllocator::new(1);
    for uses in 1..=3 {
        let mut reserved = allocator.reserved::<u64>();
        assert!(reserved.is_reserved() && reserved.pages.is_inline());
        assert_eq!(reserved.pages.push(1, whole()), Err(1));
        drop(reserved);
        let statistics = allocator.statistics();
        assert_eq!((statistics.reserved_uses, statistics.outstanding), (uses, 0));
        assert_eq!((statistics.allocated, statistics.pages_used), (0, 0));
    }
}

#[test]
fn the_reserved_request_is_handed_to_one_user_at_a_time() {
    const USERS: usize = 8;
    const TURNS: usize = 500;
    let allocator = RequestAllocator::new(1);
    let users = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..USERS {
            scope.spawn(|| {
                for _ in 0..TURNS {
                    let _reserved = allocator.reserved::<u64>();
                    assert_eq!(users.fetch_add(1, Ordering::SeqCst), 0);
                    users.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    let statistics = allocator.statistics();
    assert_eq!((statistics.reserved_uses, statistics.outstanding), ((USERS * TURNS) as u64, 0));
}

#[test]
fn a_second_user_of_the_reserved_request_waits_for_the_first() {
    let allocator = RequestAllocator::new(1);
    let first = allocator.reserved::<u64>();
    assert!(allocator.try_reserved::<u64>().is_none());
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel();
        let second_allocator = &allocator;
        scope.spawn(move || {
            drop(second_allocator.reserved::<u64>());
            done.send(()).expect("somebody listens");
        });
        while allocator.statistics().waits == 0 {
            thread::yield_now();
        }
        assert!(is_done.try_recv().is_err(), "it has to wait");
        drop(first);
        is_done.recv().expect("it goes on");
    });
    assert_eq!(allocator.statistics().reserved_uses, 2);
}

#[test]
fn a_slot_goes_to_whoever_waits_and_not_to_whoever_comes() {
    let allocator = RequestAllocator::new(1);
    let held = allocator.allocate::<u64>(0).expect("a slot");
    thread::scope(|scope| {
        let (finish, finished) = mpsc::channel::<()>();
        let waiting = &allocator;
        scope.spawn(move || {
            let _request = waiting.allocate::<u64>(0).expect("inline");
            finished.recv().expect("it is told");
        });
        await_waits(&allocator, 1);
        drop(held);
        // whether the thread that waited runs by now or not
        assert_eq!(allocator.try_allocate::<u64>(0).unwrap_err(), AllocateError::Exhausted);
        finish.send(()).expect("it listens");
    });
    assert_eq!(allocator.statistics().outstanding, 0);
}

#[test]
fn the_reserved_request_goes_to_whoever_waits_and_not_to_whoever_comes() {
    let allocator = RequestAllocator::new(1);
    let held = allocator.reserved::<u64>();
    thread::scope(|scope| {
        let (finish, finished) = mpsc::channel::<()>();
        let waiting = &allocator;
        scope.spawn(move || {
            let _request = waiting.reserved::<u64>();
            finished.recv().expect("it is told");
        });
        await_waits(&allocator, 1);
        drop(held);
        assert!(allocator.try_reserved::<u64>().is_none());
        finish.send(()).expect("it listens");
    });
    assert_eq!(allocator.statistics().outstanding, 0);
}

#[test]
fn who_waits_is_served_in_the_order_of_arrival() {
    type Take = fn(&Allocator) -> Request<u64>;
    let takes: [Take; 2] =
        [|allocator| allocator.allocate(0).expect("inline"), |allocator| allocator.reserved()];
    for take in takes {
        let allocator = RequestAllocator::new(1);
        let held = take(&allocator);
        let (served, order) = mpsc::channel();
        thread::scope(|scope| {
            for number in 0..8 {
                let (allocator, served) = (&allocator, served.clone());
                scope.spawn(move || {
                    let _request = take(allocator);
                    served.send(number).expect("somebody listens");
                });
                await_waits(allocator, number + 1);
            }
            drop(held);
        });
        drop(served);
        assert_eq!(order.iter().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    }
}

fn await_waits(allocator: &Allocator, waits: u64) {
    while allocator.statistics().waits < waits {
        thread::yield_now();
    }
}

// Item 02: what must not fail goes on.

#[test]
fn pool_capped_at_one_slot_and_two_requests_stuck_a_flush_still_gets_its_request() {
    let allocator = RequestAllocator::new(1);
    let stuck = allocator.allocate::<u64>(1).expect("the only slot");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| drop(allocator.allocate::<u64>(1).expect("memory")));
        while allocator.statistics().waits == 0 {
            thread::yield_now();
        }
        for _ in 0..2 {
            let flush = allocator.allocate_nofail::<u64>();
            assert!(flush.is_reserved());
            assert_eq!(allocator.statistics().outstanding, 2);
        }
        assert_eq!(allocator.statistics().reserved_uses, 2);
        drop(stuck);
        waiting.join().expect("it goes on");
    });
    assert_eq!(allocator.statistics().outstanding, 0);
}

#[test]
fn with_a_slot_free_a_flush_leaves_the_reserved_request_alone() {
    let allocator = RequestAllocator::new(1);
    assert!(!allocator.allocate_nofail::<u64>().is_reserved());
    let statistics = allocator.statistics();
    assert_eq!((statistics.reserved_uses, statistics.inline), (0, 1));
}

// The bound.

#[test]
fn there_are_exactly_as_many_slots_as_asked_for_and_at_least_one() {
    for max_requests in [0, 1, 2, 3, 4, 5, 7, 8, 100] {
        let allocator = RequestAllocator::new(max_requests);
        let requests: Vec<_> =
            std::iter::from_fn(|| allocator.try_allocate::<u64>(0).ok()).take(1000).collect();
        assert_eq!(requests.len(), max_requests.max(1));
        assert_eq!(allocator.max_requests(), max_requests.max(1));
        assert_eq!(allocator.try_allocate::<u64>(0).unwrap_err(), AllocateError::Exhausted);
        drop(requests);
        assert_eq!(allocator.statistics().outstanding, 0);
    }
}

#[test]
fn many_threads_never_hold_more_requests_than_there_are_slots() {
    const THREADS: usize = 8;
    const TURNS: usize = 2000;
    for slots in [1, 3, 6] {
        let allocator = RequestAllocator::new(slots);
        let holding = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (allocator, holding) = (&allocator, &holding);
                scope.spawn(move || {
                    for turn in 0..TURNS {
                        let request = if thread % 4 == 3 {
                            allocator.allocate_nofail::<u64>()
                        } else {
                            allocator.allocate::<u64>((thread + turn) % 4).expect("memory")
                        };
                        if request.is_reserved() {
                            continue;
                        }
                        assert!(holding.fetch_add(1, Ordering::SeqCst) < slots);
                        thread::yield_now();
                        holding.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let statistics = allocator.statistics();
        assert_eq!(statistics.outstanding, 0);
        assert_eq!(statistics.allocated + statistics.reserved_uses, (THREADS * TURNS) as u64);
    }
}

// Against an implementation that is nothing but counters.

#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate(usize),
    AllocateHuge,
    Nofail,
    Reserve,
    Use { which: usize, pages: usize },
    Free(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..40).prop_map(Step::Allocate),
        1 => Just(Step::AllocateHuge),
        2 => Just(Step::Nofail),
        1 => Just(Step::Reserve),
        2 => (any::<usize>(), 0_usize..50).prop_map(|(which, pages)| Step::Use { which, pages }),
        4 => any::<usize>().prop_map(Step::Free),
    ]
}

/// What the allocator should say, kept in the most obvious way.
#[derive(Default)]
struct Oracle {
    slots: usize,
    taken: usize,
    reserved_in_use: bool,
    says: RequestStatistics,
}

struct Held {
    request: Request<u64>,
    room: usize,
    used: usize,
    reserved: bool,
}

impl Oracle {
    fn take_slot(&mut self, pages: usize) -> bool {
        if self.taken == self.slots {
            return false;
        }
        self.taken += 1;
        self.says.allocated += 1;
        if pages <= 1 {
            self.says.inline += 1;
        } else {
            self.says.heap += 1;
        }
        self.says.pages_requested += pages as u64;
        true
    }

    fn reserve(&mut self) -> bool {
        if self.reserved_in_use {
            return false;
        }
        self.reserved_in_use = true;
        self.says.reserved_uses += 1;
        true
    }

    fn free(&mut self, held: &Held) {
        if held.reserved {
            self.reserved_in_use = false;
        } else {
            self.taken -= 1;
            self.says.pages_used += held.used as u64;
        }
    }

    fn says(&self) -> RequestStatistics {
        let outstanding = (self.taken + usize::from(self.reserved_in_use)) as u64;
        RequestStatistics { outstanding, ..self.says }
    }
}

fn run(allocator: &Allocator, oracle: &mut Oracle, held: &mut Vec<Held>, step: Step) {
    match step {
        Step::Allocate(pages) => match allocator.try_allocate(pages) {
            Ok(request) => {
                assert!(oracle.take_slot(pages));
                held.push(Held { request, room: pages, used: 0, reserved: false });
            }
            Err(error) => {
                assert_eq!(error, AllocateError::Exhausted);
                assert!(!oracle.take_slot(pages));
            }
        },
        Step::AllocateHuge => {
            let error = allocator.try_allocate::<u64>(usize::MAX / 16).expect_err("too many");
            if oracle.taken == oracle.slots {
                assert_eq!(error, AllocateError::Exhausted);
            } else {
                assert_eq!(error, AllocateError::OutOfMemory);
                oracle.says.failures += 1;
            }
        }
        // with neither a slot nor the reserved request it would wait
        Step::Nofail if oracle.taken == oracle.slots && oracle.reserved_in_use => {}
        Step::Nofail => {
            let request = allocator.allocate_nofail();
            let reserved = !oracle.take_slot(0);
            assert_eq!(request.is_reserved(), reserved);
            if reserved {
                assert!(oracle.reserve());
            }
            held.push(Held { request, room: 0, used: 0, reserved });
        }
        Step::Reserve => {
            let request = allocator.try_reserved();
            assert_eq!(request.is_some(), oracle.reserve());
            held.extend(request.map(|request| Held { request, room: 0, used: 0, reserved: true }));
        }
        Step::Use { which, pages } if !held.is_empty() => {
            let index = which % held.len();
            let held = &mut held[index];
            for _ in 0..pages {
                let pushed = held.request.pages.push(1, whole()).is_ok();
                assert_eq!(pushed, held.used < held.room);
                held.used += usize::from(pushed);
            }
        }
        Step::Free(which) if !held.is_empty() => {
            let gone = held.swap_remove(which % held.len());
            oracle.free(&gone);
        }
        Step::Use { .. } | Step::Free(_) => {}
    }
}

proptest! {
    #[test]
    fn random_sequences_agree_with_the_oracle(
        slots in 1_usize..6,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let allocator = RequestAllocator::new(slots);
        let mut oracle = Oracle { slots, ..Oracle::default() };
        let mut held = Vec::new();
        for step in steps {
            run(&allocator, &mut oracle, &mut held, step);
            prop_assert_eq!(allocator.statistics(), oracle.says());
        }
        for gone in held {
            oracle.free(&gone);
        }
        prop_assert_eq!(allocator.statistics(), oracle.says());
        prop_assert_eq!(allocator.statistics().outstanding, 0);
    }
}
