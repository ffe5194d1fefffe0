"""The directories that benchmarks work in, and what killed ones have left of them.

A directory is named after the process that made it, which removes it. Where that
process is gone and the directory is not, it was killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "fusesg-benchmark-"
_NAME = re.compile(_PREFIX + r"(\d+)-")
_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private one in it
_SPACE = 512 << 20
_MNT_DETACH = 2


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A directory that goes away; in memory, where there is room, not on a disk."""
    path = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_parent())
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _parent() -> Path | None:
    with contextlib.suppress(OSError):
        if shutil.disk_usage(_MEMORY).free >= _SPACE and os.access(_MEMORY, os.W_OK):
            return _MEMORY
    return None


def remove_leftovers() -> list[str]:
    """Unmounts and removes what killed benchmarks have left.

    Returns:
        A line about each, to be shown.
    """
    return [
        _remove(path)
        for parent in {_MEMORY, Path(tempfile.gettempdir())}
        for path in sorted(parent.glob(f"{_PREFIX}*"))
        if (match := _NAME.match(path.name)) and not _is_alive(int(match[1]))
    ]


def tell_leftovers() -> None:
    """Removes them, and says so on stderr."""
    for line in remove_leftovers():
        print(line, file=sys.stderr, flush=True)


def _is_alive(pid: int) -> bool:
    """Whether the process runs; one that has the number of another one does, too."""
    return os.path.exists(f"/proc/{pid}")


def _remove(path: Path) -> str:
    for mountpoint in _mounts_below(path):
        # its watcher may have been faster
        if not _unmount(mountpoint) and mountpoint in _mounts_below(path):
            return (
                f"a killed benchmark has left a mount that cannot be removed: "
                f"umount -l {mountpoint}"
            )
    shutil.rmtree(path, ignore_errors=True)
    return f"removed what a killed benchmark has left: {path}"


def _mounts_below(path: Path) -> list[str]:
    """Newest first. No path of a mount of ours has a blank in it."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split(" ")[4] for line in lines]
    return [point for point in reversed(points) if point.startswith(f"{path}/")]


def _unmount(mountpoint: str) -> bool:
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        return libc.umount2(os.fsencode(mountpoint), _MNT_DETACH) == 0
    with contextlib.suppress(FileNotFoundError):
        command = ["fusermount3", "-uz", "--", mountpoint]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


if __name__ == "__main__":
    tell_leftovers()
