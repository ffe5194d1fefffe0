//! The request allocator and the pool of pages.

use criterion::{Criterion, criterion_group, criterion_main};
use fusesg_sg::{PAGE_SIZE, Page, PagePool, RequestAllocator};

/// Allocates a request and gives it back.
fn request(criterion: &mut Criterion) {
    let allocator = RequestAllocator::new(64);
    let mut group = criterion.benchmark_group("allocator/request");
    for (name, pages) in [("none", 0), ("inline", 1), ("heap_32", 32), ("heap_256", 256)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| allocator.try_allocate::<Option<Page>>(pages).expect("memory"));
        });
    }
    group.bench_function("reserved", |bencher| {
        bencher.iter(|| allocator.reserved::<Option<Page>>());
    });
}

/// Takes a buffer of 128 KiB and gives it back: to the pool, or to the system.
fn pool(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("allocator/pool");
    for (name, high_water) in [("hit", 1), ("miss", 0)] {
        let pool = PagePool::new(32 * PAGE_SIZE, high_water);
        drop(pool.take().expect("memory"));
        group.bench_function(name, |bencher| bencher.iter(|| pool.take().expect("memory")));
    }
}

criterion_group!(benches, request, pool);
criterion_main!(benches);
