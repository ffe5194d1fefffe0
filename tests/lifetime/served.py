"""What the child processes of these tests mount: `from served import *`."""

import ctypes
import errno
import mmap
import os
import select
import signal
import stat
import subprocess
import sys
import threading
import time

import fusesg

__all__ = [
    "Served",
    "ctypes",
    "errno",
    "fusesg",
    "mmap",
    "mountpoint",
    "os",
    "outcome",
    "path",
    "say",
    "select",
    "signal",
    "start",
    "stat",
    "subprocess",
    "sys",
    "threading",
    "time",
    "until_watched_closely",
]

mountpoint = sys.argv[1]

TEXT = b"text of a file\n"
SIZE = 1 << 16
ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755, nlink=2)
FILES = {
    name: fusesg.Attributes(inode=inode, mode=stat.S_IFREG | 0o644, size=SIZE)
    for inode, name in enumerate(["text", "blocked", "waiting", "mapped"], start=2)
}


FILES["directory"] = fusesg.Attributes(inode=9, mode=stat.S_IFDIR | 0o755, nlink=2)


class Served(fusesg.Filesystem):
    """Four files of the same content, and a directory; reading some takes time.

    - `text`, `mapped`: no time.
    - `blocked`: for ever, or until somebody sets `go_on`.
    - `waiting`: the same, past the page cache.

    Each read of `blocked` and `waiting` sets `reading` when it begins.
    """

    def __init__(self):
        self.reading = threading.Event()
        self.go_on = threading.Event()

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(FILES[name]) if name in FILES else None

    def getattr(self, inode, handle, ctx):
        for attributes in FILES.values():
            if attributes.inode == inode:
                return attributes
        return ROOT

    def readdir(self, inode, handle, offset, ctx):
        return [
            fusesg.DirectoryEntry(name, attributes.inode, attributes.mode)
            for name, attributes in FILES.items()
        ]

    def open(self, inode, flags, ctx):
        return fusesg.Opened(None, direct_io=inode == FILES["waiting"].inode)

    def read(self, inode, handle, offset, size, ctx):
        if inode in {FILES["blocked"].inode, FILES["waiting"].inode}:
            self.reading.set()
            self.go_on.wait()
        return (TEXT * (SIZE // len(TEXT) + 1))[:SIZE][offset : offset + size]

    def write(self, inode, handle, offset, data, ctx):
        return len(data)


def path(name):
    """A file of the mount."""
    return f"{mountpoint}/{name}"


def say(*words):
    """Tells the test, at once, and in one piece whatever other threads say."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


def start(function, *arguments):
    """Runs it on a thread that nobody waits for at the end of the program."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def outcome(function, *arguments):
    """What it returns, or the name of its error's number."""
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def until_watched_closely():
    """Until the watcher, too, looks after a thread that waits for its own mount."""
    deadline = time.monotonic() + 10
    while len(_watchers()) < 2:
        assert time.monotonic() < deadline
        os.sched_yield()


def _watchers():
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if b"fusesg-watcher" in words and os.fsencode(mountpoint) in words:
            found.append(process)
    return found
