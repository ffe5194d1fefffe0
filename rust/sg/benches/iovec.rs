//! The iovec packer: counting and packing segments of a page each.
//!
//! An unaligned segment touches two pages, so it takes two places.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fusesg_sg::{IovecCursor, PAGE_SIZE, PagePool, PageVector, PooledBuffer};

const SEGMENTS: [usize; 3] = [1, 32, 256];
const ALIGNMENTS: [(&str, usize); 2] = [("aligned", 0), ("unaligned", 16)];

/// Page-aligned memory for all segments, each on its own pages.
fn memory() -> PooledBuffer {
    PagePool::new(2 * 256 * PAGE_SIZE, 1).take().expect("memory")
}

fn segments(memory: &[u8], count: usize, offset: usize) -> IovecCursor<&[u8]> {
    let pages = memory.chunks_exact(2 * PAGE_SIZE).take(count);
    IovecCursor::new(pages.map(|pages| &pages[offset..offset + PAGE_SIZE])).expect("lengths")
}

fn count_pages(criterion: &mut Criterion) {
    let memory = memory();
    let mut group = criterion.benchmark_group("iovec/count_pages");
    for count in SEGMENTS {
        let cursor = segments(&memory, count, 0);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| black_box(&cursor).count_pages(usize::MAX, usize::MAX));
        });
    }
}

fn pack(criterion: &mut Criterion) {
    let memory = memory();
    for count in SEGMENTS {
        let mut group = criterion.benchmark_group(format!("iovec/pack/{count}"));
        group.throughput(Throughput::Elements(count as u64));
        for (name, offset) in ALIGNMENTS {
            group.bench_function(name, |bencher| {
                bencher.iter_batched_ref(
                    || {
                        let cursor = segments(&memory, count, offset);
                        let pages = cursor.count_pages(usize::MAX, usize::MAX);
                        (cursor, PageVector::new(pages).expect("memory"))
                    },
                    |(cursor, vector)| cursor.pack(usize::MAX, vector),
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

criterion_group!(benches, count_pages, pack);
criterion_main!(benches);
