//! open(2): what its flags mean, and what becomes of them on the way to the file system.

use std::borrow::Cow;
use std::ffi::OsStr;

use fusesg_fs::{Attributes, Errno, FileType, Opened, Operation, Reply, Result, SetAttributes};

use super::Client;
use super::absent::O_LARGEFILE;
use super::node::Node;
use super::open_file::OpenFile;
use super::path_walk::{Last, Place};
use super::permissions::Access;

const PERMISSIONS: u32 = 0o7777;
/// The bit of `O_TMPFILE` that no other flag has.
const TMPFILE: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// What a path leads to when it is opened.
enum Target {
    /// Something that is there.
    Existing(Node),
    /// A file that the open has made, opened already where CREATE is there.
    Created(Node, Option<Opened>),
}

impl Client {
    /// Opens a file or directory, as open(2) does, and creates it where `flags` say so.
    ///
    /// `mode` is for what is created. `O_TMPFILE` and `O_PATH` are EOPNOTSUPP, and so are
    /// devices and FIFOs, of which FUSE has only the names.
    pub fn open(&self, path: &OsStr, flags: i32, mode: u32) -> Result<i32> {
        let _use = self.enter()?;
        if flags & (TMPFILE | libc::O_PATH) != 0 {
            return Err(Errno::ENOTSUP);
        }
        let creates = flags & libc::O_CREAT != 0;
        if creates && flags & libc::O_DIRECTORY != 0 {
            return Err(Errno::EINVAL);
        }
        let target = if creates {
            self.find_or_create(path, flags, mode)?
        } else {
            let follow = flags & libc::O_NOFOLLOW == 0;
            Target::Existing(self.resolve(path, follow)?)
        };
        let kept = flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_NOCTTY | libc::O_TRUNC);
        let file = match target {
            Target::Existing(node) => self.open_existing(node, flags, kept)?,
            Target::Created(node, Some(opened)) => {
                let kind = node.attributes()?.kind;
                OpenFile::new(&self.session, node, kind, kept, Some(&opened))
            }
            Target::Created(node, None) => {
                let kind = node.attributes()?.kind;
                let opened = self.ask_open(&node, kept)?;
                OpenFile::new(&self.session, node, kind, kept, opened.as_ref())
            }
        };
        self.files.insert(file)
    }

    fn open_existing(&self, node: Node, flags: i32, kept: i32) -> Result<OpenFile> {
        let attributes = node.attributes()?;
        self.check_open(&attributes, flags)?;
        let session = &self.session;
        if attributes.kind == FileType::Directory {
            let operation = Operation::Opendir { inode: node.inode(), flags: kept | O_LARGEFILE };
            let opened = match session.ask_unless_absent(operation)? {
                Some(Reply::Opened(opened)) => Some(opened),
                Some(_) => return Err(Errno::EIO),
                None => None,
            };
            return Ok(OpenFile::new(session, node, attributes.kind, kept, opened.as_ref()));
        }
        let truncates = flags & libc::O_TRUNC != 0;
        let truncated_by_open = truncates && session.properties().atomic_o_trunc;
        let passed = if truncated_by_open { kept | libc::O_TRUNC } else { kept };
        let opened = self.ask_open(&node, passed)?;
        let file = OpenFile::new(session, node, attributes.kind, kept, opened.as_ref());
        if truncates && !truncated_by_open {
            let changes = SetAttributes { size: Some(0), ..SetAttributes::default() };
            session.ask(Operation::Setattr { inode: file.inode(), handle: None, changes })?;
        }
        Ok(file)
    }

    fn ask_open(&self, node: &Node, flags: i32) -> Result<Option<Opened>> {
        let operation = Operation::Open { inode: node.inode(), flags: flags | O_LARGEFILE };
        match self.session.ask_unless_absent(operation)? {
            Some(Reply::Opened(opened)) => Ok(Some(opened)),
            Some(_) => Err(Errno::EIO),
            None => Ok(None),
        }
    }

    /// Whether what is there may be opened so.
    fn check_open(&self, attributes: &Attributes, flags: i32) -> Result<()> {
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        match attributes.kind {
            FileType::Directory if writes || flags & (libc::O_CREAT | libc::O_TRUNC) != 0 => {
                return Err(Errno::EISDIR);
            }
            FileType::Directory => {}
            _ if flags & libc::O_DIRECTORY != 0 => return Err(Errno::ENOTDIR),
            FileType::SymbolicLink => return Err(Errno::ELOOP),
            FileType::Regular => {}
            FileType::Socket => return Err(Errno::ENXIO),
            FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice => {
                return Err(Errno::ENOTSUP);
            }
        }
        let mut wanted = match flags & libc::O_ACCMODE {
            libc::O_RDONLY => Access::READ,
            libc::O_WRONLY => Access::WRITE,
            _ => Access::READ | Access::WRITE,
        };
        if flags & libc::O_TRUNC != 0 {
            wanted |= Access::WRITE;
        }
        if wanted.contains(Access::WRITE) {
            self.session.check_writable()?;
        }
        self.session.check_access(attributes, wanted)
    }

    fn find_or_create(&self, path: &OsStr, flags: i32, mode: u32) -> Result<Target> {
        let exclusive = flags & libc::O_EXCL != 0;
        let mut place = self.locate(path)?;
        loop {
            let (directory, name) = match &place.last {
                Last::Directory if exclusive => return Err(Errno::EEXIST),
                Last::Directory | Last::Name { slash: true, .. } => return Err(Errno::EISDIR),
                Last::Name { name, slash: false } => (place.directory(), name),
            };
            let Some(node) = self.session.lookup(directory, name)? else {
                return self.create_in(&place, flags, mode);
            };
            let is_link = node.attributes()?.kind == FileType::SymbolicLink;
            if exclusive {
                return Err(Errno::EEXIST);
            }
            if !is_link || flags & libc::O_NOFOLLOW != 0 {
                return Ok(Target::Existing(node));
            }
            place = self.session.follow(place, &node)?;
        }
    }

    fn create_in(&self, place: &Place, flags: i32, mode: u32) -> Result<Target> {
        let session = &self.session;
        let (directory, name, _) = place.name(Errno::EISDIR)?;
        session.check_writable()?;
        let access = Access::WRITE | Access::EXECUTE;
        session.check_access(&directory.attributes()?, access)?;
        let parent = directory.inode();
        let mode = libc::S_IFREG | session.creation_mode(mode & PERMISSIONS);
        let name = Cow::Borrowed(name);
        let flags = (flags | O_LARGEFILE) & !libc::O_NOCTTY;
        let create = Operation::Create { parent, name: name.clone(), mode, flags };
        match session.ask_unless_absent(create)? {
            Some(Reply::Created(entry, opened)) => {
                let node = session.node(&entry).ok_or(Errno::EIO)?;
                Ok(Target::Created(node, Some(opened)))
            }
            Some(_) => Err(Errno::EIO),
            None => {
                let reply = session.ask(Operation::Mknod { parent, name, mode, rdev: 0 })?;
                Ok(Target::Created(session.made(&reply)?, None))
            }
        }
    }
}
