//! Open files: handles, access modes, positions; FLUSH when closed and RELEASE at last.

use std::collections::BTreeMap;
use std::sync::Arc;

use fusesg_fs::{
    Errno, FileType, Handle, Inode, LockOwner, Opened, OpenedFlags, Operation, Result,
};
use parking_lot::{Mutex, MutexGuard};

use super::node::Node;
use super::session::Session;
use super::{Client, life::Use};

/// The smallest descriptor: above all that the system gives out, so that a client's
/// descriptor is never taken for one of the process.
const FIRST: i32 = 1 << 24;

/// Who holds locks, as far as FLUSH tells: this client.
const OWNER: LockOwner = LockOwner(1);

/// An open file. RELEASE is sent when nobody uses it any more.
#[derive(Debug)]
pub(super) struct OpenFile {
    session: Arc<Session>,
    /// Keeps the inode known as long as the file is open.
    node: Node,
    /// `None` where OPEN is not there.
    handle: Option<Handle>,
    pub(super) kind: FileType,
    /// What open was called with, without what is of no meaning later.
    pub(super) flags: i32,
    treatment: OpenedFlags,
    position: Mutex<u64>,
}

impl OpenFile {
    pub(super) fn new(
        session: &Arc<Session>,
        node: Node,
        kind: FileType,
        flags: i32,
        opened: Option<&Opened>,
    ) -> Self {
        Self {
            session: Arc::clone(session),
            node,
            handle: opened.map(|opened| opened.handle),
            kind,
            flags,
            treatment: opened.map_or_else(OpenedFlags::empty, |opened| opened.flags),
            position: Mutex::new(0),
        }
    }

    pub(super) fn inode(&self) -> Inode {
        self.node.inode()
    }

    /// The handle; 0 where OPEN is not there.
    pub(super) fn handle(&self) -> Handle {
        self.handle.unwrap_or_default()
    }

    /// The file's position. One call at a time moves it.
    pub(super) fn position(&self) -> MutexGuard<'_, u64> {
        self.position.lock()
    }

    /// ESPIPE where there are no positions.
    pub(super) fn check_seekable(&self) -> Result<()> {
        if self.treatment.contains(OpenedFlags::NONSEEKABLE) { Err(Errno::ESPIPE) } else { Ok(()) }
    }

    /// Whether requests of one I/O may be carried out in any order: what is appended may not.
    pub(super) fn has_positions(&self) -> bool {
        self.flags & libc::O_APPEND == 0
    }

    /// A READ of it.
    pub(super) fn read(&self, offset: u64, size: u32) -> Operation<'static> {
        Operation::Read {
            inode: self.inode(),
            handle: self.handle(),
            offset,
            size,
            flags: self.flags,
            lock_owner: None,
        }
    }

    /// EBADF unless it was opened for reading.
    pub(super) fn check_readable(&self) -> Result<()> {
        if self.flags & libc::O_ACCMODE == libc::O_WRONLY {
            return Err(Errno::EBADF);
        }
        self.check_is_no_directory()
    }

    /// EBADF unless it was opened for writing.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.flags & libc::O_ACCMODE == libc::O_RDONLY {
            return Err(Errno::EBADF);
        }
        self.check_is_no_directory()
    }

    fn check_is_no_directory(&self) -> Result<()> {
        if self.kind == FileType::Directory { Err(Errno::EISDIR) } else { Ok(()) }
    }

    /// FLUSH, at each close.
    fn flush(&self) -> Result<()> {
        let skipped = self.treatment.contains(OpenedFlags::NO_FLUSH);
        if self.kind == FileType::Directory || skipped {
            return Ok(());
        }
        let (inode, handle) = (self.inode(), self.handle());
        let flush = Operation::Flush { inode, handle, lock_owner: OWNER };
        self.session.ask_unless_absent(flush).map(drop)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let Some(handle) = self.handle else { return };
        let (inode, flags) = (self.node.inode(), self.flags);
        let release = if self.kind == FileType::Directory {
            Operation::Releasedir { inode, handle, flags }
        } else {
            Operation::Release { inode, handle, flags, lock_owner: None }
        };
        // the kernel does not wait for it, and tells nobody of an error
        let _ = self.session.ask(release);
    }
}

/// The open files by descriptor.
#[derive(Debug, Default)]
pub(super) struct OpenFiles(Mutex<BTreeMap<i32, Arc<OpenFile>>>);

impl OpenFiles {
    /// Gives a file the lowest descriptor that is free.
    pub(super) fn insert(&self, file: OpenFile) -> Result<i32> {
        let file = Arc::new(file);
        let mut files = self.0.lock();
        let mut free = FIRST;
        for taken in files.keys() {
            if *taken != free {
                break;
            }
            free = free.checked_add(1).ok_or(Errno::EMFILE)?;
        }
        files.insert(free, file);
        Ok(free)
    }

    pub(super) fn get(&self, descriptor: i32) -> Result<Arc<OpenFile>> {
        self.0.lock().get(&descriptor).map(Arc::clone).ok_or(Errno::EBADF)
    }

    fn remove(&self, descriptor: i32) -> Result<Arc<OpenFile>> {
        self.0.lock().remove(&descriptor).ok_or(Errno::EBADF)
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Closes what is open, as the end of a process does.
    pub(super) fn close_all(&self) {
        let files = std::mem::take(&mut *self.0.lock());
        for file in files.into_values() {
            // nobody is there to be told
            let _ = file.flush();
        }
    }
}

impl Client {
    /// Closes a descriptor. It is closed also where this fails: that tells of data that
    /// could not be stored.
    pub fn close_file(&self, descriptor: i32) -> Result<()> {
        let _use = self.enter()?;
        self.files.remove(descriptor)?.flush()
    }

    /// An open file, for as long as a call uses it.
    pub(super) fn file(&self, descriptor: i32) -> Result<(Use<'_>, Arc<OpenFile>)> {
        Ok((self.enter()?, self.files.get(descriptor)?))
    }
}
