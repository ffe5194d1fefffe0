"""fusepy and mfusepy: paths, by ctypes and the high-level interface of libfuse 2 or 3.

The second grew out of the first, and the same classes work with both. Started with the
module as a further argument in front: `PROGRAM MODULE SOURCE MOUNTPOINT`.

One thread serves all, which is the faster way where nothing waits: several would wait
for the interpreter lock, and for each other. Times are integers, as their documentation
demands.
"""

# ruff: noqa: ARG002 - fuse_operations of libfuse, and their arguments

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

_NOT_BEHIND = os.O_DIRECT | os.O_APPEND
_ATTRIBUTES = ("mode", "ino", "nlink", "uid", "gid", "rdev", "size", "blocks")
_TIMES = ("atime", "mtime", "ctime")
_OPTIONS: dict[str, dict[str, object]] = {
    # libfuse 2 needs to be told for writes of more than a page
    "fuse": {"fsname": "fusepy", "big_writes": True},
    "mfusepy": {"fsname": "mfusepy"},
}


class Loopback:
    """Shows a directory. To be mixed with the library's `Operations`.

    Args:
        source: The directory.
    """

    use_ns = True

    def __init__(self, source: str) -> None:
        self._source = os.path.realpath(source)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        st = os.lstat(self._source + path) if fh is None else os.fstat(fh)
        found = {f"st_{name}": getattr(st, f"st_{name}") for name in _ATTRIBUTES}
        for name in _TIMES:
            found[f"st_{name}"] = getattr(st, f"st_{name}_ns")
        return found

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self._source + path if fh is None else fh, length)
        return 0

    def readlink(self, path: str) -> str:
        return os.readlink(self._source + path)

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self._source + path)]

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(self._source + path, mode)
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._source + path)
        return 0

    def unlink(self, path: str) -> int:
        os.unlink(self._source + path)
        return 0

    def rename(self, old: str, new: str) -> int:
        os.rename(self._source + old, self._source + new)
        return 0

    def create(self, path: str, mode: int, fi: object = None) -> int:
        # which flags were asked for is not told
        return os.open(self._source + path, os.O_RDWR | os.O_CREAT, mode)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._source + path, flags & ~_NOT_BEHIND)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0


def main() -> None:
    """Serves until it is unmounted."""
    module, source, mountpoint = sys.argv[1:]
    library: Any = importlib.import_module(module)
    operations = type("Loopback", (Loopback, library.Operations), {})
    library.FUSE(
        operations(source),
        mountpoint,
        foreground=True,
        nothreads=True,
        default_permissions=True,
        **_OPTIONS[module],
    )


if __name__ == "__main__":
    main()
