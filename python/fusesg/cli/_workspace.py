"""What a long command works in: a temporary directory, and an end that cleans up."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from typing import TYPE_CHECKING

from fusesg.cli import _mount_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_MEMORY = "/dev/shm"  # noqa: S108 - TemporaryDirectory makes a private one in it
_SPACE = 1 << 30  # bytes wanted in memory for the temporary files
_IN_MEMORY = {"tmpfs", "ramfs"}


@contextlib.contextmanager
def temporary_directory(prefix: str) -> Iterator[str]:
    """A directory that goes away with all that is in it; in memory where there is room.

    In memory, because what is shown there is the way of the bytes, not a disk.

    Args:
        prefix: What its name begins with.
    """
    parent = None
    with contextlib.suppress(OSError):
        if shutil.disk_usage(_MEMORY).free >= _SPACE and os.access(_MEMORY, os.W_OK):
            parent = _MEMORY
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as directory:
        yield directory


def temporary_parents() -> set[str]:
    """Where `temporary_directory` may make one."""
    return {path for path in (_MEMORY, tempfile.gettempdir()) if os.path.isdir(path)}


@contextlib.contextmanager
def temporary_directory_on_disk(prefix: str) -> Iterator[str | None]:
    """One on a disk; None if neither the usual place nor /var/tmp is on one.

    Args:
        prefix: What its name begins with.
    """
    for parent in (tempfile.gettempdir(), "/var/tmp"):  # noqa: S108 - as above
        if os.path.isdir(parent) and filesystem_type(parent) not in _IN_MEMORY:
            break
    else:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as directory:
        yield directory


def filesystem_type(path: str) -> str:
    """The type of the file system that a path is on, as /proc/mounts has it."""
    device = os.stat(path).st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    types = [entry.type for entry in _mount_table.read() if entry.device == name]
    return types[-1] if types else "unknown"


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does: unmounting and cleaning up."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        sys.exit(128 + number)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
