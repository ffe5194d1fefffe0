"""What was measured, as the table, the chart and the JSON have it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """Two ways of doing the same, before and after."""

    group: str
    """The group's name on the command line."""
    name: str
    mode: str
    """`mount`: through the kernel; `client`: in process."""
    before: str
    """What the way before is, in a word or two."""
    after: str
    bytes: int
    """Bytes of one I/O, which is what the seconds are for."""
    unpacked_s: float
    """Seconds before: a median."""
    packed_s: float
    """Seconds after."""
    requests_before: int
    """Requests for one I/O, as the server counted them."""
    requests_after: int
    pages_allocated: int
    """Pages that were allocated for one I/O, after."""
    pages_needed: int
    """Pages that the segments touch."""
    series: str | None = None
    """Rows of one series differ in their parameter only: a line of the chart."""
    parameter: int | None = None
    """Bytes or requests."""
    contiguous_s: float | None = None
    """Seconds of the same bytes as one contiguous segment."""
    contiguous_ratio: float | None = None
    """How many times that it costs after: the median of the rounds' ratios."""
    bytes_spliced: int = 0
    """Bytes that went through a pipe rather than a buffer of the server, after."""
    pages_moved: int | None = None
    """Pages that the kernel took over instead of copying them, after."""
    problems: tuple[str, ...] = ()
    """Counts that are not as they must be."""

    @property
    def speedup(self) -> float:
        """How many times faster it is after."""
        return self.unpacked_s / self.packed_s

    def as_dict(self) -> dict[str, Any]:
        """Its fields, and what follows from them, for JSON."""
        return {**dataclasses.asdict(self), "speedup": self.speedup}
