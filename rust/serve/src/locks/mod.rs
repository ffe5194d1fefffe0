//! POSIX locks of a file system that keeps them itself.
//!
//! The file system only ever *tries*: it sets a lock, or refuses with EAGAIN (or EACCES,
//! which POSIX allows as well). Who wants to wait waits here, and holds no thread.
//!
//! ```text
//!  SETLK(W) ──► file system ──► set ─────────────────────────► answered
//!                  ▲    └────── refused ──► waits? ── no ────► answered EAGAIN
//!                  │                          │ yes
//!                  └── a lock is released ── line of the inode
//!                      or some time passed
//!
//!  FLUSH ────► file system ──► owner has locks? ──► SETLK(unlock all) ──► answered
//!  RELEASE ──► locks left of this handle? ──► SETLK(unlock all) ──► file system
//! ```
//! The kernel leaves it to the server to drop the locks of an owner who closes the file, and
//! those of an open file description (`F_OFD_SETLK`) that ends without telling by whom they
//! were set. So it is noted who tries to set locks, and they are unlocked in the closer's name.
//! That includes a lock that is set after the file was closed: its program was killed while
//! the file system was still at it.
//!
//! | concept | file |
//! |---|---|
//! | [`LockStep`]: what a request is on the way to | `mod.rs` |
//! | [`Locks`]: who waits, in order of arrival, and who tries again when | `line.rs` |
//! | who set locks through which open file | `owners.rs` |

mod line;
mod owners;

use fusesg_fs::{
    Context, Errno, Handle, Inode, Lock, LockOwner, Operation, OperationKind, Properties, Reply,
    Result,
};

use crate::admission::Admitted;
use crate::responder::Responder;

pub use line::LockStatistics;
use line::Place;
pub(crate) use line::{Locks, spawn};

/// Last byte of a file.
const END_OF_FILE: u64 = u64::MAX >> 1;

/// Whether the file system keeps POSIX locks. With half of it the kernel keeps them.
pub(crate) fn are_kept(properties: &Properties) -> bool {
    let has = |kind| properties.implemented.contains(kind);
    has(OperationKind::Getlk) && has(OperationKind::Setlk)
}

/// What becomes of a request when the file system has answered.
#[derive(Debug)]
pub(crate) enum LockStep {
    /// A lock is set, or waited for.
    Setting(Setting),
    /// An open file is closed, which unlocks.
    Closing(Closing),
}

/// A SETLK.
#[derive(Debug)]
pub(crate) struct Setting {
    context: Context,
    inode: Inode,
    handle: Handle,
    owner: LockOwner,
    lock: Lock,
    wait: bool,
    /// Once it had to wait.
    place: Option<Place>,
    /// How many locks had been released before it was tried.
    releases: u64,
}

/// A FLUSH or RELEASE of a file with locks.
#[derive(Debug)]
pub(crate) struct Closing {
    context: Context,
    inode: Inode,
    handle: Handle,
    /// Whose locks are to be dropped; the last one is next.
    owners: Vec<LockOwner>,
    then: Then,
}

/// What follows when all is unlocked.
#[derive(Debug)]
enum Then {
    /// The answer to the FLUSH, once it is there.
    Answer(Option<Result<Reply>>),
    /// The RELEASE.
    Release { flags: i32, lock_owner: Option<LockOwner> },
}

impl Setting {
    fn operation(&self) -> Operation<'static> {
        let Self { inode, handle, owner: lock_owner, lock, wait, .. } = *self;
        Operation::Setlk { inode, handle, lock_owner, lock, wait }
    }
}

impl Closing {
    /// The next that has to be unlocked.
    fn unlock(&self) -> Option<Operation<'static>> {
        let lock_owner = *self.owners.last()?;
        let kind = libc::F_UNLCK;
        let lock = Lock { start: 0, end: END_OF_FILE, kind, pid: self.context.pid };
        let Self { inode, handle, .. } = *self;
        Some(Operation::Setlk { inode, handle, lock_owner, lock, wait: false })
    }
}

/// Has an operation that concerns locks go its way. `None`: something else has to be done
/// first, and is on its way.
pub(crate) fn enter<'a>(locks: &Locks, mut admitted: Admitted<'a>) -> Option<Admitted<'a>> {
    if !locks.are_kept() {
        return Some(admitted);
    }
    if let Some(step) = admitted.responder.take_lock_step() {
        return enter_again(locks, step, admitted);
    }
    let context = admitted.context;
    match &admitted.operation {
        Operation::Setlk { inode, handle, lock_owner, lock, wait } => {
            if lock.kind != libc::F_UNLCK {
                locks.owners.note(*inode, *lock_owner, *handle);
            }
            let setting = Setting {
                context,
                inode: *inode,
                handle: *handle,
                owner: *lock_owner,
                lock: *lock,
                wait: *wait,
                place: None,
                releases: Locks::releases(*inode),
            };
            admitted.responder.set_lock_step(LockStep::Setting(setting));
        }
        Operation::Flush { inode, handle, lock_owner } => {
            let (inode, handle) = (*inode, *handle);
            if locks.owners.has(inode, *lock_owner) {
                let owners = vec![*lock_owner];
                let closing = Closing { context, inode, handle, owners, then: Then::Answer(None) };
                admitted.responder.set_lock_step(LockStep::Closing(closing));
            }
        }
        Operation::Release { inode, handle, flags, lock_owner } => {
            let (inode, handle) = (*inode, *handle);
            let owners = locks.owners.of_handle(inode, handle);
            if locks.owners.was_last(inode, handle) && !owners.is_empty() {
                let then = Then::Release { flags: *flags, lock_owner: *lock_owner };
                let closing = Closing { context, inode, handle, owners, then };
                if let Some((responder, result)) = unlock_next(locks, closing, admitted.responder) {
                    let _nobody_waits = responder.answer(result);
                }
                return None;
            }
        }
        _ => {}
    }
    Some(admitted)
}

/// The same for one that a thread of the line carries out.
fn enter_again<'a>(
    locks: &Locks,
    step: Box<LockStep>,
    mut admitted: Admitted<'a>,
) -> Option<Admitted<'a>> {
    match *step {
        LockStep::Setting(setting) if locks.would_overtake(&setting) => {
            if let Some(responder) = locks.wait(setting, admitted.responder) {
                let _nobody_waits = responder.answer(Err(Errno::EINTR));
            }
            None
        }
        step => {
            admitted.responder.set_lock_step(step);
            Some(admitted)
        }
    }
}

/// The file system has answered a request that is on its way to something. The result to be
/// sent, or `None` if it is not over.
pub(crate) fn proceed(
    locks: &Locks,
    step: LockStep,
    responder: Responder,
    result: Result<Reply>,
) -> Option<(Responder, Result<Reply>)> {
    match step {
        LockStep::Setting(setting) => {
            let refused = matches!(result, Err(Errno::EAGAIN | Errno::EACCES));
            if refused && setting.wait {
                return locks.wait(setting, responder).map(|responder| (responder, result));
            }
            locks.was_tried(&setting);
            if result.is_err() {
                return Some((responder, result));
            }
            let Setting { context, inode, handle, owner, lock, .. } = setting;
            // a lock for reading may have been one for writing before
            if lock.kind != libc::F_WRLCK {
                line::released(inode);
            }
            if lock.kind == libc::F_UNLCK || locks.owners.has(inode, owner) {
                return Some((responder, result));
            }
            // the file was closed before the lock was set: it would never be dropped
            let then = Then::Answer(Some(result));
            let closing = Closing { context, inode, handle, owners: vec![owner], then };
            unlock_next(locks, closing, responder)
        }
        LockStep::Closing(mut closing) => {
            match &mut closing.then {
                Then::Answer(flushed @ None) => *flushed = Some(result),
                // there is nobody to tell that something could not be unlocked; what went
                // wrong was logged where it did
                _ => {
                    if let Some(owner) = closing.owners.pop() {
                        locks.closed(closing.inode, owner);
                    }
                }
            }
            unlock_next(locks, closing, responder)
        }
    }
}

/// Unlocks the next, or does what follows.
fn unlock_next(
    locks: &Locks,
    closing: Closing,
    mut responder: Responder,
) -> Option<(Responder, Result<Reply>)> {
    let context = closing.context;
    let operation = match (closing.unlock(), closing.then) {
        (Some(unlock), then) => {
            responder.set_lock_step(LockStep::Closing(Closing { then, ..closing }));
            unlock
        }
        (None, Then::Answer(flushed)) => {
            return Some((responder, flushed.unwrap_or(Ok(Reply::Done))));
        }
        (None, Then::Release { flags, lock_owner }) => {
            let Closing { inode, handle, .. } = closing;
            Operation::Release { inode, handle, flags, lock_owner }
        }
    };
    let admitted = Admitted { context, operation, responder };
    let refused = locks.carry_out(admitted)?;
    // the mount has ended
    Some((refused.responder.without_lock_step(), Err(Errno::EIO)))
}

/// A request was dropped unanswered while it was tried.
pub(crate) fn abandoned(locks: &Locks, step: &LockStep) {
    if let LockStep::Setting(setting) = step {
        locks.was_tried(setting);
    }
}
