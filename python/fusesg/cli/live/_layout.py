"""Lines that fit: what has no room is left out whole, no number is cut in two."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fusesg.cli.live._units import LONGEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GAP = 2
"""Blanks behind the names; one is between other columns."""
_NEEDED = 3
"""Columns for which long names make room."""
_DOTS = "..."


@dataclass(frozen=True)
class Column:
    """What is told of each row."""

    title: str
    cells: Sequence[str]
    rank: int
    """Of columns for which there is no room that with the highest is left out first."""
    is_text: bool = False
    """It begins where its column does, as words do; numbers end there."""

    @property
    def width(self) -> int:
        """Does not change with the numbers, so that no column comes and goes."""
        cells = max(map(len, self.cells), default=0)
        return max(len(self.title), cells, 0 if self.is_text else LONGEST)

    def lines(self) -> list[str]:
        """The title and the cells, all of one width."""
        width = self.width
        adjust = str.ljust if self.is_text else str.rjust
        return [adjust(text, width) for text in (self.title, *self.cells)]


def table(
    title: str,
    names: Sequence[str],
    columns: Sequence[Column],
    width: int | None,
    instead: Mapping[int, str] | None = None,
) -> list[str]:
    """Rows with a name and numbers.

    Args:
        title: What the names are.
        names: One for each row; a long one loses its beginning.
        columns: Numbers of each row; those with the lowest rank stay.
        width: Characters that there is room for; None is any number.
        instead: What is said of rows, by their index, that have no numbers.

    Returns:
        The lines, first that with the titles.
    """
    names = [title, *names]
    if width is not None:
        needed = sorted(columns, key=lambda column: column.rank)[:_NEEDED]
        room = width - _GAP - _width_of(needed)
        names = [_ending(name, max(len(title), room)) for name in names]
    first = max(map(len, names)) + _GAP
    if width is not None:
        columns = _fitting(columns, width - first)
    rows = zip(*(column.lines() for column in columns), strict=True)
    texts = [" ".join(row) for row in rows] or [""] * len(names)
    for row, text in (instead or {}).items():
        texts[row + 1] = phrases(text, None if width is None else width - first)
    return [
        f"{name:{first}}{text}".rstrip()
        for name, text in zip(names, texts, strict=True)
    ]


def _fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """As many as there is room for, in their order."""
    fitting = sorted(columns, key=lambda column: column.rank)
    while fitting and _width_of(fitting) > width:
        fitting.pop()
    return [column for column in columns if column in fitting]


def _width_of(columns: Sequence[Column]) -> int:
    return sum(column.width + 1 for column in columns) - 1


def phrases(text: str, width: int | None) -> str:
    """As many whole phrases of a line as there is room for.

    Args:
        text: The line.
        width: Characters that there is room for; None is any number.

    Returns:
        What fits of its beginning; dots say that it is not all.
    """
    if width is None or len(text) <= width:
        return text
    ends = [match.start() for match in re.finditer(r"[,;] |  | \(", text)]
    for end in reversed(ends):
        if end + len(f", {_DOTS}") <= width:
            return f"{text[:end]}, {_DOTS}"
    return text[: max(width - len(_DOTS), 0)] + _DOTS[:width]


def _ending(text: str, width: int) -> str:
    return text if len(text) <= width else _DOTS + text[len(_DOTS) - width :]
