"""A log that grows while programs read it: `tail -f` follows, poll(2) wakes.

Run `python log.py MOUNTPOINT`; each line that it reads is appended to `MOUNTPOINT/log`.
The kernel may believe for an hour what it was told: it is told of each change instead.
"""

import select
import stat
import sys
import threading
import time

import fusesg

LOG = 2
HOUR = 3600
CONFIG = fusesg.Config(entry_timeout=HOUR, attribute_timeout=HOUR)


class Reader:
    """An open file, and how far it was read: poll(2) does not say."""

    position = 0


class LogFilesystem(fusesg.Filesystem):
    def __init__(self):
        self.mount: fusesg.Mount | None = None
        self.lock = threading.Lock()
        self.text = bytearray()
        self.time_ns = time.time_ns()
        self.waiters: set[fusesg.PollWaiter] = set()

    def append(self, line):
        """Adds a line; may be called from any thread, in callbacks too."""
        with self.lock:
            self.text += line
            self.time_ns = time.time_ns()
            waiters, self.waiters = self.waiters, set()
        # in this order: who is woken is to see the new size
        if self.mount:
            self.mount.invalidate_inode(LOG)
        for waiter in waiters:
            waiter.notify()

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.getattr(LOG, None, ctx)) if name == "log" else None

    def getattr(self, inode, handle, ctx):
        if inode == fusesg.ROOT_INODE:
            return fusesg.Attributes(inode=inode, mode=stat.S_IFDIR | 0o755, nlink=2)
        with self.lock:
            return fusesg.Attributes(
                inode=inode,
                mode=stat.S_IFREG | 0o444,
                size=len(self.text),
                mtime_ns=self.time_ns,
            )

    def readdir(self, inode, handle, offset, ctx):
        return [fusesg.DirectoryEntry("log", LOG, stat.S_IFREG)]

    def open(self, inode, flags, ctx):
        # reads that the page cache answered would not be seen here
        return fusesg.Opened(Reader(), direct_io=True)

    def read(self, inode, handle, offset, size, ctx):
        with self.lock:
            data = bytes(self.text[offset : offset + size])
            handle.position = offset + len(data)
        return data

    def poll(self, inode, handle, events, waiter, ctx):
        with self.lock:
            if waiter is not None:
                self.waiters.add(waiter)
            return select.POLLIN if handle.position < len(self.text) else 0


if __name__ == "__main__":
    log = LogFilesystem()
    with fusesg.mount(log, sys.argv[1], CONFIG) as log.mount:
        for line in sys.stdin.buffer:
            log.append(line)
