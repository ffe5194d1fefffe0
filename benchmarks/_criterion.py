"""Runs programs of criterion benchmarks and reads what they have measured."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._processes import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterable

IDS = Path(__file__).with_name("criterion-ids.txt")
"""The names of all there are, one in a line: asv wants to know them before any commit
is built. `make bench-quick` complains if one is missing or too many."""


def known() -> list[str]:
    """Those of the file."""
    return IDS.read_text(encoding="utf-8").split()


def names(programs: Iterable[Path]) -> dict[str, Path]:
    """The benchmarks of programs, each with the one that it is in."""
    found = {}
    for program in programs:
        output = subprocess.check_output([program, "--bench", "--list"], text=True)
        for line in output.splitlines():
            if line.endswith(": benchmark"):
                found[line.removesuffix(": benchmark")] = program
    return found


def tried(programs: Iterable[Path]) -> set[str]:
    """Runs each benchmark once; those that work, by name."""
    found: set[str] = set()
    for program in programs:
        done = subprocess.run(
            [program, "--test"], stdout=subprocess.PIPE, text=True, check=False
        )
        found.update(re.findall(r"^Testing (.+)\nSuccess$", done.stdout, re.MULTILINE))
    return found


def measured(
    programs: Iterable[Path], *, warm_up: float, seconds: float, only: str = ""
) -> dict[str, list[float]]:
    """Runs benchmarks. One that fails has no result, nor have those behind it.

    Args:
        programs: Those to run.
        warm_up: Seconds before each benchmark is measured.
        seconds: How long each is measured.
        only: A regular expression; those whose name it matches.

    Returns:
        By name: the seconds of one iteration, in each of criterion's samples.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="fusesg-criterion-") as home:
        for program in programs:
            command = [program, "--bench", "--noplot", "--quiet", "--nresamples=1001"]
            command += [f"--warm-up-time={warm_up}", f"--measurement-time={seconds}"]
            subprocess.run(
                [*command, only],
                preexec_fn=functools.partial(end_with_parent, os.getpid()),
                env={"CRITERION_HOME": home},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        for path in Path(home).glob("**/new/benchmark.json"):
            name = json.loads(path.read_text(encoding="utf-8"))["full_id"]
            sample = json.loads(
                path.with_name("sample.json").read_text(encoding="utf-8")
            )
            # nanoseconds of that many iterations
            found[name] = [
                nanoseconds / iterations / 1e9
                for nanoseconds, iterations in zip(
                    sample["times"], sample["iters"], strict=True
                )
            ]
    return found
