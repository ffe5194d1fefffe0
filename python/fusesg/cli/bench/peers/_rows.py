"""What is measured: each row is one kind of I/O, the same on every system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fusesg.cli._load import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = "data"
"""The file that the rows of bytes use."""

_K = 1 << 10
_MANY = 32  # requests under way, or segments of one
_LARGE = 64 * _K  # from here on bytes per second say more than operations


@dataclass(frozen=True)
class BytesRow:
    """Reading or writing a file."""

    name: str
    operation: str
    """`read` or `write`."""
    segment: int
    """Bytes of each segment."""
    segments: int = 1
    depth: int = 1
    direct: bool = True
    """Past the page cache, in an order that looks random; else through it, in order."""

    def job(self, path: str) -> Job:
        """What the client does with a file."""
        return Job(
            path,
            self.operation,
            self.segment,
            self.segments,
            direct=self.direct,
            read_ahead=not self.direct,
            shuffled=self.direct,
            depth=self.depth,
        )

    @property
    def size(self) -> int:
        """Bytes of one operation."""
        return self.segment * self.segments

    @property
    def is_parallel(self) -> bool:
        """Whether client and server work at the same time."""
        return self.depth > 1 or not self.direct

    @property
    def unit(self) -> str:
        """What it is shown in."""
        return "MB/s" if self.size >= _LARGE else "k/s"


@dataclass(frozen=True)
class NamesRow:
    """Making, finding and removing names that the kernel has not met before."""

    name: str
    work: str
    """As `NamesLoad.seconds` calls it."""

    size = 0
    is_parallel = False
    unit = "k/s"


def _random(operation: str) -> list[BytesRow]:
    return [
        BytesRow(f"{operation} {size}K, depth {depth}", operation, size * _K, 1, depth)
        for size in (4, 128)
        for depth in (1, _MANY)
    ]


ROWS: Sequence[BytesRow | NamesRow] = (
    *_random("read"),
    *_random("write"),
    BytesRow(f"readv {_MANY}x4K", "read", 4 * _K, _MANY),
    BytesRow(f"writev {_MANY}x4K", "write", 4 * _K, _MANY),
    BytesRow("read 1M", "read", _K * _K),
    BytesRow("write 1M", "write", _K * _K),
    BytesRow("read in order, buffered", "read", 128 * _K, direct=False),
    NamesRow("create", "create"),
    NamesRow("stat", "stat"),
    NamesRow("open, read, close", "open-read-close"),
    NamesRow("list", "list"),
    NamesRow("list and stat", "list-stat"),
    NamesRow("rename", "rename"),
    NamesRow("unlink", "unlink"),
)
"""In the order in which they are shown."""


def rate(unit: str, size: int, seconds: float) -> float:
    """How fast something is that takes so long.

    Args:
        unit: `MB/s`, or `k/s` for thousands of operations per second.
        size: Bytes of one operation.
        seconds: Time of one operation.
    """
    return size / seconds / 1e6 if unit == "MB/s" else 1e-3 / seconds
