//! The trait that transports call: operations in, answers through a responder, now or later.

use std::path::Path;

use fusesg_fs::{Context, Inode, Operation, Properties, Result, Unique};

use crate::{Responder, Value};

/// Whether an answer reached the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an entry or handle in a dropped answer must be taken back"]
pub enum Delivery {
    /// Handed to the kernel.
    Sent,
    /// The request had been answered already (its caller was killed, or its deadline
    /// passed): the kernel does not know the entry or handle that was in this answer.
    Dropped,
}

/// A file system that may answer later.
pub trait Dispatch: Send + Sync + 'static {
    /// What the file system implements and promises; asked once, before it is mounted.
    fn properties(&self) -> Properties;

    /// It was mounted at `point`, which has no symbolic links, and is seen there under the
    /// number `device` (`st_dev`). Called before [`init`](Self::init), and for each mount.
    fn mounted(&self, point: &Path, device: u64) {
        let _ = (point, device);
    }

    /// What was mounted with that number has ended.
    fn unmounted(&self, device: u64) {
        let _ = device;
    }

    /// Called once when the mount is there, before any operation. An error ends the mount.
    fn init(&self) -> Result<()>;

    /// Carries out one operation. The responder may be kept and answered from another thread;
    /// the operation's names and data may not ([`Operation::into_owned`]).
    fn dispatch(&self, context: Context, operation: Operation<'_>, responder: Responder);

    /// Takes back `count` lookups of `inode`. Nobody waits for it.
    fn forget(&self, inode: Inode, count: u64);

    /// The request `unique` was answered by the transport because its caller was killed or
    /// its deadline passed. Called from the sweeper's thread; must not block.
    fn cancelled(&self, unique: Unique) {
        let _ = unique;
    }

    /// No operation was asked for during a second: memory that is kept for the next one may
    /// be freed. Called from the sweeper's thread; must not block.
    fn idle(&self) {}

    /// Numbers of its own, to be added to the mount's: a map. Called at any time, from any
    /// thread; must not wait for a callback, nor for what one may hold.
    fn numbers(&self) -> Value {
        Value::Map(Vec::new())
    }

    /// Called once after the last operation was dispatched. Answers to earlier operations
    /// may still come; they go nowhere.
    fn destroy(&self);
}
