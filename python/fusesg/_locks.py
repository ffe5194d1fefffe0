"""POSIX record locks for file systems that keep them themselves."""

from __future__ import annotations

import errno
import fcntl
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fusesg._core import Lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fusesg._core import Context


class LockTable:
    """Who holds which POSIX locks; what `getlk` and `setlk` may forward to.

    ```python
    class Shared(fusesg.Memory):
        def __init__(self):
            super().__init__()
            self.locks = fusesg.LockTable()

        def getlk(self, inode, handle, lock, ctx):
            return self.locks.getlk(inode, lock, ctx)

        def setlk(self, inode, handle, lock, wait, ctx):
            self.locks.setlk(inode, lock, ctx)
    ```

    One table may serve several mounts, whose programs then lock each other out. A class
    without `getlk` and `setlk` needs none: the kernel keeps the locks of one mount.
    Its methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[int, list[_Held]] = {}

    def getlk(self, inode: int, lock: Lock, ctx: Context) -> Lock:
        """A lock that would keep `lock` from being set.

        Args:
            inode: The file.
            lock: The lock that is asked about.
            ctx: The context of the request, for its `lock_owner`.

        Returns:
            The first lock in the way; if there is none, one of type `fcntl.F_UNLCK`.
        """
        with self._guard:
            for held in self._in_the_way(inode, lock, ctx.lock_owner):
                return Lock(held.type, held.start, held.end, held.pid)
        return Lock(fcntl.F_UNLCK)

    def setlk(self, inode: int, lock: Lock, ctx: Context) -> None:
        """Sets a lock, or clears it where its type is `fcntl.F_UNLCK`.

        What the owner held in that range before is replaced, whatever its type.

        Args:
            inode: The file.
            lock: The lock.
            ctx: The context of the request, for its `lock_owner`.

        Raises:
            BlockingIOError: Another owner's lock is in the way; nothing was changed.
        """
        owner = ctx.lock_owner
        with self._guard:
            if lock.type != fcntl.F_UNLCK and any(self._in_the_way(inode, lock, owner)):
                raise BlockingIOError(errno.EAGAIN, "another lock is in the way")
            held = [
                part
                for each in self._held.get(inode, [])
                for part in (each.without(lock) if each.owner == owner else [each])
            ]
            if lock.type != fcntl.F_UNLCK:
                new = _Held(lock.start, lock.end, lock.type, owner, lock.pid)
                held = _joined(held, new)
            if held:
                self._held[inode] = sorted(held, key=lambda each: each.start)
            else:
                self._held.pop(inode, None)

    def _in_the_way(self, inode: int, lock: Lock, owner: int | None) -> Iterator[_Held]:
        for held in self._held.get(inode, []):
            excludes = fcntl.F_WRLCK in (held.type, lock.type)
            if excludes and held.owner != owner and held.overlaps(lock):
                yield held


@dataclass(frozen=True)
class _Held:
    """A range of bytes, `end` included, that is locked."""

    start: int
    end: int
    type: int
    owner: int | None
    pid: int

    def overlaps(self, lock: Lock) -> bool:
        return self.start <= lock.end and lock.start <= self.end

    def without(self, lock: Lock) -> Iterator[_Held]:
        """What is left of it outside of a range."""
        if not self.overlaps(lock):
            yield self
            return
        if self.start < lock.start:
            yield replace(self, end=lock.start - 1)
        if lock.end < self.end:
            yield replace(self, start=lock.end + 1)


def _joined(held: list[_Held], new: _Held) -> list[_Held]:
    """Adds a range, as one with those of the same owner and type that it touches."""
    apart = []
    for each in held:
        same = (each.owner, each.type) == (new.owner, new.type)
        if same and each.start <= new.end + 1 and new.start <= each.end + 1:
            start, end = min(each.start, new.start), max(each.end, new.end)
            new = replace(new, start=start, end=end)
        else:
            apart.append(each)
    return [*apart, new]
