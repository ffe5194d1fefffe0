"""File systems by paths."""

import stat
from collections.abc import Iterator

import fusesg
from fusesg import Attributes, Context, DirectoryEntry, Entry


class Hello(fusesg.PathFilesystem):
    """The least that shows something."""

    def getattr(self, path: str, handle: object, ctx: Context) -> Attributes | None:
        if path == "/":
            return Attributes(mode=stat.S_IFDIR | 0o755)
        return Attributes(mode=stat.S_IFREG, size=6) if path == "/hello" else None

    def readdir(
        self, path: str, handle: object, offset: int, ctx: Context
    ) -> list[str]:
        return ["hello"]

    def read(
        self, path: str, handle: object, offset: int, size: int, ctx: Context
    ) -> bytes:
        return b"hello\n"[offset : offset + size]


class Writable(fusesg.PathFilesystem):
    """Files that may have lost their last name, and entries with attributes."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}

    def getattr(
        self, path: str | None, handle: bytearray | None, ctx: Context
    ) -> Entry:
        data = handle if handle is not None else self.files[path or ""]
        return Entry(Attributes(mode=stat.S_IFREG, size=len(data)), entry_timeout=1)

    def setattr(
        self,
        path: str | None,
        changes: fusesg.SetAttributes,
        handle: bytearray | None,
        ctx: Context,
    ) -> None:
        if changes.size is not None and handle is not None:
            del handle[changes.size :]

    def create(self, path: str, mode: int, flags: int, ctx: Context) -> bytearray:
        return self.files.setdefault(path, bytearray())

    def write(
        self,
        path: str | None,
        handle: bytearray,
        offset: int,
        data: memoryview,
        ctx: Context,
    ) -> int:
        handle[offset : offset + len(data)] = data
        return len(data)

    def rename(self, path: str, new_path: str, flags: int, ctx: Context) -> None:
        self.files[new_path] = self.files.pop(path)

    def unlink(self, path: str, ctx: Context) -> None:
        del self.files[path]

    def readdir(
        self, path: str, handle: object, offset: int, ctx: Context
    ) -> Iterator[str | DirectoryEntry]:
        for name in self.files:
            yield DirectoryEntry(name, 0, stat.S_IFREG)


with fusesg.mount(Hello(), "/mnt"):
    fusesg.serve(Writable(), "/mnt2")
fusesg.Client(Writable()).listdir("/")
