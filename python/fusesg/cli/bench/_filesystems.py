"""What is served while it is measured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import fusesg
from fusesg.cli._single_file import NAME as FILE
from fusesg.cli._single_file import CallbackFile, PlannedFile

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FILE", "PACKING"]

PACKING: dict[str, Callable[[str], fusesg.Filesystem]] = {
    "native": lambda path: fusesg.Passthrough(os.path.dirname(path)),
    "plan": PlannedFile,
    "callback": CallbackFile,
}
"""By what they are called in a row's name: makes one that shows the file at a path."""
