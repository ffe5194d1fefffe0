"""Callbacks that the loop begins in one turn do not learn of each other."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import fusesg

from .conftest import CONTENT, SECONDS, Files

READS = range(len(CONTENT))

variable: contextvars.ContextVar[object] = contextvars.ContextVar(
    "variable", default=None
)


class Gated(Files):
    """The loop is held until all reads have been queued."""

    def __init__(self, read) -> None:
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()
        self._read = read

    async def statfs(self, inode, ctx):
        self.entered.set()
        assert self.go_on.wait(SECONDS)
        return fusesg.FilesystemStatistics()

    async def read(self, inode, handle, offset, size, ctx):
        return await self._read(offset) or CONTENT[offset : offset + size]


@pytest.fixture
def read_in_one_turn(mounted, mountpoint):
    """Reads each byte of the file by a request of its own; returns bytes or errnos."""

    def read_in_one_turn(read):
        filesystem = Gated(read)
        with (
            mounted(filesystem, attribute_timeout=SECONDS) as mount,
            contextlib.ExitStack() as stack,
        ):
            fd = os.open(mountpoint / "file", os.O_RDONLY)
            stack.callback(os.close, fd)
            pool = stack.enter_context(ThreadPoolExecutor(len(READS) + 1))
            stack.callback(filesystem.go_on.set)
            gate = pool.submit(os.statvfs, mountpoint)
            assert filesystem.entered.wait(SECONDS)

            def read_one(offset: int) -> bytes | int | None:
                try:
                    return os.pread(fd, 1, offset)
                except OSError as error:
                    return error.errno

            reads = [pool.submit(read_one, offset) for offset in READS]
            pause = threading.Event()
            while mount.statistics()["python"]["event_loop"]["queued"] < len(reads):
                assert not pause.wait(0.001)
            filesystem.go_on.set()
            gate.result(SECONDS)
            return [read.result(SECONDS) for read in reads]

    return read_in_one_turn


BYTES = [CONTENT[offset : offset + 1] for offset in READS]


def test_those_that_end_at_once_need_one_task(read_in_one_turn):
    tasks = []

    async def read(offset):
        tasks.append(len(asyncio.all_tasks()))

    assert read_in_one_turn(read) == BYTES
    assert max(tasks) == 1


def test_variables_that_one_has_set(read_in_one_turn):
    seen = []

    async def read(offset):
        seen.append(variable.get())
        variable.set(offset)
        assert variable.get() == offset

    assert read_in_one_turn(read) == BYTES
    assert seen == [None] * len(READS)


@pytest.mark.parametrize("keeps", ["it", "a weak reference", "a callback"])
def test_a_task_that_is_kept(read_in_one_turn, keeps):
    kept, ended = [], []
    weakly = weakref.WeakKeyDictionary()

    async def read(offset):
        task = asyncio.current_task()
        assert task not in weakly
        if keeps == "a weak reference":
            weakly[task] = offset
        elif keeps == "a callback":
            task.add_done_callback(ended.append)
        else:
            kept.append(task)

    assert read_in_one_turn(read) == BYTES
    if keeps == "a callback":
        assert len(set(ended)) == len(READS)
    elif keeps == "it":
        assert len(set(kept)) == len(READS)


def test_a_task_that_is_renamed(read_in_one_turn):
    names = []

    async def read(offset):
        names.append(asyncio.current_task().get_name())
        asyncio.current_task().set_name(f"read {offset}")

    assert read_in_one_turn(read) == BYTES
    assert len(set(names)) == 1


@pytest.mark.parametrize("takes_it_back", [False, True])
def test_a_task_that_cancels_itself_and_goes_on(read_in_one_turn, takes_it_back):
    cancelling = []

    async def read(offset):
        task = asyncio.current_task()
        cancelling.append(task.cancelling())
        if offset % 2:
            task.cancel()
            if takes_it_back:
                task.uncancel()
        else:
            await asyncio.sleep(0)

    assert read_in_one_turn(read) == BYTES
    assert cancelling == [0] * len(READS)


def test_some_that_fail(read_in_one_turn):
    async def read(offset):
        if offset % 2:
            raise OSError(errno.EXDEV, "odd")

    expected = [errno.EXDEV if offset % 2 else BYTES[offset] for offset in READS]
    assert read_in_one_turn(read) == expected


@pytest.mark.parametrize("every", [1, 2, 3])
def test_some_that_wait(read_in_one_turn, every):
    running = set()

    async def read(offset):
        task = asyncio.current_task()
        assert variable.get() is None
        variable.set(offset)
        if offset % every == 0:
            assert task not in running
            running.add(task)
            async with asyncio.timeout(SECONDS):
                await asyncio.sleep(0)
                await asyncio.sleep(0.001)
            running.remove(task)
        assert asyncio.current_task() is task
        assert variable.get() == offset

    assert read_in_one_turn(read) == BYTES
    assert not running
