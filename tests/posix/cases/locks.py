"""Locks between two processes: fcntl(2) and flock(2)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import subprocess
import sys

from .tools import SECONDS, fails, in_other_process, opened

TRY_FCNTL = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, int(sys.argv[3]), int(sys.argv[2]))
except BlockingIOError:
    print("locked")
else:
    print("free")
"""

TRY_FLOCK = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("locked")
else:
    print("free")
"""

WAIT_FCNTL = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("waiting", flush=True)
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
"""


def fcntl_locks_hold_against_other_processes(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 100)
        path = directory / "file"
        assert in_other_process(TRY_FCNTL, path, 105, 1) == "locked"
        assert in_other_process(TRY_FCNTL, path, 110, 10) == "free"
        fcntl.lockf(file, fcntl.LOCK_UN, 10, 100)
        assert in_other_process(TRY_FCNTL, path, 105, 1) == "free"


def fcntl_locks_end_when_any_descriptor_of_the_process_closes(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        os.close(os.open(directory / "file", os.O_RDONLY))
        assert in_other_process(TRY_FCNTL, directory / "file", 0, 0) == "free"


def fcntl_tells_who_holds_a_lock(directory):
    holder = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX, 10, 100)
print(os.getpid(), flush=True)
sys.stdin.read()
"""
    with (
        opened(directory / "file", os.O_CREAT | os.O_RDWR) as file,
        subprocess.Popen(
            [sys.executable, "-I", "-c", holder, directory / "file"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process,
    ):
        assert int(process.stdout.readline()) == process.pid
        ask = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, start, length, pid = struct.unpack(
            "hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, ask)
        )
        assert (kind, start, length, pid) == (fcntl.F_WRLCK, 100, 10, process.pid)
        process.stdin.close()
        assert process.wait(SECONDS) == 0
        kind = struct.unpack_from("h", fcntl.fcntl(file, fcntl.F_GETLK, ask))[0]
        assert kind == fcntl.F_UNLCK, "a lock ends with its process"


def fcntl_locks_can_be_waited_for(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        with subprocess.Popen(
            [sys.executable, "-I", "-c", WAIT_FCNTL, directory / "file"],
            stdout=subprocess.PIPE,
        ) as waiter:
            assert waiter.stdout.readline() == b"waiting\n"
            fcntl.lockf(file, fcntl.LOCK_UN)
            assert waiter.stdout.readline() == b"locked\n"
            assert waiter.wait(SECONDS) == 0


def flock_holds_against_other_processes(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert in_other_process(TRY_FLOCK, directory / "file") == "locked"
        fcntl.flock(file, fcntl.LOCK_UN)
        assert in_other_process(TRY_FLOCK, directory / "file") == "free"
        fcntl.flock(file, fcntl.LOCK_EX)
    assert in_other_process(TRY_FLOCK, directory / "file") == "free"


def flock_belongs_to_the_open_file(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with opened(directory / "file", os.O_RDWR) as other:
            fcntl.flock(other, fcntl.LOCK_SH)
            with fails(errno.EWOULDBLOCK):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        duplicate = os.dup(file)
        fcntl.flock(duplicate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(duplicate)
        assert in_other_process(TRY_FLOCK, directory / "file") == "locked"


def the_two_kinds_do_not_meet(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert in_other_process(TRY_FCNTL, directory / "file", 0, 0) == "free"
