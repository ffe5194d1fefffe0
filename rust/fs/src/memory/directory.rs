//! The names of a directory.
//!
//! Each name has a number, its cookie, that no other name of the directory ever had or will
//! have: the position of a listing is the cookie of the last name that was listed. So a
//! listing goes on after names came and went, lists each that stayed exactly once, and any
//! position can be returned to.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use super::node::Node;
use crate::{Errno, Result};

/// Cookies of `.` and `..`.
pub(super) const DOT: u64 = 1;
pub(super) const DOT_DOT: u64 = 2;

/// A directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) names: RwLock<Names>,
    /// The directory that it is in. Changes only while the tree is locked exclusively.
    parent: Mutex<Weak<Node>>,
}

/// What a directory contains.
#[derive(Debug)]
pub(super) struct Names {
    by_name: HashMap<Arc<OsStr>, Slot>,
    by_cookie: BTreeMap<u64, Arc<OsStr>>,
    last_cookie: u64,
    /// It was removed: nothing can be put into it any more.
    removed: bool,
}

#[derive(Debug)]
struct Slot {
    cookie: u64,
    node: Arc<Node>,
}

impl Directory {
    pub(super) fn new(parent: Weak<Node>) -> Self {
        let names = Names {
            by_name: HashMap::new(),
            by_cookie: BTreeMap::new(),
            last_cookie: DOT_DOT,
            removed: false,
        };
        Self { names: RwLock::new(names), parent: Mutex::new(parent) }
    }

    /// The directory that it is in; `None` for the root, and once that is gone.
    pub(super) fn parent(&self) -> Option<Arc<Node>> {
        self.parent.lock().upgrade()
    }

    pub(super) fn set_parent(&self, parent: &Arc<Node>) {
        *self.parent.lock() = Arc::downgrade(parent);
    }
}

impl Names {
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn get(&self, name: &OsStr) -> Option<&Arc<Node>> {
        self.by_name.get(name).map(|slot| &slot.node)
    }

    /// Whether a name can be put here; ENOENT if the directory was removed.
    pub(super) fn check_alive(&self) -> Result<()> {
        if self.removed { Err(Errno::ENOENT) } else { Ok(()) }
    }

    /// Marks the directory as removed; ENOTEMPTY if there is something in it.
    pub(super) fn remove_all(&mut self) -> Result<()> {
        if !self.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.removed = true;
        Ok(())
    }

    /// Adds a name that is not there.
    pub(super) fn insert(&mut self, name: &OsStr, node: Arc<Node>) -> Result<()> {
        self.check_alive()?;
        if self.by_name.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.last_cookie += 1;
        let (name, cookie) = (Arc::<OsStr>::from(name), self.last_cookie);
        self.by_cookie.insert(cookie, Arc::clone(&name));
        self.by_name.insert(name, Slot { cookie, node });
        Ok(())
    }

    /// Lets a name lead to `node`; the name keeps its place in listings. Returns where it
    /// led before, if it was there.
    pub(super) fn replace(&mut self, name: &OsStr, node: Arc<Node>) -> Result<Option<Arc<Node>>> {
        match self.by_name.get_mut(name) {
            Some(slot) => Ok(Some(std::mem::replace(&mut slot.node, node))),
            None => self.insert(name, node).map(|()| None),
        }
    }

    pub(super) fn remove(&mut self, name: &OsStr) -> Option<Arc<Node>> {
        let slot = self.by_name.remove(name)?;
        self.by_cookie.remove(&slot.cookie);
        if self.by_name.is_empty() {
            // a directory that was large once does not stay so
            self.by_name.shrink_to_fit();
        }
        Some(slot.node)
    }

    /// The names after a position, each with its own.
    pub(super) fn after(&self, cookie: u64) -> impl Iterator<Item = (u64, &OsStr, &Arc<Node>)> {
        let following = self.by_cookie.range(cookie.saturating_add(1)..);
        following.filter_map(|(cookie, name)| {
            let slot = self.by_name.get(name)?;
            Some((*cookie, &**name, &slot.node))
        })
    }

    /// Takes all names out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Arc<Node>> {
        self.by_cookie.clear();
        self.by_name.drain().map(|(_, slot)| slot.node)
    }
}
