//! Which request an operation needs: how many pages, and whether it may fail for memory.
//!
//! (Patlasov 2012, "fuse: categorize fuse_get_req()": most operations fit a header, few
//! carry pages, and closing a file must always be possible.)

use fusesg_sg::PAGE_SIZE;

use crate::{Operation, OperationKind};

/// The request that an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestSize {
    /// All it says and all that answers it fits the header.
    NoPages,
    /// Its data needs this many pages.
    Pages(usize),
    /// No pages, and it must go on whatever there is a shortage of: the caller closes a file
    /// and could do nothing about an error.
    NoFail,
}

impl RequestSize {
    /// Of an operation of this kind whose data has `bytes` bytes.
    pub fn of(kind: OperationKind, bytes: usize) -> Self {
        use OperationKind as Kind;
        match kind {
            Kind::Read | Kind::Write | Kind::Ioctl => Self::Pages(bytes.div_ceil(PAGE_SIZE)),
            // a listing asks for as many names as there is room for
            Kind::Readdir | Kind::Readdirplus => Self::Pages(1),
            Kind::Flush | Kind::Release | Kind::Releasedir => Self::NoFail,
            Kind::Lookup
            | Kind::Forget
            | Kind::Getattr
            | Kind::Setattr
            | Kind::Readlink
            | Kind::Symlink
            | Kind::Mknod
            | Kind::Mkdir
            | Kind::Unlink
            | Kind::Rmdir
            | Kind::Rename
            | Kind::Link
            | Kind::Open
            | Kind::Statfs
            | Kind::Fsync
            | Kind::Setxattr
            | Kind::Getxattr
            | Kind::Listxattr
            | Kind::Removexattr
            | Kind::Opendir
            | Kind::Fsyncdir
            | Kind::Getlk
            | Kind::Setlk
            | Kind::Access
            | Kind::Create
            | Kind::Bmap
            | Kind::Poll
            | Kind::Fallocate
            | Kind::Lseek
            | Kind::CopyFileRange => Self::NoPages,
        }
    }

    /// Pages of the request.
    pub fn pages(self) -> usize {
        match self {
            Self::Pages(pages) => pages,
            Self::NoPages | Self::NoFail => 0,
        }
    }
}

impl Operation<'_> {
    /// The request that it needs.
    pub fn request_size(&self) -> RequestSize {
        let bytes = match self {
            Self::Read { size, .. } => *size as usize,
            Self::Write { data, .. } => data.len(),
            Self::Ioctl { data, out_size, .. } => data.len().max(*out_size as usize),
            _ => 0,
        };
        RequestSize::of(self.kind(), bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::{Handle, Inode, LockOwner};

    #[test]
    fn the_table_of_all_kinds() {
        use RequestSize::{NoFail, NoPages, Pages};
        for kind in OperationKind::ALL {
            let expected = match kind.name() {
                "read" | "write" | "ioctl" => [Pages(0), Pages(1), Pages(1), Pages(2), Pages(32)],
                "readdir" | "readdirplus" => [Pages(1); 5],
                "flush" | "release" | "releasedir" => [NoFail; 5],
                _ => [NoPages; 5],
            };
            let sizes = [0, 1, PAGE_SIZE, PAGE_SIZE + 1, 32 * PAGE_SIZE];
            assert_eq!(sizes.map(|bytes| RequestSize::of(*kind, bytes)), expected, "{kind}");
        }
    }

    #[test]
    fn operations_are_sized_by_their_data() {
        let (inode, handle) = (Inode(2), Handle(3));
        let read = |size| Operation::Read {
            inode,
            handle,
            offset: 4095,
            size,
            flags: 0,
            lock_owner: None,
        };
        assert_eq!(read(131_072).request_size(), RequestSize::Pages(32));
        assert_eq!(read(u32::MAX).request_size().pages(), 1 << 20);
        let write = Operation::Write {
            inode,
            handle,
            offset: 0,
            data: Cow::Borrowed(&[0; 5000]),
            flags: 0,
            lock_owner: None,
            from_cache: false,
            kill_suid_sgid: false,
        };
        assert_eq!(write.request_size().pages(), 2);
        let ioctl = Operation::Ioctl {
            inode,
            handle,
            flags: 0,
            command: 0,
            data: Cow::Borrowed(&[0; 8]),
            out_size: 4097,
        };
        assert_eq!(ioctl.request_size().pages(), 2);
        let flush = Operation::Flush { inode, handle, lock_owner: LockOwner(1) };
        assert_eq!((flush.request_size(), flush.request_size().pages()), (RequestSize::NoFail, 0));
    }
}
