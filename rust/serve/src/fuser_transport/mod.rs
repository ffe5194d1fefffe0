//! Requests from `/dev/fuse` through fuser, and replies back through it.
//!
//! fuser 0.18.0 is pinned. What it gets wrong or cannot say is mended here and nowhere else:
//!
//! | fuser 0.18.0 | mended in |
//! |---|---|
//! | negative times of SETATTR have their nanoseconds subtracted | `attributes.rs` |
//! | a SETATTR without a field (clear set-id bits) looks like one that does nothing | `callbacks.rs` |
//! | READDIRPLUS and CREATE have one timeout for entry and attributes | `directory_reply.rs`, `reply.rs` |
//! | READDIRPLUS has no entries without a lookup | `directory_reply.rs` |
//! | `opened` panics on kernel passthrough | `reply.rs` |
//! | ECONNABORTED ends a session with an error | `mount.rs` |
//! | an unimplemented callback logs a warning | every one is implemented |
//! | a failed send is an error in the log, also when the kernel gave the request up | `own_reply.rs` |

mod attributes;
mod callbacks;
mod capabilities;
mod direct_open;
mod directory_reply;
mod reply;

pub(crate) use callbacks::FuserTransport;
pub(crate) use reply::FuserReply;
