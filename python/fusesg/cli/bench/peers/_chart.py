"""The chart: a panel for each row, a bar for each system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fusesg.cli.bench.peers._table import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from fusesg.cli.bench.peers._result import Result, RowResult

# As in the chart of `bench seeds`: Okabe and Ito's colours are told apart by the
# colour-blind; hatches and the names beside the bars say the same once more, for print
_STYLES = (
    ("#0072B2", ""),
    ("#56B4E9", "//"),
    ("#E69F00", ""),
    ("#F0E442", "\\\\"),
    ("#D55E00", "||"),
    ("#CC79A7", "xx"),
    ("#009E73", ".."),
    ("#BBBBBB", "--"),
)
_COLUMNS = 3
_WIDTH = 8.5  # inches
_BAR_INCHES, _FRAME_INCHES, _TITLE_INCHES = 0.155, 0.42, 0.25
_DPI = 150


def save(path: str, result: Result) -> None:
    """Writes the chart; PNG or SVG by the name's end.

    Args:
        path: Where it goes.
        result: What was measured.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    names = [system.name for system in result.systems]
    columns = min(_COLUMNS, len(result.rows))
    lines = -(-len(result.rows) // columns)
    height = _TITLE_INCHES + lines * (_FRAME_INCHES + _BAR_INCHES * len(names))
    # letters stay letters in an SVG, and the same numbers make the same file
    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "fusesg",
            "font.size": 7,
            "hatch.linewidth": 0.5,
        }
    ):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        figure.suptitle(_title(result), x=0.01, ha="left", fontsize="medium")
        panels = list(figure.subplots(lines, columns, squeeze=False).flat)
        for index, (panel, row) in enumerate(zip(panels, result.rows, strict=False)):
            _draw(panel, row, names, is_first=index % columns == 0)
        for panel in panels[len(result.rows) :]:
            panel.set_visible(False)
        figure.savefig(path, dpi=_DPI, metadata=_metadata(path))


def _title(result: Result) -> str:
    machine = result.machine
    days = dict.fromkeys(str(run["started"]).split()[0] for run in result.runs)
    return (
        f"Higher is better. fusesg {machine['fusesg']}, Linux {machine['kernel']}, "
        f"{machine['cpus']} CPUs ({machine['cpu']}), {', '.join(days)}"
    )


def _metadata(path: str) -> dict[str, str | None]:
    """No date: the same numbers make the same file."""
    return {"Date": None} if path.lower().endswith(".svg") else {}


def _draw(axes: Axes, row: RowResult, names: Sequence[str], *, is_first: bool) -> None:
    axes.set_title(
        f"{row.name}  ({row.unit})", loc="left", fontsize="medium", fontweight="bold"
    )
    rates = [row.rate(name) for name in names]
    most = max((rate for rate in rates if rate is not None), default=1.0)
    for place, (name, rate) in enumerate(zip(names, rates, strict=True)):
        colour, hatch = _STYLES[place % len(_STYLES)]
        axes.barh(
            place,
            rate or 0.0,
            height=0.8,
            color=colour,
            hatch=hatch,
            edgecolor="black",
            linewidth=0.4,
        )
        text = row.failures.get(name, "-") if rate is None else shown(rate)
        axes.text((rate or 0.0) + most * 0.02, place, text, va="center")
    # room for the number behind the longest bar
    axes.set_xlim(0, most * 1.22)
    axes.set_yticks(range(len(names)), names if is_first else [""] * len(names))
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.invert_yaxis()  # the first system above, as in the table
    axes.spines[["top", "right", "bottom"]].set_visible(False)
