"""Reads and writes of a file by the system calls themselves, timed."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from benchmarks._processes import end_with_parent
from benchmarks._settings import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PAGE = mmap.PAGESIZE
GIBIBYTE = 1 << 30
FILE_SIZE = (4 if QUICK else 64) << 20
"""Of the file that is read and written, bytes."""

# struct iovec is an address and a length
_WORD = ctypes.c_size_t
_IOVEC_SIZE = 2 * ctypes.sizeof(_WORD)

# os.preadv builds the array of iovecs anew each time; here that is done once
_libc = ctypes.CDLL(None, use_errno=True)
_CALLS = {"read": _libc.preadv, "write": _libc.pwritev}
for _call in _CALLS.values():
    _call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong)
    _call.restype = ctypes.c_ssize_t


@dataclass(frozen=True)
class Transfer:
    """What is done again and again, along a file."""

    path: Path
    operation: str
    """`read` or `write`."""
    size: int
    """Bytes of a segment. Segments lie apart in memory."""
    segments: int = 1
    one_call: bool = True
    """All segments by one preadv or pwritev, rather than by a call for each."""
    direct: bool = True
    """With O_DIRECT; else through the page cache, emptied before each round."""

    @property
    def bytes(self) -> int:
        """Of all segments."""
        return self.size * self.segments

    @contextlib.contextmanager
    def measured(self, total: int, depth: int = 1) -> Iterator[Callable[[], float]]:
        """Gives what moves that many bytes of the file; returns seconds per GiB.

        Args:
            total: Bytes, at least one turn of each process.
            depth: Processes that do it at a time, each in its part of the file.
        """
        count = max(1, total // self.bytes // depth)
        with contextlib.ExitStack() as stack:
            own = stack.enter_context(self.opened())
            crowd = (
                stack.enter_context(Crowd(self, count, depth)) if depth > 1 else None
            )

            def measure() -> float:
                own.forget_cached()
                spent = crowd.seconds() if crowd else own.run(0, count)
                return spent * GIBIBYTE / (count * depth * self.bytes)

            yield measure

    @contextlib.contextmanager
    def opened(self) -> Iterator[_Channel]:
        """The file, and memory for the transfer."""
        flags = os.O_RDONLY if self.operation == "read" else os.O_RDWR
        fd = os.open(self.path, flags | (os.O_DIRECT if self.direct else 0))
        try:
            yield _Channel(self, fd)
        finally:
            os.close(fd)


class Crowd:
    """Processes that do the same transfer in different places, for a `with` block.

    They are processes, since threads of Python would wait for each other. They stay
    from one round to the next, so that none is started or ended while it is measured.
    """

    def __init__(self, transfer: Transfer, count: int, depth: int) -> None:
        self._transfer = transfer
        self._pids: list[int] = []
        self._commands: list[int] = []
        parent = os.getpid()
        self._done, tell_done = os.pipe()
        try:
            for number in range(depth):
                command, tell = os.pipe()
                self._commands.append(tell)
                if not (pid := os.fork()):
                    self._work(parent, number * count, count, command, tell_done)
                self._pids.append(pid)
                os.close(command)
        finally:
            os.close(tell_done)
        self._wait()

    def seconds(self) -> float:
        """From the start of the first until the end of the last."""
        started = time.perf_counter()
        for command in self._commands:
            os.write(command, b"g")
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        left = len(self._pids)
        while left:
            done = os.read(self._done, left)
            # at the end of the pipe all have ended, and one that failed says so
            if not done or b"!" in done:
                self._end()
                raise RuntimeError(
                    f"{self._transfer.operation} of {self._transfer.path} failed"
                )
            left -= len(done)

    def _work(
        self, parent: int, first: int, count: int, command: int, done: int
    ) -> None:
        try:
            end_with_parent(parent)
            for tell in self._commands:
                os.close(tell)
            with self._transfer.opened() as channel:
                os.write(done, b"d")
                while os.read(command, 1):
                    channel.run(first, count)
                    os.write(done, b"d")
        except BaseException:  # noqa: BLE001 - a process of its own ends here
            traceback.print_exc()
            os.write(done, b"!")
        finally:
            os._exit(0)

    def _end(self) -> None:
        for command in self._commands:
            os.close(command)
        self._commands.clear()
        while self._pids:
            pid = self._pids.pop()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()
        os.close(self._done)


class _Channel:
    """An open file, and the memory of a transfer."""

    def __init__(self, transfer: Transfer, fd: int) -> None:
        self._transfer = transfer
        self._fd = fd
        self._call = _CALLS[transfer.operation]
        size, segments = transfer.size, transfer.segments
        # apart, and each at the start of a page: no two make one piece of memory
        stride = -(-size // PAGE) * PAGE + PAGE
        self._memory = mmap.mmap(-1, stride * segments)
        self._memory.write(b"x" * len(self._memory))
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        words = [
            word
            for number in range(segments)
            for word in (base + number * stride, size)
        ]
        self._iovecs = (_WORD * len(words))(*words)
        array = ctypes.addressof(self._iovecs)
        # the calls of one turn: address and number of iovecs, offset, bytes
        self._calls = (
            [(array, segments, 0, transfer.bytes)]
            if transfer.one_call
            else [(array + i * _IOVEC_SIZE, 1, i * size, size) for i in range(segments)]
        )
        self._places = max(1, os.fstat(fd).st_size // transfer.bytes)

    def forget_cached(self) -> None:
        """Has the page cache drop the file, if it is used at all."""
        if not self._transfer.direct:
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def run(self, first: int, count: int) -> float:
        """Seconds of that many turns, each at the next place in the file."""
        call, fd, calls, size = self._call, self._fd, self._calls, self._transfer.bytes
        started = time.perf_counter()
        for turn in range(first, first + count):
            offset = turn % self._places * size
            for array, number, start, expected in calls:
                if (done := call(fd, array, number, offset + start)) != expected:
                    self._complain(done, expected)
        return time.perf_counter() - started

    def _complain(self, done: int, expected: int) -> None:
        operation = self._transfer.operation
        if done < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{operation}: {os.strerror(code)}")
        raise RuntimeError(f"a {operation} of {expected} bytes moved {done}")
