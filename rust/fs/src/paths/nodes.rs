//! The nodes of a [`PathTable`](super::PathTable): names, numbers, and how long they live.

use std::collections::HashMap;
use std::hash::RandomState;
use std::ops::{Index as At, IndexMut};
use std::sync::Arc;

use hashbrown::Equivalent;
use smallvec::SmallVec;

use crate::{Attributes, FileType, Handle, Inode};

/// Where a node is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Index(u32);

/// The root's place.
pub(super) const ROOT: Index = Index(0);

/// The first of the numbers that the table gives; those of a class are rarely so large.
const CHOSEN: u64 = 1 << 63;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    parent: Index,
    text: Arc<[u8]>,
}

impl Name {
    fn is(&self, parent: Index, text: &[u8]) -> bool {
        self.parent == parent && *self.text == *text
    }
}

/// [`Name`] to look for.
#[derive(Hash)]
struct NameRef<'a> {
    parent: Index,
    text: &'a [u8],
}

impl Equivalent<Name> for NameRef<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        name.is(self.parent, self.text)
    }
}

/// An inode that the kernel knows.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) inode: Inode,
    /// Chosen by the table, not by the file system.
    chosen: bool,
    kind: FileType,
    /// The one that was seen last is the last.
    names: SmallVec<[Name; 1]>,
    /// How many names have it as their directory.
    children: usize,
    /// How many lookups the kernel has to give back.
    pub(super) lookups: u64,
    /// As they were seen last.
    pub(super) attributes: Option<Attributes>,
    /// The open files.
    pub(super) open: SmallVec<[Handle; 1]>,
}

impl Node {
    fn new(inode: Inode, kind: FileType, chosen: bool) -> Self {
        Self {
            inode,
            chosen,
            kind,
            names: SmallVec::new(),
            children: 0,
            lookups: 0,
            attributes: None,
            open: SmallVec::new(),
        }
    }

    /// One of its names was removed.
    fn lose_link(&mut self) {
        if let Some(attributes) = &mut self.attributes {
            let is_directory = self.kind == FileType::Directory;
            attributes.links = if is_directory { 0 } else { attributes.links.saturating_sub(1) };
        }
    }
}

/// All nodes.
#[derive(Debug)]
pub(super) struct Nodes {
    slots: Vec<Node>,
    free: Vec<Index>,
    by_inode: HashMap<Inode, Index>,
    by_name: hashbrown::HashMap<Name, Index, RandomState>,
    /// The next number to choose.
    next: u64,
}

impl Default for Nodes {
    fn default() -> Self {
        Self {
            slots: vec![Node::new(Inode::ROOT, FileType::Directory, false)],
            free: Vec::new(),
            by_inode: HashMap::from([(Inode::ROOT, ROOT)]),
            by_name: hashbrown::HashMap::default(),
            next: CHOSEN,
        }
    }
}

impl At<Index> for Nodes {
    type Output = Node;

    fn index(&self, index: Index) -> &Node {
        &self.slots[index.0 as usize]
    }
}

impl IndexMut<Index> for Nodes {
    fn index_mut(&mut self, index: Index) -> &mut Node {
        &mut self.slots[index.0 as usize]
    }
}

impl Nodes {
    pub(super) fn len(&self) -> usize {
        self.by_inode.len()
    }

    /// The node with that number.
    pub(super) fn find(&self, inode: Inode) -> Option<Index> {
        self.by_inode.get(&inode).copied()
    }

    /// The node that a name leads to.
    pub(super) fn child(&self, parent: Index, name: &[u8]) -> Option<Index> {
        self.by_name.get(&NameRef { parent, text: name }).copied()
    }

    /// The absolute path of a node; `None` where it, or a directory above, has no name.
    pub(super) fn path(&self, index: Index) -> Option<Vec<u8>> {
        let mut names: SmallVec<[&[u8]; 16]> = SmallVec::new();
        let mut length = 0;
        let mut at = index;
        while at != ROOT {
            let name = self[at].names.last()?;
            length += name.text.len() + 1;
            names.push(&name.text);
            at = name.parent;
        }
        let mut path = Vec::with_capacity(length.max(1));
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Some(path)
    }

    /// Whether `index` is `above` or lies below it.
    pub(super) fn is_below(&self, index: Index, above: Index) -> bool {
        let mut at = index;
        loop {
            if at == above {
                return true;
            }
            match self[at].names.last() {
                Some(name) if at != ROOT => at = name.parent,
                _ => return false,
            }
        }
    }

    /// The node of a file of this kind that was seen under a name, with this number or none
    /// (0). It has no lookup yet: the caller counts one.
    pub(super) fn learn(
        &mut self,
        parent: Index,
        name: &[u8],
        given: Inode,
        kind: FileType,
    ) -> Index {
        let known = self.child(parent, name).filter(|known| self[*known].kind == kind);
        let unnumbered = given == Inode(0) || given == Inode::ROOT;
        let index = match known {
            Some(known) if unnumbered || self[known].inode == given => known,
            _ if !unnumbered && self.is_free_for(given, parent, kind) => match self.find(given) {
                Some(index) => index,
                None => self.insert(Node::new(given, kind, false)),
            },
            // one that could not have its number before, either
            Some(known) if self[known].chosen => known,
            _ => self.insert_unnumbered(kind),
        };
        // a directory has one name: another one tells that it was moved
        let elsewhere = if kind == FileType::Directory {
            self[index].names.iter().find(|other| !other.is(parent, name)).cloned()
        } else {
            None
        };
        self.attach(index, parent, name);
        if let Some(Name { parent, text }) = elsewhere {
            self.detach(parent, &text);
        }
        index
    }

    /// Whether a file of this kind below `parent` may have the number: nobody has it, or a
    /// file that may well be the same.
    fn is_free_for(&self, number: Inode, parent: Index, kind: FileType) -> bool {
        let Some(index) = self.find(number) else { return true };
        let node = &self[index];
        let is_loop = kind == FileType::Directory && self.is_below(parent, index);
        !node.chosen && node.kind == kind && !is_loop
    }

    fn insert_unnumbered(&mut self, kind: FileType) -> Index {
        while self.by_inode.contains_key(&Inode(self.next)) {
            self.next += 1;
        }
        let inode = Inode(self.next);
        self.next += 1;
        self.insert(Node::new(inode, kind, true))
    }

    fn insert(&mut self, node: Node) -> Index {
        let inode = node.inode;
        let index = if let Some(index) = self.free.pop() {
            self[index] = node;
            index
        } else {
            self.slots.push(node);
            Index(u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 inodes"))
        };
        self.by_inode.insert(inode, index);
        index
    }

    /// Gives a node a name, or makes the name the one that was seen last. Another node that
    /// had the name has it no more.
    pub(super) fn attach(&mut self, index: Index, parent: Index, name: &[u8]) {
        let before = self.child(parent, name);
        if before == Some(index) {
            let names = &mut self[index].names;
            if let Some(position) = names.iter().position(|other| other.is(parent, name))
                && position + 1 < names.len()
            {
                let seen = names.remove(position);
                names.push(seen);
            }
            return;
        }
        let name = Name { parent, text: name.into() };
        self[parent].children += 1;
        self.by_name.insert(name.clone(), index);
        if let Some(before) = before {
            self[parent].children -= 1;
            self[before].names.retain(|other| *other != name);
            self[before].lose_link();
            self.collect(before);
        }
        self[index].names.push(name);
    }

    /// Takes a name away from the node that has it.
    pub(super) fn detach(&mut self, parent: Index, name: &[u8]) {
        let removed = self.by_name.remove_entry(&NameRef { parent, text: name });
        let Some((name, index)) = removed else { return };
        self[index].names.retain(|other| *other != name);
        self[parent].children -= 1;
        self.collect(index);
        self.collect(parent);
    }

    /// The same, of a name that was removed.
    pub(super) fn unlink(&mut self, parent: Index, name: &[u8]) {
        if let Some(index) = self.child(parent, name) {
            self[index].lose_link();
            self.detach(parent, name);
        }
    }

    /// Gives the node of a name another name instead, which another node then loses.
    pub(super) fn rename(&mut self, from: (Index, &[u8]), to: (Index, &[u8])) {
        match self.child(from.0, from.1) {
            // of two names of one file rename(2) says that nothing happens
            Some(index) if self.child(to.0, to.1) == Some(index) => {}
            Some(index) if !self.is_below(to.0, index) => {
                self.attach(index, to.0, to.1);
                self.detach(from.0, from.1);
            }
            // the kernel never looked up what was moved, and asks when it wants to know
            _ => {
                self.detach(from.0, from.1);
                self.unlink(to.0, to.1);
            }
        }
    }

    /// Exchanges what two names lead to.
    pub(super) fn exchange(&mut self, one: (Index, &[u8]), other: (Index, &[u8])) {
        let (Some(first), Some(second)) = (self.child(one.0, one.1), self.child(other.0, other.1))
        else {
            // the kernel knows one of them at most, which moves
            let (from, to) =
                if self.child(one.0, one.1).is_some() { (one, other) } else { (other, one) };
            return self.rename(from, to);
        };
        let is_loop = self.is_below(one.0, second) || self.is_below(other.0, first);
        if first == second || is_loop {
            return;
        }
        for (index, from, to) in [(first, one, other), (second, other, one)] {
            let to = Name { parent: to.0, text: to.1.into() };
            if let Some(name) = self[index].names.iter_mut().find(|name| name.is(from.0, from.1)) {
                *name = to.clone();
            }
            self.by_name.insert(to, index);
        }
    }

    /// Drops a node that nobody needs any more, and then those that were needed for it only.
    pub(super) fn collect(&mut self, index: Index) {
        let mut pending: SmallVec<[Index; 4]> = SmallVec::from_slice(&[index]);
        while let Some(index) = pending.pop() {
            let node = &self[index];
            let gone = self.find(node.inode) != Some(index);
            if index == ROOT || gone || node.lookups > 0 || node.children > 0 {
                continue;
            }
            let unused = Node::new(Inode(0), node.kind, false);
            let node = std::mem::replace(&mut self[index], unused);
            self.by_inode.remove(&node.inode);
            for name in &node.names {
                self.by_name.remove(name);
                self[name.parent].children -= 1;
                pending.push(name.parent);
            }
            self.free.push(index);
        }
    }
}
