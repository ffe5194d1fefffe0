"""Checks all systems, then measures them in rounds in which they take turns."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from fusesg.cli._progress import Progress
from fusesg.cli.bench.peers._rows import FILE, BytesRow, NamesRow
from fusesg.cli.bench.peers._subject import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fusesg.cli.bench.peers._result import RowResult
    from fusesg.cli.bench.peers._subject import Subject

    Row = BytesRow | NamesRow

_FEW_NAMES = 20
_TRIAL_SHARE = 0.1  # of a sample's time, for finding out how much fills it
_MAX_REPETITIONS = 1_000_000


class Measurement:
    """Systems, rows, and what is known of them so far.

    Args:
        subjects: The systems, not yet started.
        rows: What to measure, and where the times go.
        seconds: How long a sample shall take.
        names: How many names a sample of a `NamesRow` has.
        cpus: Where client and server run, for rows in which they take turns; the others
            are for all CPUs.
        progress: Where to show how far it is.
    """

    def __init__(
        self,
        subjects: Sequence[Subject],
        rows: Sequence[tuple[Row, RowResult]],
        *,
        seconds: float,
        names: int,
        cpus: Iterable[int],
        progress: TextIO,
    ) -> None:
        self._subjects = list(subjects)
        self._rows = rows
        self._seconds = seconds
        self._names = names
        self._cpus = frozenset(cpus)
        self._all_cpus = os.sched_getaffinity(0)
        self._progress = progress
        self._repetitions: dict[tuple[str, str], int] = {}
        self._width = len(self._subjects)
        self.problems: list[str] = []
        """A line for everything that a system did wrong."""

    def run(self, rounds: int) -> None:
        """All of it.

        Args:
            rounds: How often each row is measured on each system.
        """
        with self._counted("Checking the bytes", 1, "rows") as progress:
            for subject in list(self._subjects):
                self._check(subject)
                progress.advance(len(self._rows))
        with self._counted("Measuring", rounds + 1, "samples") as progress:
            self._round(0, progress)  # warms up, and finds out what fills a sample
            for number in range(1, rounds + 1):
                self._round(number, progress)
        for subject in list(self._subjects):
            try:
                subject.check_tree()  # still, after all that
            except Failure as failure:
                self._fail(subject, None, failure)

    def _counted(self, what: str, times: int, unit: str) -> Progress:
        total = times * self._width * len(self._rows)
        return Progress(what, total, unit, self._progress)

    def _check(self, subject: Subject) -> None:
        """Compares everything with the files behind; what is wrong is not measured."""
        try:
            subject.start()
            subject.check_tree()
        except Failure as failure:
            self._fail(subject, None, failure)
            return
        for row, result in self._rows:
            try:
                subject.check_row(row, _FEW_NAMES)
            except Failure as failure:
                self._fail(subject, result, failure)
                if failure.is_final:
                    return

    def _round(self, number: int, progress: Progress) -> None:
        # who was first in one round is last in the next: what one leaves in the caches
        # of the CPU, or a disturbance that lasts, meets all alike
        for row, result in self._rows:
            start = number % max(1, len(self._subjects))
            turn = self._subjects[start:] + self._subjects[:start]
            for subject in turn:
                if subject.system.name not in result.failures:
                    self._sample(subject, row, result, number)
            progress.advance(self._width)

    def _sample(
        self, subject: Subject, row: Row, result: RowResult, number: int
    ) -> None:
        name = subject.system.name
        subject.place(self._all_cpus if row.is_parallel else self._cpus)
        try:
            if number == 0:
                self._repetitions[row.name, name] = self._enough(subject, row)
            else:
                repetitions = self._repetitions[row.name, name]
                seconds = subject.seconds(row, repetitions)
                result.samples.setdefault(name, []).append(seconds)
        except Failure as failure:
            self._fail(subject, result, failure)

    def _enough(self, subject: Subject, row: Row) -> int:
        """How many repetitions make a sample."""
        if isinstance(row, NamesRow):
            subject.seconds(row, self._names)
            return self._names
        # whole passes where the kernel reads ahead: what it reads too much is counted
        step = 1 if row.direct else max(1, subject.size_of(FILE) // row.size)
        count = step
        while True:
            seconds = subject.seconds(row, count) * count
            if seconds >= self._seconds * _TRIAL_SHARE or count >= _MAX_REPETITIONS:
                break
            count *= 4
        return max(1, round(self._seconds / seconds * count / step)) * step

    def _fail(
        self, subject: Subject, result: RowResult | None, failure: Failure
    ) -> None:
        name = subject.system.name
        where = f" ({result.name})" if result is not None else ""
        self.problems.append(f"{name}: {failure.word}: {failure.text}{where}")
        failed = [result] if result is not None else []
        if failure.is_final:
            failed = [each for _, each in self._rows]
            self._subjects.remove(subject)
            subject.stop()
        for each in failed:
            # what was measured before a crash is as good as ever; bytes that are wrong
            # are of no use, however fast they come
            if failure.word not in {"crashed", "hung"}:
                each.samples.pop(name, None)
            if name not in each.samples:
                each.failures[name] = failure.word
