"""The result of a comparison, to be read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.compare._statistics import CONFIDENCE, Comparison, Verdict, compare

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from benchmarks.compare._cases import Case
    from benchmarks.compare._measure import Measured

_FIRST_CONFIDENCE = 0.95
"""Of what was measured a few times only, since it looked the same."""


@dataclass(frozen=True)
class Row:
    """One case."""

    name: str
    comparison: Comparison | None
    verdict: Verdict | None
    problem: str | None = None
    is_broken: bool = False
    """It works with the base, but not with the head."""

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        comparison = self.comparison
        return {
            "name": self.name,
            "verdict": self.verdict.value if self.verdict else None,
            "problem": self.problem,
            "ratio": comparison.ratio if comparison else None,
            "low": _finite(comparison.low) if comparison else None,
            "high": _finite(comparison.high) if comparison else None,
            "pairs": comparison.pairs if comparison else 0,
        }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def rows(
    found: Mapping[Case, Measured], suspects: Collection[Case], threshold: float
) -> list[Row]:
    """A row for each case.

    Args:
        found: What was measured.
        suspects: Those that were measured again; the others look the same, and never
            are slower or faster.
        threshold: See `Comparison.verdict`.
    """
    result = []
    for case, measured in found.items():
        base, head = measured.problems
        if head or base:
            is_broken = head is not None and base is None
            side = "head" if head else "base"
            problem = f"{side}: {(head or base or '').strip().splitlines()[-1]}"
            result.append(Row(case.name, None, None, problem, is_broken))
            continue
        again = case in suspects
        comparison = compare(measured.pairs, CONFIDENCE if again else _FIRST_CONFIDENCE)
        if comparison is None:
            result.append(Row(case.name, None, None, "too little to be compared"))
            continue
        verdict = comparison.verdict(threshold)
        if not again and verdict is not Verdict.SAME:
            verdict = Verdict.UNSURE
        result.append(Row(case.name, comparison, verdict))
    return result


def lines(
    all_rows: Sequence[Row], base: str, head: str, threshold: float
) -> Iterator[str]:
    """The table, and what it comes to."""
    width = max(len(row.name) for row in all_rows)
    yield f"time of {head[:10]} against {base[:10]}: ratio, interval, pairs, verdict"
    yield ""
    for row in all_rows:
        yield f"{row.name:{width}}  {_cells(row)}"
    yield ""
    for verdict in Verdict:
        names = [row for row in all_rows if row.verdict is verdict]
        yield f"{verdict.value:7} {len(names)}"
    yield ""
    yield (
        f"slower, faster: by {threshold:.0%} or more, and certainly ({CONFIDENCE:.1%}) "
        "changed; same: certainly by less, of those with few pairs with "
        f"{_FIRST_CONFIDENCE:.0%}"
    )
    for row in all_rows:
        if row.verdict is Verdict.SLOWER or row.is_broken:
            word = "BROKEN" if row.is_broken else "SLOWER"
            yield f"{word}: {row.name}  {_cells(row)}"


def _cells(row: Row) -> str:
    if row.comparison is None or row.verdict is None:
        return row.problem or ""
    each = row.comparison
    low = f"{each.low:.3f}"
    high = f"{each.high:.3f}" if math.isfinite(each.high) else "?"
    interval = f"[{low}, {high}]"
    return f"{each.ratio:6.3f}  {interval:16} {each.pairs:3}  {row.verdict.value}"
