//! Scatter-gather core: where bytes are, and how they are moved with as few
//! system calls and copies as possible.
//!
//! This crate knows neither FUSE nor Python. System calls and `unsafe` sit in
//! [`sys`](self) and in the page pool only.
//!
//! | concept | file |
//! |---|---|
//! | [`Backing`]: a file descriptor that segments point into | `backing.rs` |
//! | [`Stream`]: a pipe or socket that segments consume; [`Patience`] while it has nothing | `stream.rs` |
//! | [`Segment`]: one piece of data (buffer, pages, extent, zeros, stream) | `segment.rs` |
//! | [`SegmentList`]: what a READ is answered with | `segment_list.rs` |
//! | [`PagePool`]: page-aligned, reused buffers | `pool.rs` |
//! | [`PagePools`]: a pool for each size of buffer | `page_pools.rs` |
//! | [`RequestAllocator`]: bounded requests, each with its page vector, and one in reserve | `request.rs` |
//! | [`PageRun`]: data in owned pages, which the last owner may give away | `page_run.rs` |
//! | [`PageVector`]: the pages of a request and which bytes of them | `page_vector.rs` |
//! | [`IovecCursor`]: a caller's iovec into as few requests as fit it | `iovec.rs` |
//! | [`DirectIo`]: one I/O on the caller's memory, request after request | `direct_io.rs` |
//! | [`PageSize`]: how large a page is to whoever cuts memory and files | `page_size.rs` |
//! | [`PageSpan`]: the pages of a file that an I/O through its cache touches | `page_span.rs` |
//! | [`PackedList`]: a segment list into the iovecs of one message, with few reads and copies | `packer.rs` |
//! | what it has to read and copy for that | `packing_plan.rs` |
//! | [`gather`]: a segment list into one contiguous buffer | `gather.rs` |
//! | [`Submission`], [`Completion`]: one I/O in several parts, completed once | `completion.rs` |
//! | [`copy`](copy()): a segment list into the pages of a request: move, splice or copy | `copier.rs` |
//! | [`gather_pipes`]: a list of pipes into the pages of a request | `pipe_list.rs` |
//! | [`Destination`]: the pages of a request as they are filled | `destination.rs` |
//! | [`Copied`], [`NotMoved`]: what became of the pages, and why | `copied.rs` |
//! | [`PipePool`]: pipes that are reused when proven empty | `pipe.rs` |
//! | [`SplicedMessage`]: a header and extents of files into one pipe, without a copy | `splice.rs` |
//! | [`MoveOffer`]: pages of a message that its device may take over | `move_offer.rs` |
//! | what threads meet at; the model checker's instead | `sync.rs`, `thread_number.rs` |
//! | system calls and memory: all `unsafe` of the crate | `sys.rs`, `sys/` |
//!
//! # How an iovec becomes requests
//!
//! ```text
//!  caller's memory ──► IovecCursor ──► DirectIo::transfer, until the memory is used up
//!                                        │ count_pages   places that the next request takes
//!                                        │ allocate      a request with room for just those
//!                                        │ pack          a fragment of one page for each
//!                                        │ send          short: the end; error: only if first
//!                                        └─◄─ next
//! ```
//! ```
//! use fusesg_sg::{DirectIo, IovecCursor, Packing, Request, RequestAllocator, RequestLimits};
//!
//! let memory = [vec![1_u8; 3000], vec![2; 5000]];
//! let cursor = IovecCursor::new(memory.iter().map(Vec::as_slice))?;
//! let limits = RequestLimits::new(32, 128 * 1024);
//! let requests = RequestAllocator::new(1);
//! let written = DirectIo::new(cursor, 0, limits, Packing::Request)?.transfer(
//!     |pages| Ok(requests.allocate(pages)?),
//!     |request: Request<&[u8]>, range| {
//!         assert_eq!(request.pages.bytes(), 8000);
//!         Ok(range.end - range.start)
//!     },
//! )?;
//! assert_eq!((written, requests.statistics().allocated), (8000, 1));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Who owns a page
//!
//! ```text
//! RequestAllocator ──allocate(n)──► Request { pages: PageVector }      slot taken
//!                                      ▲                 │
//! PagePool ──take(), take_many()──► Page             drop: pages, then the slot
//!     ▲                                                  │
//!     └── idle, up to the high-water mark ◄──────────────┘   beyond it: munmap
//! ```
//! Between its allocation and its release a page may change its owner without a copy:
//!
//! ```text
//!          ┌───────────── PageRun (Segment::Pages) ──────────────┐
//!  Page ──►│ Arc ── page ◄── shared by clones and slices         │
//!          └──────┬──────────────────────────────────────────────┘
//!                 │ copy(): the only owner, a whole page on both sides, moves offered
//!                 ▼
//!          exchanged ◄──────► Page in Request::pages (Destination::Owned)
//!                 │                       │
//!     the old page goes back      the data goes on with the request
//!     with the segment            and goes back with it
//! ```
//! In every other case the bytes are carried and both pages stay where they are. A
//! destination that is borrowed memory (`Destination::Borrowed`) never changes its owner.
//!
//! Pages of a file's cache that lie in a pipe belong to the kernel; this crate only ever
//! counts how many bytes of them there are. The kernel takes them over from a
//! [`SplicedMessage`] where they are offered to it: [`MoveOffer`] says which could be.
//!
//! A [`PooledBuffer`] belongs to one request at a time. Dropping it returns the
//! pages, still mapped and touched, to the pool, up to the pool's high-water mark.

mod backing;
mod completion;
mod copied;
mod copier;
mod destination;
mod direct_io;
mod gather;
mod iovec;
mod move_offer;
mod packer;
mod packing_plan;
mod page_pools;
mod page_run;
mod page_size;
mod page_span;
mod page_vector;
mod pipe;
mod pipe_list;
mod pool;
mod request;
mod segment;
mod segment_list;
mod splice;
mod stream;
mod sync;
mod sys;
mod thread_number;

pub use backing::Backing;
pub use completion::{
    Canceller, Completion, CompletionCounters, CompletionStatistics, Direction, Part, Submission,
};
pub use copied::{Copied, CopyCounts, CopyStatistics, NotMoved, NotMovedPages};
pub use copier::{CopyOptions, copy};
pub use destination::Destination;
pub use direct_io::{DirectIo, Packing, RequestLimits};
pub use gather::gather;
pub use iovec::{IovecCursor, TooManyBytes, UserMemory};
pub use move_offer::MoveOffer;
pub use packer::PackedList;
pub use page_pools::PagePools;
pub use page_run::{Page, PageRun};
pub use page_size::PageSize;
pub use page_span::{PageSpan, range_end};
pub use page_vector::{INLINE_PAGES, OutOfMemory, PageDescriptor, PageVector};
pub use pipe::{PipePool, PipeStatistics};
pub use pipe_list::{GatherError, gather_pipes, pipes_of_message};
pub use pool::{PagePool, PoolStatistics, PooledBuffer};
pub use request::{AllocateError, Request, RequestAllocator, RequestStatistics};
pub use segment::{Extent, Segment};
pub use segment_list::SegmentList;
pub use splice::{LoadError, NotSpliced, SplicedMessage, Unspliced};
pub use stream::{Endless, Patience, Stream};
pub use thread_number::thread_number;

/// Bytes in a page of memory, the unit of the kernel's page vectors.
pub const PAGE_SIZE: usize = 4096;
