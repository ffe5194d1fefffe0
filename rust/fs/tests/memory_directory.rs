//! Listings of directories in memory, while names come and go.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use fusesg_fs::memory::Memory;
use fusesg_fs::{FileSystem, Inode, RenameFlags};
use support::{Fixture, Listed, ROOT_USER, os};

fn names(listed: &[Listed]) -> Vec<String> {
    listed.iter().map(|each| each.name.to_str().unwrap().to_owned()).collect()
}

fn with_files(names: &[&str]) -> Fixture<Memory, ()> {
    let fixture = Fixture::memory();
    for name in names {
        fixture.create(name);
    }
    fixture
}

fn remove(fixture: &Fixture<Memory, ()>, name: &str) {
    fixture.fs.unlink(&ROOT_USER, Inode::ROOT, os(name)).unwrap();
}

fn rename(fixture: &Fixture<Memory, ()>, from: &str, to: &str, flags: RenameFlags) {
    fixture.fs.rename(&ROOT_USER, Inode::ROOT, os(from), Inode::ROOT, os(to), flags).unwrap();
}

#[test]
fn a_listing_goes_on_where_it_was() {
    let fixture = with_files(&["a", "b", "c", "d"]);
    let handle = fixture.fs.opendir(&ROOT_USER, Inode::ROOT, 0).unwrap().handle;
    let first = fixture.list_from(Inode::ROOT, handle, 0, false, 4);
    assert_eq!(names(&first), [".", "..", "a", "b"]);
    let position = first.last().unwrap().next_offset;
    remove(&fixture, "b");
    remove(&fixture, "c");
    fixture.create("e");
    fixture.create("b");
    let rest = fixture.list_from(Inode::ROOT, handle, position, false, 9);
    assert_eq!(names(&rest), ["d", "e", "b"], "b is another file now");
    let again = fixture.list_from(Inode::ROOT, handle, first[2].next_offset, false, 9);
    assert_eq!(names(&again), ["d", "e", "b"]);
    let dots = fixture.list_from(Inode::ROOT, handle, first[0].next_offset, false, 1);
    assert_eq!(names(&dots), [".."]);
    assert!(fixture.list_from(Inode::ROOT, handle, u64::MAX, false, 9).is_empty());
}

#[test]
fn a_name_that_is_replaced_keeps_its_place() {
    let fixture = with_files(&["a", "b", "c", "d"]);
    let handle = fixture.fs.opendir(&ROOT_USER, Inode::ROOT, 0).unwrap().handle;
    let first = fixture.list_from(Inode::ROOT, handle, 0, false, 3);
    assert_eq!(names(&first), [".", "..", "a"]);
    rename(&fixture, "d", "a", RenameFlags::empty());
    rename(&fixture, "b", "c", RenameFlags::EXCHANGE);
    let rest = fixture.list_from(Inode::ROOT, handle, first[2].next_offset, false, 9);
    assert_eq!(names(&rest), ["b", "c"]);
}

#[test]
fn listings_with_attributes_count_lookups_of_what_was_taken() {
    let fixture = with_files(&["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        fixture.fs.forget(fixture.lookup(name).attributes.inode, 2);
    }
    assert_eq!(fixture.fs.known_inodes(), 0);
    let handle = fixture.fs.opendir(&ROOT_USER, Inode::ROOT, 0).unwrap().handle;
    let listed = fixture.list_from(Inode::ROOT, handle, 0, true, 4);
    assert_eq!(names(&listed), [".", "..", "a", "b"]);
    assert_eq!(fixture.fs.known_inodes(), 2);
    assert!(listed[..2].iter().all(|dots| dots.entry.is_none()));
    for each in &listed[2..] {
        let entry = each.entry.unwrap();
        assert_eq!(entry.attributes, fixture.attributes(each.inode));
        fixture.fs.forget(each.inode, 1);
    }
    assert_eq!(fixture.fs.known_inodes(), 0);
}

#[test]
fn dots_lead_up_also_after_a_move() {
    let fixture = Fixture::memory();
    let (a, b) = (fixture.mkdir("a", 0o755), fixture.mkdir("b", 0o755));
    let inner = fixture.fs.mkdir(&ROOT_USER, a, os("inner"), 0o755).unwrap().attributes.inode;
    let up = || fixture.list(inner, false, 9)[1].inode;
    assert_eq!(up(), a);
    let none = RenameFlags::empty();
    fixture.fs.rename(&ROOT_USER, a, os("inner"), b, os("moved"), none).unwrap();
    assert_eq!(up(), b);
    assert_eq!(fixture.list(Inode::ROOT, false, 9)[1].inode, Inode::ROOT);
}

#[test]
fn names_that_stay_are_listed_once_whatever_else_happens() {
    let fixture = with_files(&[]);
    let staying: HashSet<String> = (0..500).map(|index| format!("stays {index}")).collect();
    for name in &staying {
        fixture.create(name);
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0;
            while !done.load(Ordering::Relaxed) {
                let name = format!("comes {}", round % 50);
                fixture.create(&name);
                rename(&fixture, &name, "goes", RenameFlags::empty());
                if round % 3 == 0 {
                    remove(&fixture, "goes");
                }
                round += 1;
            }
        });
        for capacity in [1, 7, 100] {
            let mut seen = Vec::new();
            for each in fixture.list(Inode::ROOT, true, capacity) {
                if each.entry.is_some() {
                    fixture.fs.forget(each.inode, 1);
                }
                let name = each.name.into_string().unwrap();
                if name.starts_with("stays") {
                    seen.push(name);
                }
            }
            assert_eq!(seen.len(), staying.len());
            assert_eq!(seen.into_iter().collect::<HashSet<_>>(), staying);
        }
        done.store(true, Ordering::Relaxed);
    });
}
