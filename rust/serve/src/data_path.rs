//! What the replies to READs of one mount share: pages, pipes, and which way they went.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fusesg_sg::{
    MoveOffer, NotMoved, NotSpliced, PAGE_SIZE, PackedList, PagePools, PipePool, PipeStatistics,
    SegmentList, SplicedMessage, thread_number,
};

use crate::MountConfig;

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
    /// Pages that the kernel was offered to take over. Whether it did nobody tells.
    pub moves_offered: u64,
    /// Pages of spliced answers that it could not take over and why, as far as is known here.
    pub not_moved: Vec<(&'static str, u64)>,
    /// Calls of pread and preadv that answers were planned with.
    pub reads: u64,
    /// What answers were made of and how.
    pub moved: Moved,
    /// The pipes.
    pub pipes: PipeStatistics,
}

/// What answers to READs were made of, and what became of the bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moved {
    /// Segments of all lists.
    pub segments: u64,
    /// Calls that were planned to have the bytes of files and streams at hand: reads, splices.
    pub calls: u64,
    /// Answers with bytes from outside memory.
    pub messages: u64,
    /// Places outside memory that bytes came from: extents, of which those that continue
    /// each other count as one, pipes and sockets.
    pub sources: u64,
    /// Bytes that went from files, pipes and sockets to the kernel through a pipe.
    pub bytes_spliced: u64,
    /// Bytes that the kernel took from mapped files.
    pub bytes_mapped: u64,
    /// Bytes that were read or copied into pages of ours.
    pub bytes_copied: u64,
}

#[derive(Debug)]
pub(crate) struct DataPath {
    /// Buffers for what is not sent from where it is.
    pub(crate) pools: PagePools,
    pub(crate) pipes: Arc<PipePool>,
    /// Bytes from which on an answer is worth a pipe.
    pub(crate) splice_threshold: u64,
    /// Whether the kernel may take pages over.
    pub(crate) offer_moves: bool,
    counters: [Counters; SHARDS],
}

/// Of some of the threads, on cache lines of its own.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Counters {
    ways: [AtomicU64; WAYS],
    not_spliced: [AtomicU64; NotSpliced::ALL.len()],
    moves_offered: AtomicU64,
    not_moved: [AtomicU64; NotMoved::ALL.len()],
    reads: AtomicU64,
    segments: AtomicU64,
    calls: AtomicU64,
    messages: AtomicU64,
    sources: AtomicU64,
    bytes_spliced: AtomicU64,
    bytes_mapped: AtomicU64,
    bytes_copied: AtomicU64,
}

impl DataPath {
    pub(crate) fn new(config: &MountConfig) -> Self {
        let largest = config.max_write as usize;
        Self {
            pools: PagePools::new(largest),
            // the header takes the place of a page, and what starts within one of one more
            pipes: PipePool::new(largest + 2 * PAGE_SIZE, IDLE_PIPES),
            splice_threshold: config.splice_threshold.into(),
            offer_moves: config.splice_move,
            counters: Default::default(),
        }
    }

    pub(crate) fn count(&self, way: Way) {
        self.counters().ways[way as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted as one way goes the other.
    pub(crate) fn count_refused(&self, way: Way) {
        let ways = &self.counters().ways;
        ways[way as usize].fetch_sub(1, Ordering::Relaxed);
        ways[Way::Refused as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_not_spliced(&self, reason: NotSpliced) {
        self.counters().not_spliced[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the pages of a spliced message.
    pub(crate) fn count_moves(&self, offer: &MoveOffer) {
        let counters = self.counters();
        let not_moved = |reason: NotMoved, pages| {
            counters.not_moved[reason as usize].fetch_add(pages, Ordering::Relaxed)
        };
        if self.offer_moves {
            counters.moves_offered.fetch_add(offer.pages, Ordering::Relaxed);
            for (reason, pages) in offer.not_moved.iter().filter(|(_, pages)| *pages > 0) {
                not_moved(reason, pages);
            }
        } else {
            not_moved(NotMoved::NotOffered, offer.pages + offer.not_moved.total());
        }
    }

    /// Counts the bytes of `list`, which are at hand: in a pipe or in pages.
    pub(crate) fn count_spliced(&self, list: &SegmentList, message: &SplicedMessage) {
        let counters = self.count_list(list, message.sources());
        add(&counters.bytes_spliced, message.payload());
    }

    /// As [`count_spliced`](Self::count_spliced).
    pub(crate) fn count_packed(&self, list: &SegmentList, packed: &PackedList<'_>) {
        let counters = self.count_list(list, packed.calls());
        add(&counters.reads, packed.reads());
        add(&counters.bytes_mapped, packed.mapped());
        add(&counters.bytes_copied, packed.copied());
    }

    fn count_list(&self, list: &SegmentList, calls: usize) -> &Counters {
        let counters = self.counters();
        let sources = list.sources();
        add(&counters.segments, list.segments().len());
        add(&counters.calls, calls);
        add(&counters.sources, sources);
        add(&counters.messages, usize::from(sources > 0));
        counters
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
            moves_offered: sum(&|shard| &shard.moves_offered),
            not_moved: NotMoved::ALL
                .iter()
                .map(|reason| (reason.name(), sum(&|shard| &shard.not_moved[*reason as usize])))
                .collect(),
            reads: sum(&|shard| &shard.reads),
            moved: Moved {
                segments: sum(&|shard| &shard.segments),
                calls: sum(&|shard| &shard.calls),
                messages: sum(&|shard| &shard.messages),
                sources: sum(&|shard| &shard.sources),
                bytes_spliced: sum(&|shard| &shard.bytes_spliced),
                bytes_mapped: sum(&|shard| &shard.bytes_mapped),
                bytes_copied: sum(&|shard| &shard.bytes_copied),
            },
            pipes: self.pipes.statistics(),
        }
    }
}

fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Ordering::Relaxed);
}
