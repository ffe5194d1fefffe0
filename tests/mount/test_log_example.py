"""examples/log.py, as a program: what is read on its standard input is in the log."""

from __future__ import annotations

import os
import select
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "examples" / "log.py"
SECONDS = 10.0


@pytest.fixture
def log(start_python, mountpoint, fuse_no_leaks):
    """The program and its log."""
    program = start_python(PROGRAM, mountpoint, stdin=subprocess.PIPE)
    changed = select.poll()
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        changed.register(mounts, select.POLLERR)
        while not os.path.ismount(mountpoint):
            assert changed.poll(SECONDS * 1000), "it does not mount"
    yield program, mountpoint / "log"
    program.communicate(timeout=SECONDS)
    assert program.returncode == 0


def write(program, text):
    program.stdin.write(text)
    program.stdin.flush()


def read_when_ready(epoll, file):
    assert epoll.poll(SECONDS), "nobody woke us"
    return file.read(1000)


def test_who_polls_is_woken_for_each_line(log):
    program, path = log
    with open(path, "rb", buffering=0) as file, select.epoll() as epoll:
        epoll.register(file, select.EPOLLIN)
        assert epoll.poll(0) == []
        for number in range(10):
            write(program, f"line {number}\n")
            assert read_when_ready(epoll, file) == b"line %d\n" % number
            assert epoll.poll(0) == []
            assert path.stat().st_size == file.tell(), "cached for an hour, but told"


def test_edges(log):
    program, path = log
    with open(path, "rb", buffering=0) as file, select.epoll() as epoll:
        epoll.register(file, select.EPOLLIN | select.EPOLLET)
        for number in range(10):
            write(program, f"line {number}\n")
            assert read_when_ready(epoll, file) == b"line %d\n" % number


def test_many_readers(log):
    program, path = log
    files = [open(path, "rb", buffering=0) for _ in range(20)]  # noqa: SIM115
    try:
        for _ in range(3):
            write(program, "line\n")
            for file in files:
                assert select.select([file], [], [], SECONDS)[0] == [file]
                assert file.read(1000) == b"line\n"
    finally:
        for file in files:
            file.close()


@pytest.mark.requires("program tail")
def test_tail_follows(log):
    program, path = log
    write(program, "before\n")
    command = ["tail", "-f", "-n", "+1", "-s", "0.05", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tail:
        try:
            assert tail.stdout.readline() == b"before\n"
            for number in range(5):
                write(program, f"line {number}\n")
                ready = select.select([tail.stdout], [], [], SECONDS)[0]
                assert ready, "tail does not see it"
                assert tail.stdout.readline() == b"line %d\n" % number
        finally:
            tail.kill()
