"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Self

_WIDTH = 30
_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 5.0


class Progress:
    """Counts up to a total.

    ```python
    with Progress("Comparing", len(names), "files") as progress:
        for name in names:
            compare(name)
            progress.advance()
    ```

    Args:
        what: What is being done.
        total: What it will count to.
        unit: What it counts.
    """

    def __init__(self, what: str, total: int, unit: str) -> None:
        self._what = what
        self._total = total
        self._unit = unit
        self._done = 0
        self._started = self._shown = time.monotonic()
        self._is_terminal = sys.stdout.isatty()

    def advance(self, count: int = 1) -> None:
        """Counts on."""
        self._done += count
        now = time.monotonic()
        if now - self._shown >= (
            _REDRAW_SECONDS if self._is_terminal else _LINE_SECONDS
        ):
            self._shown = now
            self._show()

    def __enter__(self) -> Self:
        if self._is_terminal:
            self._show()
        return self

    def __exit__(self, kind: object, exception: object, traceback: object) -> None:
        if kind is not None:
            # what is told about the exception begins on a line of its own
            print() if self._is_terminal else None
            return
        seconds = time.monotonic() - self._started
        if self._is_terminal:
            print("\r\033[K", end="")
        print(f"{self._what}: {self._done} {self._unit} in {seconds:.1f} s", flush=True)

    def _show(self) -> None:
        share = min(1.0, self._done / self._total) if self._total else 1.0
        if not self._is_terminal:
            print(f"{self._what}: {share:.0%}", flush=True)
            return
        bar = ("#" * round(share * _WIDTH)).ljust(_WIDTH, ".")
        count = f"{self._done}/{self._total} {self._unit}"
        print(f"\r\033[K{self._what} [{bar}] {count}", end="", flush=True)
