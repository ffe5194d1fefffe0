"""The chart."""

from __future__ import annotations

import os
from itertools import groupby
from typing import TYPE_CHECKING

from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from fusesg.cli.bench._group import Group
    from fusesg.cli.bench._rows import Row

_SUFFIXES = (".png", ".svg")
# Okabe and Ito's colours are told apart by the colour-blind, the first three also as
# greys; hatches, markers and line styles say the same once more, for print
_BEFORE, _AFTER, _CONTIGUOUS = "#E69F00", "#0072B2", "#BBBBBB"
_COLOURS = (_BEFORE, _AFTER, "#009E73", "#CC79A7")
_STYLES = (("-", "o"), ("--", "s"), (":", "^"))
_ROW_INCHES, _LINES_INCHES, _FRAME_INCHES = 0.55, 3.2, 1.1
_DPI = 150


def check(path: str) -> None:
    """Finds out before anything is measured whether the chart can be made.

    Args:
        path: Where it shall go.

    Raises:
        CommandError: It cannot.
    """
    if os.path.splitext(path)[1].lower() not in _SUFFIXES:
        expected = " or ".join(_SUFFIXES)
        raise CommandError(f"--plot {path}: the name must end in {expected}")
    directory = os.path.dirname(path) or "."
    if os.path.isdir(path) or not os.access(directory, os.W_OK):
        raise CommandError(f"--plot {path}: cannot be written there")
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        raise CommandError(
            f"--plot needs matplotlib: pip install 'fusesg[plot]' ({error})"
        ) from error


def save(path: str, rows: Sequence[Row], groups: Sequence[Group]) -> None:
    """Writes the chart, a panel for each group; PNG or SVG by the name's end.

    Args:
        path: Where it goes.
        rows: What was measured, those of a group together.
        groups: The groups, in the order of the rows.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = [list(found) for _, found in groupby(rows, key=lambda row: row.group)]
    heights = [
        _FRAME_INCHES + (_LINES_INCHES if found[0].series else _ROW_INCHES * len(found))
        for found in panels
    ]
    # letters stay letters in an SVG, and the same numbers make the same file
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "fusesg", "font.size": 9}
    ):
        figure = Figure(figsize=(8.5, sum(heights)), layout="constrained")
        axes = figure.subplots(
            len(panels), squeeze=False, gridspec_kw={"height_ratios": heights}
        )
        titles = {group.name: group for group in groups}
        for found, panel in zip(panels, axes[:, 0], strict=True):
            draw = _lines if found[0].series else _bars
            draw(panel, found, titles[found[0].group])
        figure.savefig(path, dpi=_DPI)


def _bars(axes: Axes, rows: Sequence[Row], group: Group) -> None:
    """The ways of each row below each other."""
    axes.set_title(group.title, loc="left", fontsize="medium", fontweight="bold")
    thickness = 0.26
    for index, row in enumerate(rows):
        bars = [
            (row.unpacked_s, _BEFORE, "//", row.before),
            (row.packed_s, _AFTER, "", f"{row.after} ({row.speedup:.1f}x)"),
        ]
        if row.contiguous_s:
            bars.append((row.contiguous_s, _CONTIGUOUS, "", "one contiguous segment"))
        for place, (seconds, colour, hatch, label) in enumerate(bars):
            y = index + (place - (len(bars) - 1) / 2) * thickness
            axes.barh(
                y,
                seconds * 1e6,
                height=thickness,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.5,
            )
            text = f" {seconds * 1e6:.0f} {label}"
            axes.text(seconds * 1e6, y, text, va="center", fontsize="x-small")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.invert_yaxis()  # the first row above, as in the table
    axes.margins(x=0.2)
    axes.set_xlabel(group.axis)
    axes.spines[["top", "right"]].set_visible(False)


def _lines(axes: Axes, rows: Sequence[Row], group: Group) -> None:
    """Time over the parameter: a colour for each way, a style for each series."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    axes.set_title(group.title, loc="left", fontsize="medium", fontweight="bold")
    lines: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        for way, seconds in ((row.before, row.unpacked_s), (row.after, row.packed_s)):
            points = lines.setdefault((row.series or "", way), {})
            points[row.parameter or 0] = seconds * 1e6
    series = list(dict.fromkeys(name for name, _ in lines))
    ways = list(dict.fromkeys(way for _, way in lines))
    for (name, way), points in lines.items():
        style, marker = _STYLES[series.index(name) % len(_STYLES)]
        axes.plot(
            list(points),
            list(points.values()),
            linestyle=style,
            marker=marker,
            markersize=4.5,
            color=_COLOURS[ways.index(way) % len(_COLOURS)],
            label=f"{name}: {way}",
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    places = sorted({row.parameter or 0 for row in rows})
    axes.set_xticks(places, [_short(place) for place in places])
    axes.set_xlabel(group.axis)
    axes.set_ylabel("microseconds")
    axes.grid(visible=True, linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize="x-small", frameon=False, loc="upper left", ncols=2)


def _short(number: int) -> str:
    for unit, name in ((1 << 20, "M"), (1 << 10, "K")):
        if number >= unit and number % unit == 0:
            return f"{number // unit}{name}"
    return str(number)
