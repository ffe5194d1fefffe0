"""Callbacks that nobody waits for any more."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading

import pytest

import fusesg

from .conftest import CONTENT, SECONDS, Blocked, Files, errno_of, off_loop, read

READER = """
import os, sys
os.pread(os.open(sys.argv[1], os.O_RDONLY), 100, 0)
"""


class Waiting(Files):
    """`read` waits at a point that a test knows."""

    def __init__(self):
        super().__init__()
        self.blocked = Blocked()
        self.told = []

    async def read(self, inode, handle, offset, size, ctx):
        self.told.append(ctx.cancelled)
        try:
            await self.blocked.wait()
        finally:
            self.told.append(ctx.cancelled)
        return CONTENT


async def end_of_reads():
    reads = [task for task in asyncio.all_tasks() if task.get_name().endswith(".read")]
    if reads:
        await asyncio.wait(reads)


def start_reader(mountpoint):
    return subprocess.Popen(
        [sys.executable, "-c", READER, os.fspath(mountpoint / "file")],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_client_cancels_its_callback(run, mountpoint, served, number):
    async def main():
        filesystem = Waiting()
        async with served(filesystem) as mount:
            client = start_reader(mountpoint)
            await filesystem.blocked.reached.wait()
            client.send_signal(number)
            await filesystem.blocked.cancelled.wait()
            assert filesystem.told == [False, True]
            assert await off_loop(client.wait, SECONDS) == -number
            assert mount.statistics()["interrupted"] == 1
            # the others are served as before
            filesystem.blocked.go_on.set()
            assert await off_loop(read, mountpoint / "file") == CONTENT

    run(main)


def test_what_a_cancelled_callback_hands_out_is_taken_back(run, mountpoint, served):
    class Opening(Waiting):
        async def open(self, inode, flags, ctx):
            try:
                await self.blocked.wait()
            except asyncio.CancelledError:
                # too late to open nothing
                return "handle"
            return "other"

        async def release(self, inode, handle, ctx):
            await asyncio.sleep(0)
            released.put_nowait(handle)

        async def forget(self, inode, count):
            await asyncio.sleep(0)

    released = asyncio.Queue()

    async def main():
        filesystem = Opening()
        async with served(filesystem):
            client = start_reader(mountpoint)
            await filesystem.blocked.reached.wait()
            client.send_signal(signal.SIGKILL)
            assert await off_loop(client.wait, SECONDS) == -signal.SIGKILL
            assert await released.get() == "handle"

    run(main)


def test_a_deadline_cancels_a_callback(run, mountpoint, served):
    async def main():
        filesystem = Waiting()
        async with served(filesystem, request_timeout=0.2):
            assert await off_loop(errno_of, read, mountpoint / "file") == "ETIMEDOUT"
            await filesystem.blocked.cancelled.wait()

    run(main)


def test_one_who_dies_in_the_queue_does_not_begin(mounted, mountpoint):
    """The loop is blocked while a client comes and is killed."""

    class Busy(Files):
        async def getattr(self, inode, handle, ctx):
            return self.attributes[inode]

        async def statfs(self, inode, ctx):
            blocking.set()
            go_on.wait(SECONDS)
            return fusesg.FilesystemStatistics()

        async def read(self, inode, handle, offset, size, ctx):
            began.set()
            return CONTENT

    blocking, go_on, began = (threading.Event() for _ in range(3))
    with mounted(Busy(), attribute_timeout=SECONDS) as mount:
        fd = os.open(mountpoint / "file", os.O_RDONLY)
        try:
            blocker = threading.Thread(target=os.statvfs, args=(mountpoint,))
            blocker.start()
            assert blocking.wait(SECONDS)
            client = subprocess.Popen(
                [sys.executable, "-c", "import os; os.pread(0, 100, 0)"], stdin=fd
            )
            counts = mount.statistics
            deadline = threading.Event()
            while not counts()["python"]["event_loop"]["queued"]:
                assert not deadline.wait(0.001)
            client.send_signal(signal.SIGKILL)
            assert client.wait(SECONDS) == -signal.SIGKILL
            go_on.set()
            blocker.join()
            os.statvfs(mountpoint)
            assert not began.is_set()
        finally:
            os.close(fd)


def test_leaving_the_block_cancels_what_runs(run, mountpoint, served):
    async def main():
        filesystem = Waiting()
        async with served(filesystem):
            reading = asyncio.create_task(off_loop(errno_of, read, mountpoint / "file"))
            await filesystem.blocked.reached.wait()
        assert filesystem.blocked.cancelled.is_set()
        assert await reading in {"ECONNABORTED", "ENOTCONN", "EINTR", "EIO"}

    run(main)


def test_unmounting_a_plain_mount_cancels_what_runs(mounted, mountpoint):
    class Waits(Files):
        async def read(self, inode, handle, offset, size, ctx):
            reached.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                cancelled.set()
                raise

    reached, cancelled = threading.Event(), threading.Event()
    with mounted(Waits()):
        reading = threading.Thread(target=errno_of, args=(read, mountpoint / "file"))
        reading.start()
        assert reached.wait(SECONDS)
    reading.join(SECONDS)
    assert not reading.is_alive()
    assert cancelled.is_set()


def test_one_that_does_not_end_is_left_behind(run, mountpoint, served, fuse_log):
    class Stubborn(Waiting):
        async def read(self, inode, handle, offset, size, ctx):
            self.blocked.reached.set()
            while not self.blocked.go_on.is_set():
                try:
                    await self.blocked.go_on.wait()
                except asyncio.CancelledError:
                    self.blocked.cancelled.set()
            return CONTENT

    async def main():
        filesystem = Stubborn()
        try:
            async with served(filesystem):
                reading = asyncio.create_task(
                    off_loop(errno_of, read, mountpoint / "file")
                )
                await filesystem.blocked.reached.wait()
            assert filesystem.blocked.cancelled.is_set()
            fuse_log.wait_for("a coroutine of Stubborn still runs; it was left")
            await reading
        finally:
            filesystem.blocked.go_on.set()
            await end_of_reads()

    run(main)


def test_unmounting_under_load(run, mountpoint, served):
    """Everybody gets an answer or an error, and nothing is left."""

    class Loaded(Files):
        async def read(self, inode, handle, offset, size, ctx):
            await asyncio.sleep(random.random() / 100)
            return CONTENT

    def use():
        while True:
            try:
                assert read(mountpoint / "file") == CONTENT
                answered.append(None)
                if len(answered) == 100:
                    loop.call_soon_threadsafe(enough.set)
            except FileNotFoundError:
                return  # unmounted
            except OSError:
                errors.append(None)

    answered, errors = [], []
    enough = asyncio.Event()
    loop = None

    async def main():
        nonlocal loop
        loop = asyncio.get_running_loop()
        threads = [threading.Thread(target=use) for _ in range(8)]
        async with served(Loaded()):
            for thread in threads:
                thread.start()
            await enough.wait()
        for thread in threads:
            await off_loop(thread.join, SECONDS)
            assert not thread.is_alive()

    run(main)


def test_killed_clients_under_load(run, mountpoint, served):
    class Loaded(Files):
        async def read(self, inode, handle, offset, size, ctx):
            begun.append(None)
            if len(begun) == 30:
                enough.set()
            await asyncio.sleep(random.random() / 10)
            return CONTENT

    begun = []
    enough = asyncio.Event()
    program = """
import os, sys
while True:
    fd = os.open(sys.argv[1], os.O_RDONLY)
    assert os.pread(fd, 100, 0) == b"CONTENT"
    os.close(fd)
"""

    async def main():
        async with served(Loaded()) as mount:
            clients = [
                subprocess.Popen(
                    [sys.executable, "-c", program, os.fspath(mountpoint / "file")]
                )
                for _ in range(6)
            ]
            await enough.wait()
            for client in clients:
                client.send_signal(signal.SIGKILL)
            for client in clients:
                assert await off_loop(client.wait, SECONDS) == -signal.SIGKILL
            assert await off_loop(read, mountpoint / "file") == CONTENT
            await end_of_reads()
            assert mount.statistics()["python"]["event_loop"]["tasks"] == 0

    run(main)
