//! What the replies to READs of one mount share: pages, pipes, and which way they went.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fusesg_sg::{NotSpliced, PAGE_SIZE, PagePool, PipePool, PipeStatistics, thread_number};

use crate::MountConfig;

/// Idle reply buffers that are kept; each takes `max_write` bytes at most.
const IDLE_BUFFERS: usize = 16;
/// Idle pipes that are kept: two descriptors and 10 KiB of kernel memory each, no pages.
const IDLE_PIPES: usize = 8;

const SHARDS: usize = 4;

/// The ways of a READ's data, counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// One contiguous buffer, through fuser.
    Contiguous,
    /// Several pieces of memory in one message of our own.
    Vectored,
    /// Through a pipe, without a copy of ours.
    Spliced,
    /// A message of our own was refused, and fuser sent the data.
    Refused,
}

const WAYS: usize = 4;

/// Numbers of the data path of one mount.
#[derive(Clone, Debug, Default)]
pub struct DataPathStatistics {
    /// READs answered with one contiguous buffer.
    pub contiguous: u64,
    /// READs answered with several pieces of memory in one message.
    pub vectored: u64,
    /// READs answered through a pipe, without a copy.
    pub spliced: u64,
    /// Messages of our own that the kernel refused; the data was sent through fuser.
    pub refused: u64,
    /// READs that were long enough for a pipe and why they were copied all the same.
    pub not_spliced: Vec<(&'static str, u64)>,
    /// Calls of pread and preadv that answers were planned with.
    pub reads: u64,
    /// The pipes.
    pub pipes: PipeStatistics,
}

#[derive(Debug)]
pub(crate) struct DataPath {
    pub(crate) pool: Arc<PagePool>,
    pub(crate) pipes: Arc<PipePool>,
    /// Bytes from which on an answer is worth a pipe.
    pub(crate) splice_threshold: u64,
    counters: [Counters; SHARDS],
}

/// Of some of the threads, on cache lines of its own.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Counters {
    ways: [AtomicU64; WAYS],
    not_spliced: [AtomicU64; NotSpliced::ALL.len()],
    reads: AtomicU64,
}

impl DataPath {
    pub(crate) fn new(config: &MountConfig) -> Self {
        let largest = config.max_write as usize;
        Self {
            pool: PagePool::new(largest, IDLE_BUFFERS),
            // the header takes the place of a page
            pipes: PipePool::new(largest + PAGE_SIZE, IDLE_PIPES),
            splice_threshold: config.splice_threshold.into(),
            counters: Default::default(),
        }
    }

    pub(crate) fn count(&self, way: Way) {
        self.counters().ways[way as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_not_spliced(&self, reason: NotSpliced) {
        self.counters().not_spliced[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_reads(&self, reads: usize) {
        self.counters().reads.fetch_add(reads as u64, Ordering::Relaxed);
    }

    fn counters(&self) -> &Counters {
        &self.counters[thread_number() % SHARDS]
    }

    /// The numbers.
    pub(crate) fn statistics(&self) -> DataPathStatistics {
        let sum = |counter: &dyn Fn(&Counters) -> &AtomicU64| -> u64 {
            self.counters.iter().map(|shard| counter(shard).load(Ordering::Relaxed)).sum()
        };
        let way = |way: Way| sum(&|shard| &shard.ways[way as usize]);
        DataPathStatistics {
            contiguous: way(Way::Contiguous),
            vectored: way(Way::Vectored),
            spliced: way(Way::Spliced),
            refused: way(Way::Refused),
            not_spliced: NotSpliced::ALL
                .iter()
                .map(|reason| (reason.name(), sum(&|shard| &shard.not_spliced[*reason as usize])))
                .collect(),
            reads: sum(&|shard| &shard.reads),
            pipes: self.pipes.statistics(),
        }
    }
}
