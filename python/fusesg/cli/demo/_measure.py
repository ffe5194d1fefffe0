"""Part 3: scattered reads and writes, in one call and one by one."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys

import fusesg
from fusesg.cli._errors import CommandError
from fusesg.cli._progress import Progress
from fusesg.cli.demo import _client
from fusesg.cli.demo._outcome import Outcome
from fusesg.cli.demo._single_file import NAME, CallbackFile, PlannedFile

_SIZE = 64 << 20
_LABELS = ("Python callback", "plan", "native Passthrough")

Round = list[dict[str, list[float]]]


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
    with contextlib.ExitStack() as stack:
        paths = []
        for index, filesystem in enumerate(filesystems):
            mountpoint = os.path.join(directory, f"single-{index}")
            os.mkdir(mountpoint)
            stack.enter_context(fusesg.mount(filesystem, mountpoint))
            paths.append(os.path.join(mountpoint, NAME))
        rounds, problem = _run_client(paths, rounds=3 if quick else 15, repetitions=100)
    if problem:
        return Outcome("", [problem])
    best = _print_table(rounds)
    return Outcome(f"32 segments in one request are up to {best:.0f}x faster", [])


def _run_client(
    paths: list[str], rounds: int, repetitions: int
) -> tuple[list[Round], str]:
    """Each round has every way once, so that a disturbance meets all alike."""
    request = json.dumps([paths, rounds, repetitions])
    results: list[Round] = []
    with (
        subprocess.Popen(
            [sys.executable, _client.__file__, request],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as client,
        Progress("Measuring", rounds, "rounds") as progress,
    ):
        assert client.stdout is not None
        assert client.stderr is not None
        try:
            for line in client.stdout:
                results.append(json.loads(line))
                progress.advance()
            problem = client.stderr.read().strip()
        except BaseException:
            client.kill()  # else Popen would wait for its end
            raise
    if client.returncode != 0 and not problem:
        raise CommandError(f"the measuring client ended with {client.returncode}")
    return results, problem


def _print_table(rounds: list[Round]) -> float:
    """Prints the medians; the largest speed-up."""
    best = 0.0
    print(f"\n{'':20}{'':7}{'32 requests':>19}{'one request':>19}")
    print(f"{'served by':20}{'':7}{'us':>8}{'MB/s':>11}{'us':>8}{'MB/s':>11}  speed-up")
    for index, label in enumerate(_LABELS):
        for operation in _client.OPERATIONS:
            ways = [each[index][operation] for each in rounds]
            packed, single = (statistics.median(way) for way in zip(*ways, strict=True))
            best = max(best, single / packed)
            rate = [f"{_client.GROUP / us:.0f}" for us in (single, packed)]
            print(
                f"{label:20}{operation:7}"
                f"{single:8.0f}{rate[0]:>11}{packed:8.0f}{rate[1]:>11}"
                f"{single / packed:9.1f}x"
            )
            label = ""  # noqa: PLW2901 - only on the first of its lines
    return best
