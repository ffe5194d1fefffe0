"""Callbacks, and other code in the loop, that use their own mount."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

import fusesg

from .conftest import CONTENT, FILE, SECONDS, Files, errno_of, off_loop, read


class Using(Files):
    """`read` uses the mount in a way that a test chooses."""

    def __init__(self, use):
        super().__init__()
        self.use = use

    async def read(self, inode, handle, offset, size, ctx):
        await self.use()
        return CONTENT


def test_awaiting_its_own_mount(run, mountpoint, served):
    async def use():
        seen.append(await asyncio.to_thread(os.stat, mountpoint / "file"))
        seen.append(await asyncio.to_thread(os.listdir, mountpoint))

    seen = []

    async def main():
        async with served(Using(use), attribute_timeout=0):
            assert await off_loop(read, mountpoint / "file") == CONTENT
        assert seen[0].st_ino == FILE
        assert seen[1] == ["file"]

    run(main)


def test_blocking_on_an_async_method_is_refused_at_once(
    run, mountpoint, served, fuse_log
):
    async def use():
        seen.append(errno_of(os.stat, mountpoint / "file"))

    seen = []

    async def main():
        async with served(Using(use), attribute_timeout=0):
            assert await off_loop(read, mountpoint / "file") == CONTENT
            assert seen == ["EDEADLK"]
            # neither may code in the loop that is no callback
            assert errno_of(os.stat, mountpoint / "file") == "EDEADLK"
            assert (await off_loop(os.stat, mountpoint / "file")).st_ino == FILE
        fuse_log.wait_for(r"Using\.(lookup|getattr).*EDEADLK.*asyncio\.to_thread")

    run(main)


def test_who_asks_again_and_again_is_told_once(run, mountpoint, served, fuse_log):
    async def main():
        async with served(Using(None), attribute_timeout=0) as mount:
            for _ in range(20):
                assert errno_of(os.stat, mountpoint) == "EDEADLK"
            assert mount.statistics()["operations"]["getattr"]["errors"] == 20
        fuse_log.wait_for(r"Using\.getattr.*EDEADLK.*once")
        fuse_log.collect()
        assert len(fuse_log.messages) == 1

    run(main)


def test_blocking_in_a_loop_of_its_own(mounted, mountpoint, fuse_log):
    async def use():
        seen.append(errno_of(os.stat, mountpoint / "file"))

    seen = []
    with mounted(Using(use), attribute_timeout=0):
        assert read(mountpoint / "file") == CONTENT
    assert seen == ["EDEADLK"]
    fuse_log.expect("EDEADLK")


def test_blocking_on_what_does_not_need_the_loop_works(run, mountpoint, served):
    class Mixed(Using):
        def getattr(self, inode, handle, ctx):
            return self.attributes[inode]

        def lookup(self, parent, name, ctx):
            return fusesg.Entry(self.attributes[FILE], 0, 0)

    async def use():
        seen.append(os.stat(mountpoint / "file").st_ino)

    seen = []

    async def main():
        async with served(Mixed(use), attribute_timeout=0):
            assert await off_loop(read, mountpoint / "file") == CONTENT
        assert seen == [FILE]

    run(main)


def test_closing_a_file_of_its_own_mount(run, mountpoint, served):
    """The kernel tells of the last close later, and nobody waits for that."""

    class Releasing(Files):
        async def release(self, inode, handle, ctx):
            released.set()

    released = asyncio.Event()

    async def main():
        async with served(Releasing()):
            fd = await off_loop(os.open, mountpoint / "file", os.O_RDONLY)
            os.close(fd)
            await asyncio.wait_for(released.wait(), SECONDS)

    run(main)


def test_a_plain_method_that_returns_an_awaitable_to_the_loop(
    run, mountpoint, served, fuse_log
):
    class Wrapped(Files):
        def getattr(self, inode, handle, ctx):
            return super().getattr(inode, handle, ctx)

    async def main():
        async with served(Wrapped(), attribute_timeout=0):
            assert (await off_loop(os.stat, mountpoint / "file")).st_ino == FILE
            assert errno_of(os.stat, mountpoint) == "EDEADLK"
        fuse_log.expect("EDEADLK")

    run(main)


def test_a_fetch_that_the_loop_waits_for(run, mountpoint, served, fuse_log):
    class Fetching(Files):
        def read(self, inode, handle, offset, size, ctx):
            return fusesg.Fetch(piece, 1)

    async def piece():
        return b"x"

    async def main():
        async with served(Fetching()):
            assert await off_loop(read, mountpoint / "file") == b"x"
            fd = await off_loop(os.open, mountpoint / "file", os.O_RDONLY)
            try:
                assert errno_of(os.pread, fd, 1, 0) == "EDEADLK"
            finally:
                await off_loop(os.close, fd)
        fuse_log.expect("EDEADLK")

    run(main)


@pytest.mark.parametrize("own", [False, True])
def test_a_loop_that_waits_for_one_who_waits_for_it(
    run, mountpoint, served, mounted, fuse_log, own
):
    """Nobody can tell that this is a deadlock: the watchdog ends it."""

    async def use():
        thread = threading.Thread(target=stat_in_thread)
        thread.start()
        thread.join()

    def stat_in_thread():
        seen.append(errno_of(os.stat, mountpoint / "file"))

    seen = []
    options = {"attribute_timeout": 0, "watchdog_timeout": 0.3}
    if own:
        with mounted(Using(use), **options):
            assert read(mountpoint / "file") == CONTENT
    else:

        async def main():
            async with served(Using(use), **options):
                assert await off_loop(read, mountpoint / "file") == CONTENT

        run(main)
    assert seen == ["EIO"]
    fuse_log.expect(r"the event loop has stood still .*this process itself waits for")
    fuse_log.expect(r"the event loop has stood still .*async callbacks wait for it")
