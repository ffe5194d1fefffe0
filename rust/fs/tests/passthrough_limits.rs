//! More inodes than a process may have open files. Alone in its process, whose limit it lowers.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs::{self, File};

use fusesg_fs::passthrough::PassthroughOptions;
use fusesg_fs::{Errno, FileSystem, Inode};
use support::{Fixture, ROOT_USER, os};

const LIMIT: u64 = 64;
const FILES: usize = 300;

fn limit() -> libc::rlimit64 {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills our structure.
    assert_eq!(unsafe { libc::getrlimit64(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    limit
}

#[test]
fn the_limit_is_raised_and_then_lived_with() {
    let low = libc::rlimit64 { rlim_cur: LIMIT / 2, rlim_max: LIMIT };
    // SAFETY: the call reads our structure.
    assert_eq!(unsafe { libc::setrlimit64(libc::RLIMIT_NOFILE, &raw const low) }, 0);
    let fixture = Fixture::new_in("/dev/shm", PassthroughOptions::default());
    assert_eq!(limit().rlim_cur, LIMIT);
    for index in 0..FILES {
        File::create(fixture.path(format!("{index}"))).unwrap();
    }
    // half of them by descriptors, the rest by file handles
    for index in 0..FILES {
        fixture.lookup(&index.to_string());
    }
    let open = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    assert!((LIMIT / 2..LIMIT - 8).contains(&open), "{open} descriptors");
    let file = fixture.lookup("299").attributes.inode;
    let handle = fixture.open(file, libc::O_RDWR).unwrap().handle;
    assert_eq!(fixture.write(file, handle, 0, b"x"), 1);
    drop(fixture);

    // where handles may not be used: an error, and the file system lives on
    let unlimited =
        PassthroughOptions { descriptor_budget: Some(u64::MAX), ..PassthroughOptions::default() };
    let fixture = Fixture::new_in("/dev/shm", unlimited);
    for index in 0..LIMIT {
        File::create(fixture.path(index.to_string())).unwrap();
    }
    let mut known = Vec::new();
    let errno = loop {
        match fixture.fs.lookup(&ROOT_USER, Inode::ROOT, os(&known.len().to_string())) {
            Ok(entry) => known.push(entry.attributes.inode),
            Err(errno) => break errno,
        }
    };
    assert_eq!(errno, Errno::EMFILE);
    let again = fixture.fs.lookup(&ROOT_USER, Inode::ROOT, os("0"));
    assert_eq!(again.unwrap_err(), Errno::EMFILE);
    for inode in known {
        fixture.fs.forget(inode, 1);
    }
    fixture.lookup("0");
}
