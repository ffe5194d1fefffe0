//! The numbers of a client.

use std::sync::atomic::Ordering;

use fusesg_sg::{CompletionStatistics, CopyCounts, PoolStatistics, RequestStatistics};

use super::Client;
use crate::Statistics;

/// Numbers of one client since it was made.
#[derive(Clone, Debug, Default)]
pub struct ClientStatistics {
    /// What was served, as on a mount.
    pub served: Statistics,
    /// Files that are open.
    pub open_files: usize,
    /// Lookups that have not been given back by FORGET; one for each open file.
    pub lookups: u64,
    /// Requests and their pages.
    pub requests: RequestStatistics,
    /// Pages of our own, for what goes through them.
    pub pages: PoolStatistics,
    /// How the bytes of READs came into the pages of their requests.
    pub copies: CopyCounts,
    /// Bytes that were copied to send them as one WRITE.
    pub joined_bytes: u64,
    /// I/Os whose requests were sent at once.
    pub completions: CompletionStatistics,
}

impl Client {
    /// The numbers.
    pub fn statistics(&self) -> ClientStatistics {
        let session = &self.session;
        ClientStatistics {
            served: session.served.connection.statistics(),
            open_files: self.files.len(),
            lookups: session.lookups.load(Ordering::Relaxed),
            requests: session.requests.statistics(),
            pages: session.pages.statistics(),
            copies: session.copies.counts(),
            joined_bytes: session.joined.load(Ordering::Relaxed),
            completions: session.completions.statistics(),
        }
    }
}
