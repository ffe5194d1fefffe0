"""Methods that do next to nothing, so that only calling them costs something.

All show a directory with one file, `file`.
"""

from __future__ import annotations

import stat
from typing import Any

import fusesg

PIECE = 8
"""Bytes of a read."""

_ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755, nlink=2)
_FILE = fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o644, size=1 << 20)
_ENTRY = fusesg.Entry(_FILE)
_CONTENT = bytes(PIECE)
_ZEROS = fusesg.Zeros(PIECE)


class Inodes(fusesg.Filesystem):
    """By inode."""

    def lookup(self, parent: int, name: str, ctx: Any) -> Any:
        return _ENTRY

    def getattr(self, inode: int, handle: Any, ctx: Any) -> Any:
        return _ROOT if inode == _ROOT.inode else _FILE

    def open(self, inode: int, flags: int, ctx: Any) -> Any:
        return None

    def release(self, inode: int, handle: Any, ctx: Any) -> None:
        return None

    def read(self, inode: int, handle: Any, offset: int, size: int, ctx: Any) -> Any:
        return _CONTENT

    def write(
        self, inode: int, handle: Any, offset: int, data: memoryview, ctx: Any
    ) -> int:
        return len(data)


class Plans(Inodes):
    """Reads are answered by where the bytes are."""

    def read(self, inode: int, handle: Any, offset: int, size: int, ctx: Any) -> Any:
        return _ZEROS


class Coroutines(Inodes):
    """Nothing of it waits."""

    async def lookup(self, parent: int, name: str, ctx: Any) -> Any:
        return _ENTRY

    async def getattr(self, inode: int, handle: Any, ctx: Any) -> Any:
        return _ROOT if inode == _ROOT.inode else _FILE

    async def open(self, inode: int, flags: int, ctx: Any) -> Any:
        return None

    async def release(self, inode: int, handle: Any, ctx: Any) -> None:
        return None

    async def read(
        self, inode: int, handle: Any, offset: int, size: int, ctx: Any
    ) -> Any:
        return _CONTENT

    async def write(
        self, inode: int, handle: Any, offset: int, data: memoryview, ctx: Any
    ) -> int:
        return len(data)


class Paths(fusesg.PathFilesystem):
    """By path."""

    def getattr(self, path: str, handle: Any, ctx: Any) -> Any:
        return _ROOT if path == "/" else _FILE

    def open(self, path: str, flags: int, ctx: Any) -> Any:
        return None

    def release(self, path: str, handle: Any, ctx: Any) -> None:
        return None

    def read(self, path: str, handle: Any, offset: int, size: int, ctx: Any) -> Any:
        return _CONTENT

    def write(
        self, path: str, handle: Any, offset: int, data: memoryview, ctx: Any
    ) -> int:
        return len(data)


KINDS: dict[str, Any] = {
    "inode": Inodes,
    "plan": Plans,
    "async": Coroutines,
    "path": Paths,
}
