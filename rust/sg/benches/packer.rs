//! The packer of replies: a segment list into the iovecs of one message.

use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fusesg_sg::{Backing, Endless, Extent, PAGE_SIZE, PackedList, PagePool, Segment, SegmentList};

const SEGMENTS: u64 = 16;
const PAGE: u64 = PAGE_SIZE as u64;
const HEADER: [u8; 16] = [0; 16];

/// Extents of a page each, their starts `distance` pages from each other.
fn extents(distance: u64) -> SegmentList {
    let file = tempfile::tempfile().expect("a temporary file");
    file.set_len(SEGMENTS * distance * PAGE).expect("a file of that length");
    let backing = Arc::new(Backing::new(file.into(), false, false));
    (0..SEGMENTS)
        .map(|number| {
            let offset = number * distance * PAGE;
            Segment::Extent(Extent { backing: Arc::clone(&backing), offset, length: PAGE })
        })
        .collect()
}

fn buffers() -> SegmentList {
    (0..SEGMENTS).map(|_| Segment::Buffer(Bytes::from(vec![1; PAGE_SIZE]))).collect()
}

fn reply(criterion: &mut Criterion) {
    let pool = PagePool::new(1 << 20, 1);
    let mut group = criterion.benchmark_group("packer/reply");
    group.throughput(Throughput::Bytes(SEGMENTS * PAGE));
    let lists = [
        ("16_adjacent_extents", extents(1)),
        ("16_scattered_extents", extents(3)),
        ("16_buffers", buffers()),
    ];
    for (name, list) in lists {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let packed = PackedList::new(&list, &pool, &Endless).expect("memory");
                packed.iovecs(&HEADER).len()
            });
        });
    }
}

criterion_group!(benches, reply);
criterion_main!(benches);
