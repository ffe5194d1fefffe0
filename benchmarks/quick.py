"""Runs each benchmark once, on what is installed: `make bench-quick`.

The numbers mean nothing; it is about whether benchmarks work. Those of the Rust core
are built without optimization, and their names compared with the list that asv goes by.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks import _criterion, builds
from benchmarks._discovery import SUITES, benchmarks
from benchmarks._settings import ROOT
from benchmarks._workers import Worker
from benchmarks._workspace import tell_leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks._discovery import Benchmark


@dataclass
class _Tried:
    """How one benchmark went."""

    name: str
    problems: list[str] = field(default_factory=list)
    cases: int = 1
    """Combinations of its parameters."""
    left_out: list[str] = field(default_factory=list)
    """What the machine lacks, for each of them that was not run."""

    @property
    def was_run(self) -> bool:
        return bool(self.problems) or len(self.left_out) < self.cases

    @property
    def verdict(self) -> str:
        if self.problems:
            return "FAILED"
        if not self.was_run:
            return "left out"
        left_out = f", {len(self.left_out)} of {self.cases} cases left out"
        return "works" + (left_out if self.left_out else "")


def main(pattern: str = "", suites: Sequence[str] = SUITES) -> int:
    """Runs them and shows how it went.

    Args:
        pattern: A regular expression that is somewhere in the name.
        suites: The modules of those in Python.

    Returns:
        How many have failed, for the status of the process at most 1.
    """
    tell_leftovers()
    if not os.path.exists("/dev/fuse"):
        print("no /dev/fuse: what needs a mount is left out (try `modprobe fuse`)")
    run = left_out = failed = 0
    for tried in itertools.chain(_python(pattern, suites), _rust(pattern)):
        run += tried.was_run
        left_out += not tried.was_run
        failed += bool(tried.problems)
        print(f"{tried.name:60} {tried.verdict}", flush=True)
        for line in (*tried.problems, *dict.fromkeys(tried.left_out)):
            print("    " + line.strip().replace("\n", "\n    "), flush=True)
    if left_out:
        print(f"{left_out} benchmarks left out")
    # make test and others go by this line
    print(f"{run} benchmarks run, {failed} failed")
    return min(failed, 1)


def _python(pattern: str, suites: Sequence[str]) -> Iterator[_Tried]:
    with Worker("quick", suites=suites) as worker:
        for benchmark in benchmarks(suites):
            if re.search(pattern, benchmark.name):
                yield _tried(worker, benchmark)


def _tried(worker: Worker, benchmark: Benchmark) -> _Tried:
    tried = _Tried(benchmark.name, cases=len(benchmark.parameters))
    for case in range(tried.cases):
        outcome = worker.run(benchmark, case)
        if outcome.left_out:
            tried.left_out.append(outcome.left_out)
        elif outcome.error or not outcome.samples:
            problem = outcome.error or "it has measured nothing"
            tried.problems.append(f"{benchmark.case_name(case)}: {problem}")
    return tried


def _rust(pattern: str) -> Iterator[_Tried]:
    known = _criterion.known()
    chosen = [name for name in known if re.search(pattern, f"rust_micro.{name}")]
    if not chosen:
        return
    try:
        programs = builds.criterion_programs_of(ROOT, "dev")
    except builds.BuildError as error:
        print(f"the Rust benchmarks cannot be built: {error}")
        yield from (_Tried(f"rust_micro.{name}", ["not built"]) for name in chosen)
        return
    there = _criterion.names(programs)
    works = _criterion.tried(programs)
    for name in chosen:
        problem = "it fails" if name in there else f"{_criterion.IDS.name} has it only"
        yield _Tried(f"rust_micro.{name}", [] if name in works else [problem])
    for name in there:
        if name not in known:
            problem = f"add it to {_criterion.IDS.name}"
            yield _Tried(f"rust_micro.{name}", [problem])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
