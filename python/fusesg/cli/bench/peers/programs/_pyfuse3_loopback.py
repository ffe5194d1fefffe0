"""pyfuse3: inodes, async methods in trio, the low-level interface of libfuse 3.

One thread serves all: system calls are made in the methods themselves, as pyfuse3's own
passthrough example does, since a worker thread for each would cost more than they do.
Number and path of each inode are kept in a dict.
"""

# ruff: noqa: ARG002 - methods of pyfuse3.Operations, arguments likewise

from __future__ import annotations

import errno
import itertools
import os
import sys
from typing import TYPE_CHECKING

import pyfuse3
import trio

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOT_BEHIND = os.O_DIRECT | os.O_APPEND
_TIMEOUT = 1.0  # seconds
_ATTRIBUTES = (
    "st_mode",
    "st_nlink",
    "st_uid",
    "st_gid",
    "st_rdev",
    "st_size",
    "st_blksize",
    "st_blocks",
    "st_atime_ns",
    "st_mtime_ns",
    "st_ctime_ns",
)


def _entry(st: os.stat_result, inode: int) -> pyfuse3.EntryAttributes:
    entry = pyfuse3.EntryAttributes()
    for name in _ATTRIBUTES:
        setattr(entry, name, getattr(st, name))
    entry.st_ino = pyfuse3.InodeT(inode)
    entry.entry_timeout = entry.attr_timeout = _TIMEOUT
    return entry


class _Inode:
    """What the kernel knows by a number."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.lookups = 0


class Loopback(pyfuse3.Operations):
    """Shows a directory.

    Args:
        source: The directory.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        path = os.fsencode(os.path.realpath(source))
        self._inodes: dict[int, _Inode] = {pyfuse3.ROOT_INODE: _Inode(path)}
        self._listings: dict[int, tuple[bytes, list[bytes]]] = {}
        self._numbers = itertools.count(1)

    def _path(self, parent: int, name: bytes) -> bytes:
        return self._inodes[parent].path + b"/" + name

    def _looked_up(self, path: bytes) -> pyfuse3.EntryAttributes:
        """What is at a path; the kernel will know it from now on."""
        try:
            st = os.lstat(path)
        except OSError as error:
            raise _answer(error) from None
        inode = self._inodes.get(st.st_ino)
        if inode is None:
            inode = self._inodes[st.st_ino] = _Inode(path)
        inode.path = path
        inode.lookups += 1
        return _entry(st, st.st_ino)

    async def lookup(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        return self._looked_up(self._path(parent_inode, name))

    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        for number, lookups in inode_list:
            inode = self._inodes[number]
            inode.lookups -= lookups
            if inode.lookups <= 0 and number != pyfuse3.ROOT_INODE:
                del self._inodes[number]

    async def getattr(
        self, inode: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        try:
            return _entry(os.lstat(self._inodes[inode].path), inode)
        except OSError as error:
            raise _answer(error) from None

    async def setattr(
        self,
        inode: int,
        attr: pyfuse3.EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: int | None,
        ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:
        if fields.update_size:
            try:
                os.truncate(
                    self._inodes[inode].path if fh is None else fh, attr.st_size
                )
            except OSError as error:
                raise _answer(error) from None
        return await self.getattr(inode, ctx)

    async def readlink(self, inode: int, ctx: pyfuse3.RequestContext) -> bytes:
        return os.readlink(self._inodes[inode].path)

    async def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> int:
        # listed once, not again for each of the requests that a listing takes
        number = next(self._numbers)
        path = self._inodes[inode].path
        self._listings[number] = path, os.listdir(path)
        return number

    async def releasedir(self, fh: int) -> None:
        del self._listings[fh]

    async def readdir(
        self, fh: int, start_id: int, token: pyfuse3.ReaddirToken
    ) -> None:
        directory, names = self._listings[fh]
        for position in range(start_id, len(names)):
            name = names[position]
            path = directory + b"/" + name
            st = os.lstat(path)
            entry = _entry(st, st.st_ino)
            if not pyfuse3.readdir_reply(token, name, entry, position + 1):
                break
            # each entry that is told counts as a lookup
            self._inodes.setdefault(st.st_ino, _Inode(path)).lookups += 1

    async def mkdir(
        self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        path = self._path(parent_inode, name)
        try:
            os.mkdir(path, mode & ~ctx.umask)
        except OSError as error:
            raise _answer(error) from None
        return self._looked_up(path)

    async def rmdir(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> None:
        try:
            os.rmdir(self._path(parent_inode, name))
        except OSError as error:
            raise _answer(error) from None

    async def unlink(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> None:
        try:
            os.unlink(self._path(parent_inode, name))
        except OSError as error:
            raise _answer(error) from None

    async def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        ctx: pyfuse3.RequestContext,
    ) -> None:
        old = self._path(parent_inode_old, name_old)
        new = self._path(parent_inode_new, name_new)
        try:
            os.rename(old, new)
            inode = self._inodes.get(os.lstat(new).st_ino)
        except OSError as error:
            raise _answer(error) from None
        if inode is not None:
            inode.path = new

    async def create(
        self,
        parent_inode: int,
        name: bytes,
        mode: int,
        flags: int,
        ctx: pyfuse3.RequestContext,
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        path = self._path(parent_inode, name)
        try:
            fd = os.open(path, flags & ~_NOT_BEHIND | os.O_CREAT, mode & ~ctx.umask)
        except OSError as error:
            raise _answer(error) from None
        return _opened(fd), self._looked_up(path)

    async def open(
        self, inode: int, flags: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.FileInfo:
        try:
            return _opened(os.open(self._inodes[inode].path, flags & ~_NOT_BEHIND))
        except OSError as error:
            raise _answer(error) from None

    async def read(self, fh: int, off: int, size: int) -> bytes:
        return os.pread(fh, size, off)

    async def write(self, fh: int, off: int, buf: bytes) -> int:
        return os.pwrite(fh, buf, off)

    async def release(self, fh: int) -> None:
        os.close(fh)


def _opened(fd: int) -> pyfuse3.FileInfo:
    # the others ask for fresh pages with each open; this is the only one that would not
    return pyfuse3.FileInfo(fh=pyfuse3.FileHandleT(fd), keep_cache=False)


def _answer(error: OSError) -> pyfuse3.FUSEError:
    return pyfuse3.FUSEError(error.errno or errno.EIO)


def main() -> None:
    """Serves until it is unmounted."""
    source, mountpoint = sys.argv[1:]
    options = {*pyfuse3.default_options, "fsname=pyfuse3"}
    pyfuse3.init(Loopback(source), mountpoint, options)
    try:
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close(unmount=False)


if __name__ == "__main__":
    main()
