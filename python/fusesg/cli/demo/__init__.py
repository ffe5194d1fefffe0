"""`fusesg demo`: the main job on real input, compared and measured."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from fusesg.cli._errors import CommandError
from fusesg.cli.demo import _archive, _measure, _writable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_MEMORY = "/dev/shm"  # noqa: S108 - TemporaryDirectory makes a private one in it
_SHOWN = 20  # differences; more would hide the verdict
_SPACE = 1 << 30  # bytes wanted in memory for the temporary files


def run(*, quick: bool) -> int:
    """Runs all parts.

    Args:
        quick: Use a part of the files, and measure briefly.

    Returns:
        0 if everything compared equal, else 1.

    Raises:
        CommandError: A part could not be run.
    """
    started = time.monotonic()
    try:
        with _ended_by_sigterm(), _temporary_directory() as directory:
            print("1. The standard library as a tar, served by examples/tar.py")
            archive = _archive.run(directory, quick=quick)
            print("\n2. A tree copied into writable file systems, and back")
            writable = _writable.run(directory, quick=quick)
            print("\n3. 32 x 4 KiB with O_DIRECT: one readv or writev, or one by one")
            measured = _measure.run(directory, quick=quick)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise CommandError(f"{error.strerror or error}{where}") from error
    seconds = time.monotonic() - started
    parts = [archive, writable, measured]
    differences = [each for part in parts for each in part.differences]
    for difference in differences[:_SHOWN]:
        print(f"DIFFERENT: {difference}", file=sys.stderr)
    if differences:
        print(f"\nFAILED: {len(differences)} differences ({seconds:.0f} s).")
        return 1
    print(
        f"\nOK: {archive.summary} and {writable.summary} compared equal; "
        f"{measured.summary}; nothing is left mounted ({seconds:.0f} s)."
    )
    return 0


@contextlib.contextmanager
def _temporary_directory() -> Iterator[str]:
    """A directory that goes away with all that is in it; in memory where there is room.

    In memory, because the demo is about the way of the bytes, not about a disk.
    """
    parent = None
    with contextlib.suppress(OSError):
        if shutil.disk_usage(_MEMORY).free >= _SPACE and os.access(_MEMORY, os.W_OK):
            parent = _MEMORY
    with tempfile.TemporaryDirectory(prefix="fusesg-demo-", dir=parent) as directory:
        yield directory


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: unmounting and cleaning up."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        sys.exit(128 + number)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
