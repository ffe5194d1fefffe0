"""How much is measured, and where: what all benchmarks agree on."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from asv_runner.benchmarks.mark import SkipNotImplemented as Unsupported
except ImportError:  # asv is not installed

    class Unsupported(NotImplementedError):  # type: ignore[no-redef] # noqa: N818
        """The commit cannot do what is to be measured."""


class NotHere(Unsupported):  # type: ignore[misc]
    """The machine lacks something for what is to be measured."""


__all__ = [
    "CPUS",
    "EFFORT",
    "QUICK",
    "ROOT",
    "VERSION",
    "NotHere",
    "Unsupported",
    "need_fuse",
    "on_one_cpu",
]

ROOT = Path(__file__).resolve().parents[1]

EFFORT = os.environ.get("FUSESG_BENCHMARKS", "full")
"""`full` for asv; `pair` for one of many interleaved visits; `quick` for once each."""

QUICK = EFFORT == "quick"

CPUS = frozenset(os.sched_getaffinity(0))
"""Those that this process may use."""

VERSION = "1"
"""Of all benchmarks.

By hand: asv would otherwise drop the history of a benchmark with each edit of its
source. To be raised in one that begins to measure something else.
"""


def need_fuse() -> None:
    """Raises `NotHere` where nothing can be mounted."""
    if not os.path.exists("/dev/fuse"):
        raise NotHere("there is no /dev/fuse: try `modprobe fuse`")


@contextlib.contextmanager
def on_one_cpu() -> Iterator[None]:
    """Keeps this process, and those it starts, on one CPU.

    Most of the time of a single request is that of waking who serves it, which takes
    several times as long on another CPU that sleeps, and differs each time. It is the
    last CPU, since the first serves most interrupts.
    """
    os.sched_setaffinity(0, {max(CPUS)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CPUS)
