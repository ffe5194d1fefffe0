//! Extended attributes.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use fusesg_fs::{Errno, FileType, Operation, Reply, Result};

use super::Client;
use super::node::Node;
use super::permissions::Access;
use crate::responder::Wanted;

/// Bytes of the largest value and of the longest list of names.
const LARGEST: u32 = 65_536;
/// Bytes of the longest name.
const LONGEST_NAME: usize = 255;

impl Client {
    /// The value of an attribute.
    pub fn get_xattr(&self, path: &OsStr, name: &OsStr, follow: bool) -> Result<Vec<u8>> {
        let _use = self.enter()?;
        check_name(name)?;
        let node = self.resolve(path, follow)?;
        self.check_xattr(&node, name, Access::READ)?;
        let operation =
            Operation::Getxattr { inode: node.inode(), name: Cow::Borrowed(name), size: LARGEST };
        value(self.session.ask_unless_absent_for(operation, Wanted(LARGEST))?)
    }

    /// Sets an attribute; `flags` are `XATTR_CREATE` and `XATTR_REPLACE`.
    pub fn set_xattr(
        &self,
        path: &OsStr,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        follow: bool,
    ) -> Result<()> {
        let _use = self.enter()?;
        check_name(name)?;
        if value.len() > LARGEST as usize {
            return Err(Errno::E2BIG);
        }
        if flags & !(libc::XATTR_CREATE | libc::XATTR_REPLACE) != 0 {
            return Err(Errno::EINVAL);
        }
        let node = self.resolve(path, follow)?;
        self.session.check_writable()?;
        self.check_xattr(&node, name, Access::WRITE)?;
        let (name, value) = (Cow::Borrowed(name), Cow::Borrowed(value));
        let operation = Operation::Setxattr { inode: node.inode(), name, value, flags };
        done(self.session.ask_unless_absent(operation)?)
    }

    /// The names of all attributes.
    pub fn list_xattrs(&self, path: &OsStr, follow: bool) -> Result<Vec<OsString>> {
        let _use = self.enter()?;
        let node = self.resolve(path, follow)?;
        let operation = Operation::Listxattr { inode: node.inode(), size: LARGEST };
        let names = value(self.session.ask_unless_absent_for(operation, Wanted(LARGEST))?)?;
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
    }

    /// Removes an attribute.
    pub fn remove_xattr(&self, path: &OsStr, name: &OsStr, follow: bool) -> Result<()> {
        let _use = self.enter()?;
        check_name(name)?;
        let node = self.resolve(path, follow)?;
        self.session.check_writable()?;
        self.check_xattr(&node, name, Access::WRITE)?;
        let operation = Operation::Removexattr { inode: node.inode(), name: Cow::Borrowed(name) };
        done(self.session.ask_unless_absent(operation)?)
    }
}

impl Client {
    /// Whether the caller may use an attribute: `trusted` ones are root's, and `user` ones
    /// follow the mode of the file or directory. The others are for the file system to say.
    fn check_xattr(&self, node: &Node, name: &OsStr, wanted: Access) -> Result<()> {
        let denied = if wanted == Access::READ { Errno::ENODATA } else { Errno::EPERM };
        let name = name.as_bytes();
        if name.starts_with(b"trusted.") && self.config().uid != 0 {
            return Err(denied);
        }
        if name.starts_with(b"user.") {
            let attributes = node.attributes()?;
            if !matches!(attributes.kind, FileType::Regular | FileType::Directory) {
                return Err(denied);
            }
            self.session.check_access(&attributes, wanted)?;
        }
        Ok(())
    }
}

fn check_name(name: &OsStr) -> Result<()> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Errno::ERANGE);
    }
    Ok(())
}

fn value(reply: Option<Reply>) -> Result<Vec<u8>> {
    match reply {
        Some(Reply::Xattr(value)) => Ok(value),
        Some(_) => Err(Errno::EIO),
        None => Err(Errno::ENOTSUP),
    }
}

fn done(reply: Option<Reply>) -> Result<()> {
    reply.map(drop).ok_or(Errno::ENOTSUP)
}
