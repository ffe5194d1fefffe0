//! What counting costs an operation: everything that is done only for the numbers, from its
//! arrival to its answer. The promise is 50 ns at most (docs/guides/observe.md).
//!
//! `one-thread` is a reader that has its counters to itself; `two-threads` are two that serve
//! the same operation, as the two readers of a mount do. `clocks` is what it would cost to
//! time every operation, in clock readings alone.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use fusesg_fs::OperationKind;
use fusesg_serve::Metrics;

/// The kernel's numbers of requests are even.
fn serve(metrics: &Metrics, number: &mut u64) {
    *number += 2;
    let kind = black_box(OperationKind::Read);
    let started = metrics.begin(kind, *number);
    metrics.count(kind, false, 4096);
    metrics.end(kind, started);
}

/// Past the first operations, all of which are timed.
fn warm() -> (Metrics, u64) {
    let metrics = Metrics::default();
    let mut number = 0;
    for _ in 0..100_000 {
        serve(&metrics, &mut number);
    }
    (metrics, number)
}

fn counting(c: &mut Criterion) {
    let mut group = c.benchmark_group("metrics");
    group.bench_function("one-thread", |b| {
        let (metrics, mut number) = warm();
        b.iter(|| serve(&metrics, &mut number));
    });
    group.bench_function("two-threads", |b| {
        let (metrics, mut number) = warm();
        let ends = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 1;
                while !ends.load(Ordering::Relaxed) {
                    serve(&metrics, &mut number);
                }
            });
            b.iter(|| serve(&metrics, &mut number));
            ends.store(true, Ordering::Relaxed);
        });
    });
    group.bench_function("clocks", |b| b.iter(|| black_box(Instant::now()).elapsed()));
    group.finish();
}

criterion_group!(benches, counting);
criterion_main!(benches);
