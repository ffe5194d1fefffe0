"""What is to be said of the numbers: above all whether they are what was promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusesg.cli.bench._rows import Row

_MAX_CONTIGUOUS_RATIO = 1.1
_MIN_SPEEDUP = 5.0
_SPLICE_THRESHOLD = 32 << 10


def verdicts(rows: Sequence[Row], *, quick: bool) -> list[str]:
    """A line for each promise that the rows can show, and for what surprises.

    Times depend on the machine and on what else runs there, so that a promise about
    them is told, not enforced; wrong counts are `Row.problems`.

    Args:
        rows: What was measured.
        quick: So briefly that times mean nothing.
    """
    lines = ["--quick: the counts are right, the times mean nothing"] if quick else []
    packing = [row for row in rows if row.group == "packing-mount"]
    if packing and not quick:
        ratios = [row.contiguous_ratio or 0.0 for row in packing]
        speedups = [row.speedup for row in packing]
        kept = max(ratios) <= _MAX_CONTIGUOUS_RATIO
        lines.append(
            f"packed 32 x 4 KiB through a mount cost {_range(ratios)} times one "
            f"contiguous 128 KiB; at most {_MAX_CONTIGUOUS_RATIO}: {_word(kept)}"
        )
        kept = min(speedups) >= _MIN_SPEEDUP
        lines.append(
            f"they are {_range(speedups)} times as fast as one by one; "
            f"at least {_MIN_SPEEDUP:g}: {_word(kept)}"
        )
    client = [row for row in rows if row.group == "packing-client"]
    if client:
        exact = all(
            row.requests_after == 1 and row.pages_allocated == row.pages_needed
            for row in client
        )
        lines.append(f"in process 32 requests become 1, of 32 pages: {_word(exact)}")
    copied = [
        row.name
        for row in rows
        if row.group == "pipe-lists"
        and row.bytes > _SPLICE_THRESHOLD
        and not row.bytes_spliced
    ]
    if copied:
        lines.append(
            f"not spliced after all, since a pipe has no room for it and its header: "
            f"{'; '.join(copied)}"
        )
    return lines


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"


def _word(kept: bool) -> str:
    return "yes" if kept else "NO"
