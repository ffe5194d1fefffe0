//! What the transports have in common: the way back of one request's answer.

use fusesg_fs::{DirectoryEntry, Inode, Reply, Result, Unique};

use crate::client::ClientReply;
use crate::connection::Connection;
use crate::fuser_transport::FuserReply;
use crate::own_reply::expecting_failure;

/// The way back of one request's answer, on the transport that the request came by.
#[derive(Debug)]
pub(crate) enum TransportReply {
    /// To the kernel, through fuser.
    Fuser(FuserReply),
    /// To a caller in this process.
    Client(ClientReply),
}

impl TransportReply {
    /// Sends an answer other than [`Reply::Data`]. `false`: an error was sent in its place,
    /// and what was in it has to be taken back.
    pub(crate) fn send(
        self,
        connection: &Connection,
        unique: Unique,
        inode: Inode,
        result: Result<Reply>,
    ) -> bool {
        match self {
            Self::Fuser(reply) => reply.send(connection, unique, inode, result),
            Self::Client(reply) => {
                reply.send(result);
                true
            }
        }
    }

    /// Appends to a listing.
    pub(crate) fn add_entry(
        &mut self,
        connection: &Connection,
        entry: &DirectoryEntry<'_>,
    ) -> bool {
        match self {
            Self::Fuser(reply) => reply.add_entry(connection, entry),
            Self::Client(reply) => reply.add_entry(entry),
        }
    }

    /// Uses up the reply of a request that was answered already.
    pub(crate) fn discard(self) {
        match self {
            Self::Fuser(reply) => expecting_failure(|| reply.discard()),
            // its caller has the other answer
            Self::Client(_) => {}
        }
    }
}
