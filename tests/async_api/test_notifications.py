"""What the kernel is told by callbacks that are coroutines."""

from __future__ import annotations

import asyncio
import os
import stat

import fusesg

from .conftest import FILE, ROOT, SECONDS, Files, off_loop, read

HOUR = 3600.0
CACHED = {"entry_timeout": HOUR, "attribute_timeout": HOUR, "negative_timeout": HOUR}


class Telling(Files):
    """Tells, in each of its coroutines, what the kernel holds its locks for."""

    mount: fusesg.Mount | None = None

    def __init__(self):
        super().__init__()
        self.content = b"old"
        self.names = {"file"}

    def tell(self):
        if self.mount is None:
            return
        self.mount.invalidate_inode(FILE)
        self.mount.invalidate_inode(ROOT)
        for name in ("file", "new", "missing"):
            self.mount.invalidate_entry(ROOT, name)
        self.mount.store(FILE, 0, self.content)

    async def lookup(self, parent, name, ctx):
        self.tell()
        await asyncio.sleep(0)
        self.tell()
        if name not in self.names:
            return None
        return fusesg.Entry(await self.getattr(FILE, None, ctx))

    async def getattr(self, inode, handle, ctx):
        self.tell()
        attributes = self.attributes[inode]
        return (
            attributes.replace(size=len(self.content)) if inode == FILE else attributes
        )

    async def open(self, inode, flags, ctx):
        return fusesg.Opened(None, keep_cache=True)

    async def read(self, inode, handle, offset, size, ctx):
        self.tell()
        await asyncio.sleep(0)
        self.tell()
        return self.content[offset : offset + size]

    async def readdir(self, inode, handle, offset, ctx):
        self.tell()
        for name in sorted(self.names):
            yield fusesg.DirectoryEntry(name, FILE, stat.S_IFREG)
        self.tell()

    async def unlink(self, parent, name, ctx):
        self.tell()
        self.names.remove(name)
        self.mount.invalidate_entry(parent, name, deleted=True, inode=FILE)


def test_the_kernel_is_told_where_it_holds_its_locks(run, mountpoint, served):
    def use():
        for _ in range(20):
            assert read(mountpoint / "file") == b"old"
            assert os.listdir(mountpoint) == ["file"]
            assert not (mountpoint / "missing").exists()
        os.unlink(mountpoint / "file")
        assert os.listdir(mountpoint) == []

    async def main():
        telling = Telling()
        async with served(telling, **CACHED) as mount:
            telling.mount = mount
            await asyncio.wait_for(off_loop(use), SECONDS)
            assert await off_loop(mount.flush_notifications, SECONDS)
            assert mount.statistics()["notifications"]["failed"] == 0

    run(main)


class Refreshing(Telling):
    """One that looks, when its directory is listed, what has changed elsewhere."""

    async def readdir(self, inode, handle, offset, ctx):
        self.content = b"new and longer"
        self.names.add("new")
        self.mount.invalidate_inode(FILE)
        self.mount.invalidate_entry(ROOT, "new")
        return [
            fusesg.DirectoryEntry(name, FILE, stat.S_IFREG)
            for name in sorted(self.names)
        ]

    def tell(self):
        pass


def follow(mount, mountpoint):
    path = mountpoint / "file"
    assert (read(path), path.stat().st_size) == (b"old", 3)
    assert not (mountpoint / "new").exists()
    assert os.listdir(mountpoint) == ["file", "new"]
    assert mount.flush_notifications(SECONDS)
    assert path.stat().st_size == 14
    assert read(path) == b"new and longer"
    assert (mountpoint / "new").exists()


def test_what_is_cached_for_an_hour_follows(run, mountpoint, served):
    async def main():
        refreshing = Refreshing()
        async with served(refreshing, **CACHED) as mount:
            refreshing.mount = mount
            await off_loop(follow, mount, mountpoint)

    run(main)


def test_the_same_in_a_loop_of_the_mount(mountpoint, mounted):
    refreshing = Refreshing()
    with mounted(refreshing, **CACHED) as mount:
        refreshing.mount = mount
        follow(mount, mountpoint)
