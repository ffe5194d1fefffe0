"""Classes that keep locks themselves."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from typing import Any

import fusesg

SECONDS = 10.0


class Shared(fusesg.Memory):
    """Files in memory with locks of the class's own."""

    def __init__(self):
        super().__init__()
        self.locks = fusesg.LockTable()
        self.changed = threading.Condition()
        self.calls: list[tuple[fusesg.Lock, bool]] = []
        self.threads: set[str] = set()

    def getlk(self, inode, handle, lock, ctx):
        return self.locks.getlk(inode, lock, ctx)

    def setlk(self, inode, handle, lock, wait, ctx):
        with self.changed:
            self.calls.append((lock, wait))
            self.changed.notify_all()
        self.locks.setlk(inode, lock, ctx)

    def held(self):
        return [
            (each.type, each.start, each.end)
            for held in self.locks._held.values()
            for each in held
        ]

    def wait_for_call(self, found):
        with self.changed:
            assert self.changed.wait_for(lambda: found(self.calls), SECONDS), self.calls


class Forwarding(fusesg.Passthrough):
    """Locks of the backing files: others who use the source directory see them.

    Locks of an open file description: each owner has one of its own.
    """

    def __init__(self, source):
        super().__init__(source)
        self.source = source
        self.guard = threading.Lock()
        self.files: dict[tuple[int, int | None], Any] = {}

    def _file(self, inode, owner):
        with self.guard:
            if (inode, owner) not in self.files:
                (path,) = [
                    entry.path
                    for entry in os.scandir(self.source)
                    if entry.inode() == inode
                ]
                self.files[inode, owner] = open(path, "r+b")  # noqa: SIM115
            return self.files[inode, owner]

    @staticmethod
    def _flock(lock):
        to_the_end = lock.end == fusesg.Lock.END_OF_FILE
        length = 0 if to_the_end else lock.end - lock.start + 1
        return struct.pack("hhqqi4x", lock.type, os.SEEK_SET, lock.start, length, 0)

    def getlk(self, inode, handle, lock, ctx):
        file = self._file(inode, ctx.lock_owner)
        found = fcntl.fcntl(file, fcntl.F_OFD_GETLK, self._flock(lock))
        kind, _, start, length, _ = struct.unpack("hhqqi4x", found)
        end = start + length - 1 if length else None
        return fusesg.Lock(kind, start, end)

    def setlk(self, inode, handle, lock, wait, ctx):
        file = self._file(inode, ctx.lock_owner)
        command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
        fcntl.fcntl(file, command, self._flock(lock))

    def close(self):
        for file in self.files.values():
            file.close()
