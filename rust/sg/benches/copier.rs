//! The page copier in process: lists of pipes, and moves against copies.

use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fusesg_sg::{
    CopyOptions, Destination, Endless, PAGE_SIZE, Page, PageDescriptor, PagePool, PageRun,
    PageVector, Segment, SegmentList, copy, gather_pipes,
};

/// Pages of a request of 128 KiB.
const REQUEST: usize = 32;
/// Bytes that each benchmark with pipes takes from them together.
const GATHERED: usize = 64 * 1024;

fn whole_pages(pool: &Arc<PagePool>, count: usize) -> PageVector<Option<Page>> {
    let whole = PageDescriptor::new(0, PAGE_SIZE).expect("a page");
    let mut pages = PageVector::new(count).expect("memory");
    for page in pool.take_many(count).expect("memory") {
        pages.push(Some(page), whole).expect("a place for each");
    }
    pages
}

fn pipes(criterion: &mut Criterion) {
    let pool = PagePool::new(PAGE_SIZE, REQUEST);
    let mut group = criterion.benchmark_group("copier/gather_pipes");
    group.throughput(Throughput::Bytes(GATHERED as u64));
    for count in [1, 4, 16] {
        let (readers, mut writers): (Vec<PipeReader>, Vec<PipeWriter>) =
            (0..count).map(|_| io::pipe().expect("a pipe")).unzip();
        let share = vec![1; GATHERED / count];
        let mut pages = whole_pages(&pool, GATHERED / PAGE_SIZE);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_batched(
                || {
                    for writer in &mut writers {
                        writer.write_all(&share).expect("room in the pipe");
                    }
                },
                |()| {
                    let destination = Destination::Owned(&mut pages);
                    gather_pipes(&readers, destination, CopyOptions::default()).expect("pipes")
                },
                BatchSize::PerIteration,
            );
        });
    }
}

fn move_or_copy(criterion: &mut Criterion) {
    let pool = PagePool::new(PAGE_SIZE, 2 * REQUEST);
    let mut group = criterion.benchmark_group("copier/move_vs_copy");
    for (way, offer_moves) in [("move", true), ("copy", false)] {
        let options = CopyOptions { zero_tail: false, offer_moves };
        for count in [1, REQUEST] {
            let length = count * PAGE_SIZE;
            let mut pages = whole_pages(&pool, count);
            group.throughput(Throughput::Bytes(length as u64));
            group.bench_function(BenchmarkId::new(way, format!("{}K", length / 1024)), |bencher| {
                bencher.iter_batched(
                    || -> SegmentList {
                        let sources = pool.take_many(count).expect("memory");
                        let run = PageRun::new(sources, length).expect("memory");
                        [Segment::Pages(run)].into_iter().collect()
                    },
                    |list| {
                        let destination = Destination::Owned(&mut pages);
                        copy(list, destination, options, &Endless).expect("memory is enough")
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

criterion_group!(benches, pipes, move_or_copy);
criterion_main!(benches);
