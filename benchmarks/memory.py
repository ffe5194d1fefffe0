"""What stays in the server's memory: bytes for each open file, inode and request.

Counted are the pages that belong to the server alone (RssAnon), before and after. What
does not depend on how many there are is shared by all of them, so the parameter says
how many. What the file system's own class keeps is in memory before.
"""

from __future__ import annotations

import mmap
import os
import resource
import threading
import time

from benchmarks import _sampling
from benchmarks._mounted import Mounted
from benchmarks._settings import EFFORT, VERSION, NotHere
from benchmarks._transfers import PAGE, Transfer

_ROUNDS = {"full": 3, "pair": 1, "quick": 1}[EFFORT]
_SECONDS = 20.0
_MEBIBYTE = 1 << 20
_REST = 64
"""Descriptors of this process for other things."""

_KEPT = {"entry_timeout": 3600, "attribute_timeout": 3600}


class Inode:
    """Files that the kernel knows by name."""

    param_names = ("kind", "inodes")
    params = (["native", "callback"], [1000, 100_000])
    unit = "bytes"
    version = VERSION
    timeout = 180

    def track_inode(self, kind: str, inodes: int) -> object:
        """The memory of one of them."""

        def measure() -> float:
            with Mounted(kind, files=inodes, **_KEPT) as mounted:
                os.stat(mounted.path)
                before = mounted.ask("resident")
                # looks up each name, as `ls -l` does
                with os.scandir(mounted.path) as entries:
                    for entry in entries:
                        entry.stat()
                return (mounted.ask("resident") - before) / inodes

        return _sampling.samples(measure() for _ in range(_ROUNDS))


class OpenFile:
    """Files that are open at a time; the kernel knows their names already."""

    param_names = ("kind", "open files")
    params = (["native", "callback"], [1000, 5000])
    unit = "bytes"
    version = VERSION
    timeout = 180

    def track_open_file(self, kind: str, count: int) -> object:
        """The memory of one of them."""
        _allow_descriptors(count + _REST)

        def measure() -> float:
            with Mounted(kind, files=count, **_KEPT) as mounted:
                paths = [f"{mounted.path}/{name}" for name in os.listdir(mounted.path)]
                for path in paths:
                    os.stat(path)
                before = mounted.ask("resident")
                opened = []
                try:
                    opened.extend(os.open(path, os.O_RDONLY) for path in paths)
                    return (mounted.ask("resident") - before) / count
                finally:
                    for fd in opened:
                        os.close(fd)

        return _sampling.samples(measure() for _ in range(_ROUNDS))


class Request:
    """Reads of a Python method that wait at a time, each on a thread of the server."""

    param_names = ("size", "requests")
    params = (["4K", "128K"], [32])
    unit = "bytes"
    version = VERSION
    timeout = 120

    def track_request(self, size: str, requests: int) -> object:
        """The memory of one of them."""
        length = int(size.removesuffix("K")) * 1024
        return _sampling.samples(
            self._resident(length, requests) for _ in range(_ROUNDS)
        )

    def _resident(self, length: int, requests: int) -> float:
        with Mounted("waiting", size=requests * length) as mounted:
            before = mounted.ask("resident")
            # not a process for each: nothing is timed
            threads = [
                threading.Thread(target=_read, args=(mounted.path / "data", n, length))
                for n in range(requests)
            ]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + _SECONDS
            while (now := mounted.ask("statistics")["in_flight"]) < requests:
                if time.monotonic() > deadline:
                    mounted.ask("release")
                    raise RuntimeError(f"{now} of {requests} requests have arrived")
                time.sleep(0.01)
            after = mounted.ask("resident")
            mounted.ask("release")
            for thread in threads:
                thread.join()
            return (after - before) / requests


class Pool:
    """The pool of pages after many reads at a time."""

    param_names = ("size", "depth")
    params = (["4K", "128K", "1M"], [32])
    unit = "bytes"
    version = VERSION
    timeout = 120

    def track_high_water(self, size: str, depth: int) -> object:
        """What the pool holds then, used or idle.

        Large reads pass through pipes and need none of it.
        """
        length = {"4K": PAGE, "128K": 128 << 10, "1M": _MEBIBYTE}[size]
        with Mounted("native", size=depth * length) as mounted:
            transfer = Transfer(mounted.path / "data", "read", length)
            with transfer.measured(depth * length, depth) as measure:
                for _ in range(_ROUNDS):
                    measure()
            pool = mounted.ask("statistics")["core"]["pool"]
            return _sampling.samples([pool["bytes_resident"]])


def _allow_descriptors(count: int) -> None:
    """As many as may be; the server needs two for each file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * count:
        raise NotHere(f"{2 * count} open files are not allowed here (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * count, hard))


def _read(path: os.PathLike[str], number: int, length: int) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, length) as buffer:
            os.preadv(fd, [buffer], number * length)
    finally:
        os.close(fd)
