"""Subclasses of the native file systems."""

import os
from pathlib import Path
from typing import Any, assert_type

import fusesg
import fusesg.archive


class Shouting(fusesg.Passthrough):
    """Reads in capitals; all else stays native."""

    def __init__(self, source: Path) -> None:
        super().__init__(source)
        self.opened = 0

    def open(self, inode: int, flags: int, ctx: fusesg.Context) -> Any:
        self.opened += 1
        return super().open(inode, flags, ctx)

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> bytes:
        return bytes(super().read(inode, handle, offset, size, ctx)).upper()

    def lookup(
        self, parent: int, name: str, ctx: fusesg.Context
    ) -> fusesg.Entry | None:
        entry = super().lookup(parent, name, ctx)
        return None if entry is None or name.startswith(".") else entry


class Counted(fusesg.Memory):
    """Counts what is written."""

    written = 0

    def write(
        self,
        inode: int,
        handle: object,
        offset: int,
        data: memoryview,
        ctx: fusesg.Context,
    ) -> int:
        self.written += len(data)
        return super().write(inode, handle, offset, data, ctx)


def tree(archive: fusesg.Backing) -> fusesg.Tree:
    """An index as a tree."""
    made = fusesg.Tree(mode=0o700, mtime_ns=0)
    inode = made.add_file("a/b", archive.extent(0, 10), xattrs={"user.a": b"value"})
    assert_type(inode, int)
    made.add_directory("a", mode=0o755)
    made.add_symlink(Path("link"), "a/b")
    made.add_link("second", "a/b")
    made.extend((f"{n}", archive.extent(n, 1)) for n in range(10))
    return made


def main() -> None:
    """Mount them."""
    shown = Shouting(Path("/srv"))
    assert_type(shown.source, str)
    with fusesg.mount(shown, "/mnt"), fusesg.mount(Counted(size=1 << 20), b"/mnt2"):
        os.listdir("/mnt")
    opened = fusesg.archive.open_archive("data.tar")
    assert_type(opened, fusesg.Tree)
