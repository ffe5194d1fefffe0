//! What the scatter-gather core should do, told byte by byte.
//!
//! Tests and fuzzers compare `fusesg-sg` with these functions. They share no code with it
//! and know none of its types; they are as slow as they are plain.
//!
//! | oracle of | file |
//! |---|---|
//! | the iovec packer | `iovec.rs` |
//! | direct I/O, request after request | `direct_io.rs` |
//! | page spans | `page_span.rs` |
//! | the page copier, lists of pipes | `pages.rs` |
//! | the packer of replies, spliced messages | `reply.rs` |

pub mod direct_io;
pub mod iovec;
pub mod page_span;
pub mod pages;
pub mod reply;

/// Bytes in a page.
pub const PAGE: usize = 4096;
