"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Self, TextIO

_WIDTH = 30
_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 5.0
_ESTIMATE_SECONDS = 1.0  # before that an estimate of what is left jumps about


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
        file: Where to show it; None is stdout.
    """

    def __init__(
        self, what: str, total: int, unit: str, file: TextIO | None = None
    ) -> None:
        self._what = what
        self._total = total
        self._unit = unit
        self._file = file or sys.stdout
        self._done = 0
        self._started = self._shown = time.monotonic()
        self._is_terminal = self._file.isatty()

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
            if self._is_terminal:
                self._print("\n")
            return
        seconds = time.monotonic() - self._started
        if self._is_terminal:
            self._print("\r\033[K")
        self._print(f"{self._what}: {self._done} {self._unit} in {seconds:.1f} s\n")

    def _show(self) -> None:
        share = min(1.0, self._done / self._total) if self._total else 1.0
        left = self._seconds_left(share)
        if not self._is_terminal:
            self._print(f"{self._what}: {share:.0%}{left}\n")
            return
        bar = ("#" * round(share * _WIDTH)).ljust(_WIDTH, ".")
        count = f"{self._done}/{self._total} {self._unit}"
        self._print(f"\r\033[K{self._what} [{bar}] {count}{left}")

    def _seconds_left(self, share: float) -> str:
        elapsed = time.monotonic() - self._started
        if not 0 < share < 1 or elapsed < _ESTIMATE_SECONDS:
            return ""
        return f", {elapsed / share - elapsed:.0f} s left"

    def _print(self, text: str) -> None:
        print(text, end="", file=self._file, flush=True)
