"""What the groups of measurements have in common."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Unpack

import fusesg
from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from fusesg._config import ConfigOptions
    from fusesg.cli._load import Load

PAGE = 4096


@dataclass(frozen=True)
class Setting:
    """Where and with what to measure."""

    directory: str
    """For files; in memory where there is room."""
    disk: str | None
    """For files that must be on a disk; None if there is no place."""
    load: Load
    """The client of the mounts."""
    stack: ExitStack
    """Whatever is to be closed at the end."""
    quick: bool
    """Little of everything."""
    notes: list[str] = field(default_factory=list)
    """What the reader of the numbers should know."""

    def new_directory(self, name: str, *, on_disk: bool = False) -> str:
        """An empty directory."""
        parent = self.disk if on_disk and self.disk else self.directory
        path = os.path.join(parent, name)
        os.mkdir(path)
        return path

    def mount(
        self, filesystem: fusesg.Filesystem, name: str, **options: Unpack[ConfigOptions]
    ) -> fusesg.Mount:
        """Mounts until the end."""
        mountpoint = self.new_directory(f"mnt-{name}")
        try:
            mount = fusesg.mount(filesystem, mountpoint, **options)
        except OSError as error:
            raise NotMountedError(str(error.strerror or error)) from error
        return self.stack.enter_context(mount)


class NotMountedError(CommandError):
    """Nothing can be mounted here."""


class Content:
    """A file of random bytes, and how to see what is in it without a mount.

    Args:
        path: Where to make it.
        size: Its length.
        stack: Closes it at the end.
    """

    def __init__(self, path: str, size: int, stack: ExitStack) -> None:
        self.path = path
        with open(path, "xb") as file:
            # all of it is there, so that no write is slower because it is the first
            file.write(random.Random(size).randbytes(size))  # noqa: S311
            file.flush()
            os.fsync(file.fileno())
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, self._fd)

    def at(self, offset: int, size: int) -> bytes:
        """Its bytes now."""
        return os.pread(self._fd, size, offset)
