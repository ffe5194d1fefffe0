//! The adapter from the synchronous trait to the dispatch trait.

use std::path::Path;
use std::sync::Arc;

use fusesg_fs::{
    Context, DirectoryEntry, DirectorySink, FileSystem, Handle, Inode, Operation, Properties,
    Reply, Result,
};

use crate::{Delivery, Dispatch, Responder};

/// Serves a native file system: every operation is answered before `dispatch` returns.
#[derive(Clone, Debug)]
pub struct Native<F: ?Sized> {
    file_system: Arc<F>,
}

impl<F: FileSystem + ?Sized> Native<F> {
    /// Puts `file_system` behind the dispatch trait.
    pub fn new(file_system: Arc<F>) -> Self {
        Self { file_system }
    }

    /// The file system.
    pub fn file_system(&self) -> &Arc<F> {
        &self.file_system
    }

    /// Lists a directory into the responder and answers.
    fn list(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        plus: bool,
        responder: Responder,
    ) {
        let mut sink = CountingSink { responder, counted: Vec::new() };
        let listed = self.file_system.readdir(context, inode, handle, offset, plus, &mut sink);
        let failed = listed.is_err();
        let CountingSink { responder, counted } = sink;
        if responder.answer(listed.map(|()| Reply::Done)) == Delivery::Dropped || failed {
            for inode in counted {
                self.file_system.forget(inode, 1);
            }
        }
    }

    /// Sends an answer, and takes back what was in it if it did not arrive.
    fn deliver(&self, responder: Responder, answer: Result<Reply>, takes_back: Option<&TakeBack>) {
        if responder.answer(answer) == Delivery::Sent {
            return;
        }
        let Some(&TakeBack { inode, entry, handle, directory }) = takes_back else { return };
        if let Some(handle) = handle {
            let released = if directory {
                self.file_system.releasedir(inode, handle)
            } else {
                self.file_system.release(inode, handle)
            };
            if let Err(errno) = released {
                log::warn!("a handle that nobody asks for any more was not released: {errno}");
            }
        }
        if entry {
            self.file_system.forget(inode, 1);
        }
    }
}

/// What an answer gave to the kernel: a lookup, an open handle, or both.
struct TakeBack {
    inode: Inode,
    entry: bool,
    handle: Option<Handle>,
    directory: bool,
}

impl TakeBack {
    fn of(asked: Inode, answer: &Result<Reply>, directory: bool) -> Option<Self> {
        match answer {
            Ok(Reply::Entry(entry)) if entry.attributes.inode != Inode(0) => {
                let inode = entry.attributes.inode;
                Some(Self { inode, entry: true, handle: None, directory })
            }
            Ok(Reply::Created(entry, opened)) => {
                let inode = entry.attributes.inode;
                Some(Self { inode, entry: true, handle: Some(opened.handle), directory })
            }
            Ok(Reply::Opened(opened)) => {
                Some(Self { inode: asked, entry: false, handle: Some(opened.handle), directory })
            }
            _ => None,
        }
    }
}

/// A responder that remembers which lookups a listing counts.
struct CountingSink {
    responder: Responder,
    counted: Vec<Inode>,
}

impl DirectorySink for CountingSink {
    fn add(&mut self, entry: &DirectoryEntry<'_>) -> bool {
        let taken = self.responder.add(entry);
        if taken && let Some(described) = entry.entry {
            self.counted.push(described.attributes.inode);
        }
        taken
    }
}

impl<F: FileSystem + ?Sized> Dispatch for Native<F> {
    fn properties(&self) -> Properties {
        self.file_system.properties()
    }

    fn mounted(&self, point: &Path, device: u64) {
        self.file_system.mounted(point, device);
    }

    fn unmounted(&self, device: u64) {
        self.file_system.unmounted(device);
    }

    fn init(&self) -> Result<()> {
        self.file_system.init()
    }

    fn dispatch(&self, context: Context, operation: Operation<'_>, responder: Responder) {
        let asked = operation.inode();
        let directory = matches!(operation, Operation::Opendir { .. });
        match operation {
            Operation::Readdir { inode, handle, offset } => {
                self.list(&context, inode, handle, offset, false, responder);
            }
            Operation::Readdirplus { inode, handle, offset } => {
                self.list(&context, inode, handle, offset, true, responder);
            }
            other => {
                let answer = self.call(&context, other);
                let takes_back = TakeBack::of(asked, &answer, directory);
                self.deliver(responder, answer, takes_back.as_ref());
            }
        }
    }

    fn forget(&self, inode: Inode, count: u64) {
        self.file_system.forget(inode, count);
    }

    fn destroy(&self) {
        self.file_system.destroy();
    }
}

impl<F: FileSystem + ?Sized> Native<F> {
    /// The method that implements the operation.
    #[expect(clippy::too_many_lines, reason = "a table with a row for each operation")]
    fn call(&self, context: &Context, operation: Operation<'_>) -> Result<Reply> {
        let fs = &*self.file_system;
        match operation {
            Operation::Lookup { parent, name } => {
                fs.lookup(context, parent, &name).map(Reply::Entry)
            }
            Operation::Getattr { inode, handle } => {
                fs.getattr(context, inode, handle).map(Reply::Attributes)
            }
            Operation::Setattr { inode, handle, changes } => {
                fs.setattr(context, inode, handle, &changes).map(Reply::Attributes)
            }
            Operation::Readlink { inode } => fs.readlink(context, inode).map(Reply::Target),
            Operation::Symlink { parent, name, target } => {
                fs.symlink(context, parent, &name, &target).map(Reply::Entry)
            }
            Operation::Mknod { parent, name, mode, rdev } => {
                fs.mknod(context, parent, &name, mode, rdev).map(Reply::Entry)
            }
            Operation::Mkdir { parent, name, mode } => {
                fs.mkdir(context, parent, &name, mode).map(Reply::Entry)
            }
            Operation::Unlink { parent, name } => done(fs.unlink(context, parent, &name)),
            Operation::Rmdir { parent, name } => done(fs.rmdir(context, parent, &name)),
            Operation::Rename { parent, name, new_parent, new_name, flags } => {
                done(fs.rename(context, parent, &name, new_parent, &new_name, flags))
            }
            Operation::Link { inode, new_parent, new_name } => {
                fs.link(context, inode, new_parent, &new_name).map(Reply::Entry)
            }
            Operation::Open { inode, flags } => fs.open(context, inode, flags).map(Reply::Opened),
            Operation::Read { inode, handle, offset, size, .. } => {
                fs.read(context, inode, handle, offset, size).map(Reply::Data)
            }
            Operation::Write {
                inode, handle, offset, data, from_cache, kill_suid_sgid, ..
            } => fs
                .write(context, inode, handle, offset, &data, from_cache, kill_suid_sgid)
                .map(Reply::Written),
            Operation::Statfs { inode } => fs.statfs(context, inode).map(Reply::Statistics),
            Operation::Release { inode, handle, .. } => done(fs.release(inode, handle)),
            Operation::Fsync { inode, handle, datasync } => {
                done(fs.fsync(context, inode, handle, datasync))
            }
            Operation::Setxattr { inode, name, value, flags } => {
                done(fs.setxattr(context, inode, &name, &value, flags))
            }
            Operation::Getxattr { inode, name, .. } => {
                fs.getxattr(context, inode, &name).map(Reply::Xattr)
            }
            Operation::Listxattr { inode, .. } => fs.listxattr(context, inode).map(Reply::Xattr),
            Operation::Removexattr { inode, name } => done(fs.removexattr(context, inode, &name)),
            Operation::Flush { inode, handle, lock_owner } => {
                done(fs.flush(context, inode, handle, lock_owner))
            }
            Operation::Opendir { inode, flags } => {
                fs.opendir(context, inode, flags).map(Reply::Opened)
            }
            Operation::Releasedir { inode, handle, .. } => done(fs.releasedir(inode, handle)),
            Operation::Fsyncdir { inode, handle, datasync } => {
                done(fs.fsyncdir(context, inode, handle, datasync))
            }
            Operation::Getlk { inode, handle, lock_owner, lock } => {
                fs.getlk(context, inode, handle, lock_owner, &lock).map(Reply::Lock)
            }
            Operation::Setlk { inode, handle, lock_owner, lock, wait } => {
                done(fs.setlk(context, inode, handle, lock_owner, &lock, wait))
            }
            Operation::Access { inode, mask } => done(fs.access(context, inode, mask)),
            Operation::Create { parent, name, mode, flags } => fs
                .create(context, parent, &name, mode, flags)
                .map(|(entry, opened)| Reply::Created(entry, opened)),
            Operation::Bmap { inode, block_size, index } => {
                fs.bmap(context, inode, block_size, index).map(Reply::Block)
            }
            Operation::Ioctl { inode, handle, command, data, out_size, .. } => fs
                .ioctl(context, inode, handle, command, &data, out_size)
                .map(|(result, data)| Reply::Ioctl { result, data }),
            Operation::Poll { inode, handle, events, waiter } => {
                fs.poll(context, inode, handle, events, waiter).map(Reply::Events)
            }
            Operation::Fallocate { inode, handle, offset, length, mode } => {
                done(fs.fallocate(context, inode, handle, offset, length, mode))
            }
            Operation::Lseek { inode, handle, offset, whence } => {
                fs.lseek(context, inode, handle, offset, whence).map(Reply::Offset)
            }
            Operation::CopyFileRange {
                in_handle,
                in_offset,
                out_handle,
                out_offset,
                length,
                flags,
                ..
            } => fs
                .copy_file_range(
                    context, in_handle, in_offset, out_handle, out_offset, length, flags,
                )
                .map(Reply::Written),
            // answered by `list`, which needs the responder as its sink
            Operation::Readdir { .. } | Operation::Readdirplus { .. } => {
                unreachable!("listings go through the sink")
            }
        }
    }
}

fn done(result: Result<()>) -> Result<Reply> {
    result.map(|()| Reply::Done)
}
