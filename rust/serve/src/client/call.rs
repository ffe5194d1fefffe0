//! A request on its way: where its caller waits, and the way back of its answer.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fusesg_fs::{DirectoryEntry, Errno, Reply, Result, Unique};
use fusesg_sg::PagePool;
use parking_lot::Mutex;

use super::listing::Listing;
use crate::responder::DataInHand;
use crate::sys;

/// What a caller waits for.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Where the bytes of a READ are; the caller brings them into its pages.
    Data(DataInHand),
    /// READDIR and READDIRPLUS.
    Listing(Listing),
    /// Any other.
    Reply(Result<Reply>),
}

/// Where one caller waits.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// 1 while there is an answer.
    answered: AtomicU32,
    given: Mutex<Given>,
}

/// What has been given to a caller and not been taken.
#[derive(Debug, Default)]
struct Given {
    answer: Option<Answer>,
    /// Why there is no use in waiting for another answer.
    instead: Option<Errno>,
}

impl Call {
    /// Hands the answer over.
    fn give(&self, answer: Answer) {
        self.given.lock().answer = Some(answer);
        self.wake();
    }

    /// Answers in the place of a callback. Should the callback be just telling where data is,
    /// it is told too late.
    fn give_instead(&self, errno: Errno) {
        self.given.lock().instead = Some(errno);
        self.wake();
    }

    fn wake(&self) {
        self.answered.store(1, Ordering::Release);
        sys::futex_wake_all(&self.answered);
    }

    /// Waits for the answer. `interrupted` is asked when a signal was handled on this
    /// thread; true gives up.
    pub(super) fn wait(&self, mut interrupted: impl FnMut() -> bool) -> Option<Answer> {
        loop {
            if self.answered.load(Ordering::Acquire) == 1 {
                let mut given = self.given.lock();
                self.answered.store(0, Ordering::Relaxed);
                if let Some(errno) = given.instead {
                    return Some(Answer::Reply(Err(errno)));
                }
                if let Some(answer) = given.answer.take() {
                    return Some(answer);
                }
            }
            match sys::futex_wait(&self.answered, 0, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted && interrupted() => {
                    return None;
                }
                // the loop looks how it is
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// What a connection has in place of a device.
#[derive(Debug)]
pub(crate) struct InProcess {
    pub(crate) calls: Calls,
    /// Pages of the client's own.
    pub(crate) pages: Arc<PagePool>,
}

/// The calls that wait for an answer, by request: an answer that no responder gives (a
/// deadline, the end of the client) finds its way through it.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<HashMap<Unique, Arc<Call>>>);

impl Calls {
    pub(super) fn enter(&self, unique: Unique) -> Arc<Call> {
        let call = Arc::default();
        self.0.lock().insert(unique, Arc::clone(&call));
        call
    }

    pub(super) fn leave(&self, unique: Unique) {
        self.0.lock().remove(&unique);
    }

    /// Answers a request in the callback's place, by right of the table of requests in flight.
    pub(crate) fn error(&self, unique: Unique, errno: Errno) {
        // under the lock: when its caller has left, nothing here holds the call any more, nor
        // what a late answer puts into it
        if let Some(call) = self.0.lock().get(&unique) {
            call.give_instead(errno);
        }
    }
}

/// The way back of one answer to a caller in this process.
#[derive(Debug)]
pub(crate) struct ClientReply {
    call: Arc<Call>,
    /// READDIR and READDIRPLUS.
    listing: Option<Listing>,
}

impl ClientReply {
    pub(super) fn new(call: Arc<Call>, listing: Option<Listing>) -> Self {
        Self { call, listing }
    }

    /// Sends an answer other than [`Reply::Data`].
    pub(crate) fn send(mut self, result: Result<Reply>) {
        let answer = match (result, self.listing.take()) {
            (Ok(Reply::Done), Some(listing)) => Answer::Listing(listing),
            (result, _) => Answer::Reply(result),
        };
        self.call.give(answer);
    }

    /// Tells the caller where the bytes of its READ are.
    pub(crate) fn data(self, data: DataInHand) {
        self.call.give(Answer::Data(data));
    }

    /// Appends to a listing.
    pub(crate) fn add_entry(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        self.listing.as_mut().is_some_and(|listing| listing.add(entry))
    }
}
