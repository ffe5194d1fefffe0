"""What each setting of a mount brings: `python benchmarks/studies/knobs.py`.

Each row does the same work on mounts of `fusesg.Passthrough` (files in memory) that
differ in one setting only. Mounts are made afresh for every sample, ways take turns,
and the table has the medians. The profiles of `fusesg.Config` follow from it; its
results are in docs/performance.md.

Rows of single requests have client and server on one CPU, so that waking another one
is not what is measured; rows of many at a time leave them to the scheduler and need
fio.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fusesg
from fusesg.cli._workspace import temporary_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Work = Callable[[Path], tuple[float, float]]
    """Done in a mount; returns seconds, and how many times it did something."""

PAGE = 4096
LONG = 100  # a number with three digits before the point
BIG = 64 << 20
MANY = 10_000
FEW = 10
CPU = min(os.sched_getaffinity(0))
OTHER_CPU = max(os.sched_getaffinity(0))

Settings = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """The same work with several values of a setting."""

    setting: str
    work: str
    run: Work
    values: tuple[Any, ...]
    unit: str = "us"
    others: Settings = field(default_factory=dict)
    one_cpu: bool = True

    def config(self, value: Any) -> fusesg.Config:
        """That of a way."""
        own = {"cpu_affinity": {CPU}} if self.one_cpu else {}
        own |= self.others
        if self.setting != "profile":
            return fusesg.Config(**own, **{self.setting: value})
        return fusesg.Config.profile(value, **own) if value else fusesg.Config(**own)


# Work. Each prepares, then measures.


def timed(repeat: int, action: Callable[[], object]) -> tuple[float, float]:
    """An action some times over."""
    action()
    started = time.perf_counter()
    for _ in range(repeat):
        action()
    return time.perf_counter() - started, repeat


def reads(size: int, repeat: int, flags: int = 0) -> Work:
    """Reads at changing places of the big file."""
    return _transfers(os.preadv, os.O_RDONLY | flags, size, repeat)


def writes(size: int, repeat: int, flags: int = 0) -> Work:
    """Writes one after the other into the big file."""
    return _transfers(os.pwritev, os.O_WRONLY | flags, size, repeat)


def _transfers(
    call: Callable[[int, list[Any], int], int], flags: int, size: int, repeat: int
) -> Work:
    def work(mountpoint: Path) -> tuple[float, float]:
        with opened(mountpoint / "big", flags) as fd, mapped(size) as buffer:
            places = iter(range(0, BIG, size))
            return timed(repeat, lambda: call(fd, [buffer], next(places)))

    return work


def sequential(mountpoint: Path) -> tuple[float, float]:
    """The big file from beginning to end, through the page cache."""
    with opened(mountpoint / "big", os.O_RDONLY) as fd, mapped(1 << 20) as buffer:
        started = time.perf_counter()
        while os.readv(fd, [buffer]):
            pass
        return time.perf_counter() - started, BIG / 1e6


def whole_files(mountpoint: Path) -> tuple[float, float]:
    """A file of 256 KiB, opened, read and closed again and again."""
    with mapped(256 << 10) as buffer:

        def action() -> None:
            with opened(mountpoint / "small", os.O_RDONLY) as fd:
                os.readv(fd, [buffer])

        return timed(500, action)


def opens(mountpoint: Path) -> tuple[float, float]:
    """A file opened and closed."""
    path = mountpoint / "small"
    return timed(2000, lambda: os.close(os.open(path, os.O_RDONLY)))


def stats(mountpoint: Path) -> tuple[float, float]:
    """One file after the other, each for the second time."""
    paths = [mountpoint / "many" / name for name in names(200)]
    for path in paths:
        os.stat(path)
    started = time.perf_counter()
    for path in paths * 5:
        os.stat(path)
    return time.perf_counter() - started, 5 * len(paths)


def missing(mountpoint: Path) -> tuple[float, float]:
    """A file that is not there."""
    return timed(1000, lambda: os.path.exists(mountpoint / "missing"))


def links(mountpoint: Path) -> tuple[float, float]:
    """The target of a link."""
    return timed(1000, lambda: os.readlink(mountpoint / "link"))


def listing(directory: str, repeat: int) -> Work:
    """The names of a directory; per listing."""

    def work(mountpoint: Path) -> tuple[float, float]:
        return timed(repeat, lambda: os.listdir(mountpoint / directory))

    return work


def first_listing(mountpoint: Path) -> tuple[float, float]:
    """The names of a directory nobody has looked at; per name."""
    started = time.perf_counter()
    os.listdir(mountpoint / "many")
    return time.perf_counter() - started, MANY


def listing_with_stat(mountpoint: Path) -> tuple[float, float]:
    """The same with the attributes of each name, as `ls -l` wants them."""
    started = time.perf_counter()
    with os.scandir(mountpoint / "many") as entries:
        for entry in entries:
            entry.stat(follow_symlinks=False)
    return time.perf_counter() - started, MANY


def fio(mode: str, size: str, depth: int, *options: str) -> Work:
    """Many requests at a time; per second."""

    def work(mountpoint: Path) -> tuple[float, float]:
        command = ["fio", "--name=x", f"--filename={mountpoint}/big", f"--rw={mode}"]
        command += [f"--bs={size}", f"--iodepth={depth}", "--direct=1", "--runtime=0.5"]
        command += ["--time_based", f"--size={BIG}", "--output-format=json", *options]
        if not any(option.startswith("--ioengine") for option in options):
            command.append("--ioengine=libaio")
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        jobs = json.loads(result.stdout)["jobs"]
        per_second = sum(
            job[kind]["iops"] for job in jobs for kind in ("read", "write")
        )
        return 1.0, per_second / 1e3

    return work


DIRECT = os.O_DIRECT
BUFFERS = (32 << 10, 128 << 10, 1 << 20)
PROFILES = (None, "latency", "throughput", "strict")
ROWS = (
    Row("entry_timeout", "stat again", stats, (0, 1, 60)),
    Row("attribute_timeout", "stat again", stats, (0, 1, 60)),
    Row("negative_timeout", "stat of what is not there", missing, (0, 1)),
    Row("readdirplus", "list names", first_listing, ("never", "auto", "always")),
    Row("readdirplus", "list with stat", listing_with_stat,
        ("never", "auto", "always")),
    Row("directory_buffer", "list 10,000 names", listing("many", 3), BUFFERS),
    Row("directory_buffer", "the same without attributes", listing("many", 3), BUFFERS,
        others={"readdirplus": "never"}),
    Row("directory_buffer", "list 10 names", listing("few", 500), BUFFERS),
    Row("cache_directories", "list 10,000 names again", listing("many", 3),
        (False, True)),
    Row("cache_symlinks", "readlink", links, (False, True)),
    Row("keep_cache", "open, read 256K, close", whole_files, (False, True)),
    Row("no_flush", "open, close", opens, (False, True)),
    Row("direct_io", "read 4K in order", reads(PAGE, 4000), (False, True)),
    Row("direct_io", "read 1M in order", reads(1 << 20, 50), (False, True)),
    Row("writeback_cache", "write 64 bytes in order", writes(64, 4000), (False, True)),
    Row("writeback_cache", "write 1M in order", writes(1 << 20, 50), (False, True)),
    Row("kernel_passthrough", "read 4K, O_DIRECT", reads(PAGE, 4000, DIRECT),
        (False, True)),
    Row("kernel_passthrough", "read 64M in order", sequential, (False, True), "MB/s"),
    Row("kernel_passthrough", "open, close", opens, (False, True)),
    Row("max_write", "write 1M, O_DIRECT", writes(1 << 20, 50, DIRECT),
        (128 << 10, 256 << 10, 1_040_384, 1 << 20)),
    Row("max_write", "read 1M, O_DIRECT", reads(1 << 20, 50, DIRECT),
        (128 << 10, 256 << 10, 1_040_384, 1 << 20)),
    Row("max_readahead", "read 64M in order", sequential,
        (32 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20), "MB/s"),
    Row("max_readahead", "read 64M in order, any CPU", sequential,
        (32 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20), "MB/s", one_cpu=False),
    *(Row("profile", work, run, PROFILES) for work, run in (
        ("stat again", stats),
        ("list 10,000 names again", listing("many", 3)),
        ("open, read 256K, close", whole_files),
        ("read 4K in order", reads(PAGE, 4000)),
        ("read 1M in order", reads(1 << 20, 50)),
    )),
    Row("cpu_affinity", f"read 4K, O_DIRECT, client on CPU {CPU}",
        reads(PAGE, 4000, DIRECT), (None, {CPU}, {OTHER_CPU}), one_cpu=False),
)  # fmt: skip
FIO_ROWS = (
    Row("cpu_affinity", "random read 4K, depth 32", fio("randread", "4k", 32),
        (None, {CPU}), "k/s", one_cpu=False),
    Row("max_background", "random read 4K, depth 64", fio("randread", "4k", 64),
        (12, 64, 128, 512), "k/s", one_cpu=False),
    Row("max_background", "random read 128K, depth 64", fio("randread", "128k", 64),
        (12, 64, 128, 512), "k/s", one_cpu=False),
    Row("parallel_direct_writes", "write 4K by 4 threads",
        fio("randwrite", "4k", 1, "--ioengine=psync", "--numjobs=4", "--thread"),
        (False, True), "k/s", {"direct_io": True}, one_cpu=False),
    Row("reader_threads", "random read 4K, depth 32", fio("randread", "4k", 32),
        (2, 3, 4, 8), "k/s", one_cpu=False),
    Row("reader_threads", "random read 128K, depth 16", fio("randread", "128k", 16),
        (2, 3, 4, 8), "k/s", one_cpu=False),
)  # fmt: skip


# Measuring


def names(count: int) -> list[str]:
    """Of files in a directory."""
    return [f"a-name-of-some-length-{number:05}" for number in range(count)]


def make_files(source: Path) -> None:
    """What the rows work on."""
    (source / "big").write_bytes(os.urandom(1 << 20) * (BIG >> 20))
    (source / "small").write_bytes(os.urandom(256 << 10))
    (source / "link").symlink_to("small")
    for directory, count in (("many", MANY), ("few", FEW)):
        (source / directory).mkdir()
        for name in names(count):
            (source / directory / name).touch()


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """A descriptor, closed at the end."""
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def mapped(size: int) -> Iterator[memoryview]:
    """Memory at a page boundary, as direct I/O wants it."""
    with mmap.mmap(-1, max(size, mmap.PAGESIZE)) as memory, memoryview(memory) as view:
        view[:] = b"x" * len(view)
        with view[:size] as part:
            yield part


@contextlib.contextmanager
def served(source: Path, mountpoint: Path, config: fusesg.Config) -> Iterator[None]:
    """A mount that another process serves."""
    ready, tell_ready = os.pipe()
    end, tell_end = os.pipe()
    server = os.fork()
    if server == 0:
        status = 1
        with contextlib.suppress(BaseException):
            os.close(tell_end)
            os.sched_setaffinity(0, ALL_CPUS)
            with fusesg.mount(fusesg.Passthrough(source), mountpoint, config):
                os.write(tell_ready, b"x")
                os.read(end, 1)
            status = 0
        os._exit(status)
    os.close(tell_ready)
    os.close(end)
    try:
        if not os.read(ready, 1):
            raise SystemExit(f"cannot mount with {config}")
        yield
    finally:
        os.close(tell_end)
        os.close(ready)
        os.waitpid(server, 0)


ALL_CPUS = os.sched_getaffinity(0)


def sample(row: Row, value: object, source: Path, mountpoint: Path) -> float:
    """One measurement; us for each, or so many per second."""
    with served(source, mountpoint, row.config(value)):
        # of the rows on any CPU only those about placement have a client in its place
        placed = row.one_cpu or (row.setting == "cpu_affinity" and row.unit == "us")
        os.sched_setaffinity(0, {CPU} if placed else ALL_CPUS)
        seconds, count = row.run(mountpoint)
        os.sched_setaffinity(0, ALL_CPUS)
    return seconds / count * 1e6 if row.unit == "us" else count / seconds


def measure(rows: list[Row], rounds: int, directory: Path) -> list[list[float]]:
    """The medians of each row, a number for each value."""
    source, mountpoint = directory / "source", directory / "mnt"
    source.mkdir()
    mountpoint.mkdir()
    make_files(source)
    samples = [[[] for _ in row.values] for row in rows]
    for number in range(rounds):
        print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        for row, found in zip(rows, samples, strict=True):
            ways = list(zip(row.values, found, strict=True))
            for value, times in ways if number % 2 else reversed(ways):
                times.append(sample(row, value, source, mountpoint))
    print(file=sys.stderr)
    return [[statistics.median(times) for times in found] for found in samples]


def shown(value: object) -> str:
    """A value as it is written in a table."""
    if isinstance(value, set):
        return "CPU " + ", ".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int) and value >= PAGE:
        return f"{value >> 10}K"
    return "default" if value is None else str(value)


def table(rows: list[Row], medians: list[list[float]]) -> Iterator[str]:
    """The lines of a Markdown table; the first value of a row is 1."""
    yield "| setting | work | unit | value: measured (against the first) |"
    yield "|---|---|---|---|"
    for row, found in zip(rows, medians, strict=True):
        cells = []
        for value, number in zip(row.values, found, strict=True):
            better = found[0] / number if row.unit == "us" else number / found[0]
            times = "" if number is found[0] else f" ({better:.2f})"
            digits = f"{number:,.0f}" if number >= LONG else f"{number:.3g}"
            cells.append(f"{shown(value)}: {digits}{times}")
        yield f"| `{row.setting}` | {row.work} | {row.unit} | {', '.join(cells)} |"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="rows whose setting has this in it")
    options = parser.parse_args()
    every = ROWS + FIO_ROWS if shutil.which("fio") else ROWS
    rows = [row for row in every if re.search(options.only, row.setting)]
    with temporary_directory("fusesg-knobs-") as directory:
        medians = measure(rows, options.rounds, Path(directory))
    print(*table(rows, medians), sep="\n")


if __name__ == "__main__":
    main()
