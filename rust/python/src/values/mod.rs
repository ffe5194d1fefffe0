//! Values that callbacks take and return, one file per Python class.
//!
//! | class | file |
//! |---|---|
//! | `Attributes`: what stat shows | `attributes.rs` |
//! | `SetAttributes`, `NOW`: what setattr changes | `set_attributes.rs` |
//! | `Entry`: what a name leads to | `entry.rs` |
//! | `DirectoryEntry`: one name of a listing | `directory_entry.rs` |
//! | `FilesystemStatistics`: what statvfs shows | `filesystem_statistics.rs` |
//! | `Context`: who asks | `context.rs` |
//! | `Opened`: a handle, and how the kernel treats the file | `opened.rs` |
//! | `Lock`: a POSIX record lock | `lock.rs` |
//! | `PollWaiter`: wakes those who poll | `poll_waiter.rs` |
//!
//! Each holds the value of `rust/fs` that it stands for; checks happen in its constructor,
//! so that what a callback returns is right by its type.

pub(crate) mod attributes;
pub(crate) mod context;
pub(crate) mod directory_entry;
pub(crate) mod entry;
pub(crate) mod filesystem_statistics;
pub(crate) mod lock;
pub(crate) mod opened;
pub(crate) mod poll_waiter;
pub(crate) mod set_attributes;
