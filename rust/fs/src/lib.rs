//! Operations, replies, the file system trait, and the native file systems.
//!
//! A file system never sees the kernel: it gets an operation's arguments and
//! answers with a value or an [`Errno`]. Transports (crate `fusesg-serve`) turn
//! kernel messages into [`Operation`]s and [`Reply`]s into kernel messages.
//!
//! | concept | file |
//! |---|---|
//! | [`Inode`], [`Handle`], [`Unique`], [`LockOwner`] | `id.rs` |
//! | [`Errno`] | `errno.rs` |
//! | [`Timestamp`] | `timestamp.rs` |
//! | [`Attributes`], [`SetAttributes`], [`FileType`] | `attributes.rs` |
//! | [`Context`]: who asks | `context.rs` |
//! | [`Operation`], [`OperationKind`], [`OperationSet`] | `operation.rs`, `operation_kind.rs` |
//! | [`RequestSize`]: which operations carry pages, and which must not fail | `request_size.rs` |
//! | [`Reply`], [`Entry`], [`Opened`] … | `reply.rs` |
//! | [`DirectorySink`]: where a listing goes | `directory.rs` |
//! | [`FileSystem`]: the synchronous trait | `file_system.rs` |
//! | [`Properties`]: what a file system declares | `properties.rs` |
//! | [`OpenData`]: open files whose bytes are known | `open_data.rs` |
//! | nodes that the kernel knows, and how often it looked them up | `lookup_table.rs` |
//! | numbers of open files and directories | `handle_table.rs` |
//! | who keeps a set-group-id bit | `set_group_id.rs` |
//! | [`PathTable`]: which path an inode has; [`Claim`]: who uses it | `paths/` |
//! | [`memory`]: files in memory, served natively | `memory/` |
//! | [`passthrough`]: a directory of this machine, served natively | `passthrough/` |
//! | [`tree`]: a read-only tree of segment lists, served natively | `tree/` |
//! | what the fuzzers may call | `fuzzing.rs` |

mod attributes;
mod context;
mod directory;
mod errno;
mod file_system;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handle_table;
mod id;
mod lookup_table;
pub mod memory;
mod open_data;
mod operation;
mod operation_kind;
pub mod passthrough;
mod paths;
mod properties;
mod reply;
mod request_size;
mod set_group_id;
mod timestamp;
pub mod tree;

pub use attributes::{Attributes, FileType, SetAttributes, SetTime};
pub use context::Context;
pub use directory::{DirectoryEntry, DirectorySink};
pub use errno::Errno;
pub use file_system::FileSystem;
pub use id::{Handle, Inode, LockOwner, Unique};
pub use open_data::{OpenData, Window};
pub use operation::{Operation, PollId, PollWaiter, RenameFlags};
pub use operation_kind::{OperationKind, OperationSet};
pub use paths::{Claim, PathTable};
pub use properties::Properties;
pub use reply::{AttributesReply, Entry, FilesystemStatistics, Lock, Opened, OpenedFlags, Reply};
pub use request_size::RequestSize;
pub use timestamp::Timestamp;

/// What an operation of a file system returns.
pub type Result<T> = std::result::Result<T, Errno>;
