//! Operations on the bytes of an open file.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use fusesg_sg::{Extent, Segment, SegmentList};

use super::{Passthrough, sys};
use crate::{Context, Errno, FileType, Handle, Inode, Result};

/// Most bytes of one COPY_FILE_RANGE: what a reply can count, in whole pages.
const COPY_MAX: u64 = 0xffff_f000;

/// Commands that are passed on: flags, project ids and version of an inode. None reads or
/// writes more than [`IOCTL_WORDS`].
const IOCTLS: [u32; 5] = [
    0x8008_6601, // FS_IOC_GETFLAGS
    0x4008_6602, // FS_IOC_SETFLAGS
    0x801c_581f, // FS_IOC_FSGETXATTR
    0x401c_5820, // FS_IOC_FSSETXATTR
    0x8008_7601, // FS_IOC_GETVERSION
];
/// Room for the largest of their structures, `struct fsxattr` with 28 bytes.
const IOCTL_WORDS: usize = 4;

impl Passthrough {
    /// Where the bytes are; the transport moves them.
    pub(super) fn read_file(&self, handle: Handle, offset: u64, size: u32) -> Result<SegmentList> {
        let file = self.files.get(handle)?;
        let backing = Arc::clone(file.backing());
        let mut list = SegmentList::new();
        // an overriding class may ask for what the kernel never does
        let possible =
            list.try_push(Segment::Extent(Extent { backing, offset, length: size.into() }));
        if possible { Ok(list) } else { Err(Errno::EINVAL) }
    }

    pub(super) fn write_file(
        &self,
        context: &Context,
        handle: Handle,
        offset: u64,
        data: &[u8],
        from_cache: bool,
        kill_suid_sgid: bool,
    ) -> Result<u32> {
        let file = self.files.get(handle)?;
        let _guard = if kill_suid_sgid { self.stripping(context, file.fd())? } else { None };
        let written = if file.append() && !from_cache {
            sys::append(file.fd(), data)?
        } else {
            sys::write_at(file.fd(), data, signed(offset)?)?
        };
        u32::try_from(written).map_err(|_| Errno::EIO)
    }

    pub(super) fn allocate(
        &self,
        context: &Context,
        handle: Handle,
        offset: u64,
        length: u64,
        mode: i32,
    ) -> Result<()> {
        let file = self.files.get(handle)?;
        let _guard = self.stripping_for(context, file.fd())?;
        Ok(sys::fallocate(file.fd(), mode, signed(offset)?, signed(length)?)?)
    }

    pub(super) fn seek(&self, handle: Handle, offset: i64, whence: i32) -> Result<u64> {
        let file = self.files.get(handle)?;
        Ok(sys::lseek(file.fd(), offset, whence)?)
    }

    pub(super) fn copy_range(
        &self,
        context: &Context,
        from: (Handle, u64),
        to: (Handle, u64),
        length: u64,
        flags: u64,
    ) -> Result<u32> {
        let (source, target) = (self.files.get(from.0)?, self.files.get(to.0)?);
        let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
        let length = usize::try_from(length.min(COPY_MAX)).map_err(|_| Errno::EINVAL)?;
        let _guard = self.stripping_for(context, target.fd())?;
        let (from_offset, to_offset) = (signed(from.1)?, signed(to.1)?);
        let copied =
            sys::copy_file_range(source.fd(), from_offset, target.fd(), to_offset, length, flags);
        match copied {
            Ok(copied) => u32::try_from(copied).map_err(|_| Errno::EIO),
            // ENOSYS would end copies for the whole mount; this makes the kernel copy itself
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Err(Errno::ENOTSUP),
            Err(error) => Err(error.into()),
        }
    }

    /// Closes a duplicate: file systems that report late (NFS, quotas) do so at close.
    pub(super) fn flush_file(&self, handle: Handle) -> Result<()> {
        let file = self.files.get(handle)?;
        let duplicate = file.fd().try_clone_to_owned()?;
        Ok(sys::close(duplicate)?)
    }

    pub(super) fn sync_file(&self, handle: Handle, datasync: bool) -> Result<()> {
        let file = self.files.get(handle)?;
        Ok(sys::fsync(file.fd(), datasync)?)
    }

    pub(super) fn control(
        &self,
        inode: Inode,
        handle: Handle,
        command: u32,
        data: &[u8],
        out_size: u32,
    ) -> Result<(i32, Vec<u8>)> {
        if !IOCTLS.contains(&command) {
            return Err(Errno::ENOTTY);
        }
        if self.inodes.get(inode)?.kind == FileType::Directory {
            let directory = self.directories.get(handle)?;
            return control(directory.fd(), command, data, out_size);
        }
        control(self.files.get(handle)?.fd(), command, data, out_size)
    }
}

fn control(fd: BorrowedFd<'_>, command: u32, data: &[u8], out_size: u32) -> Result<(i32, Vec<u8>)> {
    let mut bytes = [0; IOCTL_WORDS * size_of::<u64>()];
    bytes.get_mut(..data.len()).ok_or(Errno::EINVAL)?.copy_from_slice(data);
    let mut argument = [0; IOCTL_WORDS];
    for (word, bytes) in argument.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    let result = sys::ioctl(fd, command, &mut argument)?;
    let mut answer: Vec<u8> = argument.iter().flat_map(|word| word.to_ne_bytes()).collect();
    answer.truncate(out_size as usize);
    Ok((result, answer))
}

/// An offset or length as the system calls take it.
fn signed(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Errno::EINVAL)
}
