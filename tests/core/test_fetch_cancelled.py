"""Reads of `Fetch` pieces that nobody waits for any more."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

import fusesg

SECONDS = 10.0
SIZE = 65_536


def returning(data):
    return lambda: data


KILLED = f"""
import os, sys
os.pread(os.open(sys.argv[1], os.O_RDONLY), {SIZE}, 0)
"""


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_killed_client_cancels_its_pieces(answering, counts, asynchronous):
    begun = threading.Semaphore(0)
    cancelled = threading.Event()
    go_on = threading.Event()

    def blocks():
        begun.release()
        go_on.wait(SECONDS)
        return b"x"

    async def waits():
        begun.release()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    source = waits if asynchronous else blocks
    with answering(lambda *_: [fusesg.Fetch(source, 1)] * 3, max_fetches=1) as file:
        client = subprocess.Popen(
            [sys.executable, "-c", KILLED, os.path.join(file.mount.path, "file")]
        )
        assert begun.acquire(timeout=SECONDS)
        client.send_signal(signal.SIGKILL)
        assert client.wait(SECONDS) == -signal.SIGKILL
        (ctx,) = file.filesystem.contexts
        if asynchronous:
            assert cancelled.wait(SECONDS)
        else:
            assert ctx.cancelled
        go_on.set()
        # another read takes the place, the ones that were queued are gone
        file.filesystem.answer = lambda *_: fusesg.Fetch(returning(b"next"), 4)
        assert file.read() == b"next"
        assert file.completions() == counts(ios=2, parts=4, cancelled=1)
        assert not begun.acquire(blocking=False)
        assert file.fetches()["queued"] == 0


def test_a_deadline_cancels_the_pieces(answering):
    cancelled = threading.Event()

    async def waits():
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with answering(lambda *_: fusesg.Fetch(waits, 1), request_timeout=0.2) as file:
        assert file.error() == errno.ETIMEDOUT
        assert cancelled.wait(SECONDS)
        assert file.mount.statistics()["timed_out"] == 1


def test_unmounting_cancels_the_pieces(answering, threads):
    """Awaited, running in a thread, and queued ones: the read ends with the mount."""
    begun = threading.Semaphore(0)
    cancelled = threading.Event()
    go_on = threading.Event()
    started = []

    async def waits():
        begun.release()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            go_on.set()
            raise

    def blocks():
        begun.release()
        go_on.wait(SECONDS)
        return b"x"

    def queued():
        started.append("queued")

    async def queued_coroutine():
        started.append("coroutine")

    def answer(offset, size):
        return [
            fusesg.Fetch(source, 1)
            for source in (waits, blocks, queued, queued_coroutine())
        ]

    with answering(answer, max_fetches=2) as file:
        result = threads.submit(file.read)
        for _ in range(2):
            assert begun.acquire(timeout=SECONDS)
        file.mount.unmount()
        assert isinstance(result.exception(SECONDS), OSError)
        assert cancelled.wait(SECONDS)
    assert started == []


def test_unmounting_ends_the_wait_for_a_pipe(answering, threads):
    reader, writer = os.pipe()
    begun = threading.Event()

    def empty_pipe():
        begun.set()
        return fusesg.Pipe(reader, 9)

    with answering(lambda *_: fusesg.Fetch(empty_pipe, 9)) as file:
        result = threads.submit(file.read)
        assert begun.wait(SECONDS)
        file.mount.unmount()
        assert isinstance(result.exception(SECONDS), OSError)
    os.close(reader)
    os.close(writer)


def test_a_program_ends_although_pieces_are_fetched(run_python, tmp_path):
    """The exit of the interpreter unmounts and waits for nobody."""
    program = f"""
import asyncio, os, stat, sys, threading
import fusesg

FILE = fusesg.Attributes(inode=1, mode=stat.S_IFREG | 0o644, size={SIZE})

class OneFile(fusesg.Filesystem):
    def getattr(self, inode, handle, ctx):
        return FILE

    def read(self, inode, handle, offset, size, ctx):
        return [
            fusesg.Fetch(waits, 1), fusesg.Fetch(waits(), 1), fusesg.Fetch(blocks, 1)
        ]

begun = threading.Semaphore(0)

async def waits():
    begun.release()
    await asyncio.get_running_loop().create_future()

def blocks():
    begun.release()
    threading.Event().wait()

mount = fusesg.mount(OneFile(), sys.argv[1])
def read():
    try:
        os.pread(os.open(sys.argv[1], os.O_RDONLY), {SIZE}, 0)
    except OSError:
        pass
threading.Thread(target=read, daemon=True).start()
for _ in range(3):
    assert begun.acquire(timeout=10)
print("ends")
"""
    mountpoint = tmp_path / "file"
    mountpoint.touch()
    result = run_python(program, mountpoint)
    assert (result.returncode, result.stdout) == (0, "ends\n"), result.stderr
    assert "was never awaited" not in result.stderr
