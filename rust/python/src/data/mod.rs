//! File data as Python sees it, and memory that Python and Rust share.
//!
//! | concept | file |
//! |---|---|
//! | `Backing`: a file that extents point into | `backing.rs` |
//! | `Extent`, `Zeros`, `SegmentList`; what a read may return | `segments.rs` |
//! | `Fetch`: a piece that takes long to get | `fetch.rs` |
//! | `Pipe`, `Socket`: what a read may consume | `streams.rs` |
//! | `BackingHandle`, `SegmentHandle`, `BytesHandle`: what an open may return | `handles.rs` |
//! | Python's buffers borrowed, pooled buffers lent to Python | `buffers.rs` |

pub(crate) mod backing;
pub(crate) mod buffers;
pub(crate) mod fetch;
pub(crate) mod handles;
pub(crate) mod segments;
pub(crate) mod streams;
