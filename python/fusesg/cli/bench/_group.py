"""Measurements that belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fusesg.cli.bench._case import Case
    from fusesg.cli.bench._setting import Setting


@dataclass(frozen=True)
class Group:
    """A part of the table and of the chart."""

    name: str
    """What it is called on the command line."""
    title: str
    """What the table and the chart say above it."""
    needs_mount: bool
    axis: str
    """What the chart writes below the values of `Row.parameter`, or below the times."""
    cases: Callable[[Setting], list[Case]]
    """Mounts what is needed and says what to measure."""
