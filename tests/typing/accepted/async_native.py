"""Methods of native file systems overridden by coroutines."""

import asyncio
from collections.abc import AsyncIterator

import fusesg
from fusesg import Attributes, Context, DirectoryEntry, Entry


class Slow(fusesg.Passthrough):
    """Lets the loop run before each answer."""

    async def lookup(self, parent: int, name: str, ctx: Context) -> Entry | None:
        await asyncio.sleep(0)
        entry = super().lookup(parent, name, ctx)
        return entry if entry is None or entry.attributes.size else None

    async def getattr(self, inode: int, handle: object, ctx: Context) -> Attributes:
        await asyncio.sleep(0)
        return super().getattr(inode, handle, ctx).replace(mtime_ns=0)

    async def readdir(
        self, inode: int, handle: object, offset: int, ctx: Context
    ) -> AsyncIterator[DirectoryEntry]:
        for entry in super().readdir(inode, handle, offset, ctx):
            await asyncio.sleep(0)
            yield entry

    async def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: Context
    ) -> bytes:
        return bytes(super().read(inode, handle, offset, size, ctx))


class Mixed(fusesg.Memory):
    """Has both kinds."""

    async def write(
        self, inode: int, handle: object, offset: int, data: memoryview, ctx: Context
    ) -> int:
        return super().write(inode, handle, offset, bytes(data), ctx)

    def fsync(self, inode: int, handle: object, datasync: bool, ctx: Context) -> None:
        super().fsync(inode, handle, True, ctx)
