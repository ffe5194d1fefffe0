"""The program behind `Load`: does I/O on mounted files as it is told, and times it.

It is started by its path, imports nothing of fusesg and shares no lock with the server.
Each line of its input is a request in JSON, answered by a line of JSON:

- `{"job": {...}, "repetitions": N}`: `{"seconds": S}` for one repetition on average
- `{"job": {...}, "offset": O, "seed": S}`: one repetition at an offset, with random
  bytes of that seed in the buffer; `{"digest": D}` of what is in the buffer afterwards

An error is answered by `{"error": TEXT}`. The end of the input ends the program.

Many requests at a time are the kernel's asynchronous I/O: one system call waits for
those that are done, one sends as many again. So one thread of Python loads a server
written in C, at some microseconds for each round, however many requests it has.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import mmap
import os
import platform
import random
import signal
import struct
import sys
import time
from dataclasses import dataclass

_PAGE = mmap.PAGESIZE


@dataclass(frozen=True)
class Job:
    """One piece of I/O, which is repeated along a file."""

    path: str
    operation: str
    """`read` or `write`."""
    segment: int
    """Bytes of a segment. Segments lie apart in memory, each at the start of a page."""
    segments: int = 1
    one_call: bool = True
    """All segments by one preadv or pwritev, rather than by a call for each."""
    direct: bool = True
    """With O_DIRECT; else through the page cache, which is emptied before each pass."""
    behind: str | None = None
    """A file to be read before each pass, so that the server finds it in memory."""
    read_ahead: bool = False
    """The kernel may read ahead of what was asked for; only through the page cache."""
    shuffled: bool = False
    """Not in the order of the file but in one that looks random, the same each time."""
    depth: int = 1
    """How many repetitions are under way at a time; above 1 only with O_DIRECT, since
    the kernel would finish one before the next is begun, and of one segment."""

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return self.segment * self.segments


# struct iovec is an address and a length
_WORD = ctypes.c_size_t
_IOVEC_SIZE = 2 * ctypes.sizeof(_WORD)

# os.preadv builds the array of a call anew each time, which costs a good part of a
# packed request: here it is built once, so that all ways cost the same in the client.
_libc = ctypes.CDLL(None, use_errno=True)
_CALLS = {"read": _libc.preadv, "write": _libc.pwritev}
for _call in _CALLS.values():
    _call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_long)
    _call.restype = ctypes.c_ssize_t


class _Worker:
    """A job with its file open and its buffers made."""

    def __init__(self, job: Job) -> None:
        self._job = job
        # segments of neighbouring pages would be one range of memory
        self._stride = -(-job.segment // _PAGE) * _PAGE + _PAGE
        self._memory = mmap.mmap(-1, self._stride * max(job.segments, job.depth))
        self._memory.write(bytes(len(self._memory)))  # every page is there
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        words = [
            word
            for index in range(job.segments)
            for word in (base + index * self._stride, job.segment)
        ]
        self._iovecs = (_WORD * len(words))(*words)
        flags = os.O_RDONLY if job.operation == "read" else os.O_RDWR
        self._fd = os.open(job.path, flags | (os.O_DIRECT if job.direct else 0))
        if not job.direct and not job.read_ahead:
            # a request for each read
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_RANDOM)
        self._behind = None if job.behind is None else os.open(job.behind, os.O_RDONLY)
        if self._behind is not None:
            # read page by page: what is read in larger pieces may lie in memory in
            # pieces that are larger than a page, and those cannot be moved
            os.posix_fadvise(self._behind, 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(self._behind, 0, 0, os.POSIX_FADV_RANDOM)
        groups = max(1, os.fstat(self._fd).st_size // job.size)
        self._offsets = [group * job.size for group in range(groups)]
        if job.shuffled:
            random.Random(groups).shuffle(self._offsets)  # noqa: S311
        self._queue = (
            _Queue(self._fd, job, base, self._stride, self._offsets)
            if job.depth > 1
            else None
        )
        array = ctypes.addressof(self._iovecs)
        # the calls of one repetition: address and count of iovecs, offset, bytes
        self._calls = (
            [(array, job.segments, 0, job.size)]
            if job.one_call
            else [
                (array + i * _IOVEC_SIZE, 1, i * job.segment, job.segment)
                for i in range(job.segments)
            ]
        )

    def seconds(self, repetitions: int) -> float:
        """The time of one repetition on average; passes are prepared off the clock."""
        if self._queue is not None:
            return self._queue.seconds(repetitions)
        total, done = 0.0, 0
        while done < repetitions:
            offsets = self._offsets[: repetitions - done]
            self._prepare()
            started = time.perf_counter()
            for offset in offsets:
                self._run(offset)
            total += time.perf_counter() - started
            done += len(offsets)
        return total / repetitions

    def digest(self, offset: int, seed: int) -> str:
        """One repetition that shows what was read or written."""
        segment, stride = self._job.segment, self._stride
        content = memoryview(random.Random(seed).randbytes(self._job.size))  # noqa: S311
        for i in range(self._job.segments):
            start = i * stride
            piece = content[i * segment : (i + 1) * segment]
            self._memory[start : start + segment] = piece
        self._prepare()
        self._run(offset)
        digest = hashlib.sha256()
        for i in range(self._job.segments):
            digest.update(self._memory[i * stride : i * stride + segment])
        return digest.hexdigest()

    def _run(self, offset: int) -> None:
        call = _CALLS[self._job.operation]
        for iovecs, count, start, expected in self._calls:
            done = call(self._fd, iovecs, count, offset + start)
            if done != expected:
                self._complain(done, expected)

    def _complain(self, done: int, expected: int) -> None:
        job = self._job
        if done < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{job.operation}: {os.strerror(number)}", job.path)
        raise ValueError(
            f"{job.path}: a {job.operation} of {expected} bytes moved {done}"
        )

    def _prepare(self) -> None:
        if self._behind is not None:
            for offset in range(0, os.fstat(self._behind).st_size, _PAGE):
                os.preadv(self._behind, [self._scratch], offset)
        if not self._job.direct:
            # what was read a while ago must come from the server again
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    _scratch = bytearray(_PAGE)


# struct iocb: a request. Data, key and flags, operation, priority, descriptor, address,
# bytes, offset, reserved, flags and another descriptor
_IOCB = struct.Struct("=QQHhIQQqQQ")
_OPCODES = {"read": 0, "write": 1}  # IOCB_CMD_PREAD, IOCB_CMD_PWRITE
# io_setup, io_destroy, io_getevents, io_submit: the C library has no functions for them
_AIO_CALLS = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
_EVENT_WORDS = 4  # struct io_event: data, request, result, second result
_RESULT = 2


class _Queue:
    """So many requests under way at a time, by asynchronous I/O of the kernel.

    All requests are prepared once, and take turns with the buffers, of which there is
    one for each under way. As they do not end in order, two may have the same: what is
    read is not looked at while the clock runs, and what is written is always the same.
    """

    def __init__(
        self, fd: int, job: Job, base: int, stride: int, offsets: list[int]
    ) -> None:
        if not job.direct or job.segments != 1:
            raise ValueError("several at a time need O_DIRECT and one segment")
        machine = platform.machine()
        if machine not in _AIO_CALLS:
            raise ValueError(f"several at a time: not known how on {machine}")
        setup, _, self._getevents, self._submit = _AIO_CALLS[machine]
        self._job = job
        # the first ones once more at the end: no batch has to be cut there
        count = len(offsets) + job.depth
        places = [offsets[index % len(offsets)] for index in range(count)]
        self._count = len(offsets)
        opcode, buffers = _OPCODES[job.operation], job.depth
        self._iocbs = ctypes.create_string_buffer(
            b"".join(
                _IOCB.pack(
                    *(0, 0, opcode, 0, fd, base + index % buffers * stride),
                    *(job.size, offset, 0, 0),
                )
                for index, offset in enumerate(places)
            )
        )
        first = ctypes.addressof(self._iocbs)
        self._pointers = (_WORD * count)(
            *(first + index * _IOCB.size for index in range(count))
        )
        self._events = (ctypes.c_int64 * (_EVENT_WORDS * job.depth))()
        self._results = (
            memoryview(self._events).cast("B").cast("q")[_RESULT::_EVENT_WORDS]
        )
        self._good = [job.size] * job.depth
        context = ctypes.c_ulong(0)
        # closed with the process
        self._call(setup, job.depth, ctypes.addressof(context), 0, 0, 0)
        self._context = context.value
        self._next = 0

    def seconds(self, repetitions: int) -> float:
        """The time from the first request to the last answer, for each of them."""
        depth, sent, done = self._job.depth, 0, 0
        events = ctypes.addressof(self._events)
        started = time.perf_counter()
        while done < repetitions:
            wanted = min(depth - (sent - done), repetitions - sent)
            if wanted:
                sent += self._send(wanted)
            found = self._call(self._getevents, self._context, 1, depth, events, 0)
            if self._results[:found].tolist() != self._good[:found]:
                self._complain(self._results[:found].tolist(), sent - done - found)
            done += found
        return (time.perf_counter() - started) / repetitions

    def _send(self, count: int) -> int:
        """Sends the next ones; returns how many the kernel took."""
        pointers = ctypes.addressof(self._pointers) + self._next * ctypes.sizeof(_WORD)
        taken = self._call(self._submit, self._context, count, pointers, 0, 0)
        self._next = (self._next + taken) % self._count
        return taken

    def _complain(self, results: list[int], under_way: int) -> None:
        # none may be left that would be counted as one of the next measurement
        events = ctypes.addressof(self._events)
        while under_way > 0:
            under_way -= self._call(
                self._getevents, self._context, 1, self._job.depth, events, 0
            )
        wrong = next(result for result in results if result != self._job.size)
        operation, path = self._job.operation, self._job.path
        if wrong < 0:
            raise OSError(-wrong, f"{operation}: {os.strerror(-wrong)}", path)
        raise ValueError(
            f"{path}: a {operation} of {self._job.size} bytes moved {wrong}"
        )

    @staticmethod
    def _call(number: int, *arguments: int) -> int:
        result: int = _syscall(number, *arguments)
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"asynchronous I/O: {os.strerror(code)}")
        return result


_syscall = _libc.syscall
_syscall.argtypes = (ctypes.c_long,) * 6
_syscall.restype = ctypes.c_long


def main() -> None:
    """Serves requests until there are no more."""
    # Ctrl-C goes to the whole group; this process ends when the one that asks does
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    workers: dict[Job, _Worker] = {}
    for line in sys.stdin:
        request = json.loads(line)
        job = Job(**request.pop("job"))
        try:
            worker = workers.get(job) or workers.setdefault(job, _Worker(job))
            answer: dict[str, object] = (
                {"digest": worker.digest(**request)}
                if "seed" in request
                else {"seconds": worker.seconds(**request)}
            )
        except (OSError, ValueError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
