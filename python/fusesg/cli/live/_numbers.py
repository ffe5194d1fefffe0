"""The numbers of a mount, and what became of them between two moments."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    Numbers = Mapping[str, Any]
    """What `Mount.statistics` returns."""

_PER_OCTAVE_LOG = 2
"""An octave has 2 to this power buckets, as in rust/serve/src/histogram.rs."""


@dataclass(frozen=True)
class Durations:
    """How long something took, as a histogram."""

    buckets: Counter[int]
    """How many took less than so many nanoseconds, and no less than the one before."""
    noted: float | None
    """The longest in seconds, if it was noted exactly."""

    @classmethod
    def between(cls, before: Numbers | None, after: Numbers | None) -> Durations:
        """What was counted in between; all of it if there is nothing before."""
        if after is None:
            return cls(Counter(), None)
        buckets = Counter(dict(after["buckets_ns"]))
        if before is None:
            return cls(buckets, after["max"])
        buckets.subtract(dict(before["buckets_ns"]))
        # the longest of them was not noted, unless it is the longest of all
        is_new = after["max"] > before["max"]
        return cls(+buckets, after["max"] if is_new else None)

    @property
    def longest(self) -> float | None:
        """The longest in seconds, to within an eighth; None if there are none."""
        return self.quantile(1.0) if self.noted is None else self.noted

    @property
    def count(self) -> int:
        """How many there are."""
        return self.buckets.total()

    def quantile(self, quantile: float) -> float | None:
        """Seconds that a fraction of them did not exceed, to within an eighth.

        Args:
            quantile: The fraction.

        Returns:
            The seconds; None if there are none.
        """
        rank = max(1, math.ceil(self.count * quantile))
        for end in sorted(self.buckets):
            rank -= self.buckets[end]
            if rank <= 0:
                return min((_start(end) + end) // 2 / 1e9, self.noted or math.inf)
        return None


@dataclass(frozen=True)
class Operation:
    """What became of an operation's numbers."""

    name: str
    count: int
    errors: int
    bytes: int
    latency: Durations
    gil_wait: Durations
    callback: Durations


@dataclass(frozen=True)
class Interval:
    """What a mount did between two moments, or since it was made."""

    seconds: float
    operations: list[Operation]
    """Those that came, most frequent first."""
    now: Numbers
    """The numbers at the end."""

    @classmethod
    def between(cls, before: Numbers | None, after: Numbers) -> Interval:
        """What became of the numbers.

        Args:
            before: Those at the beginning; None is when the mount was made.
            after: Those at the end.

        Returns:
            What it did in between.
        """
        if before and before["seconds"] > after["seconds"]:
            before = None  # another mount is at the same place
        known = before["operations"] if before else {}
        operations = [
            _operation(name, known.get(name), numbers)
            for name, numbers in after["operations"].items()
        ]
        operations = [operation for operation in operations if operation.count]
        operations.sort(key=lambda operation: (-operation.count, operation.name))
        seconds = after["seconds"] - (before["seconds"] if before else 0)
        return cls(max(seconds, 1e-9), operations, after)

    @property
    def count(self) -> int:
        """All operations."""
        return sum(operation.count for operation in self.operations)

    @property
    def errors(self) -> int:
        """Their errors."""
        return sum(operation.errors for operation in self.operations)

    @property
    def bytes(self) -> int:
        """Bytes that they moved."""
        return sum(operation.bytes for operation in self.operations)


def _operation(name: str, before: Numbers | None, after: Numbers) -> Operation:
    def grown(key: str) -> int:
        return int(after[key]) - (int(before[key]) if before else 0)

    def durations(key: str) -> Durations:
        return Durations.between(before.get(key) if before else None, after.get(key))

    return Operation(
        name,
        grown("count"),
        grown("errors"),
        grown("bytes"),
        durations("latency"),
        durations("gil_wait"),
        durations("callback"),
    )


def _start(end: int) -> int:
    """The first number of nanoseconds in the bucket before `end`."""
    octave = (end - 1).bit_length() - 1
    return end - (1 << max(octave - _PER_OCTAVE_LOG, 0))
