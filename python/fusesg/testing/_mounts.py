"""The mounts of test runs, by the kernel's table, and taking them away."""

from __future__ import annotations

import ctypes
import os
import re
import stat
import subprocess
import tempfile
from typing import TYPE_CHECKING

from fusesg import _core
from fusesg._filesystem import Filesystem
from fusesg._mount import mount
from fusesg.cli import _mount_table

if TYPE_CHECKING:
    from collections.abc import Iterable

_MNT_FORCE, _MNT_DETACH = 1, 2

_ROOT = _core.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)


def source() -> str:
    """What the mounts of this process' tests show as their device."""
    return f"fusesg-test-{os.getpid()}"


def below(directory: str | os.PathLike[str]) -> list[str]:
    """The mount points at and below a directory.

    The table tells without asking a server, which may be dead or hang.
    """
    prefix = os.fspath(directory)
    paths = [entry.path for entry in _mount_table.read()]
    return [path for path in paths if path == prefix or path.startswith(f"{prefix}/")]


def force_unmount(
    directory: str | os.PathLike[str], but: Iterable[str] = ()
) -> list[str]:
    """Takes away what is mounted at and below a directory; nobody hangs on it then.

    Args:
        directory: The directory.
        but: Mount points that stay.

    Returns:
        The mount points that were taken away.
    """
    found = [path for path in below(directory) if path not in set(but)]
    for path in reversed(found):
        _force_unmount(path)
    return found


def _force_unmount(path: str) -> None:
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        # forced: the connection is aborted, and whoever waits for an answer gets an
        # error; what is in use must be detached nevertheless
        libc.umount2(os.fsencode(path), _MNT_FORCE)
        libc.umount2(os.fsencode(path), _MNT_DETACH)
    else:
        subprocess.run(["fusermount3", "-uz", "--", path], check=False)


def remove_stale() -> None:
    """Takes away mounts of test runs that are dead.

    A watcher process does so when a run is killed, unless it is killed as well.
    """
    for entry in _mount_table.read():
        owner = re.fullmatch(r"fusesg-test-(\d+)", entry.source)
        if entry.is_fuse and owner and not _is_alive(int(owner[1])):
            _force_unmount(entry.path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class _Empty(Filesystem):
    """An empty directory; its one callback runs in Python."""

    def getattr(
        self, inode: int, handle: object, ctx: _core.Context
    ) -> _core.Attributes:
        del inode, handle, ctx
        return _ROOT


def try_mounting() -> None:
    """Mounts once, and what a process starts only once is there from then on.

    Raises:
        OSError: Nothing can be mounted here; the message says why.
    """
    with (
        tempfile.TemporaryDirectory(prefix="fusesg-test-") as directory,
        mount(_Empty(), directory, source=source()),
    ):
        os.stat(directory)
