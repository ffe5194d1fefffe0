"""Measures two builds by turns."""

from __future__ import annotations

import re
import sys
import time
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks import _criterion, builds
from benchmarks._settings import on_one_cpu
from benchmarks._workers import Worker
from benchmarks.compare._statistics import typical

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.compare._cases import Case

_WARM_UP = 0.05
_SECONDS = 0.15


@dataclass(frozen=True)
class Build:
    """What is measured of a commit."""

    commit: str
    site: Path
    """Where Python finds the package."""
    programs: list[Path]
    """Of criterion."""

    @classmethod
    def of(cls, made: builds.Builds, commit: str) -> Build:
        """Builds a commit, or finds it built.

        Raises:
            builds.BuildError: It cannot be built.
        """
        wheel = made.wheel(commit)
        site = wheel.parents[1] / "site"
        if not site.exists():
            unfinished = site.with_suffix(".unfinished")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(unfinished)
            unfinished.rename(site)
        return cls(commit, site, made.criterion_programs(commit))


@dataclass
class Measured:
    """What was found of one case."""

    pairs: list[tuple[float, float]] = field(default_factory=list)
    """Of base and head."""
    problems: list[str | None] = field(default_factory=lambda: [None, None])
    """Why it does not work with base or with head."""


class Progress:
    """Tells how far it is, on stderr: a line that is written over on a terminal."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._started = time.monotonic()

    def show(self, done: int) -> None:
        """After so many of all."""
        spent = time.monotonic() - self._started
        left = f", {spent / done * (self._total - done):.0f} s left" if done else ""
        text = f"{self._what}: pair {min(done + 1, self._total)} of {self._total}{left}"
        end = "" if sys.stderr.isatty() else "\n"
        print(
            f"\r\033[K{text}" if not end else text, end=end, file=sys.stderr, flush=True
        )

    def end(self) -> None:
        """Makes room for what comes next."""
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def measure(
    what: str,
    cases: Sequence[Case],
    base: Build,
    head: Build,
    *,
    pairs: int,
    deadline: float = float("inf"),
    enough: int = 0,
) -> dict[Case, Measured]:
    """Measures cases in pairs.

    Args:
        what: What is said of it on stderr.
        cases: What to measure.
        base: The one build.
        head: The other one.
        pairs: How many of each.
        deadline: When to stop, by `time.monotonic`.
        enough: But not before there are so many pairs.
    """
    found = {case: Measured() for case in cases}
    progress = Progress(what, pairs)
    for number in range(pairs):
        if number >= enough and time.monotonic() > deadline:
            break
        progress.show(number)
        _rust_pair(found, base, head, number)
        _python_pair(found, base, head, number)
    progress.end()
    return found


def _order(number: int) -> tuple[int, int]:
    """Base first, then head first."""
    return (0, 1) if number % 2 == 0 else (1, 0)


def _rust_pair(
    found: dict[Case, Measured], base: Build, head: Build, number: int
) -> None:
    cases = {case.rust_name: case for case in found if not case.benchmark}
    if not cases:
        return
    pattern = "^(" + "|".join(map(re.escape, cases)) + ")$"
    values: list[dict[str, float]] = [{}, {}]
    sides = (base.programs, head.programs)
    names = sorted({program.name for side in sides for program in side})
    with on_one_cpu():
        for name in names:
            for side in _order(number):
                programs = [each for each in sides[side] if each.name == name]
                measured = _criterion.measured(
                    programs, warm_up=_WARM_UP, seconds=_SECONDS, only=pattern
                )
                values[side] |= {key: typical(each) for key, each in measured.items()}
    for name, case in cases.items():
        for side in (0, 1):
            if name not in values[side]:
                found[case].problems[side] = "it fails, or there is no such benchmark"
        if all(name in each for each in values):
            found[case].pairs.append((values[0][name], values[1][name]))


def _python_pair(
    found: dict[Case, Measured], base: Build, head: Build, number: int
) -> None:
    """Each pair has new processes, each with its own chance of a place in memory."""
    with Worker("pair", base.site) as one, Worker("pair", head.site) as other:
        workers = (one, other)
        for index, (case, measured) in enumerate(found.items()):
            if not case.benchmark or any(measured.problems):
                continue
            values = [0.0, 0.0]
            for side in _order(number + index):
                outcome = workers[side].run(case.benchmark, case.index)
                if not outcome.samples:
                    problem = outcome.error or outcome.left_out or "measured nothing"
                    measured.problems[side] = problem
                else:
                    values[side] = typical(outcome.samples)
            if not any(measured.problems):
                measured.pairs.append((values[0], values[1]))
