"""In which loop callbacks run, and the mount's way into it and out of it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import threading

import pytest

import fusesg

from .conftest import (
    CONTENT,
    FILE,
    SECONDS,
    Files,
    errno_of,
    has_uvloop,
    off_loop,
    read,
)

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


class Places(Files):
    """Notes where its methods run."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def note(self, method):
        self.seen.append(
            (method, asyncio.get_running_loop(), threading.current_thread().name)
        )

    async def init(self):
        self.note("init")

    async def destroy(self):
        await asyncio.sleep(0)
        self.note("destroy")

    async def read(self, inode, handle, offset, size, ctx):
        self.note("read")
        await asyncio.sleep(0)
        self.note("read on")
        return await super().read(inode, handle, offset, size, ctx)


def test_async_with_runs_them_in_the_running_loop(run, mountpoint, served):
    async def main():
        filesystem = Places()
        async with served(filesystem):
            assert await off_loop(read, mountpoint / "file") == CONTENT
        here = (asyncio.get_running_loop(), threading.current_thread().name)
        methods = ["init", "read", "read on", "destroy"]
        assert filesystem.seen == [(method, *here) for method in methods]

    run(main)


def test_a_plain_mount_has_a_loop_of_its_own(mounted, mountpoint):
    filesystem = Places()
    with mounted(filesystem) as mount:
        loop = mount.loop
        assert loop.is_running()
        assert read(mountpoint / "file") == CONTENT
        if has_uvloop():
            assert type(loop).__module__.startswith("uvloop")

        async def here():
            return asyncio.get_running_loop()

        assert asyncio.run_coroutine_threadsafe(here(), loop).result(SECONDS) is loop
    methods = ["init", "read", "read on", "destroy"]
    assert filesystem.seen == [(method, loop, "fusesg-asyncio") for method in methods]
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        mount.loop  # noqa: B018


def test_with_in_a_coroutine_uses_a_loop_of_its_own(run, mountpoint, mounted):
    async def main():
        filesystem = Places()
        with mounted(filesystem) as mount:
            assert mount.loop is not asyncio.get_running_loop()
            # so that even code that blocks this loop is served
            assert read(mountpoint / "file") == CONTENT
        assert {name for _, _, name in filesystem.seen} == {"fusesg-asyncio"}

    run(main)


def test_a_mount_can_be_awaited(run, mountpoint, fuse_no_leaks):
    async def main():
        mount = await fusesg.mount(Files(), mountpoint)
        try:
            assert mount.loop is asyncio.get_running_loop()
            assert await off_loop(read, mountpoint / "file") == CONTENT
        finally:
            await mount.unmount_async()
        assert await mount.wait_async(SECONDS)

    run(main)


def test_what_is_not_entered_is_not_mounted(run, mountpoint):
    async def main():
        mount = fusesg.mount(Files(), mountpoint)
        assert "not mounted yet" in repr(mount)
        with pytest.raises(RuntimeError, match="async with"):
            mount.path  # noqa: B018
        with pytest.warns(RuntimeWarning, match="neither entered nor awaited"):
            mount = None
        assert not os.path.ismount(mountpoint)

    run(main)


def test_a_class_without_async_methods_is_mounted_at_once(run, mountpoint, served):
    class Sync(fusesg.Filesystem):
        def getattr(self, inode, handle, ctx):
            return Files().attributes[inode]

    async def main():
        mount = fusesg.mount(Sync(), mountpoint)
        assert os.path.ismount(mountpoint)
        async with mount as entered:
            assert entered is mount
            assert mount.loop is asyncio.get_running_loop()

    run(main)


def test_callbacks_see_the_context_in_which_it_was_mounted(run, mountpoint, served):
    class Contexts(Files):
        async def read(self, inode, handle, offset, size, ctx):
            before = VARIABLE.get()
            # of this request only
            VARIABLE.set("request")
            await asyncio.sleep(0)
            return f"{before} {VARIABLE.get()}".encode()

    async def main():
        VARIABLE.set("program")
        async with served(Contexts()):
            VARIABLE.set("later")
            for _ in range(3):
                assert await off_loop(read, mountpoint / "file") == b"program request"

    run(main)


# Beginning


def test_an_exception_of_init_is_raised_where_it_is_mounted(run, mountpoint, served):
    class Failing(Files):
        async def init(self):
            await asyncio.sleep(0)
            raise ZeroDivisionError("in init")

    async def main():
        with pytest.raises(ZeroDivisionError, match="in init"):
            async with served(Failing()):
                pass
        assert not os.path.ismount(mountpoint)

    run(main)


def test_an_exception_of_init_in_a_loop_of_its_own(mountpoint, fuse_no_leaks):
    class Failing(Files):
        async def init(self):
            raise ZeroDivisionError("in init")

    with pytest.raises(ZeroDivisionError, match="in init"):
        fusesg.mount(Failing(), mountpoint)
    assert not os.path.ismount(mountpoint)


def test_mounting_can_be_cancelled(run, mountpoint, served):
    class Slow(Files):
        async def init(self):
            began.set()
            await asyncio.get_running_loop().create_future()

    began = asyncio.Event()

    async def enter():
        async with served(Slow()):
            pytest.fail("it was mounted")

    async def main():
        entering = asyncio.create_task(enter())
        await began.wait()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert not os.path.ismount(mountpoint)

    run(main)


def test_an_error_of_mounting_is_raised(run, tmp_path, served):
    async def main():
        with pytest.raises(FileNotFoundError):
            async with fusesg.mount(Files(), tmp_path / "missing"):
                pass

    run(main)


# Ending


def test_an_exception_of_destroy_is_logged(run, served, fuse_log):
    class Failing(Files):
        async def destroy(self):
            await asyncio.sleep(0)
            raise ZeroDivisionError("in destroy")

    async def main():
        async with served(Failing()):
            pass
        fuse_log.wait_for(r"Failing\.destroy raised(?s:.*)in destroy")

    run(main)


def test_unmount_in_the_loop_does_not_wait(run, mountpoint, served):
    async def main():
        filesystem = Places()
        async with served(filesystem) as mount:
            mount.unmount()
            assert not os.path.ismount(mountpoint)
            assert await mount.wait_async(SECONDS)
        assert filesystem.seen[-1][0] == "destroy"

    run(main)


def test_a_callback_may_unmount(mounted, mountpoint):
    class Unmounting(Files):
        async def getattr(self, inode, handle, ctx):
            if inode == FILE:
                mount.unmount()
            return await super().getattr(inode, handle, ctx)

    with mounted(Unmounting(), attribute_timeout=0) as mount:
        os.stat(mountpoint / "file")
        assert mount.wait(SECONDS)


def test_unmounting_goes_on_when_it_is_cancelled(run, mountpoint, fuse_no_leaks):
    async def main():
        mount = await fusesg.mount(Files(), mountpoint)
        task = asyncio.create_task(mount.unmount_async())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not mount.is_alive

    run(main)


def test_a_loop_that_is_closed_leaves_errors_not_hangs(
    run, mountpoint, fuse_no_leaks, fuse_log
):
    async def main():
        mount = await fusesg.mount(Files(), mountpoint)
        assert await off_loop(read, mountpoint / "file") == CONTENT
        return mount

    mount = run(main)
    gc.collect()
    fuse_log.wait_for("the event loop was closed while it served a mount")
    try:
        assert errno_of(os.stat, mountpoint / "file") == "EIO"
        with pytest.raises(RuntimeError, match="closed"):
            mount.loop  # noqa: B018
    finally:
        mount.unmount()
    assert not mount.is_alive


# serve_async


def test_serve_async_returns_when_it_is_unmounted(run, mountpoint, fuse_no_leaks):
    async def main():
        async def on_ready(mount):
            await asyncio.sleep(0)
            assert mount.loop is asyncio.get_running_loop()
            ready.set_result(mount)

        ready = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            fusesg.serve_async(Files(), mountpoint, on_ready=on_ready)
        )
        mount = await ready
        assert await off_loop(read, mountpoint / "file") == CONTENT
        await mount.unmount_async()
        assert await serving is None

    run(main)


def test_serve_async_unmounts_when_it_is_cancelled(run, mountpoint, fuse_no_leaks):
    async def main():
        ready = asyncio.Event()
        serving = asyncio.create_task(
            fusesg.serve_async(Files(), mountpoint, on_ready=lambda _: ready.set())
        )
        await ready.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not os.path.ismount(mountpoint)

    run(main)


PROGRAM = """
import asyncio, os, sys
sys.path.insert(0, {tests!r})
import fusesg
from conftest import Files

async def main():
    await fusesg.serve_async(
        Files(), sys.argv[1], on_ready=lambda mount: print("ready", flush=True)
    )
    print("returned", os.path.ismount(sys.argv[1]))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("number", "status", "output"),
    [
        (signal.SIGTERM, 0, "returned False\n"),
        (signal.SIGINT, -signal.SIGINT, ""),
    ],
)
def test_signals_end_serve_async(start_python, mountpoint, number, status, output):
    program = PROGRAM.format(tests=os.path.dirname(__file__))
    child = start_python(program, mountpoint)
    assert child.read_line() == "ready"
    child.send_signal(number)
    result = child.finish()
    assert result.stdout == output
    assert result.returncode == status, result.stderr
    assert not os.path.ismount(mountpoint)
