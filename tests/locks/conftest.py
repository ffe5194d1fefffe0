"""Programs that lock, as processes of their own."""

from __future__ import annotations

import select
import subprocess
import threading

import pytest

from .lock_classes import SECONDS


@pytest.fixture(autouse=True)
def _clean(fuse_no_leaks):
    """Each of these tests: no mount, thread, descriptor or process stays."""


PROGRAM = """
import fcntl, os, signal, struct, sys

file = os.open(sys.argv[1], os.O_RDWR)

def lock(kind, start=0, length=0, wait=False):
    command = fcntl.LOCK_EX if kind == "write" else fcntl.LOCK_SH
    try:
        fcntl.lockf(file, command | (0 if wait else fcntl.LOCK_NB), length, start)
    except BlockingIOError:
        return "refused"
    except InterruptedError:
        return "interrupted"
    return "locked"

def unlock(start=0, length=0):
    fcntl.lockf(file, fcntl.LOCK_UN, length, start)
    return "unlocked"

def who(start=0, length=0, kind=fcntl.F_WRLCK):
    ask = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)
    return struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, ask))

print(os.getpid(), flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Program:
    """A process with the file open, told what to do."""

    def __init__(self, child):
        self.child = child
        self.pid = int(child.read_line())

    def ask(self, code):
        """Does not wait for the answer."""
        self.child.stdin.write(code + "\n")
        self.child.stdin.flush()

    def answer(self):
        return self.child.read_line(SECONDS)

    def do(self, code):
        self.ask(code)
        return self.answer()

    def waits(self):
        """Whether it has not answered."""
        return not select.select([self.child.stdout], [], [], 0)[0]

    def end(self):
        self.ask("os._exit(0)")
        return self.child.wait(SECONDS)


@pytest.fixture
def program(start_python):
    """Starts a program that has a file open."""

    def program(path):
        return Program(start_python(PROGRAM, path, stdin=subprocess.PIPE))

    return program


@pytest.fixture
def wait_for_waiters():
    """Waits until so many requests wait for a lock, which there is no event for."""
    pause = threading.Event()

    def wait_for_waiters(mount, count):
        for _ in range(1000):
            if mount.statistics()["locks"]["waiting"] == count:
                return
            pause.wait(SECONDS / 1000)
        pytest.fail(f"{mount.statistics()['locks']}, not {count} waiting")

    return wait_for_waiters
