"""What is served while it is measured.

Each kind says in another way where the bytes of a file are:

| kind | |
|---|---|
| native | `fusesg.Passthrough`: no Python at all |
| plan | a Python method that answers with an extent, which Rust carries out |
| callback | a Python method through which the bytes pass |
| async | the same as `async def` |
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import fusesg

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT_INODE = 1


class OneFile(fusesg.Filesystem):
    """Shows one writable file as `data`."""

    _INODE = 2

    def __init__(self, path: str) -> None:
        self._backing = fusesg.Backing(path, writable=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._root = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755, nlink=2)
        self._file = fusesg.Attributes.from_stat(os.stat(path), inode=self._INODE)

    def destroy(self) -> None:
        os.close(self._fd)

    def lookup(self, parent: int, name: str, ctx: Any) -> fusesg.Entry | None:
        del parent, ctx
        return fusesg.Entry(self._file) if name == "data" else None

    def getattr(self, inode: int, handle: object, ctx: Any) -> fusesg.Attributes:
        del handle, ctx
        return self._file if inode == self._INODE else self._root


class Plan(OneFile):
    """Says where the bytes are."""

    def read(self, inode: int, handle: object, offset: int, size: int, ctx: Any) -> Any:
        del inode, handle, ctx
        return self._backing.extent(offset, size)

    def write_plan(
        self, inode: int, handle: object, offset: int, size: int, ctx: Any
    ) -> Any:
        del inode, handle, ctx
        return self._backing.extent(offset, size)


class Callback(OneFile):
    """Has the bytes in its hands."""

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: Any
    ) -> bytes:
        del inode, handle, ctx
        return os.pread(self._fd, size, offset)

    def write(
        self, inode: int, handle: object, offset: int, data: memoryview, ctx: Any
    ) -> int:
        del inode, handle, ctx
        return os.pwrite(self._fd, data, offset)


class Async(OneFile):
    """Could wait for the bytes."""

    async def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: Any
    ) -> bytes:
        del inode, handle, ctx
        return os.pread(self._fd, size, offset)

    async def write(
        self, inode: int, handle: object, offset: int, data: memoryview, ctx: Any
    ) -> int:
        del inode, handle, ctx
        return os.pwrite(self._fd, data, offset)


class Waiting(Callback):
    """Answers no read until it is told to."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.told = threading.Event()

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: Any
    ) -> bytes:
        self.told.wait()
        return super().read(inode, handle, offset, size, ctx)


class Names(fusesg.Filesystem):
    """A directory of empty files in Python."""

    def __init__(self, names: Iterable[str]) -> None:
        root = fusesg.Attributes(
            inode=ROOT_INODE, mode=stat.S_IFDIR | 0o755, nlink=2, mtime_ns=1
        )
        self._inodes = {ROOT_INODE: root}
        self._entries: dict[str, fusesg.Entry] = {}
        self._next = ROOT_INODE + 1
        for name in names:
            self._add(name)

    def _add(self, name: str) -> fusesg.Entry:
        inode, self._next = self._next, self._next + 1
        attributes = fusesg.Attributes(inode=inode, mode=stat.S_IFREG | 0o644)
        self._inodes[inode] = attributes
        entry = self._entries[name] = fusesg.Entry(attributes)
        return entry

    def lookup(self, parent: int, name: str, ctx: Any) -> fusesg.Entry | None:
        del parent, ctx
        return self._entries.get(name)

    def getattr(self, inode: int, handle: object, ctx: Any) -> fusesg.Attributes:
        del handle, ctx
        return self._inodes[inode]

    def readdir(
        self, inode: int, handle: object, offset: int, ctx: Any
    ) -> Iterable[fusesg.DirectoryEntry]:
        del inode, handle, offset, ctx
        of = fusesg.DirectoryEntry.of
        return [of(name, entry) for name, entry in list(self._entries.items())]

    def create(
        self, parent: int, name: str, mode: int, flags: int, ctx: Any
    ) -> tuple[fusesg.Entry, None]:
        del parent, mode, flags, ctx
        return self._add(name), None

    def open(self, inode: int, flags: int, ctx: Any) -> None:
        del inode, flags, ctx

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: Any
    ) -> bytes:
        del inode, handle, offset, size, ctx
        return b""

    def release(self, inode: int, handle: object, ctx: Any) -> None:
        del inode, handle, ctx

    def unlink(self, parent: int, name: str, ctx: Any) -> None:
        del parent, ctx
        entry = self._entries.pop(name, None)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, name)
        del self._inodes[entry.inode]

    def rename(
        self,
        parent: int,
        name: str,
        new_parent: int,
        new_name: str,
        flags: int,
        ctx: Any,
    ) -> None:
        del parent, new_parent, flags, ctx
        self._entries[new_name] = self._entries.pop(name)


ONE_FILE: dict[str, Any] = {
    "native": lambda path: fusesg.Passthrough(os.path.dirname(path)),
    "plan": Plan,
    "callback": Callback,
    "async": Async,
    "waiting": Waiting,
}
"""By kind: shows the file at a path as `data`."""


def file_names(count: int) -> Iterable[str]:
    """Names of files in a directory."""
    return (f"a-name-of-some-length-{number:06}" for number in range(count))
