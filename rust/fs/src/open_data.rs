//! Open files whose bytes are known when they are opened, so that no file system has to be
//! asked for them again.

use std::os::fd::AsFd;
use std::sync::Arc;

use fusesg_sg::{Backing, Segment, SegmentList};

use crate::passthrough::sys;
use crate::{Errno, OpenedFlags, Result};

/// What an open file consists of.
#[derive(Clone, Debug)]
pub enum OpenData {
    /// Bytes of another file, read and written there.
    Window(Window),
    /// Bytes that cannot be changed, wherever they are.
    Segments(SegmentList),
}

/// A part of another file.
#[derive(Clone, Debug)]
pub struct Window {
    /// The file.
    pub backing: Arc<Backing>,
    /// Its first byte.
    pub offset: u64,
    /// How many bytes; `None`: as far as the file goes, which may then grow.
    pub length: Option<u64>,
}

impl OpenData {
    /// Where the `size` bytes at `offset` are; fewer at the end.
    pub fn read(&self, offset: u64, size: u32) -> SegmentList {
        match self {
            Self::Window(window) => window.read(offset, size.into()),
            Self::Segments(list) => list.slice(offset, size.into()),
        }
    }

    /// Writes at `offset`, or at the end of the file where a program `appends`.
    pub fn write(&self, offset: u64, data: &[u8], appends: bool) -> Result<u32> {
        let written = self.writable()?.write(offset, data, appends)?;
        u32::try_from(written).map_err(|_| Errno::EIO)
    }

    /// Allocates, punches or zeroes a range; `mode` as in fallocate(2).
    pub fn allocate(&self, offset: u64, length: u64, mode: i32) -> Result<()> {
        self.writable()?.allocate(offset, length, mode)
    }

    /// Where data or a hole is next.
    pub fn seek(&self, offset: i64, whence: i32) -> Result<u64> {
        if !matches!(whence, libc::SEEK_DATA | libc::SEEK_HOLE) {
            return Err(Errno::EINVAL);
        }
        let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
        match self {
            Self::Window(window) => window.seek(offset, whence),
            Self::Segments(list) => seek(list, offset, whence),
        }
    }

    /// Makes what was written durable.
    pub fn sync(&self, datasync: bool) -> Result<()> {
        match self {
            Self::Window(window) => Ok(sys::fsync(window.backing.as_fd(), datasync)?),
            Self::Segments(_) => Ok(()),
        }
    }

    /// A descriptor of the file is closed: errors of earlier writes are told now.
    pub fn flush(&self) -> Result<()> {
        match self {
            // closes a duplicate: file systems that report late (NFS, quotas) do so at close
            Self::Window(window) => Ok(sys::close(window.backing.as_fd().try_clone_to_owned()?)?),
            Self::Segments(_) => Ok(()),
        }
    }

    /// How the kernel shall treat the open file at least.
    pub fn flags(&self) -> OpenedFlags {
        match self.writable() {
            Ok(_) => OpenedFlags::empty(),
            // nothing was written whose error a close could tell
            Err(_) => OpenedFlags::NO_FLUSH,
        }
    }

    /// The file that the kernel may read and write in place of this one, opened with
    /// `flags`: a whole file, and never one that must not be written for a writer, because
    /// the kernel opens it as the program did.
    pub fn kernel_backing(&self, flags: i32) -> Option<Arc<Backing>> {
        let Self::Window(Window { backing, offset: 0, length: None }) = self else { return None };
        let reads_only = flags & libc::O_ACCMODE == libc::O_RDONLY;
        (reads_only || backing.writable()).then(|| Arc::clone(backing))
    }

    fn writable(&self) -> Result<&Window> {
        match self {
            Self::Window(window) if window.backing.writable() => Ok(window),
            Self::Window(_) => Err(Errno::EBADF),
            Self::Segments(_) => Err(Errno::EROFS),
        }
    }
}

impl Window {
    /// A position in the window as one in the file, and how many of `size` bytes there are.
    fn place(&self, offset: u64, size: u64) -> Result<(u64, u64)> {
        let left = self.length.map_or(u64::MAX, |length| length.saturating_sub(offset));
        let start = self.offset.checked_add(offset).ok_or(Errno::EFBIG)?;
        let largest = i64::MAX.cast_unsigned();
        Ok((start, size.min(left).min(largest.saturating_sub(start))))
    }

    fn read(&self, offset: u64, size: u64) -> SegmentList {
        match self.place(offset, size) {
            Ok((start, size)) => SegmentList::from_extent(Arc::clone(&self.backing), start, size),
            Err(_) => SegmentList::new(),
        }
    }

    fn write(&self, offset: u64, data: &[u8], appends: bool) -> Result<usize> {
        let fd = self.backing.as_fd();
        // the end of a window is where the kernel knows it, that of a file may be elsewhere
        if appends && self.length.is_none() {
            return Ok(sys::append(fd, data)?);
        }
        let (start, room) = self.place(offset, data.len() as u64)?;
        if room == 0 && !data.is_empty() {
            return Err(Errno::ENOSPC);
        }
        let fitting = usize::try_from(room).map_or(data, |room| &data[..room]);
        Ok(sys::write_at(fd, fitting, signed(start)?)?)
    }

    fn allocate(&self, offset: u64, length: u64, mode: i32) -> Result<()> {
        let (start, room) = self.place(offset, length)?;
        // a range that is emptied may end anywhere; one that is to be there may not
        if room < length && mode & libc::FALLOC_FL_PUNCH_HOLE == 0 {
            return Err(Errno::ENOSPC);
        }
        if room == 0 && length != 0 {
            return Ok(());
        }
        Ok(sys::fallocate(self.backing.as_fd(), mode, signed(start)?, signed(room)?)?)
    }

    fn seek(&self, offset: u64, whence: i32) -> Result<u64> {
        let (start, room) = self.place(offset, u64::MAX)?;
        if room == 0 {
            return Err(Errno::ENXIO);
        }
        let found = sys::lseek(self.backing.as_fd(), signed(start)?, whence)? - self.offset;
        match self.length {
            Some(length) if found >= length && whence == libc::SEEK_DATA => Err(Errno::ENXIO),
            Some(length) => Ok(found.min(length)),
            None => Ok(found),
        }
    }
}

/// Where data or a hole of a list is next: zeros are holes, all else is data, and the end is
/// a hole.
pub(crate) fn seek(list: &SegmentList, offset: u64, whence: i32) -> Result<u64> {
    if offset >= list.len() {
        return Err(Errno::ENXIO);
    }
    let hole = whence == libc::SEEK_HOLE;
    let mut end = 0;
    for segment in list.segments() {
        let start: u64 = end;
        end += segment.len();
        if end > offset && hole == matches!(segment, Segment::Zeros(_)) {
            return Ok(start.max(offset));
        }
    }
    if hole { Ok(list.len()) } else { Err(Errno::ENXIO) }
}

/// An offset or length as the system calls take it.
fn signed(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Errno::EFBIG)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn file(bytes: &[u8], writable: bool) -> Arc<Backing> {
        let file = tempfile::tempfile().expect("a temporary file");
        file.write_all_at(bytes, 0).expect("room for it");
        Arc::new(Backing::new(file.into(), writable, false))
    }

    fn window(backing: &Arc<Backing>, offset: u64, length: Option<u64>) -> OpenData {
        OpenData::Window(Window { backing: Arc::clone(backing), offset, length })
    }

    fn bytes(list: &SegmentList) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(list.len()).unwrap()];
        let filled = fusesg_sg::gather(list, &mut bytes).unwrap();
        bytes.truncate(filled);
        bytes
    }

    #[test]
    fn a_window_ends_where_it_ends() {
        let backing = file(b"0123456789", true);
        let part = window(&backing, 2, Some(4));
        assert_eq!(bytes(&part.read(0, 100)), b"2345");
        assert_eq!(bytes(&part.read(3, 100)), b"5");
        assert_eq!(bytes(&part.read(4, 100)), b"");
        assert_eq!(part.write(3, b"abc", false), Ok(1));
        assert_eq!(part.write(4, b"abc", false), Err(Errno::ENOSPC));
        assert_eq!(part.write(2, b"-", true), Ok(1));
        assert_eq!(bytes(&window(&backing, 0, None).read(0, 100)), b"0123-a6789");
        assert_eq!(part.seek(4, libc::SEEK_HOLE), Err(Errno::ENXIO));
        assert_eq!(part.seek(1, libc::SEEK_HOLE), Ok(4));
        assert_eq!(part.seek(1, libc::SEEK_DATA), Ok(1));
        assert_eq!(part.allocate(2, 10, 0), Err(Errno::ENOSPC));
    }

    #[test]
    fn a_window_at_the_end_of_all_offsets_overflows_nothing() {
        let backing = file(b"0123456789", true);
        let all = window(&backing, 4, None);
        assert_eq!(bytes(&all.read(u64::MAX - 1, u32::MAX)), b"");
        assert_eq!(bytes(&all.read(i64::MAX as u64, u32::MAX)), b"");
        assert!(all.write(u64::MAX - 1, b"x", false).is_err());
        assert_eq!(all.seek(i64::MAX, libc::SEEK_DATA), Err(Errno::ENXIO));
    }

    #[test]
    fn whole_files_grow_and_append() {
        let backing = file(b"01", true);
        let whole = window(&backing, 0, None);
        assert_eq!(whole.write(0, b"23", true), Ok(2));
        assert_eq!(whole.write(4, b"4", false), Ok(1));
        assert_eq!(bytes(&whole.read(0, 100)), b"01234");
        assert_eq!(whole.sync(true), Ok(()));
        assert_eq!(whole.flush(), Ok(()));
    }

    #[test]
    fn what_cannot_be_written_says_why() {
        let read_only = window(&file(b"01", false), 0, None);
        assert_eq!(read_only.write(0, b"x", false), Err(Errno::EBADF));
        let segments = OpenData::Segments([Segment::Zeros(3)].into_iter().collect());
        assert_eq!(segments.write(0, b"x", false), Err(Errno::EROFS));
        assert_eq!(segments.allocate(0, 1, 0), Err(Errno::EROFS));
        assert_eq!(segments.sync(false), Ok(()));
    }

    #[test]
    fn only_whole_files_are_for_the_kernel_and_read_only_ones_for_readers() {
        let (backing, read_only) = (file(b"01", true), file(b"01", false));
        assert!(window(&backing, 0, None).kernel_backing(libc::O_RDWR).is_some());
        assert!(window(&backing, 1, None).kernel_backing(libc::O_RDONLY).is_none());
        assert!(window(&backing, 0, Some(2)).kernel_backing(libc::O_RDONLY).is_none());
        assert!(window(&read_only, 0, None).kernel_backing(libc::O_RDONLY).is_some());
        assert!(window(&read_only, 0, None).kernel_backing(libc::O_WRONLY).is_none());
    }

    #[test]
    fn zeros_are_holes() {
        let data = || Segment::Buffer(bytes::Bytes::from_static(b"data"));
        let list: SegmentList =
            [data(), Segment::Zeros(4), data(), data(), Segment::Zeros(2)].into_iter().collect();
        let sought: Vec<_> = [0, 3, 4, 7, 8, 12, 16, 17, 18]
            .map(|from| (seek(&list, from, libc::SEEK_DATA), seek(&list, from, libc::SEEK_HOLE)))
            .into();
        let end = || Err(Errno::ENXIO);
        let expected = [
            (Ok(0), Ok(4)),
            (Ok(3), Ok(4)),
            (Ok(8), Ok(4)),
            (Ok(8), Ok(7)),
            (Ok(8), Ok(16)),
            (Ok(12), Ok(16)),
            (end(), Ok(16)),
            (end(), Ok(17)),
            (end(), end()),
        ];
        assert_eq!(sought, expected);
    }
}
