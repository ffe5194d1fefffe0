"""What a call of a Python method costs: seconds, without what a native one costs.

A request of the in-process client (`fusesg.Client`) goes to a method in Python
(`_callbacks`), or to the same operation of `fusesg.Tree`, or `fusesg.Memory` for
writes, by turns; the difference is what Python adds: the GIL, the arguments, the call
itself and the conversion of what it returns. No kernel and no other process takes part.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from benchmarks import _sampling
from benchmarks._settings import VERSION, Unsupported, on_one_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import fusesg

_PIECES = 256
"""How many READs or WRITEs one call of the client makes: its own cost is shared."""


@contextlib.contextmanager
def _client(filesystem: Any) -> Iterator[fusesg.Client]:
    import fusesg

    with fusesg.Client(
        filesystem, packing="segment", default_permissions=False
    ) as client:
        yield client


def _native(action: str) -> Any:
    """A native file system with that file."""
    import fusesg
    from benchmarks._callbacks import PIECE

    if action == "write":
        memory = fusesg.Memory()
        with fusesg.Client(memory) as client:
            client.close(client.open("/file", os.O_CREAT | os.O_WRONLY))
        return memory
    tree = fusesg.Tree()
    tree.add_file("file", fusesg.SegmentList([bytes(_PIECES * PIECE)]))
    return tree


class _Actions:
    """What is done by one client, and how many calls of the method that makes."""

    def __init__(self, client: fusesg.Client, piece: int) -> None:
        self._client = client
        self._buffers = [bytearray(piece) for _ in range(_PIECES)]

    def getattr(self) -> tuple[Callable[[], object], int]:
        fd = self._client.open("/file", os.O_RDONLY)
        return (lambda: self._client.fstat(fd)), 1

    def lookup(self) -> tuple[Callable[[], object], int]:
        return (lambda: self._client.stat("/file")), 1

    def open_release(self) -> tuple[Callable[[], object], int]:
        def action() -> None:
            self._client.close(self._client.open("/file", os.O_RDONLY))

        return action, 1

    def read(self) -> tuple[Callable[[], object], int]:
        fd = self._client.open("/file", os.O_RDONLY)
        return (lambda: self._client.preadv(fd, self._buffers, 0)), _PIECES

    def write(self) -> tuple[Callable[[], object], int]:
        fd = self._client.open("/file", os.O_WRONLY)
        return (lambda: self._client.pwritev(fd, self._buffers, 0)), _PIECES


def _added(kind: str, action: str) -> object:
    """The samples of what Python adds to a call."""
    with on_one_cpu(), contextlib.ExitStack() as stack:
        try:
            from benchmarks._callbacks import KINDS, PIECE

            filesystem = KINDS[kind]()
            python = stack.enter_context(_client(filesystem))
            native = stack.enter_context(_client(_native(action)))
        except (ImportError, AttributeError, TypeError) as error:
            raise Unsupported(str(error)) from error
        call, calls = getattr(_Actions(python, PIECE), action)()
        without, _ = getattr(_Actions(native, PIECE), action)()
        # a coroutine runs on the thread of the loop, other methods on the caller's
        clock = time.perf_counter if kind == "async" else time.thread_time
        found = _sampling.differences(call, without, clock)
        return _sampling.samples(sample / calls for sample in found["samples"])


class Callback:
    """Methods by inode, by path, and `async def`."""

    param_names = ("kind",)
    params = (["inode", "path", "async"],)
    unit = "seconds"
    version = VERSION
    timeout = 120

    def track_lookup(self, kind: str) -> object:
        """`lookup`; by path it is `getattr` of a path that is put together."""
        return _added(kind, "lookup")

    def track_getattr(self, kind: str) -> object:
        """`getattr` of an open file."""
        return _added(kind, "getattr")

    def track_open_release(self, kind: str) -> object:
        """`lookup`, `open` and `release`, which are three calls."""
        return _added(kind, "open_release")

    def track_write(self, kind: str) -> object:
        """`write` of 8 bytes."""
        return _added(kind, "write")


class Read:
    """`read` of 8 bytes, answered by them or, as a plan, by where they are."""

    param_names = ("kind",)
    params = (["inode", "plan", "path", "async"],)
    unit = "seconds"
    version = VERSION
    timeout = 120

    def track_read(self, kind: str) -> object:
        """`read`."""
        return _added(kind, "read")
