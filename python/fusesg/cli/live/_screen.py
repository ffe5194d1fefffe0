"""A terminal that is drawn on again and again, with escapes that all of them know."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ENTER = "\033[?1049h\033[?25l"  # the other screen, without the cursor
_LEAVE = "\033[?25h\033[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\033[H", "\033[K", "\033[J"


def is_possible() -> bool:
    """Whether stdout is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def width() -> int | None:
    """Characters of a line on stdout; None if it is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


class Screen:
    """Draws on the terminal's other screen, and leaves the terminal as it was.

    SIGTERM and SIGHUP end the block as Ctrl-C does, so that nothing is left behind; `q`
    is what others who show something so are left by.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._wake_read = -1
        self._reads_keys = False

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_signals())
            self._wake_read = stack.enter_context(_wake_up())
            self._reads_keys = stack.enter_context(_keys())
            stack.callback(_write, _LEAVE)
            _write(_ENTER)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def draw(self, fit: Callable[[int], Sequence[str]]) -> None:
        """Shows lines, as many as there is room for.

        Args:
            fit: Makes them for a width; what is longer all the same is cut.
        """
        columns, rows = shutil.get_terminal_size()
        lines = fit(columns)
        if len(lines) > rows:
            left = len(lines) - rows + 1
            lines = [*lines[: rows - 1], f"... and {left} more lines"]
        # the newline between them only: behind the last row it would scroll
        text = "\r\n".join(line[:columns] + _REST_OF_LINE for line in lines)
        _write(_HOME + text + _REST_OF_SCREEN)

    def wait(self, seconds: float) -> str:
        """Waits until it is time to draw again.

        Args:
            seconds: How long at most.

        Returns:
            "quit" after `q`, "resized" if it has another size now, else "".
        """
        deadline = time.monotonic() + seconds
        sources = [self._wake_read, *([sys.stdin.fileno()] if self._reads_keys else [])]
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select(sources, [], [], left)
            if self._wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
                return "resized"
            if ready:
                key = os.read(sys.stdin.fileno(), 64)
                if not key:
                    sources.pop()  # stdin has come to its end
                elif key.startswith((b"q", b"Q")):
                    return "quit"
        return ""


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Signals that end a program end it by an exception."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    handlers = {
        signal.SIGTERM: end,
        signal.SIGHUP: end,
        # it wakes the wait; the size is asked for when drawing
        signal.SIGWINCH: lambda *_: None,
    }
    before = {number: signal.signal(number, new) for number, new in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _wake_up() -> Iterator[int]:
    """A descriptor that becomes readable when a signal has come."""
    read, write = os.pipe()
    try:
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        try:
            yield read
        finally:
            signal.set_wakeup_fd(before)
    finally:
        os.close(read)
        os.close(write)


@contextlib.contextmanager
def _keys() -> Iterator[bool]:
    """Keys come at once and are not shown; whether there is a keyboard at all."""
    if not sys.stdin.isatty():
        yield False
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    changed = termios.tcgetattr(keyboard)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(keyboard, termios.TCSADRAIN, changed)
    try:
        yield True
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
