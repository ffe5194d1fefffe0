//! Notifications to the kernel, from a thread of their own.
//!
//! The kernel takes an inode's or directory's lock to carry out an invalidation, and holds
//! the same locks while it waits for the answer to a request. A callback that notified by
//! itself could wait for its own end. So notifications are queued, and callers never wait.
//!
//! They go out in the order in which they were asked for, from one thread: who is woken by a
//! poll finds what was invalidated before it. One that has to wait for a callback therefore
//! holds up those behind it.
//!
//! What is asked for again while the same waits as the last about that inode is not queued
//! twice. The queue is bounded all the same; what does not fit is dropped, counted and logged.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fusesg_fs::{Inode, PollId, PollWaiter};
use parking_lot::Mutex;

use crate::Condvar;
use crate::connection::Connection;
use crate::notification::Notification;

/// Notifications that may wait: enough for a program that invalidates a large tree faster
/// than the kernel can.
const CAPACITY: usize = 1 << 20;
/// Bytes that may wait in [`Notification::Store`]. What is not stored is read.
const STORE_CAPACITY: usize = 64 << 20;

/// Notifications on their way to the kernel.
#[derive(Debug)]
pub(crate) struct NotificationQueue {
    /// Of no other mount of this process.
    mount: u64,
    state: Mutex<State>,
    changed: Condvar,
    /// The kernel has carried one out.
    carried_out: Condvar,
    counters: Counters,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Notification>,
    /// How many were taken out so far: the number of the first that waits.
    taken: u64,
    /// How many were carried out so far.
    done: u64,
    /// The number of the last that waits, by what it is about.
    last: HashMap<Subject, u64>,
    stored_bytes: usize,
    closed: bool,
    overflowed: bool,
}

/// What a notification is about. Only those about the same subject depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    /// A file, or a directory and its names.
    Inode(Inode),
    /// Whoever polls.
    Poll(u64),
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    ignored: AtomicU64,
    merged: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// What became of the notifications of one mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotificationStatistics {
    /// Carried out by the kernel.
    pub sent: u64,
    /// About what the kernel had not cached, or no longer had.
    pub ignored: u64,
    /// Not queued, because the same waited already.
    pub merged: u64,
    /// Not queued, because the queue was full.
    pub dropped: u64,
    /// Refused by the kernel.
    pub failed: u64,
    /// In the queue now.
    pub waiting: usize,
}

impl Default for NotificationQueue {
    fn default() -> Self {
        static MOUNTS: AtomicU64 = AtomicU64::new(0);
        Self {
            mount: MOUNTS.fetch_add(1, Ordering::Relaxed),
            state: Mutex::default(),
            changed: Condvar::new(),
            carried_out: Condvar::new(),
            counters: Counters::default(),
        }
    }
}

impl NotificationQueue {
    fn push(&self, notification: Notification) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        let subject = subject(&notification);
        if state.waits_as_last(subject, &notification) {
            self.counters.merged.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let stored = notification.data_length();
        if state.waiting.len() >= CAPACITY
            || (stored != 0 && state.stored_bytes + stored > STORE_CAPACITY)
        {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            if !state.overflowed {
                state.overflowed = true;
                log::error!(
                    "{} notifications with {} bytes wait for the kernel; more are dropped",
                    state.waiting.len(),
                    state.stored_bytes
                );
            }
            return false;
        }
        let number = state.taken + state.waiting.len() as u64;
        state.last.insert(subject, number);
        state.stored_bytes += stored;
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
            if let Some(notification) = state.take_first() {
                return Some(notification);
            }
            self.changed.wait(&mut state);
        }
    }

    fn one_is_done(&self) {
        self.state.lock().done += 1;
        self.carried_out.notify_all();
    }

    /// Waits until what was queued before is carried out, or the mount has ended; `false` when
    /// `timeout` passed first.
    fn flush(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state.lock();
        let queued = state.taken + state.waiting.len() as u64;
        while !state.closed && state.done < queued {
            match deadline {
                None => self.carried_out.wait(&mut state),
                Some(deadline) if Instant::now() >= deadline => return false,
                Some(deadline) => {
                    self.carried_out.wait_until(&mut state, deadline);
                }
            }
        }
        true
    }

    /// Ends the thread; what waits goes nowhere.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.waiting = VecDeque::new();
        state.last = HashMap::new();
        self.changed.notify_one();
        self.carried_out.notify_all();
    }

    /// What became of what was asked for.
    pub(crate) fn statistics(&self) -> NotificationStatistics {
        let Counters { sent, ignored, merged, dropped, failed } = &self.counters;
        let [sent, ignored, merged, dropped, failed] =
            [sent, ignored, merged, dropped, failed].map(|counter| counter.load(Ordering::Relaxed));
        let waiting = self.state.lock().waiting.len();
        NotificationStatistics { sent, ignored, merged, dropped, failed, waiting }
    }
}

impl State {
    /// Whether what is asked for is what waits as the last about its subject.
    fn waits_as_last(&self, subject: Subject, notification: &Notification) -> bool {
        let waits = |number: &u64| {
            let index = usize::try_from(number.checked_sub(self.taken)?).ok()?;
            self.waiting.get(index)
        };
        match notification {
            // who polls is to look after all that was invalidated before
            Notification::Poll { .. } => self.waiting.back() == Some(notification),
            _ => self.last.get(&subject).and_then(waits) == Some(notification),
        }
    }

    fn take_first(&mut self) -> Option<Notification> {
        let notification = self.waiting.pop_front()?;
        let subject = subject(&notification);
        if self.last.get(&subject) == Some(&self.taken) {
            self.last.remove(&subject);
        }
        self.taken += 1;
        self.stored_bytes -= notification.data_length();
        if self.waiting.is_empty() {
            self.overflowed = false;
            // a burst's memory is given back
            self.waiting.shrink_to(CAPACITY / 256);
            self.last.shrink_to(CAPACITY / 256);
        }
        Some(notification)
    }
}

fn subject(notification: &Notification) -> Subject {
    match notification {
        Notification::Inode { inode, .. } | Notification::Store { inode, .. } => {
            Subject::Inode(*inode)
        }
        Notification::Entry { parent, .. } | Notification::Deleted { parent, .. } => {
            Subject::Inode(*parent)
        }
        Notification::Poll { open_file } => Subject::Poll(*open_file),
    }
}

/// Starts the thread that sends what is queued.
pub(crate) fn spawn(connection: &Arc<Connection>) -> io::Result<JoinHandle<()>> {
    let connection = Arc::clone(connection);
    thread::Builder::new().name("fusesg-notifier".into()).spawn(move || {
        while let Some(notification) = connection.notifications.pop() {
            carry_out(&connection, &notification);
            connection.notifications.one_is_done();
        }
    })
}

fn carry_out(connection: &Connection, notification: &Notification) {
    let counters = &connection.notifications.counters;
    let counter = match send(connection, notification) {
        Ok(()) => &counters.sent,
        Err(error) if is_no_news(&error) => &counters.ignored,
        Err(error) => {
            log::warn!("the kernel refused a notification ({error}): {notification:?}");
            &counters.failed
        }
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

fn send(connection: &Connection, notification: &Notification) -> io::Result<()> {
    let sent = connection.own_reply.notify(notification);
    let (Notification::Entry { parent, name } | Notification::Deleted { parent, name, .. }) =
        notification
    else {
        return sent;
    };
    match sent {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT)) => {
            // the name is not cached, and the kernel then does not look at the directory:
            // its listing may be cached all the same
            let directory = Notification::Inode { inode: *parent, offset: 0, length: 0 };
            connection.own_reply.notify(&directory)
        }
        Err(error)
            if matches!(notification, Notification::Deleted { .. })
                && matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENOTEMPTY)) =>
        {
            // something is mounted there, or the kernel knows of names in it: what it is told
            // about them will show
            let entry = Notification::Entry { parent: *parent, name: name.clone() };
            connection.own_reply.notify(&entry)
        }
        other => other,
    }
}

/// What the kernel does not know (any more) needs no notification, and neither does one
/// whose mount has ended.
fn is_no_news(error: &io::Error) -> bool {
    let harmless = [libc::ENOENT, libc::ENOTDIR, libc::ENODEV, libc::ENOTCONN, libc::EPERM];
    error.raw_os_error().is_some_and(|number| harmless.contains(&number))
}

/// Sends notifications to the kernel from a thread of its own, so that callers hold no
/// request while the kernel takes its locks. Safe inside callbacks, never waits.
///
/// What the kernel has not cached is ignored. Each method tells whether the notification
/// was queued; it is not when the mount has ended, or too many wait.
#[derive(Clone, Debug)]
pub struct Notifier(Arc<Connection>);

impl Notifier {
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        Self(connection)
    }

    /// Drops cached attributes and the pages `[offset, offset + length)`, of a directory its
    /// listing; length 0: to the end; a negative offset: attributes only.
    pub fn invalidate_inode(&self, inode: Inode, offset: i64, length: i64) -> bool {
        self.push(Notification::Inode { inode, offset, length })
    }

    /// Has the name asked for again, and the directory's listing and attributes.
    pub fn invalidate_entry(&self, parent: Inode, name: &OsStr) -> bool {
        self.push(Notification::Entry { parent, name: name.to_owned() })
    }

    /// The same for a name that was deleted: who watches the file is told. `child` is the
    /// inode that it had; `None`: the one that the kernel was told last.
    pub fn deleted(&self, parent: Inode, child: Option<Inode>, name: &OsStr) -> bool {
        let names = &self.0.known_names;
        match child.or_else(|| names.inode(names.key(parent, name))) {
            Some(child) => {
                self.push(Notification::Deleted { parent, child, name: name.to_owned() })
            }
            None => self.invalidate_entry(parent, name),
        }
    }

    /// Puts data into the page cache.
    pub fn store(&self, inode: Inode, offset: u64, data: Vec<u8>) -> bool {
        self.push(Notification::Store { inode, offset, data })
    }

    /// Waits until the kernel has carried out what was queued before, or the mount has ended;
    /// `false` when `timeout` passed first. Not for callbacks: the kernel may have to wait for
    /// the end of one.
    pub fn flush(&self, timeout: Option<Duration>) -> bool {
        self.0.notifications.flush(timeout)
    }

    fn push(&self, notification: Notification) -> bool {
        self.0.notifications.push(notification)
    }
}

/// A waiter that tells the kernel that who polls the open file may look again. It keeps
/// neither the queue nor the device alive, however long a file system holds it; in a forked
/// child, where nobody sends and the queue may be locked for ever, it does nothing.
pub(crate) fn poll_waiter(queue: &Arc<NotificationQueue>, open_file: u64) -> PollWaiter {
    let id = PollId { mount: queue.mount, open_file };
    let queue: Weak<NotificationQueue> = Arc::downgrade(queue);
    let server = process::id();
    PollWaiter::new(id, move || {
        if process::id() == server
            && let Some(queue) = queue.upgrade()
        {
            queue.push(Notification::Poll { open_file });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(number: u64) -> Notification {
        Notification::Inode { inode: Inode(number), offset: 0, length: 0 }
    }

    fn drain(queue: &NotificationQueue) -> Vec<Notification> {
        std::iter::from_fn(|| queue.state.lock().take_first()).collect()
    }

    #[test]
    fn order_is_kept() {
        let queue = NotificationQueue::default();
        let store = Notification::Store { inode: Inode(1), offset: 0, data: vec![1] };
        let all = [inode(1), store, inode(1), Notification::Poll { open_file: 3 }, inode(2)];
        for notification in &all {
            assert!(queue.push(notification.clone()));
        }
        assert_eq!(drain(&queue), all);
        assert_eq!(queue.statistics().merged, 0);
    }

    #[test]
    fn what_waits_is_not_queued_twice() {
        let queue = NotificationQueue::default();
        for number in [1, 2, 1, 2, 2] {
            assert!(queue.push(inode(number)));
        }
        assert_eq!(drain(&queue), [inode(1), inode(2)]);
        assert_eq!(queue.statistics().merged, 3);
        assert!(queue.push(inode(1)));
        assert_eq!(drain(&queue), [inode(1)], "it does not wait any more");
    }

    #[test]
    fn who_polls_looks_after_what_was_invalidated_before() {
        let queue = NotificationQueue::default();
        let poll = Notification::Poll { open_file: 1 };
        let all = [poll.clone(), inode(1), poll];
        for notification in &all {
            queue.push(notification.clone());
        }
        assert_eq!(drain(&queue), all);
    }

    #[test]
    fn too_much_data_is_dropped_and_counted() {
        let queue = NotificationQueue::default();
        let store = |inode| Notification::Store {
            inode: Inode(inode),
            offset: 0,
            data: vec![0; STORE_CAPACITY / 2],
        };
        assert!(queue.push(store(1)));
        assert!(queue.push(store(2)));
        assert!(!queue.push(store(3)));
        assert!(queue.push(inode(3)), "invalidations still fit");
        assert_eq!(queue.statistics().dropped, 1);
        assert_eq!(drain(&queue).len(), 3);
        assert!(queue.push(store(3)));
    }

    #[test]
    fn a_closed_queue_takes_nothing() {
        let queue = NotificationQueue::default();
        queue.push(inode(1));
        queue.close();
        assert!(!queue.push(inode(2)));
        assert_eq!(queue.pop(), None);
    }
}
