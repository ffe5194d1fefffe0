"""What is shown of mounts: lines of text, without anything of a terminal in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fusesg.cli.live import _units as units
from fusesg.cli.live._layout import Column, phrases, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fusesg.cli.live._numbers import Durations, Interval, Numbers, Operation


def rates(interval: Interval, width: int | None = None) -> list[str]:
    """What a mount does now: operations, bytes and errors each second.

    Args:
        interval: What it did.
        width: Characters of a line; None is as many as it takes.

    Returns:
        The lines.
    """
    seconds = interval.seconds
    first = [
        f"{units.count(interval.count / seconds)} op/s",
        f"{units.size(interval.bytes / seconds)}/s",
        _errors(interval.errors / seconds, "/s"),
    ]
    titles = ("op/s", "err/s", "bytes/s")
    return _lines(interval, first, _operations(interval, titles, seconds), width)


def totals(interval: Interval, width: int | None = None) -> list[str]:
    """What a mount has done since it was made; see `rates`."""
    first = [
        f"{units.count(interval.count)} operations",
        units.size(interval.bytes),
        _errors(interval.errors, ""),
    ]
    titles = ("count", "errors", "bytes")
    return _lines(interval, first, _operations(interval, titles, 1), width)


def printable(text: str) -> str:
    """A name without what a terminal would obey, and what it could not show."""
    return "".join(c if c.isprintable() else "?" for c in text)


def overview(
    mounts: Sequence[tuple[str, Interval | str]], width: int | None = None
) -> list[str]:
    """A line for each mount.

    Args:
        mounts: Path of each, and what it does or why that cannot be told.
        width: Characters of a line; None is as many as it takes.

    Returns:
        The lines.
    """

    def column(
        title: str, cell: Callable[[Interval], str], rank: int, *, is_text: bool = False
    ) -> Column:
        cells = ["" if isinstance(mount, str) else cell(mount) for _, mount in mounts]
        return Column(title, cells, rank, is_text)

    def oldest(mount: Interval) -> str:
        requests = mount.now["oldest"]
        return units.duration(requests[0]["seconds"] if requests else None)

    columns = [
        column(
            "filesystem", lambda m: m.now.get("filesystem", "-"), rank=5, is_text=True
        ),
        column("pid", lambda m: str(m.now["pid"]), rank=6),
        column("op/s", lambda m: units.count(m.count / m.seconds), rank=0),
        column("bytes/s", lambda m: units.size(m.bytes / m.seconds), rank=2),
        column("err/s", lambda m: units.count(m.errors / m.seconds), rank=3),
        column("in flight", lambda m: str(m.now["in_flight"]), rank=4),
        column("oldest", oldest, rank=1),
    ]
    names = [printable(path) for path, _ in mounts]
    untold = {
        row: printable(mount)
        for row, (_, mount) in enumerate(mounts)
        if isinstance(mount, str)
    }
    return table("mount point", names, columns, width, untold)


def _lines(
    interval: Interval, first: list[str], columns: list[Column], width: int | None
) -> list[str]:
    names = [operation.name for operation in interval.operations]
    head = [phrases(line, width) for line in _head(interval, first)]
    return [*head, "", *table("operation", names, columns, width)]


def _operations(
    interval: Interval, titles: tuple[str, str, str], seconds: float
) -> list[Column]:
    """Columns of counts, errors, bytes and times.

    Those of Python are there only where there are callbacks.
    """

    def column(title: str, cell: Callable[[Operation], str], rank: int) -> Column:
        return Column(title, [cell(each) for each in interval.operations], rank)

    def quantile(title: str, times: str, quantile: float, rank: int) -> Column:
        def cell(operation: Operation) -> str:
            durations: Durations = getattr(operation, times)
            return units.duration(durations.quantile(quantile))

        return column(title, cell, rank)

    count, errors, size = titles
    columns = [
        column(count, lambda o: units.count(o.count / seconds), 0),
        column(errors, lambda o: units.count(o.errors / seconds), 3),
        column(size, lambda o: units.size(o.bytes / seconds) if o.bytes else "-", 2),
        quantile("p50", "latency", 0.5, 4),
        quantile("p90", "latency", 0.9, 10),
        quantile("p99", "latency", 0.99, 1),
        column("max", lambda o: units.duration(o.latency.longest), 7),
    ]
    if any(operation.callback.count for operation in interval.operations):
        columns += [
            quantile("GIL p50", "gil_wait", 0.5, 9),
            quantile("GIL p99", "gil_wait", 0.99, 6),
            quantile("call p50", "callback", 0.5, 8),
            quantile("call p99", "callback", 0.99, 5),
        ]
    return columns


def _head(interval: Interval, first: list[str]) -> list[str]:
    now = interval.now
    served = f"{now.get('filesystem', 'native')}, process {now['pid']}"
    served += f", for {units.age(now['seconds'])}"
    if metrics := now.get("metrics"):
        served += f", metrics at {metrics}"
    lines = [
        f"{printable(now['mountpoint'])}  {served}",
        ", ".join([*first, _in_flight(now)]),
    ]
    if given_up := now["interrupted"] + now["timed_out"]:
        lines[-1] += f", {given_up} killed or timed out"
    if python := now.get("python"):
        lines.append(_python(python))
    lines.append(_buffers(now))
    return lines


def _errors(number: float, unit: str) -> str:
    return f"{units.count(number)} error{'' if number == 1 else 's'}{unit}"


def _in_flight(now: Numbers) -> str:
    text = f"{now['in_flight']} in flight"
    if now["parked"]:
        text += f", {now['parked']} of them parked"
    if oldest := now["oldest"]:
        oldest = oldest[0]
        text += f" (oldest: {oldest['operation']}, {units.duration(oldest['seconds'])}"
        text += f", of process {oldest['pid']})" if oldest["pid"] else ")"
    if running := now["given_up"]["running"]:
        oldest = now["given_up"]["oldest"][0]
        text += f", {running} answered {'runs' if running == 1 else 'run'} on"
        text += f" ({oldest['operation']}, {units.duration(oldest['seconds'])})"
    return text


def _python(python: Numbers) -> str:
    event_loop, fetches = python["event_loop"], python["fetches"]
    text = f"Python: {units.count(python['callbacks'])} callbacks, "
    text += f"{_threads(python['threads'])} (at most {python['threads_peak']}), "
    text += f"{python['waiting']} waiting"
    if event_loop["tasks"] or event_loop["queued"]:
        text += f"; tasks: {event_loop['tasks']}, {event_loop['queued']} waiting"
    if fetches["running"] or fetches["queued"]:
        text += f"; fetches: {fetches['running']}, {fetches['queued']} waiting"
    return text


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def _buffers(now: Numbers) -> str:
    pools = [("replies", now["core"]["pool"])]
    if python := now.get("python"):
        pools += [
            ("writes", python["write_pool"]),
            ("fetches", python["fetches"]["pool"]),
        ]
    told = [
        f"{name} {units.size(pool['bytes_resident'])} (at most "
        f"{units.size(pool['bytes_peak'])})"
        for name, pool in pools
        if pool["bytes_peak"]
    ]
    pipes = now["core"]["copier"]["pipes"]
    in_use = f"{pipes['lent']} in use (at most {pipes['lent_peak']})"
    told.append(f"pipes {in_use}, {pipes['idle']} idle")
    return "buffers: " + ", ".join(told)
