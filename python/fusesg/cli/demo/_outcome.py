"""How a part of the demo ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What a part found, for the verdict."""

    summary: str
    """What is true if nothing was different, in a few words."""
    differences: list[str]
    """What was different, a line each."""
