//! Names in memory against the names of a tmpfs: each operation has the same outcome, and
//! leaves the same tree.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use fusesg_fs::memory::Memory;
use fusesg_fs::passthrough::PassthroughOptions;
use fusesg_fs::{Errno, FileSystem, FileType, Inode, RenameFlags, Result};
use proptest::prelude::*;
use support::{Fixture, ROOT_USER, os};

const FILE: u32 = libc::S_IFREG | 0o644;

/// A name by its path from the root, without a leading `/`.
type Path = &'static str;

#[derive(Clone, Copy, Debug)]
enum Step {
    MakeFile(Path),
    MakeDirectory(Path),
    MakeSymlink(Path),
    Link(Path, Path),
    Unlink(Path),
    Rmdir(Path),
    Rename(Path, Path, RenameFlags),
}

/// Finds the inode of a path; the lookups are never given back.
fn find(fs: &dyn FileSystem, path: &str) -> Result<Inode> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.into_iter().try_fold(Inode::ROOT, |parent, name| {
        Ok(fs.lookup(&ROOT_USER, parent, os(name))?.attributes.inode)
    })
}

/// The directory that a path is in, and its last name.
fn place<'a>(fs: &dyn FileSystem, path: &'a str) -> Result<(Inode, &'a str)> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    Ok((find(fs, directory)?, name))
}

fn carry_out(fs: &dyn FileSystem, step: Step) -> Result<()> {
    let caller = &ROOT_USER;
    match step {
        Step::MakeFile(path) => {
            let (parent, name) = place(fs, path)?;
            fs.mknod(caller, parent, os(name), FILE, 0).map(drop)
        }
        Step::MakeDirectory(path) => {
            let (parent, name) = place(fs, path)?;
            fs.mkdir(caller, parent, os(name), 0o755).map(drop)
        }
        Step::MakeSymlink(path) => {
            let (parent, name) = place(fs, path)?;
            fs.symlink(caller, parent, os(name), os("target")).map(drop)
        }
        Step::Link(from, to) => {
            let inode = find(fs, from)?;
            let (parent, name) = place(fs, to)?;
            fs.link(caller, inode, parent, os(name)).map(drop)
        }
        Step::Unlink(path) => {
            let (parent, name) = place(fs, path)?;
            fs.unlink(caller, parent, os(name))
        }
        Step::Rmdir(path) => {
            let (parent, name) = place(fs, path)?;
            fs.rmdir(caller, parent, os(name))
        }
        Step::Rename(from, to, flags) => {
            let (parent, name) = place(fs, from)?;
            let (new_parent, new_name) = place(fs, to)?;
            fs.rename(caller, parent, os(name), new_parent, os(new_name), flags)
        }
    }
}

/// What a tree looks like: kind and links of each path, and which paths are one inode.
fn picture<F: FileSystem, D>(fixture: &Fixture<F, D>) -> Vec<(String, FileType, u32, usize)> {
    let mut seen = BTreeMap::new();
    let mut all = Vec::new();
    let mut pending = vec![(String::new(), Inode::ROOT)];
    let mut inodes = Vec::new();
    while let Some((path, inode)) = pending.pop() {
        let attributes = fixture.attributes(inode);
        if attributes.kind == FileType::Directory {
            for each in fixture.list(inode, false, 100) {
                if !each.is_dots() {
                    let name = each.name.to_str().unwrap();
                    let entry = fixture.fs.lookup(&ROOT_USER, inode, os(name)).unwrap();
                    assert_eq!(entry.attributes.kind, each.kind);
                    pending.push((format!("{path}/{name}"), entry.attributes.inode));
                }
            }
        }
        inodes.push((path, inode, attributes.kind, attributes.links));
    }
    inodes.sort_by(|one, other| one.0.cmp(&other.0));
    for (path, inode, kind, links) in inodes {
        let count = seen.len();
        all.push((path, kind, links, *seen.entry(inode).or_insert(count)));
    }
    all
}

/// The same steps on both; returns how the last one ended.
fn check(steps: &[Step]) -> Result<()> {
    let memory = Fixture::memory();
    let tmpfs = Fixture::new_in("/dev/shm", PassthroughOptions::default());
    let mut outcome = Ok(());
    for (index, step) in steps.iter().enumerate() {
        outcome = carry_out(&memory.fs, *step);
        let expected = carry_out(&tmpfs.fs, *step);
        assert_eq!(outcome, expected, "step {index} of {steps:?}");
    }
    assert_eq!(picture(&memory), picture(&tmpfs), "after {steps:?}");
    check_balance(&memory);
    outcome
}

/// When all names are gone, so is everything else.
fn check_balance(fixture: &Fixture<Memory, ()>) {
    let fs = &fixture.fs;
    let mut pending = vec![(Inode::ROOT, 0)];
    while let Some((inode, listed)) = pending.pop() {
        let entries = fixture.list(inode, false, 1000);
        let directories = entries.iter().filter(|each| !each.is_dots());
        let directories: Vec<_> =
            directories.filter(|each| each.kind == FileType::Directory).collect();
        if let Some(next) = directories.get(listed) {
            pending.push((inode, listed + 1));
            pending.push((next.inode, 0));
            continue;
        }
        for each in entries.iter().filter(|each| !each.is_dots()) {
            let removed = match each.kind {
                FileType::Directory => fs.rmdir(&ROOT_USER, inode, &each.name),
                _ => fs.unlink(&ROOT_USER, inode, &each.name),
            };
            removed.unwrap();
        }
    }
    // a mount that ends gives back every lookup
    fs.init().unwrap();
    fs.destroy();
    let shown = fs.statfs(&ROOT_USER, Inode::ROOT).unwrap();
    assert_eq!(shown.files - shown.files_free, 1);
    assert_eq!(shown.blocks, shown.blocks_free);
    assert_eq!(fixture.attributes(Inode::ROOT).links, 2);
}

#[test]
fn every_rename_has_the_outcome_of_tmpfs() {
    let setup = [
        Step::MakeDirectory("a"),
        Step::MakeDirectory("b"),
        Step::MakeDirectory("a/empty"),
        Step::MakeDirectory("b/empty"),
        Step::MakeDirectory("a/full"),
        Step::MakeFile("a/full/inner"),
        Step::MakeDirectory("b/full"),
        Step::MakeDirectory("b/full/inner"),
        Step::MakeFile("a/file"),
        Step::MakeFile("b/file"),
        Step::MakeSymlink("a/link"),
        Step::MakeSymlink("b/link"),
        Step::Link("a/file", "b/same"),
        Step::Link("a/file", "a/same"),
    ];
    let sources =
        ["a/empty", "a/full", "a/file", "a/same", "a/link", "a/missing", "b/same", "missing/x"];
    let targets = [
        "a/empty",
        "a/full",
        "a/file",
        "a/same",
        "a/link",
        "a/new",
        "b/empty",
        "b/full",
        "b/file",
        "b/same",
        "b/link",
        "b/new",
        "a/full/new",
        "a/full/inner",
        "a/empty/new",
        "missing/x",
    ];
    let all = [
        RenameFlags::empty(),
        RenameFlags::NOREPLACE,
        RenameFlags::EXCHANGE,
        RenameFlags::WHITEOUT,
        RenameFlags::WHITEOUT | RenameFlags::NOREPLACE,
        RenameFlags::EXCHANGE | RenameFlags::NOREPLACE,
        RenameFlags::EXCHANGE | RenameFlags::WHITEOUT,
        RenameFlags::from_bits_retain(1 << 7),
    ];
    let succeeded = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for flags in all {
            let (setup, succeeded) = (&setup, &succeeded);
            scope.spawn(move || {
                for source in sources {
                    for target in targets {
                        let mut steps = setup.to_vec();
                        steps.push(Step::Rename(source, target, flags));
                        if check(&steps).is_ok() {
                            succeeded.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    assert!(succeeded.into_inner() > 100, "the matrix tests what works, too");
}

#[test]
fn a_directory_is_not_moved_into_itself() {
    let fixture = Fixture::memory();
    for step in [
        Step::MakeDirectory("a"),
        Step::MakeDirectory("a/b"),
        Step::MakeDirectory("a/b/c"),
        Step::MakeDirectory("other"),
    ] {
        carry_out(&fixture.fs, step).unwrap();
    }
    let rename = |from, to, flags| carry_out(&fixture.fs, Step::Rename(from, to, flags));
    let none = RenameFlags::empty();
    assert_eq!(rename("a", "a/b/c/d", none), Err(Errno::EINVAL));
    assert_eq!(rename("a", "a/b", none), Err(Errno::EINVAL));
    assert_eq!(rename("a/b/c", "a", none), Err(Errno::ENOTEMPTY));
    assert_eq!(rename("a/b/c", "a/b", none), Err(Errno::ENOTEMPTY));
    assert_eq!(rename("a/b/c", "a", RenameFlags::EXCHANGE), Err(Errno::EINVAL));
    assert_eq!(rename("a/b/c", "other", RenameFlags::EXCHANGE), Ok(()));
    assert_eq!(find(&fixture.fs, "a/b/c"), find(&fixture.fs, "a/b/c"));
}

#[test]
fn a_whiteout_is_a_device_of_number_0() {
    let fixture = Fixture::memory();
    let (file, _) = fixture.create("file");
    let (root, flags) = (Inode::ROOT, RenameFlags::WHITEOUT);
    fixture.fs.rename(&ROOT_USER, root, os("file"), root, os("moved"), flags).unwrap();
    assert_eq!(fixture.lookup("moved").attributes.inode, file);
    let left = fixture.lookup("file").attributes;
    assert_eq!((left.kind, left.rdev, left.permissions), (FileType::CharacterDevice, 0, 0));
}

const PATHS: [Path; 9] = ["a", "b", "c", "a/a", "a/b", "b/a", "b/b", "a/a/a", "a/b/c"];

fn step() -> impl Strategy<Value = Step> {
    let path = || prop::sample::select(&PATHS[..]);
    let flags = prop::sample::select(vec![
        RenameFlags::empty(),
        RenameFlags::empty(),
        RenameFlags::NOREPLACE,
        RenameFlags::EXCHANGE,
    ]);
    prop_oneof![
        2 => path().prop_map(Step::MakeFile),
        3 => path().prop_map(Step::MakeDirectory),
        1 => path().prop_map(Step::MakeSymlink),
        2 => (path(), path()).prop_map(|(from, to)| Step::Link(from, to)),
        1 => path().prop_map(Step::Unlink),
        1 => path().prop_map(Step::Rmdir),
        5 => (path(), path(), flags).prop_map(|(from, to, flags)| Step::Rename(from, to, flags)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn names_agree_with_those_of_tmpfs(steps in prop::collection::vec(step(), 1..30)) {
        // the outcome of the last step is as good as any
        let _ = check(&steps);
    }
}

#[test]
fn threads_that_move_directories_leave_a_tree() {
    let fixture = Fixture::memory();
    for index in 0..4 {
        fixture.mkdir(&format!("d{index}"), 0o755);
    }
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let fs = &fixture.fs;
            scope.spawn(move || {
                // each moves its directory into those of the others and back
                let name = format!("own{thread}");
                fs.mkdir(&ROOT_USER, Inode::ROOT, os(&name), 0o755).unwrap();
                let mut home = Inode::ROOT;
                for round in 0..2000 {
                    let other = format!("d{}", (thread + round) % 4);
                    let target = match find(fs, &other) {
                        Ok(inode) if round % 5 != 0 => inode,
                        _ => Inode::ROOT,
                    };
                    let none = RenameFlags::empty();
                    fs.rename(&ROOT_USER, home, os(&name), target, os(&name), none).unwrap();
                    home = target;
                    // and exchanges two of the shared ones, which both stay there
                    let (one, two) = (format!("d{thread}"), format!("d{}", round % 4));
                    let swap = RenameFlags::EXCHANGE;
                    let (root, one, two) = (Inode::ROOT, os(&one), os(&two));
                    fs.rename(&ROOT_USER, root, one, root, two, swap).unwrap();
                }
            });
        }
    });
    let tree = picture(&fixture);
    assert_eq!(tree.len(), 1 + 4 + 4);
    for (path, kind, links, _) in &tree {
        let below = tree.iter().filter(|other| {
            other
                .0
                .strip_prefix(path.as_str())
                .is_some_and(|rest| rest.starts_with('/') && !rest[1..].contains('/'))
        });
        assert_eq!((*kind, *links as usize), (FileType::Directory, 2 + below.count()), "{path}");
    }
    check_balance(&fixture);
}
