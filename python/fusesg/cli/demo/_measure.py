"""Part 3: scattered reads and writes, in one call and one by one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import statistics

import fusesg
from fusesg.cli._load import Job, Load
from fusesg.cli._progress import Progress
from fusesg.cli._single_file import NAME, CallbackFile, PlannedFile
from fusesg.cli.demo._outcome import Outcome

_SIZE = 64 << 20
_SEGMENTS = 32
_SEGMENT = 4096
_GROUP = _SEGMENTS * _SEGMENT
_REPETITIONS = 100
_LABELS = ("Python callback", "plan", "native Passthrough")
_OPERATIONS = ("read", "write")

Ways = tuple[Job, Job]
"""Packed and one by one."""


def run(directory: str, *, quick: bool) -> Outcome:
    """Mounts the same file in three ways, measures, prints a table.

    Args:
        directory: Where temporary files go.
        quick: Fewer rounds.

    Returns:
        How much is gained; and what was read otherwise than it was written.
    """
    behind = os.path.join(directory, "single")
    os.mkdir(behind)
    backing = os.path.join(behind, NAME)
    with open(backing, "xb") as file:
        # allocated, so that no write is slower because it is the first one
        os.posix_fallocate(file.fileno(), 0, _SIZE)
    filesystems = [
        CallbackFile(backing),
        PlannedFile(backing),
        fusesg.Passthrough(behind),
    ]
    rounds = 3 if quick else 15
    with contextlib.ExitStack() as stack:
        ways: dict[tuple[str, str], Ways] = {}
        for label, filesystem in zip(_LABELS, filesystems, strict=True):
            mountpoint = os.path.join(directory, label.replace(" ", "-"))
            os.mkdir(mountpoint)
            stack.enter_context(fusesg.mount(filesystem, mountpoint))
            path = os.path.join(mountpoint, NAME)
            for operation in _OPERATIONS:
                packed, single = (
                    Job(path, operation, _SEGMENT, _SEGMENTS, one_call=one_call)
                    for one_call in (True, False)
                )
                ways[label, operation] = packed, single
        load = stack.enter_context(Load())
        for label in _LABELS:
            if problem := _verify(load, ways[label, "read"], ways[label, "write"]):
                return Outcome("", [f"{label}: {problem}"])
        progress = stack.enter_context(Progress("Measuring", rounds, "rounds"))
        samples: dict[Job, list[float]] = {}
        for _ in range(rounds):
            # each round has every way once, so that a disturbance meets all alike
            for job in (job for pair in ways.values() for job in pair):
                samples.setdefault(job, []).append(load.seconds(job, _REPETITIONS))
            progress.advance()
    medians = {job: statistics.median(times) for job, times in samples.items()}
    best = _print_table(ways, medians)
    return Outcome(f"32 segments in one request are up to {best:.0f}x faster", [])


def _verify(load: Load, reads: Ways, writes: Ways) -> str:
    """What is written packed must be read packed and one by one, and the reverse."""
    for seed, (write, read) in enumerate(zip(writes, reversed(reads), strict=True)):
        expected = random.Random(seed).randbytes(_GROUP)  # noqa: S311
        load.digest(write, 0, seed)
        if load.digest(read, 0, seed + 100) != hashlib.sha256(expected).hexdigest():
            return "what was read is not what was written"
    return ""


def _print_table(ways: dict[tuple[str, str], Ways], medians: dict[Job, float]) -> float:
    """Prints the medians; the largest speed-up."""
    best = 0.0
    print(f"\n{'':20}{'':7}{'32 requests':>19}{'one request':>19}")
    print(f"{'served by':20}{'':7}{'us':>8}{'MB/s':>11}{'us':>8}{'MB/s':>11}  speed-up")
    for (label, operation), pair in ways.items():
        packed, single = (medians[job] * 1e6 for job in pair)
        best = max(best, single / packed)
        rate = [f"{_GROUP / us:.0f}" for us in (single, packed)]
        first = label if operation == _OPERATIONS[0] else ""
        print(
            f"{first:20}{operation:7}"
            f"{single:8.0f}{rate[0]:>11}{packed:8.0f}{rate[1]:>11}"
            f"{single / packed:9.1f}x"
        )
    return best
