"""Children that serve a mount, and what the tests ask about them."""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parent
PRELUDE = "from served import *\n"


@pytest.fixture(autouse=True)
def _clean(fuse_no_leaks):
    """Each of these tests: no mount, thread, descriptor or process stays."""


@pytest.fixture
def start_child(start_python, mountpoint):
    """Starts a program that has the names of `served` and the mount point."""

    def start(program, *arguments, **options):
        environment = {**os.environ, "PYTHONPATH": str(DIRECTORY)}
        return start_python(
            PRELUDE + program, mountpoint, *arguments, env=environment, **options
        )

    return start


@pytest.fixture
def run_child(start_child):
    """Runs such a program to its end."""

    def run(program, *arguments, timeout=20, **options):
        return start_child(program, *arguments, **options).finish(timeout)

    return run


@pytest.fixture
def watcher(mountpoint):
    """The watcher of what is mounted, as a function that waits for its end."""
    with contextlib.ExitStack() as stack:

        def watcher():
            (number,) = _watchers_of(mountpoint)
            descriptor = os.pidfd_open(number)
            stack.callback(os.close, descriptor)
            ended = select.poll()
            ended.register(descriptor, select.POLLIN)
            return lambda: ended.poll(10_000) or pytest.fail("the watcher is there")

        yield watcher


def _watchers_of(mountpoint):
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
            if b"fusesg-watcher" in words and os.fsencode(mountpoint) in words:
                yield int(process)


@pytest.fixture
def gone(mountpoint, wait_until_unmounted):
    """Waits until nothing is mounted; the directory is then the plain one again."""

    def gone(path=mountpoint):
        wait_until_unmounted(path)
        assert os.listdir(path) == []

    return gone
