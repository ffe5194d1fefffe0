//! The completion counter: one I/O in several parts.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fusesg_sg::{Direction, Part, Submission};

/// Submits all parts, completes them last to first, and waits.
fn complete(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("completion/complete");
    for count in [1, 4, 16, 64] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                let (mut submission, completion) = Submission::new(Direction::Read);
                let parts: Vec<Part> = (0..count).map(|_| submission.part(4096)).collect();
                submission.finish();
                parts.into_iter().rev().for_each(|part| part.complete(Ok(4096)));
                completion.wait().expect("all parts are whole")
            });
        });
    }
}

criterion_group!(benches, complete);
criterion_main!(benches);
