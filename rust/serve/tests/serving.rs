//! Operations through the kernel and back.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};

use common::{Memory, MountPoint, mount, watchdog};

#[test]
fn files_are_read_and_written() {
    watchdog();
    let point = MountPoint::new();
    let (mount, _) = mount(Memory::new().with("greeting", b"hello, world"), &point);
    assert_eq!(fs::read(point.path().join("greeting")).unwrap(), b"hello, world");
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
    fs::write(point.path().join("new"), &content).unwrap();
    assert!(fs::read(point.path().join("new")).unwrap() == content);
    let mut file = fs::File::open(point.path().join("new")).unwrap();
    file.seek(SeekFrom::Start(2_999_990)).unwrap();
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).unwrap();
    assert_eq!(tail, &content[2_999_990..]);
    mount.unmount().unwrap();
}
