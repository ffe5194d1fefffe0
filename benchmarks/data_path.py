"""Reading and writing one file: seconds per GiB, through a mount and in process.

`kind` is how the file system says where the bytes are (`_filesystems`). At depth 1
client and server share one CPU; at depth 32 there are 32 processes that each wait for
one request, on all CPUs. Files are in memory.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from typing import TYPE_CHECKING

from benchmarks import _mounted, _sampling
from benchmarks._settings import EFFORT, QUICK, VERSION, Unsupported, on_one_cpu
from benchmarks._transfers import FILE_SIZE, GIBIBYTE, PAGE, Transfer
from benchmarks._workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import fusesg

KINDS = ["native", "plan", "callback", "async"]
SIZES = {"4K": 4096, "128K": 128 << 10, "1M": 1 << 20}
DEPTHS = {"1, one CPU": 1, "32, all CPUs": 32}
MODES = ["buffered", "O_DIRECT"]
SEGMENTS = 32

_BYTES = {"4K": 4 << 20, "128K": 64 << 20, "1M": 64 << 20}
"""How much is moved in a round, by size: some 20 to 50 ms."""


def _total(size: str) -> int:
    share = {"full": 1, "pair": 4, "quick": 16}[EFFORT]
    return _BYTES[size] // share


class Mount:
    """Calls of one segment each through a kernel mount."""

    param_names = ("kind", "size", "depth", "mode")
    params = (KINDS, list(SIZES), list(DEPTHS), MODES)
    unit = "seconds per GiB"
    version = VERSION
    timeout = 120

    def track_read(self, kind: str, size: str, depth: str, mode: str) -> object:
        """Read a file from its beginning to its end."""
        return self._moved("read", kind, size, depth, mode)

    def track_write(self, kind: str, size: str, depth: str, mode: str) -> object:
        """Write over a file."""
        return self._moved("write", kind, size, depth, mode)

    def _moved(
        self, operation: str, kind: str, size: str, depth: str, mode: str
    ) -> object:
        at_once = DEPTHS[depth]
        if at_once == 1:
            with on_one_cpu():
                mounted = _mounted.kept(kind, size=FILE_SIZE, one_cpu=True)
                return _samples(mounted, operation, size, mode)
        mounted = _mounted.kept(kind, size=FILE_SIZE)
        return _samples(mounted, operation, size, mode, at_once)


def _samples(
    mounted: _mounted.Mounted, operation: str, size: str, mode: str, depth: int = 1
) -> _sampling.Samples:
    transfer = Transfer(
        mounted.path / "data", operation, SIZES[size], direct=mode == "O_DIRECT"
    )
    total = _total(size) if depth == 1 else max(_total(size), depth * SIZES[size])
    with transfer.measured(total, depth) as measure:
        return _sampling.repeated(measure)


class Vectored:
    """32 segments of 4 KiB with O_DIRECT: by one call, or by a call for each."""

    param_names = ("kind", "segments of 4K")
    params = (KINDS, ["32 packed", "32 one by one"])
    unit = "seconds per GiB"
    version = VERSION
    timeout = 120

    def track_readv(self, kind: str, way: str) -> object:
        """Read by preadv."""
        return self._moved("read", kind, way)

    def track_writev(self, kind: str, way: str) -> object:
        """Write by pwritev."""
        return self._moved("write", kind, way)

    def _moved(self, operation: str, kind: str, way: str) -> object:
        one_call = way == "32 packed"
        total = _total("128K" if one_call else "4K")
        with on_one_cpu():
            mounted = _mounted.kept(kind, size=FILE_SIZE, one_cpu=True)
            transfer = Transfer(
                mounted.path / "data", operation, PAGE, SEGMENTS, one_call
            )
            with transfer.measured(total) as measure:
                return _sampling.repeated(measure)


class InProcess:
    """The same calls of `fusesg.Client`, with no kernel and no other process."""

    param_names = ("kind", "segments")
    params = (KINDS, ["1 of 4K", "1 of 128K", "1 of 1M", "32 packed", "32 one by one"])
    unit = "seconds per GiB"
    version = VERSION
    timeout = 120

    def track_preadv(self, kind: str, way: str) -> object:
        """Read by Client.preadv."""
        return _in_process("preadv", kind, way)

    def track_pwritev(self, kind: str, way: str) -> object:
        """Write by Client.pwritev."""
        return _in_process("pwritev", kind, way)


def _in_process(call: str, kind: str, way: str) -> object:
    number, _, rest = way.partition(" ")
    count, size = int(number), SIZES[rest.removeprefix("of ")] if "of" in rest else PAGE
    length = count * size
    turns = 1 if QUICK else max(1, (16 << 20) // length // (1 if count == 1 else 4))
    packing = "segment" if rest == "one by one" else "request"
    with on_one_cpu(), workspace() as directory, _client(kind, directory, packing) as c:
        fd = c.open("/data", os.O_RDWR)
        method, places = getattr(c, call), FILE_SIZE // length
        buffers = [mmap.mmap(-1, size) for _ in range(count)]

        def measure() -> float:
            started = time.perf_counter()
            for turn in range(turns):
                if method(fd, buffers, turn % places * length) != length:
                    raise RuntimeError(f"{call} of {length} bytes moved less")
            return (time.perf_counter() - started) * GIBIBYTE / (turns * length)

        return _sampling.repeated(measure)


@contextlib.contextmanager
def _client(kind: str, directory: Path, packing: str) -> Iterator[fusesg.Client]:
    path = directory / "data"
    path.write_bytes(os.urandom(1 << 20) * (FILE_SIZE >> 20))
    try:
        import fusesg
        from benchmarks._filesystems import ONE_FILE

        client = fusesg.Client(ONE_FILE[kind](str(path)), packing=packing)
    except (ImportError, AttributeError, TypeError) as error:
        raise Unsupported(str(error)) from error
    with client:
        yield client
