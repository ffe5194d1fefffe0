"""Runs each benchmark once, on what is installed: `make bench-quick`.

The numbers mean nothing; it is about whether benchmarks work. Those of the Rust core
are built without optimization, and their names compared with the list that asv goes by.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from typing import TYPE_CHECKING

from benchmarks import _criterion, builds
from benchmarks._discovery import SUITES, benchmarks
from benchmarks._settings import ROOT
from benchmarks._workers import Worker
from benchmarks._workspace import tell_leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks._discovery import Benchmark

Problems = list[str]
"""What is wrong with a benchmark; nothing, if it works."""


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
    run = failed = 0
    for name, problems in itertools.chain(_python(pattern, suites), _rust(pattern)):
        run += 1
        failed += bool(problems)
        print(f"{name:60} {'FAILED' if problems else 'works'}", flush=True)
        for problem in problems:
            print("    " + problem.strip().replace("\n", "\n    "), flush=True)
    # make test and others go by this line
    print(f"{run} benchmarks run, {failed} failed")
    return min(failed, 1)


def _python(pattern: str, suites: Sequence[str]) -> Iterator[tuple[str, Problems]]:
    with Worker("quick", suites=suites) as worker:
        for benchmark in benchmarks(suites):
            if re.search(pattern, benchmark.name):
                yield benchmark.name, list(_problems(worker, benchmark))


def _problems(worker: Worker, benchmark: Benchmark) -> Iterator[str]:
    for case in range(len(benchmark.parameters)):
        outcome = worker.run(benchmark, case)
        if outcome.error:
            yield f"{benchmark.case_name(case)}: {outcome.error}"
        elif not outcome.left_out and not outcome.samples:
            yield f"{benchmark.case_name(case)}: it has measured nothing"


def _rust(pattern: str) -> Iterator[tuple[str, Problems]]:
    known = _criterion.known()
    chosen = [name for name in known if re.search(pattern, f"rust_micro.{name}")]
    if not chosen:
        return
    try:
        programs = builds.criterion_programs_of(ROOT, "dev")
    except builds.BuildError as error:
        print(f"the Rust benchmarks cannot be built: {error}")
        yield from ((f"rust_micro.{name}", ["not built"]) for name in chosen)
        return
    there = _criterion.names(programs)
    works = _criterion.tried(programs)
    for name in chosen:
        problem = "it fails" if name in there else f"{_criterion.IDS.name} has it only"
        yield f"rust_micro.{name}", [] if name in works else [problem]
    for name in there:
        if name not in known:
            yield f"rust_micro.{name}", [f"add it to {_criterion.IDS.name}"]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
