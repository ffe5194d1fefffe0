//! Who uses which path, so that none is renamed under somebody's hands.
//!
//! A path is right when it is put together, and the file system comes to use it a moment
//! later. So an operation that gives, moves or removes a name waits for those that use it, or
//! a path through it; and these wait for one that came before them.
//!
//! ```text
//!   use /a/b ──┐  rename /a, /c ──┐  use /a/b ──┐  use /d
//!              └── waits for ◄────┘  waits ◄────┘    (nobody waits for it)
//! ```
//!
//! Each waits for earlier ones only, so there is no deadlock among them. But what is waited
//! for may itself wait for who waits, or for ever: so waiting ends after a while, and who
//! takes long has its path at its own risk.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use smallvec::{SmallVec, smallvec};

use super::PathTable;
use super::nodes::Nodes;
use crate::{Inode, Operation};

/// A name in a directory.
type Name = (Inode, OsString);

/// What one operation claims.
#[derive(Debug, Default)]
struct Claimed {
    /// Later ones have greater numbers.
    number: u64,
    /// Whose paths it uses.
    inodes: SmallVec<[Inode; 2]>,
    /// Which names it asks for, or changes.
    names: SmallVec<[Name; 2]>,
    /// It changes the names.
    changes: bool,
}

impl Claimed {
    fn of(operation: &Operation<'_>) -> Self {
        let own = |name: &OsStr| name.to_owned();
        let (inodes, names): (SmallVec<[Inode; 2]>, SmallVec<[Name; 2]>) = match operation {
            Operation::Lookup { parent, name }
            | Operation::Symlink { parent, name, .. }
            | Operation::Mknod { parent, name, .. }
            | Operation::Mkdir { parent, name, .. }
            | Operation::Create { parent, name, .. }
            | Operation::Unlink { parent, name }
            | Operation::Rmdir { parent, name } => {
                (smallvec![*parent], smallvec![(*parent, own(name))])
            }
            Operation::Rename { parent, name, new_parent, new_name, .. } => (
                smallvec![*parent, *new_parent],
                smallvec![(*parent, own(name)), (*new_parent, own(new_name))],
            ),
            Operation::Link { inode, new_parent, new_name } => {
                (smallvec![*inode, *new_parent], smallvec![(*new_parent, own(new_name))])
            }
            Operation::CopyFileRange { in_inode, out_inode, .. } => {
                (smallvec![*in_inode, *out_inode], SmallVec::new())
            }
            other => (smallvec![other.inode()], SmallVec::new()),
        };
        let changes = !names.is_empty() && !matches!(operation, Operation::Lookup { .. });
        Self { number: 0, inodes, names, changes }
    }

    /// Whether both cannot go on at the same time.
    fn conflicts_with(&self, other: &Self, nodes: &Nodes) -> bool {
        self.changes && self.touches(other, nodes) || other.changes && other.touches(self, nodes)
    }

    /// Whether a change of these names concerns what `other` uses.
    fn touches(&self, other: &Self, nodes: &Nodes) -> bool {
        self.names.iter().any(|name| {
            let changed =
                nodes.find(name.0).and_then(|parent| nodes.child(parent, name.1.as_bytes()));
            let is_below = |inode: &Inode| {
                let index = nodes.find(*inode);
                index.zip(changed).is_some_and(|(index, changed)| nodes.is_below(index, changed))
            };
            other.names.contains(name) || other.inodes.iter().any(is_below)
        })
    }
}

/// The claims that are held, in order of their numbers.
#[derive(Debug, Default)]
struct Held {
    claimed: Vec<Claimed>,
    last: u64,
    /// How many of them change names.
    changes: usize,
}

/// All claims of one table.
#[derive(Debug, Default)]
pub(super) struct Claims {
    held: Mutex<Held>,
    released: Condvar,
}

/// The claim of one operation, given up when dropped.
#[derive(Debug)]
pub struct Claim {
    table: Arc<PathTable>,
    number: u64,
    /// There was none in the way when it was made.
    free: bool,
}

impl PathTable {
    /// Claims the paths that an operation is about to use.
    pub fn claim(self: &Arc<Self>, operation: &Operation<'_>) -> Claim {
        let mut claimed = Claimed::of(operation);
        let mut held = self.claims.held.lock();
        held.last += 1;
        let number = held.last;
        claimed.number = number;
        held.changes += usize::from(claimed.changes);
        // nearly always nobody changes anything
        let alone = held.changes == 0 || held.claimed.is_empty();
        held.claimed.push(claimed);
        let free = alone || self.is_free(&held, number);
        Claim { table: Arc::clone(self), number, free }
    }

    /// Whether no earlier claim is in the way of one.
    fn is_free(&self, held: &Held, number: u64) -> bool {
        let Some(position) = held.claimed.iter().position(|claimed| claimed.number == number)
        else {
            return true;
        };
        let (earlier, own) = (&held.claimed[..position], &held.claimed[position]);
        let nodes = self.nodes.lock();
        !earlier.iter().any(|other| own.conflicts_with(other, &nodes))
    }
}

impl Claim {
    /// Whether nobody is to be waited for.
    pub fn is_free(&self) -> bool {
        self.free
    }

    /// Waits until nobody is in the way, or as long as `patience` lasts; tells which.
    pub fn wait(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut held = self.table.claims.held.lock();
        loop {
            self.free = self.table.is_free(&held, self.number);
            if self.free || self.table.claims.released.wait_until(&mut held, deadline).timed_out() {
                return self.free;
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let claims = &self.table.claims;
        let mut held = claims.held.lock();
        if let Some(position) =
            held.claimed.iter().position(|claimed| claimed.number == self.number)
        {
            let claimed = held.claimed.remove(position);
            held.changes -= usize::from(claimed.changes);
        }
        drop(held);
        claims.released.notify_all();
    }
}
