"""The table that is printed."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusesg.cli.bench._group import Group
    from fusesg.cli.bench._rows import Row


def show(rows: Sequence[Row], groups: Sequence[Group]) -> None:
    """Prints the rows, those of a group under its title.

    Args:
        rows: What was measured, those of a group together.
        groups: The groups.
    """
    titles = {group.name: group.title for group in groups}
    width = max(len(row.name) for row in rows)
    ways = max(len(row.before) + len(row.after) for row in rows) + len(" -> ")
    for group, members in groupby(rows, key=lambda row: row.group):
        found = list(members)
        print(f"\n{titles[group]}")
        head = f"  {'':{width}}  {'':{ways}}  {'before':>11} {'after':>11} {'':>6}"
        head += f" {'requests':>10} {'pages':>9}"
        if found[0].contiguous_s:
            head += f" {'contiguous':>12} {'ratio':>6}"
        if any(row.pages_moved is not None for row in found):
            head += f" {'moved':>6}"
        print(head.rstrip())
        for row in found:
            print(_line(row, width, ways))


def _line(row: Row, width: int, ways: int) -> str:
    requests = f"{row.requests_before} -> {row.requests_after}"
    pages = f"{row.pages_allocated}/{row.pages_needed}"
    text = (
        f"  {row.name:{width}}  {f'{row.before} -> {row.after}':{ways}}"
        f"  {_time(row.unpacked_s):>11} {_time(row.packed_s):>11}"
        f" {f'{row.speedup:.2f}x':>6} {requests:>10} {pages:>9}"
    )
    if row.contiguous_s:
        text += f" {_time(row.contiguous_s):>12} {row.contiguous_ratio:>6.2f}"
    if row.pages_moved is not None:
        text += f" {row.pages_moved:>6}"
    return text


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us"
