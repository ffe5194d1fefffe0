//! Positions and ranges of open files: lseek, fallocate, copy_file_range.

use fusesg_fs::{Errno, FileType, Operation, Reply, Result};
use fusesg_sg::range_end;

use super::Client;
use super::direct::MOST_BYTES;
use super::open_file::OpenFile;
use crate::responder::Wanted;

/// Bytes that are copied at a time where the file system cannot do it.
const COPIED_AT_ONCE: u64 = 1 << 20;

impl Client {
    /// Moves a file's position; returns where it is then.
    pub fn seek(&self, descriptor: i32, offset: i64, whence: i32) -> Result<u64> {
        let (_use, file) = self.file(descriptor)?;
        file.check_seekable()?;
        let mut position = file.position();
        let start = match whence {
            libc::SEEK_SET => 0,
            libc::SEEK_CUR => *position,
            libc::SEEK_END => self.size(&file)?,
            libc::SEEK_DATA | libc::SEEK_HOLE => {
                *position = self.find(&file, offset, whence)?;
                return Ok(*position);
            }
            _ => return Err(Errno::EINVAL),
        };
        let target = start.checked_add_signed(offset).ok_or(Errno::EINVAL)?;
        if i64::try_from(target).is_err() {
            return Err(Errno::EINVAL);
        }
        *position = target;
        Ok(target)
    }

    fn size(&self, file: &OpenFile) -> Result<u64> {
        self.session.attributes_of(file.inode(), Some(file.handle())).map(|found| found.size)
    }

    /// Where data begins or ends.
    fn find(&self, file: &OpenFile, offset: i64, whence: i32) -> Result<u64> {
        let (inode, handle) = (file.inode(), file.handle());
        let operation = Operation::Lseek { inode, handle, offset, whence };
        match self.session.ask_unless_absent(operation)? {
            Some(Reply::Offset(found)) => Ok(found),
            Some(_) => Err(Errno::EIO),
            // the whole file is data
            None => {
                let size = self.size(file)?;
                let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                match whence {
                    _ if offset >= size => Err(Errno::ENXIO),
                    libc::SEEK_DATA => Ok(offset),
                    _ => Ok(size),
                }
            }
        }
    }

    /// Allocates or removes space, as fallocate(2).
    pub fn allocate(&self, descriptor: i32, mode: i32, offset: u64, length: u64) -> Result<()> {
        let (_use, file) = self.file(descriptor)?;
        if length == 0 {
            return Err(Errno::EINVAL);
        }
        match file.kind {
            FileType::Directory => return Err(Errno::EBADF),
            _ => file.check_writable()?,
        }
        range_end(offset, length).map_err(|_| Errno::EFBIG)?;
        self.session.check_writable()?;
        let (inode, handle) = (file.inode(), file.handle());
        let operation = Operation::Fallocate { inode, handle, offset, length, mode };
        self.session.ask_unless_absent(operation)?.map(drop).ok_or(Errno::ENOTSUP)
    }

    /// Copies bytes of one file to another, as copy_file_range(2); returns how many.
    ///
    /// Where the file system cannot do it, they are read and written.
    pub fn copy_range(
        &self,
        from: i32,
        from_offset: u64,
        to: i32,
        to_offset: u64,
        length: u64,
    ) -> Result<u64> {
        let (_use, source) = self.file(from)?;
        let (_also, target) = self.file(to)?;
        source.check_readable()?;
        target.check_writable()?;
        if target.flags & libc::O_APPEND != 0 {
            return Err(Errno::EBADF);
        }
        let length = length.min(MOST_BYTES);
        for offset in [from_offset, to_offset] {
            range_end(offset, length).map_err(|_| Errno::EINVAL)?;
        }
        let apart = from_offset.abs_diff(to_offset) >= length;
        if source.inode() == target.inode() && !apart {
            return Err(Errno::EINVAL);
        }
        if length == 0 {
            return Ok(0);
        }
        let operation = Operation::CopyFileRange {
            in_inode: source.inode(),
            in_handle: source.handle(),
            in_offset: from_offset,
            out_inode: target.inode(),
            out_handle: target.handle(),
            out_offset: to_offset,
            length,
            flags: 0,
        };
        let wanted = Wanted(u32::try_from(length).unwrap_or(u32::MAX));
        match self.session.ask_unless_absent_for(operation, wanted) {
            Ok(Some(Reply::Written(copied))) => Ok(copied.into()),
            Ok(Some(_)) => Err(Errno::EIO),
            Ok(None) | Err(Errno::ENOTSUP | Errno::EXDEV) => {
                self.copy_through(from, from_offset, to, to_offset, length)
            }
            Err(errno) => Err(errno),
        }
    }

    fn copy_through(
        &self,
        from: i32,
        from_offset: u64,
        to: i32,
        to_offset: u64,
        length: u64,
    ) -> Result<u64> {
        let mut copied = 0;
        while copied < length {
            let wanted = (length - copied).min(COPIED_AT_ONCE);
            let step = self.pread(from, wanted, from_offset + copied).and_then(|data| {
                if data.is_empty() {
                    return Ok(0);
                }
                self.pwritev(to, data.slices(), to_offset + copied)
            });
            match step {
                Ok(0) => break,
                Ok(written) => copied += written,
                Err(_) if copied > 0 => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(copied)
    }
}
