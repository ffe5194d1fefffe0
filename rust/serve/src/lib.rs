//! How operations arrive and replies leave: transports, the mount's life cycle,
//! and what every request passes on its way (metrics, trace, deadline, killed callers).
//!
//! ```text
//!  kernel ──► transport ──► [metrics · trace · in-flight table] ──► Dispatch
//!         ◄── transport ◄────────────────────────────── Responder ◄──┘
//! ```
//! A transport knows only [`Dispatch`] and [`Responder`]; a native file system is put
//! behind them by [`Native`].
//!
//! | concept | file |
//! |---|---|
//! | [`Dispatch`], [`Delivery`]: what a transport calls | `dispatch.rs` |
//! | [`Responder`]: answers one request, exactly once | `responder.rs` |
//! | [`Native`]: a synchronous file system behind `Dispatch` | `native.rs` |
//! | what an operation passes on its way in; answers to those that are not implemented | `served.rs`, `absent.rs` |
//! | names that no file can have; ACLs that nobody keeps | `names.rs`, `access_lists.rs` |
//! | a request for every operation; what waits for one | `admission.rs` |
//! | the way back of an answer, on any transport | `transport.rs` |
//! | `/dev/fuse` through fuser, capabilities | `fuser_transport/` |
//! | [`Client`]: the kernel's part played in this process | `client/` |
//! | the bytes of a READ reply; what these share | `data_reply.rs`, `data_path.rs` |
//! | messages of our own, past fuser | `own_reply.rs` |
//! | what all requests of a mount share | `connection.rs` |
//! | which requests are being served | `in_flight.rs` |
//! | killed callers, deadlines, slow requests | `sweeper.rs`, `caller.rs` |
//! | requests that wait for themselves | `deadlocks.rs` |
//! | readers that wait while one is enough | `standby.rs` |
//! | [`Metrics`], [`Statistics`]: what was served; how long it took; the clocks | `metrics.rs`, `histogram.rs`, `clock.rs` |
//! | the numbers as [`Value`]s, as JSON, for Prometheus | `report/` |
//! | the sockets at which others ask for them | `endpoint/` |
//! | the trace log | `trace.rs` |
//! | [`Notifier`]: what the kernel is told unasked; the messages; inodes of deleted names | `notifier.rs`, `notification.rs`, `known_names.rs` |
//! | POSIX locks: who waits for one, who closes with one | `locks/` |
//! | files that the kernel reads and writes by itself | `kernel_passthrough.rs` |
//! | [`Mount`], [`MountConfig`] | `mount.rs`, `config.rs` |
//! | on which CPUs it is served | `affinity.rs` |
//! | memory that threads have before they need it | `headroom.rs` |
//! | mount(2), fusermount3, mountinfo, abort | `mounting/` |
//! | after fork; statics of each process; after `kill -9` | `fork.rs`, `per_process.rs`, `watcher.rs` |
//! | what the fuzzers may call | `fuzzing.rs` |
//!
//! # Log
//! Targets start with `fusesg`; fuser's start with `fuser`. Records of fuser that report
//! what this crate brought about itself are told by [`log_record_is_expected`]: whoever
//! installs a logger drops them.

mod absent;
mod access_lists;
mod admission;
mod affinity;
mod caller;
mod client;
mod clock;
mod condvar;
mod config;
mod connection;
mod data_path;
mod data_reply;
mod deadlocks;
mod dispatch;
mod end;
mod endpoint;
mod fork;
mod fuser_transport;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod headroom;
mod histogram;
mod in_flight;
mod kernel_passthrough;
mod known_names;
mod locks;
mod metrics;
mod mount;
mod mounting;
mod names;
mod native;
mod notification;
mod notifier;
mod own_reply;
mod per_process;
mod report;
mod responder;
mod served;
mod serving;
mod standby;
mod sweeper;
mod sys;
mod threads;
mod trace;
mod transport;
mod watcher;

pub use client::{
    Client, ClientConfig, ClientEntry, ClientStatistics, Interrupted, MAX_SEGMENTS, PagesRead,
};
pub use condvar::Condvar;
pub use config::{MountConfig, Readdirplus};
pub use data_path::{DataPathStatistics, Moved};
pub use dispatch::{Delivery, Dispatch};
pub use end::Waited;
pub use fork::after_fork_in_child;
pub use headroom::keep_headroom;
pub use histogram::Durations;
pub use locks::LockStatistics;
pub use metrics::{
    CallbackStatistics, Metrics, OldRequest, OperationStatistics, Started, Statistics,
};
pub use mount::Mount;
pub use mounting::MountError;
pub use native::Native;
pub use notifier::{NotificationStatistics, Notifier};
pub use own_reply::log_record_is_expected;
pub use per_process::{GENERATIONS, PerProcess, new_generation};
pub use report::Value;
pub use responder::{Cancellation, Responder};
pub use threads::{this_thread, thread_runs};
