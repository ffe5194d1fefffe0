"""What the cases share."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 20
"""How long another process may take."""


@contextlib.contextmanager
def fails(*numbers: int) -> Iterator[None]:
    """The block must end with an OSError of one of these errnos."""
    expected = " or ".join(errno.errorcode[number] for number in numbers)
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            raise AssertionError(f"{error} instead of {expected}") from error
    else:
        raise AssertionError(f"success instead of {expected}")


@contextlib.contextmanager
def opened(path: Path | str | bytes, flags: int, mode: int = 0o644) -> Iterator[int]:
    """A descriptor that is closed at the end."""
    descriptor = os.open(path, flags, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def pattern(size: int) -> bytes:
    """Bytes without lower-case letters; no two neighbouring pages are equal."""
    cycle = bytes(byte for byte in range(251) if not ord("a") <= byte <= ord("z"))
    return (cycle * (size // len(cycle) + 1))[:size]


def in_other_process(program: str, *arguments: object) -> str:
    """What another Python process prints; fails if it fails."""
    return subprocess.run(
        [sys.executable, "-I", "-c", program, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    ).stdout.strip()
