//! Notifications to the kernel, from a thread of their own.
//!
//! The kernel takes an inode's or directory's lock to carry out an invalidation, and holds
//! the same locks while it waits for the answer to a request. A callback that notified by
//! itself could wait for its own end. So notifications are queued, and callers never wait.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};

use fuser::{INodeNo, PollHandle};
use fusesg_fs::{Inode, PollWaiter};
use parking_lot::Mutex;

use crate::Condvar;

/// Notifications that may wait. The kernel takes thousands in a second; a longer queue
/// means that it takes none.
const CAPACITY: usize = 1 << 16;

#[derive(Debug)]
enum Notification {
    InvalidateInode { inode: Inode, offset: i64, length: i64 },
    InvalidateEntry { parent: Inode, name: OsString },
    Deleted { parent: Inode, child: Inode, name: OsString },
    Store { inode: Inode, offset: u64, data: Vec<u8> },
    Poll(PollHandle),
}

/// Notifications on their way to the kernel.
#[derive(Debug, Default)]
pub(crate) struct NotificationQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Notification>,
    closed: bool,
    overflowed: bool,
}

impl NotificationQueue {
    fn push(&self, notification: Notification) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        if state.waiting.len() >= CAPACITY {
            if !state.overflowed {
                state.overflowed = true;
                log::error!("{CAPACITY} notifications wait for the kernel; more are dropped");
            }
            return false;
        }
        state.waiting.push_back(notification);
        self.changed.notify_one();
        true
    }

    fn pop(&self) -> Option<Notification> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(notification) = state.waiting.pop_front() {
                state.overflowed = false;
                return Some(notification);
            }
            self.changed.wait(&mut state);
        }
    }

    /// Ends the thread; what waits goes nowhere.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.waiting.clear();
        self.changed.notify_one();
    }
}

/// Starts the thread that sends what is queued.
pub(crate) fn spawn(
    queue: &Arc<NotificationQueue>,
    sender: fuser::Notifier,
) -> io::Result<JoinHandle<()>> {
    let queue = Arc::clone(queue);
    thread::Builder::new().name("fusesg-notifier".into()).spawn(move || {
        while let Some(notification) = queue.pop() {
            if let Err(error) = send(&sender, &notification) {
                report(&notification, &error);
            }
        }
    })
}

fn send(sender: &fuser::Notifier, notification: &Notification) -> io::Result<()> {
    match notification {
        Notification::InvalidateInode { inode, offset, length } => {
            sender.inval_inode(INodeNo(inode.0), *offset, *length)
        }
        Notification::InvalidateEntry { parent, name } => {
            sender.inval_entry(INodeNo(parent.0), name)
        }
        Notification::Deleted { parent, child, name } => {
            sender.delete(INodeNo(parent.0), INodeNo(child.0), name)
        }
        Notification::Store { inode, offset, data } => {
            sender.store(INodeNo(inode.0), *offset, data)
        }
        Notification::Poll(handle) => sender.poll(*handle),
    }
}

/// What the kernel does not know (any more) needs no notification, and neither does one
/// whose mount has ended.
fn report(notification: &Notification, error: &io::Error) {
    let harmless = [libc::ENOENT, libc::ENOTDIR, libc::ENODEV, libc::ENOTCONN];
    if !error.raw_os_error().is_some_and(|number| harmless.contains(&number)) {
        log::warn!("the kernel refused a notification ({error}): {notification:?}");
    }
}

/// Sends notifications to the kernel from a thread of its own, so that callers hold no
/// request while the kernel takes its locks. Safe inside callbacks, never waits.
///
/// What the kernel has not cached is ignored. Each method tells whether the notification
/// was queued; it is not when the mount has ended.
#[derive(Clone, Debug)]
pub struct Notifier(Arc<NotificationQueue>);

impl Notifier {
    pub(crate) fn new(queue: Arc<NotificationQueue>) -> Self {
        Self(queue)
    }

    /// Drops cached attributes and the pages `[offset, offset + length)`; length 0: to the
    /// end; a negative offset: attributes only.
    pub fn invalidate_inode(&self, inode: Inode, offset: i64, length: i64) -> bool {
        self.0.push(Notification::InvalidateInode { inode, offset, length })
    }

    /// Drops the cached name.
    pub fn invalidate_entry(&self, parent: Inode, name: &OsStr) -> bool {
        self.0.push(Notification::InvalidateEntry { parent, name: name.to_owned() })
    }

    /// Drops the cached name of `child`, which was deleted: those who watch it are told.
    pub fn deleted(&self, parent: Inode, child: Inode, name: &OsStr) -> bool {
        self.0.push(Notification::Deleted { parent, child, name: name.to_owned() })
    }

    /// Puts data into the page cache.
    pub fn store(&self, inode: Inode, offset: u64, data: Vec<u8>) -> bool {
        self.0.push(Notification::Store { inode, offset, data })
    }
}

/// A waiter that tells the kernel to poll again. It keeps neither the queue nor the device
/// alive, however long a file system holds it.
pub(crate) fn poll_waiter(queue: &Arc<NotificationQueue>, handle: PollHandle) -> PollWaiter {
    let queue: Weak<NotificationQueue> = Arc::downgrade(queue);
    PollWaiter::new(move || {
        if let Some(queue) = queue.upgrade() {
            queue.push(Notification::Poll(handle));
        }
    })
}
