"""A class of fusesg: every operation in Python, all bytes through Python.

As its documentation advises for small programs: paths, a descriptor as the handle, and
plain methods, which several threads call.
"""

# ruff: noqa: ARG002 - a callback receives all arguments, and needs few

from __future__ import annotations

import os
import sys

import fusesg

_NOT_BEHIND = os.O_DIRECT | os.O_APPEND


class Loopback(fusesg.PathFilesystem):
    """Shows a directory.

    Args:
        source: The directory.
    """

    def __init__(self, source: str) -> None:
        self._source = os.path.realpath(source)

    def getattr(
        self, path: str | None, handle: int | None, ctx: fusesg.Context
    ) -> fusesg.Attributes:
        """Of the open file, or of what has the path now."""
        if handle is not None:
            return fusesg.Attributes.from_stat(os.fstat(handle))
        return fusesg.Attributes.from_stat(os.lstat(f"{self._source}{path}"))

    def setattr(
        self,
        path: str | None,
        changes: fusesg.SetAttributes,
        handle: int | None,
        ctx: fusesg.Context,
    ) -> None:
        """A new length."""
        if changes.size is not None:
            place = f"{self._source}{path}" if handle is None else handle
            os.truncate(place, changes.size)

    def readlink(self, path: str, ctx: fusesg.Context) -> str:
        """The target, as it is."""
        return os.readlink(self._source + path)

    def readdir(
        self, path: str, handle: object, offset: int, ctx: fusesg.Context
    ) -> list[str]:
        """Names are enough."""
        return os.listdir(self._source + path)

    def mkdir(self, path: str, mode: int, ctx: fusesg.Context) -> None:
        """Makes a directory."""
        os.mkdir(self._source + path, mode)

    def rmdir(self, path: str, ctx: fusesg.Context) -> None:
        """Removes a directory."""
        os.rmdir(self._source + path)

    def unlink(self, path: str, ctx: fusesg.Context) -> None:
        """Removes a name."""
        os.unlink(self._source + path)

    def rename(self, path: str, new_path: str, flags: int, ctx: fusesg.Context) -> None:
        """Renames, replacing."""
        os.rename(self._source + path, self._source + new_path)

    def create(self, path: str, mode: int, flags: int, ctx: fusesg.Context) -> int:
        """Makes a file; its descriptor is the handle."""
        return os.open(self._source + path, flags & ~_NOT_BEHIND | os.O_CREAT, mode)

    def open(self, path: str, flags: int, ctx: fusesg.Context) -> int:
        """Opens; the descriptor is the handle."""
        return os.open(self._source + path, flags & ~_NOT_BEHIND)

    def read(
        self,
        path: str | None,
        handle: int,
        offset: int,
        size: int,
        ctx: fusesg.Context,
    ) -> bytes:
        """Bytes, through Python."""
        return os.pread(handle, size, offset)

    def write(
        self,
        path: str | None,
        handle: int,
        offset: int,
        data: memoryview,
        ctx: fusesg.Context,
    ) -> int:
        """The same way back."""
        return os.pwrite(handle, data, offset)

    def release(self, path: str | None, handle: int, ctx: fusesg.Context) -> None:
        """Closes."""
        os.close(handle)


def main() -> None:
    """Serves until it is unmounted."""
    source, mountpoint = sys.argv[1:]
    fusesg.serve(Loopback(source), mountpoint)


if __name__ == "__main__":
    main()
