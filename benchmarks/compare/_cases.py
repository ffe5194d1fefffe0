"""What is compared: cases of benchmarks, in Python and in Rust."""

from __future__ import annotations

import re
from dataclasses import dataclass

from benchmarks import _criterion
from benchmarks._discovery import Benchmark, benchmarks

_RUST = "rust_micro."

_LEFT_OUT = re.compile(r"32, all CPUs|\b\d{5,}\b|\b5000\b|1M, 1, one CPU, buffered")
"""Cases that are not measured unless asked for: those of many processes, whose order
the scheduler makes, and those that take long where a smaller one tells the same."""


@dataclass(frozen=True)
class Case:
    """A benchmark with one combination of parameters, or one of criterion's."""

    name: str
    benchmark: Benchmark | None = None
    index: int = 0

    @property
    def rust_name(self) -> str:
        """What criterion calls it."""
        return self.name.removeprefix(_RUST)


def chosen(pattern: str | None) -> list[Case]:
    """The cases to compare.

    Args:
        pattern: A regular expression that is somewhere in the name; None is a choice
            that takes about ten minutes.

    Returns:
        Those of Rust first.
    """
    every = [Case(_RUST + name) for name in _criterion.known()]
    every += [
        Case(benchmark.case_name(index), benchmark, index)
        for benchmark in benchmarks()
        for index in range(len(benchmark.parameters))
    ]
    if pattern is None:
        return [case for case in every if not _LEFT_OUT.search(case.name)]
    return [case for case in every if re.search(pattern, case.name)]
