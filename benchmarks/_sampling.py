"""Rounds of a measurement, in the form in which asv keeps their spread."""

from __future__ import annotations

import gc
import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks._settings import EFFORT, QUICK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Clock = Callable[[], float]

ROUNDS = {"full": 15, "pair": 5, "quick": 1}[EFFORT]
_SECONDS = {"full": 0.02, "pair": 0.01, "quick": 0.0}[EFFORT]
_TURNS = {"full": 9, "pair": 9, "quick": 1}[EFFORT]

Samples = dict[str, Any]
"""What asv takes for the samples of a benchmark: it computes median and interval."""


def samples(numbers: Iterable[float]) -> Samples:
    """Independent measurements of the same."""
    return {"samples": list(numbers), "number": 1}


def repeated(measure: Callable[[], float]) -> Samples:
    """The same measurement in each round; the first, which warms up, does not count."""
    if not QUICK:
        measure()
    return samples(measure() for _ in range(ROUNDS))


def differences(
    action: Callable[[], object],
    without: Callable[[], object],
    clock: Clock = time.perf_counter,
) -> Samples:
    """How much longer an action takes than another, measured by turns.

    They alternate many times in a round, of which the median counts: what disturbs one
    turn then spoils no round.

    Args:
        action: What is measured.
        without: What is taken off.
        clock: How; that of the thread, for what it does all by itself, does not count
            while others run.
    """
    number = max(1, max(_number(action), _number(without)) // _TURNS)

    def measure() -> float:
        return statistics.median(
            seconds(action, number, clock) - seconds(without, number, clock)
            for _ in range(_TURNS)
        )

    return repeated(measure)


def seconds(
    action: Callable[[], object], number: int, clock: Clock = time.perf_counter
) -> float:
    """The time of one of that many calls, with no garbage collection in between."""
    collects = gc.isenabled()
    gc.disable()
    try:
        started = clock()
        for _ in range(number):
            action()
        return (clock() - started) / number
    finally:
        if collects:
            gc.enable()


def _number(action: Callable[[], object]) -> int:
    number = 1
    while (spent := seconds(action, number) * number) < _SECONDS:
        number = max(
            2 * number, min(10 * number, int(number * _SECONDS / (spent or 1)))
        )
    return number
