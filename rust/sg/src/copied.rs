//! What became of the pages of a copy, and why.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a page of the destination was not exchanged for a page that has its data.
///
/// Each page that took data was moved or counts under the first reason that applies. The
/// kernel's ladder has two more that mean nothing in process: *dirty* (our pages have no file
/// that they would have to be written back to) and *large* (a page of a larger buffer is no
/// [`Page`](crate::Page) of its own, so it comes as [`Unstealable`](Self::Unstealable)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotMoved {
    /// The destination is the caller's memory: direct I/O.
    DirectIo,
    /// The caller did not offer moves.
    NotOffered,
    /// Only part of the destination's page belongs to the request, or it is of another size
    /// than the pages of lists.
    PartialPage,
    /// The data is in no page of ours: a buffer, zeros, a file, a pipe or a socket.
    Unstealable,
    /// The data does not start where its page does, as behind an odd-sized piece.
    Misaligned,
    /// The data ends before its page does.
    Short,
    /// Somebody else owns the page, too.
    Shared,
}

impl NotMoved {
    /// All reasons, in the order of their discriminants, which is the order they apply in.
    pub const ALL: [Self; 7] = [
        Self::DirectIo,
        Self::NotOffered,
        Self::PartialPage,
        Self::Unstealable,
        Self::Misaligned,
        Self::Short,
        Self::Shared,
    ];

    /// A short name, for statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::DirectIo => "direct_io",
            Self::NotOffered => "not_offered",
            Self::PartialPage => "partial_page",
            Self::Unstealable => "unstealable",
            Self::Misaligned => "misaligned",
            Self::Short => "short",
            Self::Shared => "shared",
        }
    }
}

/// Pages that were not moved, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotMovedPages([u64; NotMoved::ALL.len()]);

impl NotMovedPages {
    /// Pages that were not moved for this reason.
    pub fn get(&self, reason: NotMoved) -> u64 {
        self.0[reason as usize]
    }

    /// Each reason with its pages, also those without.
    pub fn iter(&self) -> impl Iterator<Item = (NotMoved, u64)> {
        NotMoved::ALL.into_iter().zip(self.0)
    }

    /// Pages that were not moved.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, reason: NotMoved, pages: u64) {
        self.0[reason as usize] += pages;
    }
}

/// How much went into a destination, and how. The sum of moved, spliced, copied and filled
/// bytes is [`bytes`](Self::bytes).
#[derive(Debug, Default)]
pub struct Copied {
    /// Segments of the list.
    pub segments: u64,
    /// [Places outside memory](crate::SegmentList::sources) that its bytes are in.
    pub sources: u64,
    /// Bytes of data that are there: exact, also where a file or a pipe came out short.
    pub bytes: u64,
    /// Bytes behind the data that were cleared.
    pub zeroed: u64,
    /// Pages that changed their owner instead of being copied.
    pub moved_pages: u64,
    /// Bytes that the kernel carried from a descriptor to their places.
    pub spliced_bytes: u64,
    /// Reads that it took, if no descriptor gave less than it was asked for.
    pub reads: u64,
    /// Bytes that were copied from memory.
    pub copied_bytes: u64,
    /// Zeros of the list that were written as such.
    pub filled_bytes: u64,
    /// Lists of pipes that had all their bytes and were taken at once.
    pub pipe_lists: u64,
    /// Pages that took data and were not moved.
    pub not_moved: NotMovedPages,
    /// What ended the data early, if that was neither the end of a file nor that of a stream.
    pub failure: Option<io::Error>,
}

/// Sums of [`Copied`] over many copies, counted by many threads.
#[derive(Debug, Default)]
pub struct CopyStatistics {
    copies: AtomicU64,
    segments: AtomicU64,
    sources: AtomicU64,
    bytes: AtomicU64,
    zeroed: AtomicU64,
    moved_pages: AtomicU64,
    spliced_bytes: AtomicU64,
    reads: AtomicU64,
    copied_bytes: AtomicU64,
    filled_bytes: AtomicU64,
    pipe_lists: AtomicU64,
    not_moved: [AtomicU64; NotMoved::ALL.len()],
}

/// The numbers of a [`CopyStatistics`] at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyCounts {
    /// Copies.
    pub copies: u64,
    /// Segments of all lists.
    pub segments: u64,
    /// Places outside memory that bytes were in.
    pub sources: u64,
    /// Bytes of data.
    pub bytes: u64,
    /// Bytes that were cleared behind the data.
    pub zeroed: u64,
    /// Pages that changed their owner.
    pub moved_pages: u64,
    /// Bytes that the kernel carried.
    pub spliced_bytes: u64,
    /// Reads that it took.
    pub reads: u64,
    /// Bytes that were copied from memory.
    pub copied_bytes: u64,
    /// Zeros that were written.
    pub filled_bytes: u64,
    /// Lists of pipes that were taken at once.
    pub pipe_lists: u64,
    /// Pages that were not moved.
    pub not_moved: NotMovedPages,
}

impl CopyStatistics {
    /// Adds one copy.
    pub fn add(&self, copied: &Copied) {
        let add = |counter: &AtomicU64, count: u64| {
            if count > 0 {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        };
        add(&self.copies, 1);
        add(&self.segments, copied.segments);
        add(&self.sources, copied.sources);
        add(&self.bytes, copied.bytes);
        add(&self.zeroed, copied.zeroed);
        add(&self.moved_pages, copied.moved_pages);
        add(&self.spliced_bytes, copied.spliced_bytes);
        add(&self.reads, copied.reads);
        add(&self.copied_bytes, copied.copied_bytes);
        add(&self.filled_bytes, copied.filled_bytes);
        add(&self.pipe_lists, copied.pipe_lists);
        for (reason, pages) in copied.not_moved.iter() {
            add(&self.not_moved[reason as usize], pages);
        }
    }

    /// The sums so far.
    pub fn counts(&self) -> CopyCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CopyCounts {
            copies: load(&self.copies),
            segments: load(&self.segments),
            sources: load(&self.sources),
            bytes: load(&self.bytes),
            zeroed: load(&self.zeroed),
            moved_pages: load(&self.moved_pages),
            spliced_bytes: load(&self.spliced_bytes),
            reads: load(&self.reads),
            copied_bytes: load(&self.copied_bytes),
            filled_bytes: load(&self.filled_bytes),
            pipe_lists: load(&self.pipe_lists),
            not_moved: NotMovedPages(std::array::from_fn(|index| load(&self.not_moved[index]))),
        }
    }
}
