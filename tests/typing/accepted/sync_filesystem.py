"""A class that has every method, each `def`, with handles of its own type."""

from collections.abc import Iterable, Iterator

import fusesg
from fusesg import Attributes, Context, Entry


class Handle:
    """An open file."""

    data: bytes = b""


class Everything(fusesg.Filesystem):
    """Every operation there is."""

    readdirplus = True
    read_only = False

    def __init__(self) -> None:
        self.backing = fusesg.Backing("/etc/passwd", writable=True)

    def init(self) -> None: ...
    def destroy(self) -> None: ...

    def lookup(self, parent: int, name: str, ctx: Context) -> Entry | None:
        return None if ctx.cancelled else Entry(self.getattr(parent, None, ctx))

    def forget(self, inode: int, count: int) -> None: ...

    def getattr(self, inode: int, handle: Handle | None, ctx: Context) -> Attributes:
        return Attributes(
            inode=inode, mode=0o40755, size=len(handle.data) if handle else 0
        )

    def setattr(
        self,
        inode: int,
        changes: fusesg.SetAttributes,
        handle: Handle | None,
        ctx: Context,
    ) -> Attributes:
        return changes.apply(self.getattr(inode, handle, ctx))

    def readlink(self, inode: int, ctx: Context) -> str:
        return "target"

    def access(self, inode: int, mask: int, ctx: Context) -> None:
        raise PermissionError(mask)

    def mknod(
        self, parent: int, name: str, mode: int, rdev: int, ctx: Context
    ) -> Entry:
        return Entry(Attributes(inode=5, mode=mode, rdev=rdev))

    def mkdir(self, parent: int, name: str, mode: int, ctx: Context) -> Entry:
        return Entry(Attributes(inode=5, mode=mode))

    def symlink(self, parent: int, name: str, target: str, ctx: Context) -> Entry:
        return Entry(Attributes(inode=5, mode=0o120777, size=len(target)))

    def link(self, inode: int, new_parent: int, new_name: str, ctx: Context) -> Entry:
        return Entry(self.getattr(inode, None, ctx))

    def unlink(self, parent: int, name: str, ctx: Context) -> None: ...
    def rmdir(self, parent: int, name: str, ctx: Context) -> None: ...

    def rename(
        self,
        parent: int,
        name: str,
        new_parent: int,
        new_name: str,
        flags: int,
        ctx: Context,
    ) -> None:
        if flags & fusesg.RENAME_NOREPLACE:
            raise FileExistsError(new_name)

    def open(self, inode: int, flags: int, ctx: Context) -> Handle:
        return Handle()

    def create(
        self, parent: int, name: str, mode: int, flags: int, ctx: Context
    ) -> tuple[Entry, fusesg.Opened]:
        return self.mkdir(parent, name, mode, ctx), fusesg.Opened(Handle())

    def read(
        self, inode: int, handle: Handle, offset: int, size: int, ctx: Context
    ) -> bytes | list[fusesg.Extent | fusesg.Zeros] | fusesg.SegmentList:
        if inode == 1:
            return [self.backing.extent(offset, 1), fusesg.Zeros(size - 1)]
        if inode == 2:
            return fusesg.SegmentList(handle.data).slice(offset, size)
        return handle.data[offset : offset + size]

    def write(
        self, inode: int, handle: Handle, offset: int, data: memoryview, ctx: Context
    ) -> int:
        handle.data += bytes(data)
        return len(data)

    def write_plan(
        self, inode: int, handle: Handle, offset: int, size: int, ctx: Context
    ) -> fusesg.Extent:
        return self.backing.extent(offset, size)

    def flush(self, inode: int, handle: Handle, ctx: Context) -> None: ...
    def release(self, inode: int, handle: Handle, ctx: Context) -> None: ...
    def fsync(
        self, inode: int, handle: Handle, datasync: bool, ctx: Context
    ) -> None: ...

    def fallocate(
        self,
        inode: int,
        handle: Handle,
        offset: int,
        length: int,
        mode: int,
        ctx: Context,
    ) -> None: ...

    def lseek(
        self, inode: int, handle: Handle, offset: int, whence: int, ctx: Context
    ) -> int:
        return offset

    def copy_file_range(
        self,
        in_inode: int,
        in_handle: Handle,
        in_offset: int,
        out_inode: int,
        out_handle: Handle,
        out_offset: int,
        length: int,
        flags: int,
        ctx: Context,
    ) -> int:
        return length

    def bmap(self, inode: int, blocksize: int, index: int, ctx: Context) -> int:
        return index

    def ioctl(
        self,
        inode: int,
        handle: Handle,
        command: int,
        data: bytes,
        out_size: int,
        ctx: Context,
    ) -> tuple[int, bytes]:
        return 0, data[:out_size]

    def poll(
        self,
        inode: int,
        handle: Handle,
        events: int,
        waiter: fusesg.PollWaiter | None,
        ctx: Context,
    ) -> int:
        if waiter is not None:
            waiter.notify()
        return events

    def opendir(self, inode: int, flags: int, ctx: Context) -> fusesg.Opened:
        return fusesg.Opened(None, cache_directory=True)

    def readdir(
        self, inode: int, handle: None, offset: int, ctx: Context
    ) -> Iterator[fusesg.DirectoryEntry]:
        yield fusesg.DirectoryEntry("name", 2, 0o100000)

    def releasedir(self, inode: int, handle: None, ctx: Context) -> None: ...
    def fsyncdir(
        self, inode: int, handle: None, datasync: bool, ctx: Context
    ) -> None: ...

    def statfs(self, inode: int, ctx: Context) -> fusesg.FilesystemStatistics:
        return fusesg.FilesystemStatistics()

    def getxattr(self, inode: int, name: str, ctx: Context) -> bytes:
        return name.encode()

    def setxattr(
        self, inode: int, name: str, value: bytes, flags: int, ctx: Context
    ) -> None: ...

    def listxattr(self, inode: int, ctx: Context) -> Iterable[str]:
        return ["user.one"]

    def removexattr(self, inode: int, name: str, ctx: Context) -> None: ...

    def getlk(
        self, inode: int, handle: Handle, lock: fusesg.Lock, ctx: Context
    ) -> fusesg.Lock:
        return fusesg.Lock(lock.type, lock.start, lock.end)

    def setlk(
        self, inode: int, handle: Handle, lock: fusesg.Lock, wait: bool, ctx: Context
    ) -> None:
        if not wait:
            raise BlockingIOError


class Unannotated(fusesg.Filesystem):
    """What most programs look like is accepted where annotations are not demanded."""


fusesg.serve(Everything(), "/mnt")
