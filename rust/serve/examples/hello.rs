//! A file system with one file. `hello MOUNTPOINT` serves it until its standard input ends
//! or it is unmounted.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::thread;

use fusesg_fs::{
    Attributes, AttributesReply, Context, DirectoryEntry, DirectorySink, Entry, Errno, FileSystem,
    FileType, Handle, Inode, OperationKind, Properties, Result, Timestamp,
};
use fusesg_serve::{Mount, MountConfig, Native};
use fusesg_sg::{Segment, SegmentList};

const HELLO: Inode = Inode(2);
const TEXT: &[u8] = b"hello, world\n";

struct Hello;

fn attributes(inode: Inode) -> Attributes {
    let (kind, permissions, size) = match inode {
        HELLO => (FileType::Regular, 0o444, TEXT.len() as u64),
        _ => (FileType::Directory, 0o755, 0),
    };
    Attributes {
        inode,
        kind,
        permissions,
        size,
        blocks: 1,
        block_size: 4096,
        links: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        atime: Timestamp::default(),
        mtime: Timestamp::default(),
        ctime: Timestamp::default(),
    }
}

impl FileSystem for Hello {
    fn properties(&self) -> Properties {
        let implemented = [
            OperationKind::Lookup,
            OperationKind::Getattr,
            OperationKind::Read,
            OperationKind::Readdir,
        ];
        Properties {
            implemented: implemented.into_iter().collect(),
            keep_cache_without_open: true,
            ..Properties::default()
        }
    }

    fn lookup(&self, _: &Context, _: Inode, name: &OsStr) -> Result<Entry> {
        if name != "hello" {
            return Err(Errno::ENOENT);
        }
        Ok(Entry {
            attributes: attributes(HELLO),
            generation: 0,
            entry_timeout: None,
            attribute_timeout: None,
        })
    }

    fn getattr(&self, _: &Context, inode: Inode, _: Option<Handle>) -> Result<AttributesReply> {
        Ok(AttributesReply { attributes: attributes(inode), timeout: None })
    }

    fn read(
        &self,
        _: &Context,
        _: Inode,
        _: Handle,
        offset: u64,
        size: u32,
    ) -> Result<SegmentList> {
        let whole: SegmentList = [Segment::Buffer(TEXT.into())].into_iter().collect();
        Ok(whole.slice(offset, size.into()))
    }

    fn readdir(
        &self,
        _: &Context,
        _: Inode,
        _: Handle,
        offset: u64,
        _: bool,
        sink: &mut dyn DirectorySink,
    ) -> Result<()> {
        if offset == 0 {
            sink.add(&DirectoryEntry {
                name: OsStr::new("hello"),
                inode: HELLO,
                kind: Some(FileType::Regular),
                next_offset: 1,
                entry: None,
            });
        }
        Ok(())
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let point = std::env::args_os().nth(1).ok_or("usage: hello MOUNTPOINT")?;
    let mount = Mount::new(Arc::new(Native::new(Arc::new(Hello))), MountConfig::new(point))?;
    println!("serving {}", mount.path().display());
    let mount = Arc::new(mount);
    let until_end_of_input = Arc::clone(&mount);
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        until_end_of_input.unmount()
    });
    mount.wait(None);
    Ok(())
}
