"""The files behind the mounts, and what killed runs have left."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import re
import shutil
from typing import TYPE_CHECKING

from fusesg.cli import _mount_table, _workspace
from fusesg.cli._errors import CommandError
from fusesg.cli.bench.peers._rows import FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX = "fusesg-bench-peers-"
_NAME = re.compile(rf"{_PREFIX}(\d+)-.+")
_SIZES = (0, 1, 4095, 4097, 100_000)


def prefix() -> str:
    """What the directory of this process begins with."""
    return f"{_PREFIX}{os.getpid()}-"


def make(directory: str, size: int) -> None:
    """Makes the files, the same each time.

    Args:
        directory: Where; it is made, too.
        size: Bytes of the file that is read and written.
    """
    os.mkdir(directory)
    content = random.Random(size)  # noqa: S311
    with open(os.path.join(directory, FILE), "xb") as file:
        file.write(content.randbytes(size))
    below = os.path.join(directory, "tree", "déjà vu", "below")
    os.makedirs(below)
    for number, length in enumerate(_SIZES):
        path = os.path.join(below, f"file {number}")
        with open(path, "xb") as file:
            file.write(content.randbytes(length))
        os.chmod(path, 0o600 | number)
    os.symlink("../no such file", os.path.join(below, "link"))


def copy(directory: str, copies: Sequence[str]) -> None:
    """Copies what `make` made, for each system.

    Where in memory a file comes to lie is chance, and makes it up to twice as fast to
    read. So the pages of the large file are dealt out to the copies by turns: all lie
    in the same regions.

    Args:
        directory: What is copied.
        copies: Where to; they are made, too.
    """
    for each in copies:
        shutil.copytree(
            directory, each, symlinks=True, ignore=shutil.ignore_patterns(FILE)
        )
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open(os.path.join(directory, FILE), "rb"))
        files = [
            stack.enter_context(open(os.path.join(each, FILE), "xb", buffering=0))
            for each in copies
        ]
        while page := source.read(mmap.PAGESIZE):
            for file in files:
                file.write(page)


def remove_left() -> list[str]:
    """Removes the mounts and files of runs that were killed.

    Returns:
        A line for each of those runs.
    """
    lines = []
    for parent in _workspace.temporary_parents():
        for entry in os.scandir(parent):
            found = _NAME.fullmatch(entry.name)
            # of somebody else it is none of our business
            if found and not _is_alive(int(found[1])) and _is_ours(entry):
                lines.append(f"a killed run has left {entry.path}: {_removed(entry)}")
    return lines


def _removed(directory: os.DirEntry[str]) -> str:
    """Removes it; says whether it could."""
    try:
        for mount in _mount_table.read():
            if mount.path.startswith(f"{directory.path}/"):
                _mount_table.unmount(mount, lazy=True)
        shutil.rmtree(directory.path)
    except (CommandError, OSError) as error:
        return str(error)
    return "removed"


def _is_alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def _is_ours(entry: os.DirEntry[str]) -> bool:
    return entry.stat(follow_symlinks=False).st_uid == os.geteuid()
