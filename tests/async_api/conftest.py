"""Fixtures for callbacks that are awaited."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

import fusesg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

SECONDS = 10.0
ROOT, FILE = 1, 2
CONTENT = b"CONTENT"


class Files(fusesg.Filesystem):
    """A directory with one file in it, all of it asynchronous."""

    def __init__(self) -> None:
        self.attributes = {
            ROOT: fusesg.Attributes(inode=ROOT, mode=stat.S_IFDIR | 0o755),
            FILE: fusesg.Attributes(inode=FILE, mode=stat.S_IFREG | 0o644, size=4096),
        }

    async def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.attributes[FILE], 0, 0) if name == "file" else None

    async def getattr(self, inode, handle, ctx):
        return self.attributes[inode]

    async def open(self, inode, flags, ctx):
        return fusesg.Opened("handle", direct_io=True)

    async def read(self, inode, handle, offset, size, ctx):
        return CONTENT[offset : offset + size]

    async def readdir(self, inode, handle, offset, ctx):
        return [fusesg.DirectoryEntry("file", FILE, stat.S_IFREG)]


class Blocked:
    """A point in a coroutine that a test waits for, and lets go on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def wait(self) -> None:
        self.reached.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop]:
    return pytest.importorskip("uvloop").new_event_loop


@pytest.fixture(params=["asyncio", "uvloop", "debug"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Runs a coroutine function as a program would: on asyncio's loop, on uvloop's, and
    in asyncio's debug mode."""
    factory = _uvloop() if request.param == "uvloop" else asyncio.new_event_loop

    def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        debug = request.param == "debug"
        with asyncio.Runner(loop_factory=factory, debug=debug) as runner:
            return runner.run(asyncio.wait_for(main(), 3 * SECONDS))

    return run


@pytest.fixture
def served(
    mountpoint: Path, fuse_no_leaks: Any, fuse_log: Any
) -> Callable[..., contextlib.AbstractAsyncContextManager[fusesg.Mount]]:
    """`async with served(filesystem)`: mounted in the running loop."""
    del fuse_no_leaks, fuse_log

    @contextlib.asynccontextmanager
    async def served(filesystem: Any, **options: Any) -> AsyncIterator[fusesg.Mount]:
        async with fusesg.mount(filesystem, mountpoint, **options) as mount:
            assert mount.loop is asyncio.get_running_loop()
            yield mount
        assert not mount.is_alive

    return served


def read(path: Path | str, size: int = 4096) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


def errno_of(function: Callable[..., Any], *arguments: Any) -> str:
    """The name of the errno that a call fails with; "" if it does not."""
    try:
        function(*arguments)
    except OSError as error:
        # EDEADLOCK is another name for it
        is_deadlock = error.errno == errno.EDEADLK
        return "EDEADLK" if is_deadlock else errno.errorcode[error.errno]
    return ""


async def off_loop(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function that uses the mount, in a thread."""
    return await asyncio.to_thread(function, *arguments)


def has_uvloop() -> bool:
    try:
        importlib.import_module("uvloop")
    except ImportError:
        return False
    return True
