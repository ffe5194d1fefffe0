"""A file system that shows one file, in two ways: bytes through Python, and a plan."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import fusesg

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "file"
_INODE = 2


class SingleFile(fusesg.Filesystem):
    """One file, backed by the writable file at `path`."""

    def __init__(self, path: str) -> None:
        self.backing = fusesg.Backing(path, writable=True)
        self._root = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755, nlink=2)
        self._file = fusesg.Attributes.from_stat(os.stat(path), inode=_INODE)

    def lookup(
        self, parent: int, name: str, ctx: fusesg.Context
    ) -> fusesg.Entry | None:
        del parent, ctx
        return fusesg.Entry(self._file) if name == NAME else None

    def getattr(
        self, inode: int, handle: object, ctx: fusesg.Context
    ) -> fusesg.Attributes:
        del handle, ctx
        return self._file if inode == _INODE else self._root

    def readdir(
        self, inode: int, handle: object, offset: int, ctx: fusesg.Context
    ) -> Iterable[fusesg.DirectoryEntry]:
        del inode, handle, offset, ctx
        return [fusesg.DirectoryEntry(NAME, _INODE, stat.S_IFREG)]


class CallbackFile(SingleFile):
    """The bytes pass through Python: pread and pwrite in the callbacks."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def destroy(self) -> None:
        os.close(self._fd)

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> bytes:
        del inode, handle, ctx
        return os.pread(self._fd, size, offset)

    def write(
        self,
        inode: int,
        handle: object,
        offset: int,
        data: memoryview,
        ctx: fusesg.Context,
    ) -> int:
        del inode, handle, ctx
        return os.pwrite(self._fd, data, offset)


class PlannedFile(SingleFile):
    """Python says where the bytes are; it never has them."""

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> fusesg.Extent:
        del inode, handle, ctx
        return self.backing.extent(offset, size)

    def write_plan(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> fusesg.Extent:
        del inode, handle, ctx
        return self.backing.extent(offset, size)
