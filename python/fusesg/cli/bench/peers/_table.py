"""The tables that are printed; Markdown, so that they can be kept as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fusesg.cli.bench.peers._systems import is_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fusesg.cli.bench.peers._result import Result, RowResult

_NOTHING = "-"


def lines(result: Result, baseline: str | None) -> Iterator[str]:
    """The rates, how many times those of one system they are, and what was measured.

    Args:
        result: What to show.
        baseline: The system that is 1 in the second table, or the library of several,
            of which the fastest is; None is libfuse, or what there is.
    """
    names = [system.name for system in result.systems]
    head = ["", "", *names]
    yield from _aligned(
        [head, *([row.name, row.unit, *_rates(row, names)] for row in result.rows)]
    )
    one, baselines = _baselines(names, baseline)
    if names != baselines:
        yield ""
        fastest = ", whichever is the fastest" if len(baselines) > 1 else ""
        yield f"How many times {one}{fastest}:"
        yield ""
        times = [[row.name, *_times(row, names, baselines)] for row in result.rows]
        yield from _aligned([["", *names], *times], first_numbers=1)
    yield ""
    for system in result.systems:
        yield f"- {system.name}: {system.title} ({system.version})"
    for missing in result.missing:
        yield f"- {missing.name} is missing: {missing.reason}"
        yield f"  to have it: {missing.remedy}"
    for placement in dict.fromkeys(row.placement for row in result.rows):
        rows = [row.name for row in result.rows if row.placement == placement]
        yield f"- on {placement}: {', '.join(rows)}"
    for note in result.notes:
        yield f"- {note}"


def _baselines(names: Sequence[str], wanted: str | None) -> tuple[str, list[str]]:
    """What the second table compares with: its name, and the systems of that name."""
    for name in filter(None, (wanted, "libfuse", *names)):
        if found := [each for each in names if is_of(each, name)]:
            return name, found
    raise AssertionError("no system has been measured")


def shown(rate: float) -> str:
    """A rate with three digits, or all it has before the point."""
    if rate >= 100:  # noqa: PLR2004 - three digits
        return f"{rate:,.0f}"
    return f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"  # noqa: PLR2004


def _rates(row: RowResult, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        rate = row.rate(name)
        yield row.failures.get(name, _NOTHING) if rate is None else shown(rate)


def _times(
    row: RowResult, names: Sequence[str], baselines: Sequence[str]
) -> Iterator[str]:
    ones = [seconds for each in baselines if (seconds := row.seconds(each))]
    one = min(ones, default=None)
    for name in names:
        seconds = row.seconds(name)
        yield _NOTHING if one is None or seconds is None else f"{one / seconds:.2f}"


def _aligned(rows: Sequence[Sequence[str]], first_numbers: int = 2) -> Iterator[str]:
    """A table of Markdown that can be read before it is rendered, too."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ruler = [
        "-" * width if index < first_numbers else "-" * (width - 1) + ":"
        for index, width in enumerate(max(3, width) for width in widths)
    ]
    for row in (rows[0], ruler, *rows[1:]):
        cells = [
            cell.ljust(width) if index < first_numbers else cell.rjust(width)
            for index, (cell, width) in enumerate(
                zip(row, map(len, ruler), strict=True)
            )
        ]
        yield f"| {' | '.join(cells)} |"
