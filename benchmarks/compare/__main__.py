"""The command: `python -m benchmarks.compare [OPTIONS] BASE HEAD`."""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import time
from typing import TYPE_CHECKING

from benchmarks import builds
from benchmarks._settings import ROOT
from benchmarks._workspace import tell_leftovers
from benchmarks.compare import _table
from benchmarks.compare._cases import chosen
from benchmarks.compare._measure import Build, Measured, measure
from benchmarks.compare._statistics import Verdict, compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.compare._cases import Case

_FIRST_PAIRS = 6
_ENOUGH_PAIRS = 12
"""Fewer are no good for a verdict."""

_SLOWER, _FAILED = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares and shows the result.

    Returns:
        0; or 1 if a benchmark is slower or works no more; or 2 if there is nothing to
        compare.
    """
    options = _options(arguments)
    tell_leftovers()
    cases = chosen(options.bench)
    if not cases:
        print(f"no benchmark has {options.bench} in its name", file=sys.stderr)
        return _FAILED
    made = builds.Builds()
    try:
        for line in _remarks(made):
            print(line, file=sys.stderr)
        # a name that is wrong is told before anything is built
        revisions = (options.base, options.head)
        commits = [made.resolve(revision) for revision in revisions]
        base, head = map(functools.partial(_build, made), revisions, commits)
    except builds.BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    found, suspects = _measured(cases, base, head, options)
    rows = _table.rows(found, suspects, options.threshold)
    print("\n".join(_table.lines(rows, base.commit, head.commit, options.threshold)))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([row.as_dict() for row in rows], file, indent=2)
    bad = any(row.verdict is Verdict.SLOWER or row.is_broken for row in rows)
    return _SLOWER if bad else 0


def _measured(
    cases: Sequence[Case], base: Build, head: Build, options: argparse.Namespace
) -> tuple[dict[Case, Measured], list[Case]]:
    """What was found, and which of them was measured more than a few times."""
    deadline = time.monotonic() + 60 * options.minutes
    again = functools.partial(
        measure, base=base, head=head, pairs=options.pairs, deadline=deadline
    )
    found = measure("all", cases, base, head, pairs=_FIRST_PAIRS)
    suspects = [
        case
        for case, measured in found.items()
        if (comparison := compare(measured.pairs))
        and comparison.is_suspect(options.threshold)
    ]
    if suspects:
        found |= again(f"{len(suspects)} again", suspects, enough=_ENOUGH_PAIRS)
    doubtful = [
        case
        for case in suspects
        if (comparison := compare(found[case].pairs))
        and comparison.is_doubtful(options.threshold)
    ]
    if doubtful:
        for case, more in again(f"{len(doubtful)} once more", doubtful).items():
            found[case].pairs += more.pairs
            found[case].problems = more.problems
    return found, suspects


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-compare", description="Is HEAD slower than BASE?"
    )
    parser.add_argument("base", metavar="BASE", help="a commit, as git understands it")
    parser.add_argument("head", metavar="HEAD", help="another one, or the same")
    parser.add_argument(
        "--bench",
        metavar="REGEX",
        help="only benchmarks that have this in their name, of all there are",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.05,
        help="the smallest change that matters (0.05: 5 %%)",
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=20,
        help="how often a benchmark is measured that may have changed (20)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=10,
        help="after these, not counting builds, 12 pairs are enough (10)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the result there")
    options = parser.parse_args(arguments)
    if options.pairs < _ENOUGH_PAIRS:
        parser.error(f"--pairs must be {_ENOUGH_PAIRS} at least, or nothing is certain")
    if not options.threshold > 0:
        parser.error("--threshold must be above 0")
    return options


def _remarks(made: builds.Builds) -> list[str]:
    """What the user should know about this checkout and this machine."""
    remarks = []
    changed = made.changed_sources()
    if changed:
        remarks.append(f"not committed and so not compared: {', '.join(changed)}")
    if not os.path.exists("/dev/fuse"):
        remarks.append("no /dev/fuse: what needs a mount is left out (modprobe fuse)")
    if (load := os.getloadavg()[0]) > (os.cpu_count() or 1) / 2:
        remarks.append(
            f"other programs use the machine (load {load:.1f}): less will be certain"
        )
    return remarks


def _build(made: builds.Builds, revision: str, commit: str) -> Build:
    print(f"building {revision} ({commit[:10]}), if it is new", file=sys.stderr)
    try:
        return Build.of(made, commit)
    except builds.BuildError as error:
        raise builds.BuildError(f"{revision} cannot be built: {error}") from error


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
