"""The program behind `Load`: does I/O on mounted files as it is told, and times it.

It is started by its path, imports nothing of fusesg and shares no lock with the server.
Each line of its input is a request in JSON, answered by a line of JSON:

- `{"job": {...}, "repetitions": N}`: `{"seconds": S}` for one repetition on average
- `{"job": {...}, "offset": O, "seed": S}`: one repetition at an offset, with random
  bytes of that seed in the buffer; `{"digest": D}` of what is in the buffer afterwards

An error is answered by `{"error": TEXT}`. The end of the input ends the program.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import mmap
import os
import random
import signal
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
        self._memory = mmap.mmap(-1, self._stride * job.segments)
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
        if not job.direct:
            # a request for each read: no reading ahead of what was asked for
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_RANDOM)
        self._behind = None if job.behind is None else os.open(job.behind, os.O_RDONLY)
        if self._behind is not None:
            # read page by page: what is read in larger pieces may lie in memory in
            # pieces that are larger than a page, and those cannot be moved
            os.posix_fadvise(self._behind, 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(self._behind, 0, 0, os.POSIX_FADV_RANDOM)
        self._groups = max(1, os.fstat(self._fd).st_size // job.size)
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
        total, done = 0.0, 0
        while done < repetitions:
            count = min(self._groups, repetitions - done)
            self._prepare()
            started = time.perf_counter()
            for group in range(count):
                self._run(group * self._job.size)
            total += time.perf_counter() - started
            done += count
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
