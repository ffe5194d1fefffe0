"""What is shown of mounts: lines of text, without anything of a terminal in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fusesg.cli.live import _units as units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fusesg.cli.live._numbers import Interval, Numbers, Operation

Column = tuple[str, "Callable[[Operation], str]"]


def rates(interval: Interval) -> list[str]:
    """What a mount does now: operations, bytes and errors each second."""
    seconds = interval.seconds
    columns: list[Column] = [
        ("op/s", lambda o: units.count(o.count / seconds)),
        ("err/s", lambda o: units.count(o.errors / seconds)),
        ("bytes/s", lambda o: units.size(o.bytes / seconds) if o.bytes else "-"),
        *_times(interval),
    ]
    first = [
        f"{units.count(interval.count / seconds)} op/s",
        f"{units.size(interval.bytes / seconds)}/s",
        _errors(interval.errors / seconds, "/s"),
    ]
    return [*_head(interval, first), "", *_table(columns, interval.operations)]


def totals(interval: Interval) -> list[str]:
    """What a mount has done since it was made."""
    columns: list[Column] = [
        ("count", lambda o: units.count(o.count)),
        ("errors", lambda o: units.count(o.errors)),
        ("bytes", lambda o: units.size(o.bytes) if o.bytes else "-"),
        *_times(interval),
    ]
    first = [
        f"{units.count(interval.count)} operations",
        units.size(interval.bytes),
        _errors(interval.errors, ""),
    ]
    return [*_head(interval, first), "", *_table(columns, interval.operations)]


def printable(text: str) -> str:
    """A name without what a terminal would obey, and what it could not show."""
    return "".join(c if c.isprintable() else "?" for c in text)


def overview(mounts: Sequence[tuple[str, Interval | str]]) -> list[str]:
    """A line for each mount.

    Args:
        mounts: Path of each, and what it does or why that cannot be told.

    Returns:
        The lines.
    """
    mounts = [(printable(path), mount) for path, mount in mounts]
    width = max([len("mount point"), *(len(path) for path, _ in mounts)])
    head = f"{'mount point':{width}}  {'filesystem':16} {'pid':>8} {'op/s':>7} "
    head += f"{'bytes/s':>8} {'err/s':>7} {'in flight':>9} {'oldest':>7}"
    lines = [head]
    for path, mount in mounts:
        if isinstance(mount, str):
            lines.append(f"{path:{width}}  {printable(mount)}")
            continue
        now, seconds = mount.now, mount.seconds
        oldest = now["oldest"][0]["seconds"] if now["oldest"] else None
        lines.append(
            f"{path:{width}}  {now.get('filesystem', '-'):16} {now['pid']:>8} "
            f"{units.count(mount.count / seconds):>7} "
            f"{units.size(mount.bytes / seconds):>8} "
            f"{units.count(mount.errors / seconds):>7} {now['in_flight']:>9} "
            f"{units.duration(oldest):>7}"
        )
    return lines


def _times(interval: Interval) -> list[Column]:
    """Columns of times; those of Python only where there are callbacks."""
    columns: list[Column] = [
        ("p50", lambda o: units.duration(o.latency.quantile(0.5))),
        ("p90", lambda o: units.duration(o.latency.quantile(0.9))),
        ("p99", lambda o: units.duration(o.latency.quantile(0.99))),
        ("max", lambda o: units.duration(o.latency.longest)),
    ]
    if any(operation.callback.count for operation in interval.operations):
        columns += [
            ("GIL p50", lambda o: units.duration(o.gil_wait.quantile(0.5))),
            ("GIL p99", lambda o: units.duration(o.gil_wait.quantile(0.99))),
            ("call p50", lambda o: units.duration(o.callback.quantile(0.5))),
            ("call p99", lambda o: units.duration(o.callback.quantile(0.99))),
        ]
    return columns


def _table(columns: list[Column], operations: Sequence[Operation]) -> list[str]:
    rows = [[title for title, _ in columns]]
    rows += [[cell(operation) for _, cell in columns] for operation in operations]
    names = ["operation", *(operation.name for operation in operations)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns))]
    first = max(map(len, names))
    return [
        f"{name:{first}}  "
        + " ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for name, row in zip(names, rows, strict=True)
    ]


def _head(interval: Interval, first: list[str]) -> list[str]:
    now = interval.now
    served = f"{now.get('filesystem', 'native')}, process {now['pid']}"
    lines = [
        f"{printable(now['mountpoint'])}  {served}, for {units.age(now['seconds'])}",
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
    return text


def _python(python: Numbers) -> str:
    event_loop, fetches = python["event_loop"], python["fetches"]
    text = f"Python: {units.count(python['callbacks'])} callbacks, "
    text += f"{python['threads']} threads (at most {python['threads_peak']}), "
    text += f"{python['waiting']} waiting"
    if event_loop["tasks"] or event_loop["queued"]:
        text += f"; tasks: {event_loop['tasks']}, {event_loop['queued']} waiting"
    if fetches["running"] or fetches["queued"]:
        text += f"; fetches: {fetches['running']}, {fetches['queued']} waiting"
    return text


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
