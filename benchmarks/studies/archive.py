"""Reading all members of a mounted tar: `python benchmarks/studies/archive.py`.

Against reading the archive itself, its bytes in memory in both cases. Each sample has
a mount of its own, so nothing of a member is in the cache before it is read. The ways
take turns, and the table has the medians; its results are in docs/performance.md.
"""

from __future__ import annotations

import argparse
import io
import mmap
import os
import statistics
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import fusesg
from fusesg import archive
from fusesg.cli._workspace import temporary_directory

CPU = min(os.sched_getaffinity(0))
ALL_CPUS = os.sched_getaffinity(0)

WAYS = {
    "default": fusesg.Config(),
    "throughput": fusesg.Config.profile("throughput"),
    "direct_io": fusesg.Config(direct_io=True),
}


@dataclass(frozen=True)
class Case:
    """Members of one size, read in pieces of another."""

    members: int
    size: int
    piece: int

    def __str__(self) -> str:
        return f"{_size(self.size)}, by {_size(self.piece)}"

    def write(self, path: Path) -> None:
        """The archive."""
        content = os.urandom(self.size)
        with tarfile.open(path, "w") as tar:
            for number in range(self.members):
                member = tarfile.TarInfo(f"{number // 500:03}/{number:06}")
                member.size = self.size
                tar.addfile(member, io.BytesIO(content))


CASES = (
    Case(400, 1 << 20, 1 << 20),
    Case(400, 1 << 20, 128 << 10),
    Case(10_000, 6000, 128 << 10),
)


def _size(number: int) -> str:
    kibi, rest = divmod(number, 1024)
    return str(number) if rest else f"{kibi}K"


def read_all(directory: Path, piece: int) -> float:
    """MB/s of reading every file to its end; a file stands for itself."""
    count = 0
    with mmap.mmap(-1, piece) as buffer:
        buffer[:] = bytes(piece)
        started = time.perf_counter()
        for root, _, names in os.walk(directory):
            for name in names:
                count += read_file(os.path.join(root, name), buffer)
        if directory.is_file():
            count = read_file(str(directory), buffer)
        return count / (time.perf_counter() - started) / 1e6


def read_file(path: str, buffer: mmap.mmap) -> int:
    """How many bytes there were."""
    count = 0
    fd = os.open(path, os.O_RDONLY)
    try:
        while read := os.readv(fd, [buffer]):
            count += read
    finally:
        os.close(fd)
    return count


def sample(path: Path, mountpoint: Path, piece: int, way: str | None) -> float:
    """One measurement; without a way, of the archive itself."""
    if way is None:
        return read_all(path, piece)
    with fusesg.mount(archive.open_archive(path), mountpoint, WAYS[way]):
        return read_all(mountpoint, piece)


def measure(case: Case, rounds: int, directory: Path) -> dict[str, float]:
    """The median of the archive itself in MB/s, then of each way against it."""
    path, mountpoint = directory / "archive.tar", directory / "mnt"
    mountpoint.mkdir(exist_ok=True)
    case.write(path)
    ways = [None, *WAYS]
    found: dict[str | None, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways if number % 2 else reversed(ways):
            found[way].append(sample(path, mountpoint, case.piece, way))
    itself = found.pop(None)
    times = {
        str(way): statistics.median(
            a / b for a, b in zip(measured, itself, strict=True)
        )
        for way, measured in found.items()
    }
    return {"itself": statistics.median(itself), **times}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(f"| members | CPUs | the archive, MB/s | {' | '.join(WAYS)} |")
    print("|---|---|---:" + "|---:" * len(WAYS) + "|")
    with temporary_directory("fusesg-archive-") as directory:
        for case in CASES:
            for cpus in (ALL_CPUS, {CPU}):
                # threads of a mount begin where the thread that mounts is
                os.sched_setaffinity(0, cpus)
                itself, *times = measure(case, options.rounds, Path(directory)).values()
                place = "any" if cpus == ALL_CPUS else "one"
                cells = " | ".join(f"{number:.2f}" for number in times)
                print(f"| {case} | {place} | {itself:,.0f} | {cells} |")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
