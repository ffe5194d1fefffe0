"""Runs all ways in turn, and makes rows of their times."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, TextIO

from fusesg.cli._progress import Progress
from fusesg.cli.bench._rows import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusesg.cli.bench._case import Case, Counts, Way

_ROUNDS, _ROUNDS_QUICK = 61, 2
_SAMPLE_SECONDS, _SAMPLE_SECONDS_QUICK = 0.008, 0.001
_MAX_REPETITIONS = 10_000


def measure(cases: Sequence[Case], *, quick: bool, progress: TextIO) -> list[Row]:
    """Checks and counts every way once, then measures them in interleaved rounds.

    Args:
        cases: What to measure; a way that is in several is measured once.
        quick: Briefly, for tests.
        progress: Where to show how far it is.

    Returns:
        A row for each case, with the medians.

    Raises:
        CommandError: Bytes were wrong, or something does not work.
    """
    ways = list(dict.fromkeys(way for case in cases for way in case.ways))
    costs: dict[Way, Counts] = {}
    repetitions: dict[Way, int] = {}
    sample = _SAMPLE_SECONDS_QUICK if quick else _SAMPLE_SECONDS
    with Progress("Checking the bytes", len(ways), "ways", progress) as shown:
        for way in ways:
            way.check()
            costs[way] = way.cost()
            repetitions[way] = _repetitions(way, sample)
            shown.advance()
    rounds = _ROUNDS_QUICK if quick else _ROUNDS
    times: dict[Way, list[float]] = {way: [] for way in ways}
    total = rounds * len(ways)
    with Progress("Measuring", total, "samples", progress) as shown:
        for number in range(rounds):
            # each round has every way once, so that a disturbance meets all alike; and
            # what a way leaves in the CPU's caches helps its neighbours in turn
            for way in ways if number % 2 else reversed(ways):
                times[way].append(way.seconds(repetitions[way]))
                shown.advance()
    return [_row(case, times, costs) for case in cases]


def _repetitions(way: Way, seconds: float) -> int:
    """How many make a sample of about so many seconds, preparations included."""
    started = time.perf_counter()
    way.seconds(1)
    once = time.perf_counter() - started
    return max(1, min(_MAX_REPETITIONS, round(seconds / once)))


def _row(case: Case, times: dict[Way, list[float]], costs: dict[Way, Counts]) -> Row:
    before, after = costs[case.before], costs[case.after]
    counted = {
        "requests_before": before.requests,
        "requests_after": after.requests,
        "pages_allocated": after.pages,
    }
    problems = tuple(
        f"{case.name} ({case.mode}): {key} is {counted[key]}, not {value}"
        for key, value in (case.expected or {}).items()
        if counted[key] != value
    )
    return Row(
        group=case.group,
        name=case.name,
        mode=case.mode,
        before=case.before.label,
        after=case.after.label,
        bytes=case.bytes,
        unpacked_s=median(times[case.before]),
        packed_s=median(times[case.after]),
        pages_needed=case.pages_needed,
        series=case.series,
        parameter=case.parameter,
        bytes_spliced=after.spliced,
        pages_moved=after.moved,
        contiguous_s=median(times[case.contiguous]) if case.contiguous else None,
        contiguous_ratio=_ratio(times[case.after], times[case.contiguous])
        if case.contiguous
        else None,
        problems=problems,
        **counted,
    )


def _ratio(times: Sequence[float], others: Sequence[float]) -> float:
    """How many times the others they are, by what was measured in the same rounds.

    The ways are neighbours there: what slows the machine down for a while, slows both.
    """
    return median(time / other for time, other in zip(times, others, strict=True))
