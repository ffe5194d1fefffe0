"""A way through the in-process client."""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import time
from typing import TYPE_CHECKING

from fusesg.cli._errors import CommandError
from fusesg.cli.bench._case import SEED, Counts, Way, counts_of, settled
from fusesg.cli.bench._setting import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    import fusesg


class ClientWay(Way):
    """Scattered I/O on a file, by preadv and pwritev of the client.

    Args:
        label: What it is.
        client: Plays the kernel's part.
        path: A file, as the client sees it.
        operation: `read` or `write`.
        segment: Bytes of a segment.
        segments: How many there are.
        content: The bytes of the file at an offset, without the client.
    """

    def __init__(
        self,
        label: str,
        client: fusesg.Client,
        path: str,
        operation: str,
        segment: int,
        segments: int,
        content: Callable[[int, int], bytes],
    ) -> None:
        super().__init__(label)
        self._client = client
        self._operation = operation
        self._content = content
        self._size = segment * segments
        self._fd = client.open(path, os.O_RDWR)
        self._groups = client.stat(path).st_size // self._size
        # apart, and each at the start of a page, like those of a kernel's client
        stride = -(-segment // PAGE) * PAGE + PAGE
        memory = memoryview(mmap.mmap(-1, stride * segments))
        self._buffers = [
            memory[start : start + segment]
            for start in range(0, stride * segments, stride)
        ]

    def check(self) -> None:
        """Compares with the file behind; see `Way.check`."""
        seed = random.Random(SEED)  # noqa: S311
        for buffer in self._buffers:
            buffer[:] = seed.randbytes(len(buffer))
        self._run(0)
        digest = hashlib.sha256(b"".join(self._buffers)).digest()
        if hashlib.sha256(self._content(0, self._size)).digest() != digest:
            raise CommandError(
                f"{self._operation} of {self._size} bytes in process, {self.label}: "
                "the bytes are not those of the file"
            )

    def seconds(self, repetitions: int) -> float:
        """See `Way.seconds`."""
        started = time.perf_counter()
        for index in range(repetitions):
            self._run(index % self._groups * self._size)
        return (time.perf_counter() - started) / repetitions

    def counts(self) -> Counts:
        """As the client counted it; see `Way.counts`."""
        statistics = settled(self._client.statistics)
        return counts_of(statistics, self._operation)

    def _run(self, offset: int) -> None:
        call = (
            self._client.preadv if self._operation == "read" else self._client.pwritev
        )
        done = call(self._fd, self._buffers, offset)
        if done != self._size:
            raise CommandError(
                f"a {self._operation} of {self._size} bytes in process moved {done}"
            )
