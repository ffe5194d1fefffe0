//! The tree against a model: a map of paths.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use fusesg_fs::tree::{AddError, NodeAttributes, Tree, TreeBuilder};
use fusesg_fs::{
    Context, DirectoryEntry, DirectorySink, Errno, FileSystem, FileType, Handle, Inode,
};
use fusesg_sg::{Segment, SegmentList};
use proptest::prelude::*;

/// A listing that takes `room` entries at a time.
struct Taken {
    room: usize,
    names: Vec<(String, Inode, FileType, u64)>,
    plus: Vec<Inode>,
}

impl DirectorySink for Taken {
    fn add(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        if self.room == 0 {
            return false;
        }
        self.room -= 1;
        let name = entry.name.to_str().unwrap().to_owned();
        let kind = entry.kind.expect("a tree knows it");
        self.names.push((name, entry.inode, kind, entry.next_offset));
        self.plus.extend(entry.entry.map(|entry| entry.attributes.inode));
        true
    }
}

fn list(tree: &Tree, inode: Inode, at_a_time: usize) -> Vec<(String, Inode, FileType)> {
    let mut found = Vec::new();
    let mut offset = 0;
    loop {
        let mut taken = Taken { room: at_a_time, names: Vec::new(), plus: Vec::new() };
        tree.readdir(&Context::default(), inode, Handle(0), offset, true, &mut taken).unwrap();
        let Some(last) = taken.names.last() else { return found };
        offset = last.3;
        let described = taken.names.iter().filter(|name| name.0 != "." && name.0 != "..");
        assert_eq!(taken.plus, described.map(|name| name.1).collect::<Vec<_>>());
        found.extend(taken.names.into_iter().map(|(name, inode, kind, _)| (name, inode, kind)));
    }
}

fn walk(tree: &Tree, inode: Inode, path: &str, found: &mut BTreeMap<String, Option<u64>>) {
    let listed = list(tree, inode, 3);
    assert_eq!((&*listed[0].0, listed[0].1), (".", inode));
    let mut directories = 0;
    for (name, number, kind) in listed.into_iter().skip(2) {
        let entry = tree.lookup(&Context::default(), inode, OsStr::new(&name)).unwrap();
        assert_eq!((entry.attributes.inode, entry.attributes.kind), (number, kind));
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        if kind == FileType::Directory {
            directories += 1;
            found.insert(path.clone(), None);
            walk(tree, number, &path, found);
            assert_eq!(list(tree, number, 100)[1].1, inode, "the parent of {path}");
        } else {
            found.insert(path, Some(entry.attributes.size));
        }
    }
    let attributes = tree.getattr(&Context::default(), inode, None).unwrap().attributes;
    assert_eq!(attributes.links, 2 + directories);
}

fn zeros(length: u64) -> SegmentList {
    [Segment::Zeros(length)].into_iter().collect()
}

proptest! {
    #[test]
    fn what_was_added_is_there(
        paths in prop::collection::vec((prop::collection::vec("[ab]{1,2}", 1..5), any::<bool>()), 0..60)
    ) {
        let mut builder = TreeBuilder::new(NodeAttributes::default());
        // None: a directory; true: told of
        let mut model = BTreeMap::<String, (Option<u64>, bool)>::new();
        for (size, (parts, is_file)) in (1..).zip(&paths) {
            let path = parts.join("/");
            let above = || (1..parts.len()).map(|end| parts[..end].join("/"));
            let through_file =
                above().any(|path| model.get(&path).is_some_and(|found| found.0.is_some()));
            let expected = if through_file {
                Err(AddError::NotADirectory)
            } else {
                match model.get(&path) {
                    Some((None, false)) if !is_file => Ok(()),
                    Some(_) => Err(AddError::Exists),
                    None => Ok(()),
                }
            };
            let added = if *is_file {
                builder.add_file(path.as_bytes(), zeros(size), NodeAttributes::default())
            } else {
                builder.add_directory(path.as_bytes(), NodeAttributes::default())
            };
            prop_assert_eq!(added.map(drop), expected);
            if expected.is_ok() {
                for path in above() {
                    model.entry(path).or_insert((None, false));
                }
                model.insert(path, (is_file.then_some(size), true));
            }
        }
        let tree = builder.build();
        let mut found = BTreeMap::new();
        walk(&tree, Inode::ROOT, "", &mut found);
        let expected: BTreeMap<_, _> =
            model.into_iter().map(|(path, (size, _))| (path, size)).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn made_up_inodes_and_positions_are_harmless() {
    let mut builder = TreeBuilder::new(NodeAttributes::default());
    let file = builder.add_file(b"a/file", zeros(10), NodeAttributes::default()).unwrap();
    builder.add_file(b"b/other", zeros(10), NodeAttributes::default()).unwrap();
    let tree = builder.build();
    let context = Context::default();
    for number in [0, 6, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX] {
        let inode = Inode(number);
        assert_eq!(tree.getattr(&context, inode, None).unwrap_err(), Errno::ESTALE);
        assert_eq!(tree.lookup(&context, inode, OsStr::new("a")).unwrap_err(), Errno::ESTALE);
        assert_eq!(tree.read(&context, inode, Handle(0), 0, 1).unwrap_err(), Errno::ESTALE);
    }
    let from = |inode, offset| {
        let mut taken = Taken { room: 9, names: Vec::new(), plus: Vec::new() };
        let listed = tree.readdir(&context, inode, Handle(0), offset, false, &mut taken);
        listed.map(|()| taken.names.len())
    };
    let a = tree.lookup(&context, Inode::ROOT, OsStr::new("a")).unwrap().attributes.inode;
    assert_eq!(from(a, 0), Ok(3));
    for made_up in [3, 6, 100, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(from(a, made_up), Ok(0), "{made_up}");
    }
    assert_eq!(from(file, 0), Err(Errno::ENOTDIR));
    assert_eq!(tree.lookup(&context, file, OsStr::from_bytes(b"x")), Err(Errno::ENOTDIR));
    assert_eq!(tree.read(&context, a, Handle(0), 0, 1).unwrap_err(), Errno::EISDIR);
    assert_eq!(tree.read(&context, file, Handle(0), 8, 100).unwrap().len(), 2);
    assert!(tree.read(&context, file, Handle(0), u64::MAX, 100).unwrap().is_empty());
    assert_eq!(tree.open(&context, file, libc::O_RDWR).unwrap_err(), Errno::EROFS);
}
