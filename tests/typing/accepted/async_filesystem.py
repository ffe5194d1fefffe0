"""A class of coroutines, and one that has both kinds."""

import asyncio
from collections.abc import AsyncIterator

import fusesg
from fusesg import Attributes, Context, DirectoryEntry, Entry


class Everything(fusesg.Filesystem):
    """Awaits in each operation."""

    async def init(self) -> None:
        self.lock = asyncio.Lock()

    async def destroy(self) -> None: ...

    async def lookup(self, parent: int, name: str, ctx: Context) -> Entry | None:
        async with self.lock:
            return Entry(await self.getattr(parent, None, ctx))

    async def getattr(
        self, inode: int, handle: object | None, ctx: Context
    ) -> Attributes:
        return Attributes(inode=inode, mode=0o40755)

    async def setattr(
        self, inode: int, changes: fusesg.SetAttributes, handle: object, ctx: Context
    ) -> Attributes:
        return changes.apply(await self.getattr(inode, handle, ctx))

    async def mkdir(self, parent: int, name: str, mode: int, ctx: Context) -> Entry:
        return Entry(Attributes(inode=2, mode=mode))

    async def unlink(self, parent: int, name: str, ctx: Context) -> None: ...

    async def open(self, inode: int, flags: int, ctx: Context) -> fusesg.Opened:
        return fusesg.Opened(None, direct_io=True)

    async def create(
        self, parent: int, name: str, mode: int, flags: int, ctx: Context
    ) -> tuple[Entry, object]:
        return await self.mkdir(parent, name, mode, ctx), None

    async def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: Context
    ) -> list[fusesg.Fetch]:
        return [fusesg.Fetch(self.fetch(offset), size)]

    async def fetch(self, offset: int) -> bytes:
        async with asyncio.timeout(1):
            await asyncio.sleep(0)
        return bytes(offset)

    async def write(
        self, inode: int, handle: object, offset: int, data: memoryview, ctx: Context
    ) -> int:
        return len(data)

    async def readdir(
        self, inode: int, handle: object, offset: int, ctx: Context
    ) -> AsyncIterator[DirectoryEntry]:
        yield DirectoryEntry("name", 2, 0o100000)

    async def statfs(self, inode: int, ctx: Context) -> fusesg.FilesystemStatistics:
        return fusesg.FilesystemStatistics()

    async def getxattr(self, inode: int, name: str, ctx: Context) -> bytes:
        return b""

    async def listxattr(self, inode: int, ctx: Context) -> list[str]:
        return []


class Mixed(fusesg.Filesystem):
    """Has plain methods, too."""

    def getattr(self, inode: int, handle: object, ctx: Context) -> Attributes:
        return Attributes(inode=inode, mode=0o40755)

    async def readdir(
        self, inode: int, handle: object, offset: int, ctx: Context
    ) -> list[DirectoryEntry]:
        return [DirectoryEntry("name", 2, 0o100000)]


class Paths(fusesg.PathFilesystem):
    """Awaits by paths."""

    async def getattr(
        self, path: str, handle: object, ctx: Context
    ) -> Attributes | None:
        return None

    async def readdir(
        self, path: str, handle: object, offset: int, ctx: Context
    ) -> AsyncIterator[str]:
        yield "name"


async def main() -> None:
    """Serve in the running loop."""
    async with fusesg.mount(Everything(), "/mnt") as mount:
        print(mount.path)
    await fusesg.serve_async(Mixed(), "/mnt")


asyncio.run(main())
