//! The table of paths: the cases one by one, and random ones against a slow model.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use fusesg_fs::{Attributes, Entry, FileType, Handle, Inode, PathTable};
use proptest::prelude::*;

const ROOT: Inode = Inode::ROOT;
/// Numbers that the table chooses begin here.
const CHOSEN: u64 = 1 << 63;

fn seen(kind: FileType, inode: u64) -> Attributes {
    Attributes { kind, inode: Inode(inode), links: 2, ..Entry::NEGATIVE.attributes }
}

fn file(table: &PathTable, parent: Inode, name: &str, inode: u64) -> Inode {
    table.remember(parent, name.as_ref(), &seen(FileType::Regular, inode)).expect("a known parent")
}

fn directory(table: &PathTable, parent: Inode, name: &str) -> Inode {
    table.remember(parent, name.as_ref(), &seen(FileType::Directory, 0)).expect("a known parent")
}

fn path(table: &PathTable, inode: Inode) -> Option<String> {
    table.path(inode).map(|path| path.into_string().expect("text"))
}

#[test]
fn paths_are_absolute() {
    let table = PathTable::new();
    assert!(table.is_empty());
    let a = directory(&table, ROOT, "a");
    let b = file(&table, a, "b", 0);
    assert_eq!(path(&table, ROOT).unwrap(), "/");
    assert_eq!(path(&table, a).unwrap(), "/a");
    assert_eq!(path(&table, b).unwrap(), "/a/b");
    assert_eq!(table.path_of(ROOT, "c".as_ref()).unwrap(), "/c");
    assert_eq!(table.path_of(a, "c".as_ref()).unwrap(), "/a/c");
    assert_eq!(table.resolve("/a/b".as_ref()), Some(b));
    assert_eq!(table.resolve("/".as_ref()), Some(ROOT));
    assert_eq!(table.resolve("/a/c".as_ref()), None);
    assert_eq!(table.child(a, "b".as_ref()), Some(b));
}

#[test]
fn a_name_may_be_any_bytes() {
    let table = PathTable::new();
    let name = OsStr::from_bytes(b"\xff\xfe x");
    let inode = table.remember(ROOT, name, &seen(FileType::Regular, 0)).unwrap();
    assert_eq!(table.path(inode).unwrap().as_bytes(), b"/\xff\xfe x");
}

#[test]
fn numbers_of_the_class_are_kept_and_others_chosen() {
    let table = PathTable::new();
    assert_eq!(file(&table, ROOT, "given", 7), Inode(7));
    assert_eq!(file(&table, ROOT, "large", u64::MAX), Inode(u64::MAX));
    let chosen = file(&table, ROOT, "none", 0);
    assert!(chosen.0 >= CHOSEN);
    assert_eq!(file(&table, ROOT, "none", 0), chosen, "it stays with the name");
    let not_root = file(&table, ROOT, "one", 1);
    assert!(not_root.0 >= CHOSEN && not_root != chosen);
    assert_eq!(file(&table, ROOT, "one", 1), not_root);
    assert_eq!(file(&table, ROOT, "given", 0), Inode(7), "no number says nothing new");
}

#[test]
fn a_chosen_number_is_no_other_files() {
    let table = PathTable::new();
    let given = file(&table, ROOT, "given", CHOSEN);
    assert_eq!(given, Inode(CHOSEN));
    let chosen = file(&table, ROOT, "chosen", 0);
    assert_ne!(chosen, given);
    let clash = file(&table, ROOT, "clash", chosen.0);
    assert_ne!(clash, chosen);
    assert_eq!(file(&table, ROOT, "clash", chosen.0), clash);
    assert_eq!(path(&table, chosen).unwrap(), "/chosen");
}

#[test]
fn one_number_under_two_names_is_a_hard_link() {
    let table = PathTable::new();
    let a = directory(&table, ROOT, "a");
    assert_eq!(file(&table, ROOT, "one", 7), file(&table, a, "two", 7));
    assert_eq!(path(&table, Inode(7)).unwrap(), "/a/two");
    file(&table, ROOT, "one", 7);
    assert_eq!(path(&table, Inode(7)).unwrap(), "/one", "the name that was seen last");
    table.unlink(ROOT, "one".as_ref());
    assert_eq!(path(&table, Inode(7)).unwrap(), "/a/two");
    assert_eq!(table.attributes(Inode(7)).unwrap().links, 1);
    table.unlink(a, "two".as_ref());
    assert_eq!(path(&table, Inode(7)), None);
    assert_eq!(table.attributes(Inode(7)).unwrap().links, 0);
}

#[test]
fn a_number_that_changes_is_another_file() {
    let table = PathTable::new();
    file(&table, ROOT, "a", 7);
    assert_eq!(file(&table, ROOT, "a", 8), Inode(8));
    assert_eq!(path(&table, Inode(7)), None);
    assert_eq!(path(&table, Inode(8)).unwrap(), "/a");
}

#[test]
fn another_kind_is_another_file() {
    let table = PathTable::new();
    let before = file(&table, ROOT, "a", 0);
    let after = directory(&table, ROOT, "a");
    assert_ne!(before, after);
    assert_eq!(path(&table, before), None);
    let numbered = file(&table, ROOT, "b", 7);
    let other = table.remember(ROOT, "c".as_ref(), &seen(FileType::Directory, 7)).unwrap();
    assert_ne!(numbered, other);
    assert_eq!(path(&table, numbered).unwrap(), "/b");
}

#[test]
fn a_directory_has_one_name() {
    let table = PathTable::new();
    let kind = FileType::Directory;
    let a = table.remember(ROOT, "a".as_ref(), &seen(kind, 7)).unwrap();
    assert_eq!(table.remember(ROOT, "b".as_ref(), &seen(kind, 7)).unwrap(), a);
    assert_eq!(path(&table, a).unwrap(), "/b");
    assert_eq!(table.child(ROOT, "a".as_ref()), None);
    // one inside itself cannot be
    let inside = table.remember(a, "a".as_ref(), &seen(kind, 7)).unwrap();
    assert_ne!(inside, a);
    assert_eq!(path(&table, inside).unwrap(), "/b/a");
}

#[test]
fn renaming_a_directory_renames_all_below() {
    let table = PathTable::new();
    let (a, b) = (directory(&table, ROOT, "a"), directory(&table, ROOT, "b"));
    let inner = directory(&table, a, "inner");
    let deep = file(&table, inner, "deep", 0);
    let before = table.changes();
    table.rename(ROOT, "a".as_ref(), b, "c".as_ref());
    assert_ne!(table.changes(), before);
    let before = table.changes();
    table.unlink(ROOT, "never there".as_ref());
    assert_eq!(table.changes(), before, "what was not there has not changed");
    assert_eq!(path(&table, deep).unwrap(), "/b/c/inner/deep");
    assert_eq!(table.resolve("/a".as_ref()), None);
    // the kernel forbids it, and nothing may hang if it did not
    table.rename(ROOT, "b".as_ref(), inner, "loop".as_ref());
    assert_eq!(path(&table, deep), None);
}

#[test]
fn renaming_over_a_file_leaves_it_without_a_name() {
    let table = PathTable::new();
    let (a, b) = (file(&table, ROOT, "a", 0), file(&table, ROOT, "b", 0));
    table.rename(ROOT, "a".as_ref(), ROOT, "b".as_ref());
    assert_eq!(path(&table, a).unwrap(), "/b");
    assert_eq!(path(&table, b), None);
    table.forget(b, 1);
    assert_eq!(table.len(), 2);
    // what the kernel has not seen may be renamed over what it has
    table.rename(ROOT, "unseen".as_ref(), ROOT, "b".as_ref());
    assert_eq!(path(&table, a), None);
    assert_eq!(table.child(ROOT, "b".as_ref()), None);
}

#[test]
fn exchanging_exchanges() {
    let table = PathTable::new();
    let a = directory(&table, ROOT, "a");
    let inner = file(&table, a, "inner", 0);
    let b = file(&table, ROOT, "b", 0);
    table.exchange(ROOT, "a".as_ref(), ROOT, "b".as_ref());
    assert_eq!(path(&table, inner).unwrap(), "/b/inner");
    assert_eq!(path(&table, b).unwrap(), "/a");
    // one that the kernel never saw
    table.exchange(ROOT, "unseen".as_ref(), ROOT, "a".as_ref());
    assert_eq!(path(&table, b).unwrap(), "/unseen");
    assert_eq!(table.child(ROOT, "a".as_ref()), None);
    table.exchange(ROOT, "unseen".as_ref(), ROOT, "a".as_ref());
    assert_eq!(path(&table, b).unwrap(), "/a");
}

#[test]
fn what_the_kernel_forgets_is_gone_after_what_is_below_it() {
    let table = PathTable::new();
    let a = directory(&table, ROOT, "a");
    let b = directory(&table, a, "b");
    let c = file(&table, b, "c", 0);
    file(&table, b, "c", 0);
    table.forget(a, 1);
    table.forget(b, 1);
    table.forget(c, 1);
    assert_eq!(path(&table, c).unwrap(), "/a/b/c", "one lookup is left");
    assert_eq!(table.len(), 4);
    table.forget(c, 1);
    assert!(table.is_empty());
    table.forget(c, 1);
    table.forget(ROOT, 1);
    assert!(table.is_empty());
    // places are used again
    let again = directory(&table, ROOT, "again");
    assert_eq!(path(&table, again).unwrap(), "/again");
    assert_ne!(again, a, "a number means one file as long as the mount lives");
}

#[test]
fn unknown_inodes_have_no_path() {
    let table = PathTable::new();
    assert_eq!(table.path(Inode(99)), None);
    assert_eq!(table.path_of(Inode(99), "a".as_ref()), None);
    assert!(table.remember(Inode(99), "a".as_ref(), &seen(FileType::Regular, 0)).is_err());
    table.unlink(Inode(99), "a".as_ref());
    table.rename(Inode(99), "a".as_ref(), ROOT, "b".as_ref());
    table.exchange(Inode(99), "a".as_ref(), ROOT, "b".as_ref());
    table.set_attributes(Inode(99), &seen(FileType::Regular, 99));
    table.opened(Inode(99), Handle(1));
    assert_eq!(table.attributes(Inode(99)), None);
    assert_eq!(table.open_handle(Inode(99)), None);
    assert!(table.is_empty());
}

#[test]
fn open_files_and_attributes_stay_with_the_inode() {
    let table = PathTable::new();
    let a = file(&table, ROOT, "a", 0);
    table.opened(a, Handle(5));
    table.opened(a, Handle(6));
    table.written(a, 100);
    table.written(a, 50);
    table.unlink(ROOT, "a".as_ref());
    assert_eq!(table.open_handle(a), Some(Handle(6)));
    table.closed(a, Handle(6));
    assert_eq!(table.open_handle(a), Some(Handle(5)));
    table.closed(a, Handle(5));
    assert_eq!(table.open_handle(a), None);
    assert_eq!(table.attributes(a).unwrap().size, 100);
    assert_eq!(table.attributes(a).unwrap().inode, a);
}

/// The same by full paths: slow, and plainly right.
#[derive(Debug, Default)]
struct Model {
    names: BTreeMap<String, Inode>,
    lookups: BTreeMap<Inode, u64>,
}

impl Model {
    fn paths(&self, inode: Inode) -> BTreeSet<String> {
        let names = self.names.iter().filter(|(_, named)| **named == inode);
        names.map(|(path, _)| path.clone()).collect()
    }

    /// Moves whatever has that path or lies below it; `None`: to nowhere.
    fn relocate(&mut self, from: &str, to: Option<&str>) {
        let below = format!("{from}/");
        let moved: Vec<_> = self
            .names
            .iter()
            .filter(|(path, _)| *path == from || path.starts_with(&below))
            .map(|(path, inode)| (path.clone(), *inode))
            .collect();
        for (path, inode) in moved {
            self.names.remove(&path);
            if let Some(to) = to {
                self.names.insert(format!("{to}{}", &path[from.len()..]), inode);
            }
        }
    }

    /// Whether nothing lies below a path.
    fn is_empty(&self, path: &str) -> bool {
        let below = format!("{path}/");
        !self.names.keys().any(|path| path.starts_with(&below))
    }

    /// Names nobody can ask for: no lookups, and nothing below.
    fn collect(&mut self) {
        loop {
            let mut names = self.names.iter();
            let unused =
                names.find(|(path, inode)| self.lookups[inode] == 0 && self.is_empty(path));
            let Some(path) = unused.map(|(path, _)| path.clone()) else { return };
            self.names.remove(&path);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    See { path: String, file: u64 },
    Unlink { path: String },
    Rename { from: String, to: String },
    Exchange { one: String, other: String },
    Forget { file: u64 },
}

/// Paths of up to three names of `a`, `b`, `c`; only the last may be a file's.
fn paths() -> impl Strategy<Value = String> {
    prop::collection::vec("[abc]", 1..4).prop_map(|names| format!("/{}", names.join("/")))
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (paths(), 2..8_u64).prop_map(|(path, file)| Step::See { path, file }),
        2 => paths().prop_map(|path| Step::Unlink { path }),
        3 => (paths(), paths()).prop_map(|(from, to)| Step::Rename { from, to }),
        1 => (paths(), paths()).prop_map(|(one, other)| Step::Exchange { one, other }),
        2 => (2..8_u64).prop_map(|file| Step::Forget { file }),
    ]
}

fn split(path: &str) -> (&str, &OsStr) {
    let (parent, name) = path.rsplit_once('/').expect("absolute");
    (parent, name.as_ref())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Numbers 2 and 3 are directories, each of which has one name at a time, the others
    /// are files.
    #[test]
    fn the_table_agrees_with_the_model(steps in prop::collection::vec(steps(), 1..60)) {
        let table = PathTable::new();
        let mut model = Model::default();
        let parent_of = |path: &str| {
            let (parent, name) = split(path);
            let parent = table.resolve(parent.as_ref()).filter(|parent| parent.0 <= 3)?;
            Some((parent, name.to_owned()))
        };
        for step in steps {
            match step {
                Step::See { path, file } => {
                    let (parent, _) = split(&path);
                    let is_directory = |path: &str| path.is_empty()
                        || model.names.get(path).is_some_and(|inode| inode.0 <= 3);
                    let is_elsewhere = file <= 3
                        && model.names.iter().any(|(at, inode)| inode.0 == file && *at != path);
                    let replaces = model.names.get(&path) != Some(&Inode(file));
                    if !is_directory(parent) || is_elsewhere || replaces && !model.is_empty(&path) {
                        continue;
                    }
                    let kind = if file <= 3 { FileType::Directory } else { FileType::Regular };
                    let (parent, name) = parent_of(&path).expect("the model has it");
                    let inode = table.remember(parent, &name, &seen(kind, file)).expect("known");
                    prop_assert_eq!(inode, Inode(file));
                    model.names.insert(path, inode);
                    *model.lookups.entry(inode).or_default() += 1;
                }
                Step::Unlink { path } => {
                    if let Some((parent, name)) = parent_of(&path)
                        && model.is_empty(&path)
                    {
                        table.unlink(parent, &name);
                        model.relocate(&path, None);
                    }
                }
                Step::Rename { from, to } => {
                    let is_below = to.starts_with(&format!("{from}/"));
                    let (Some(one), Some(other)) = (parent_of(&from), parent_of(&to)) else {
                        continue;
                    };
                    if is_below || !model.is_empty(&to) || !model.names.contains_key(&from) {
                        continue;
                    }
                    table.rename(one.0, &one.1, other.0, &other.1);
                    if model.names.get(&from) != model.names.get(&to) {
                        model.relocate(&to, None);
                        model.relocate(&from, Some(&to));
                    }
                }
                Step::Exchange { one, other } => {
                    let related = one.starts_with(&other) || other.starts_with(&one);
                    let (Some(first), Some(second)) = (parent_of(&one), parent_of(&other)) else {
                        continue;
                    };
                    if related {
                        continue;
                    }
                    table.exchange(first.0, &first.1, second.0, &second.1);
                    if model.names.get(&one) != model.names.get(&other) {
                        model.relocate(&one, Some("/between"));
                        model.relocate(&other, Some(&one));
                        model.relocate("/between", Some(&other));
                    }
                }
                Step::Forget { file } => {
                    table.forget(Inode(file), 1);
                    if let Some(lookups) = model.lookups.get_mut(&Inode(file)) {
                        *lookups = lookups.saturating_sub(1);
                    }
                }
            }
            model.collect();
            for (inode, lookups) in &model.lookups {
                let paths = model.paths(*inode);
                match path(&table, *inode) {
                    Some(path) => prop_assert!(paths.contains(&path), "{path} of {paths:?}"),
                    None => prop_assert!(paths.is_empty(), "no path, but {paths:?}"),
                }
                let is_known = *lookups > 0 || !paths.is_empty();
                prop_assert_eq!(table.attributes(*inode).is_some(), is_known);
            }
            for (path, inode) in &model.names {
                prop_assert_eq!(table.resolve(path.as_ref()), Some(*inode));
            }
        }
        let all: Vec<_> = model.lookups.iter().map(|(inode, lookups)| (*inode, *lookups)).collect();
        for (inode, lookups) in all {
            table.forget(inode, lookups);
        }
        prop_assert!(table.is_empty());
    }
}

mod claims {
    use std::borrow::Cow;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use fusesg_fs::{Operation, RenameFlags};

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn name(text: &'static str) -> Cow<'static, OsStr> {
        Cow::Borrowed(OsStr::new(text))
    }

    fn rename(from: &'static str, to: &'static str) -> Operation<'static> {
        let flags = RenameFlags::empty();
        let (name, new_name) = (name(from), name(to));
        Operation::Rename { parent: ROOT, name, new_parent: ROOT, new_name, flags }
    }

    /// `/a/f` and `/b/g`.
    fn table() -> (Arc<PathTable>, Inode, Inode) {
        let table = Arc::new(PathTable::new());
        let (a, b) = (directory(&table, ROOT, "a"), directory(&table, ROOT, "b"));
        let (f, g) = (file(&table, a, "f", 0), file(&table, b, "g", 0));
        (table, f, g)
    }

    #[test]
    fn uses_do_not_wait_for_each_other() {
        let (table, f, g) = table();
        let claims = [f, f, g, ROOT].map(|inode| table.claim(&Operation::Readlink { inode }));
        assert!(claims.iter().all(fusesg_fs::Claim::is_free));
        let lookups =
            [0, 1].map(|_| table.claim(&Operation::Lookup { parent: ROOT, name: name("a") }));
        assert!(lookups.iter().all(fusesg_fs::Claim::is_free));
    }

    #[test]
    fn a_change_waits_for_uses_below_and_later_uses_for_it() {
        let (table, f, g) = table();
        let before = table.claim(&Operation::Readlink { inode: f });
        let elsewhere = table.claim(&Operation::Readlink { inode: g });
        let mut change = table.claim(&rename("a", "c"));
        assert!(!change.is_free());
        let mut after = table.claim(&Operation::Readlink { inode: f });
        assert!(!after.is_free());
        let apart = table.claim(&Operation::Readlink { inode: g });
        assert!(apart.is_free() && elsewhere.is_free());
        assert!(!change.wait(Duration::ZERO));
        drop(before);
        assert!(change.wait(Duration::ZERO));
        assert!(!after.wait(Duration::ZERO));
        drop(change);
        assert!(after.wait(Duration::ZERO));
    }

    #[test]
    fn a_lookup_and_a_change_of_one_name_exclude_each_other() {
        let (table, ..) = table();
        let lookup = table.claim(&Operation::Lookup { parent: ROOT, name: name("new") });
        let create = Operation::Mkdir { parent: ROOT, name: name("new"), mode: 0 };
        let mut create = table.claim(&create);
        assert!(!create.is_free());
        let other = table.claim(&Operation::Mkdir { parent: ROOT, name: name("other"), mode: 0 });
        assert!(other.is_free());
        drop(lookup);
        assert!(create.wait(Duration::ZERO));
    }

    #[test]
    fn who_waits_is_woken() {
        let (table, f, _) = table();
        let before = table.claim(&Operation::Readlink { inode: f });
        let mut change = table.claim(&rename("a", "c"));
        let waiting = thread::spawn(move || change.wait(LONG));
        drop(before);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn many_at_once_never_meet_a_change_of_their_path() {
        let (table, f, _) = table();
        let (a, b) = ("/a/f", "/c/f");
        thread::scope(|scope| {
            for thread in 0..4 {
                let table = &table;
                scope.spawn(move || {
                    for round in 0..200 {
                        if thread > 0 {
                            let mut claim = table.claim(&Operation::Readlink { inode: f });
                            assert!(claim.is_free() || claim.wait(LONG));
                            let before = table.path(f).unwrap();
                            thread::yield_now();
                            assert_eq!(table.path(f).unwrap(), before);
                            assert!(before == a || before == b);
                            continue;
                        }
                        let (from, to) = if round % 2 == 0 { ("a", "c") } else { ("c", "a") };
                        let mut claim = table.claim(&rename(from, to));
                        assert!(claim.is_free() || claim.wait(LONG));
                        table.rename(ROOT, from.as_ref(), ROOT, to.as_ref());
                    }
                });
            }
        });
    }
}
