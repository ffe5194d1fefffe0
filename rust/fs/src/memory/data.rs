//! Operations on the bytes of an open file.

use fusesg_sg::SegmentList;

use super::Memory;
use super::contents::Sought;
use super::privileges::loses_set_ids;
use crate::{Context, Errno, Handle, Result};

/// Most bytes of one COPY_FILE_RANGE: a target is locked no longer than that takes. Who
/// copies more asks again.
const COPY_MAX: u64 = 256 << 20;

const SUPPORTED: i32 =
    libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE;

impl Memory {
    /// The pages as they are now; the transport sends them.
    pub(super) fn read_file(&self, handle: Handle, offset: u64, size: u32) -> Result<SegmentList> {
        let file = self.files.get(handle)?;
        let list = file.node().read_contents()?.read(offset, size.into());
        if !file.keeps_atime() {
            file.node().was_read();
        }
        Ok(list)
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
        let written = u32::try_from(data.len()).map_err(|_| Errno::EINVAL)?;
        let file = self.files.get(handle)?;
        let node = file.writable()?;
        let mut contents = node.write_contents()?;
        let offset = if file.appends() && !from_cache { contents.size() } else { offset };
        contents.write(&node.limits.bytes, offset, data)?;
        if written != 0 {
            node.written(context, kill_suid_sgid);
        }
        Ok(written)
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
        let node = file.writable()?;
        let has = |flag| mode & flag != 0;
        let keep_size = has(libc::FALLOC_FL_KEEP_SIZE);
        let (punch, zero) = (has(libc::FALLOC_FL_PUNCH_HOLE), has(libc::FALLOC_FL_ZERO_RANGE));
        if mode & !SUPPORTED != 0 || (punch && (zero || !keep_size)) {
            return Err(Errno::ENOTSUP);
        }
        if length == 0 {
            return Err(Errno::EINVAL);
        }
        let space = &node.limits.bytes;
        let mut contents = node.write_contents()?;
        if punch {
            contents.punch(space, offset, length)?;
        } else if zero {
            contents.zero(space, offset, length, keep_size)?;
        } else {
            contents.allocate(space, offset, length, keep_size)?;
        }
        node.written(context, loses_set_ids(context));
        Ok(())
    }

    pub(super) fn seek(&self, handle: Handle, offset: i64, whence: i32) -> Result<u64> {
        let sought = match whence {
            libc::SEEK_DATA => Sought::Data,
            libc::SEEK_HOLE => Sought::Hole,
            _ => return Err(Errno::EINVAL),
        };
        let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        self.files.get(handle)?.node().read_contents()?.seek(offset, sought)
    }

    /// Copies by sharing pages. The source is read in one step and the target written in
    /// one, but not both in one.
    pub(super) fn copy_range(
        &self,
        context: &Context,
        from: (Handle, u64),
        to: (Handle, u64),
        length: u64,
        flags: u64,
    ) -> Result<u32> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        let (source, target) = (self.files.get(from.0)?, self.files.get(to.0)?);
        let target = target.writable()?;
        let snapshot = source.node().read_contents()?.snapshot(from.1, length.min(COPY_MAX));
        let copied = u32::try_from(snapshot.len()).map_err(|_| Errno::EINVAL)?;
        if copied == 0 {
            return Ok(0);
        }
        let mut contents = target.write_contents()?;
        contents.paste(&target.limits.bytes, to.1, &snapshot)?;
        target.written(context, loses_set_ids(context));
        drop(contents);
        source.node().was_read();
        Ok(copied)
    }
}
