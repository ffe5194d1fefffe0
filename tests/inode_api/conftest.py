"""Fixtures for the inode API: a class that records what it is asked and answers."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import stat
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import fusesg

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 10.0
"""How long a call that nobody waits for may take to arrive."""

CONTENT = bytes(range(256)) * 64

DIRECTORY, FILE, LINK, FIFO, PRIVATE = 10, 11, 12, 13, 14
MADE = 100


def attributes(inode: int, mode: int, **more: int) -> fusesg.Attributes:
    return fusesg.Attributes(inode=inode, mode=mode, mtime_ns=1_234_567_890, **more)


@dataclass
class Call:
    """One call of a method."""

    method: str
    arguments: tuple[Any, ...]
    ctx: fusesg.Context | None
    result: Any = None


class Recorder(fusesg.Filesystem):
    """Every operation once, with fixed answers; `calls` has who asked for what.

    In the root there are `dir`, `file`, `link` and `fifo`; what is created is 100.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: list[Call] = []
        self.attributes = {
            1: attributes(1, stat.S_IFDIR | 0o777),
            DIRECTORY: attributes(DIRECTORY, stat.S_IFDIR | 0o777),
            FILE: attributes(FILE, stat.S_IFREG | 0o666, size=len(CONTENT)),
            LINK: attributes(LINK, stat.S_IFLNK | 0o777),
            FIFO: attributes(FIFO, stat.S_IFIFO | 0o666),
        }
        self.names = {"dir": DIRECTORY, "file": FILE, "link": LINK, "fifo": FIFO}
        self.waiter: fusesg.PollWaiter | None = None
        self.ready = 0

    def calls(self, method: str) -> list[Call]:
        with self._changed:
            return [call for call in self._calls if call.method == method]

    def the_call(self, method: str) -> Call:
        """The only call of a method; waits for it if it has not come yet."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._of(method), SECONDS)
            assert came, f"{method} was never called"
            (call,) = self._of(method)
        return call

    def wait_for(self, method: str, count: int) -> list[Call]:
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self._of(method)) >= count, SECONDS
            ), f"{method} was not called {count} times"
            return self._of(method)

    def forget_calls(self) -> None:
        with self._changed:
            self._calls.clear()

    def _of(self, method: str) -> list[Call]:
        return [call for call in self._calls if call.method == method]

    def record(self, call: Call) -> None:
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()

    def made(self, kind: int, mode: int, **more: int) -> fusesg.Entry:
        self.attributes[MADE] = attributes(MADE, kind | stat.S_IMODE(mode), **more)
        return fusesg.Entry(self.attributes[MADE])

    def lookup(self, parent, name, ctx):
        inode = self.names.get(name)
        return None if inode is None else fusesg.Entry(self.attributes[inode])

    def forget(self, inode, count):
        pass

    def getattr(self, inode, handle, ctx):
        return self.attributes[inode]

    def setattr(self, inode, changes, handle, ctx):
        self.attributes[inode] = changes.apply(self.attributes[inode], now_ns=42)
        return self.attributes[inode]

    def readlink(self, inode, ctx):
        return "target/\udcff"

    def access(self, inode, mask, ctx):
        if mask & 2:
            raise PermissionError

    def mknod(self, parent, name, mode, rdev, ctx):
        return self.made(stat.S_IFMT(mode), mode, rdev=rdev)

    def mkdir(self, parent, name, mode, ctx):
        return self.made(stat.S_IFDIR, mode)

    def symlink(self, parent, name, target, ctx):
        return self.made(stat.S_IFLNK, 0o777)

    def link(self, inode, new_parent, new_name, ctx):
        return fusesg.Entry(self.attributes[inode])

    def unlink(self, parent, name, ctx):
        pass

    def rmdir(self, parent, name, ctx):
        pass

    def rename(self, parent, name, new_parent, new_name, flags, ctx):
        pass

    def open(self, inode, flags, ctx):
        return fusesg.Opened(f"handle of {inode}", direct_io=True)

    def create(self, parent, name, mode, flags, ctx):
        return self.made(stat.S_IFREG, mode), f"handle of {MADE}"

    def read(self, inode, handle, offset, size, ctx):
        return CONTENT[offset : offset + size]

    def write(self, inode, handle, offset, data, ctx):
        return min(len(data), 1000)

    def flush(self, inode, handle, ctx):
        pass

    def release(self, inode, handle, ctx):
        pass

    def fsync(self, inode, handle, datasync, ctx):
        pass

    def fallocate(self, inode, handle, offset, length, mode, ctx):
        pass

    def lseek(self, inode, handle, offset, whence, ctx):
        return 4096

    def copy_file_range(
        self,
        in_inode,
        in_handle,
        in_offset,
        out_inode,
        out_handle,
        out_offset,
        length,
        flags,
        ctx,
    ):
        return 77

    def bmap(self, inode, blocksize, index, ctx):
        return 5

    def ioctl(self, inode, handle, command, data, out_size, ctx):
        return 3, bytes(data[::-1])[:out_size]

    def poll(self, inode, handle, events, waiter, ctx):
        self.waiter = waiter or self.waiter
        return events & self.ready

    def opendir(self, inode, flags, ctx):
        return f"directory handle of {inode}"

    def readdir(self, inode, handle, offset, ctx):
        return [
            fusesg.DirectoryEntry(name, inode, self.attributes[inode].mode)
            for name, inode in self.names.items()
        ]

    def releasedir(self, inode, handle, ctx):
        pass

    def fsyncdir(self, inode, handle, datasync, ctx):
        pass

    def statfs(self, inode, ctx):
        return fusesg.FilesystemStatistics(
            block_size=8192,
            fragment_size=1024,
            blocks=1000,
            blocks_free=900,
            blocks_available=800,
            files=700,
            files_free=600,
            name_max=100,
        )

    def getxattr(self, inode, name, ctx):
        return b"value of " + name.encode(errors="surrogateescape")

    def setxattr(self, inode, name, value, flags, ctx):
        pass

    def listxattr(self, inode, ctx):
        return ["user.one", "user.\udcfe"]

    def removexattr(self, inode, name, ctx):
        pass

    def getlk(self, inode, handle, lock, ctx):
        return fusesg.Lock(type=1, start=10, end=19, pid=os.getpid())

    def setlk(self, inode, handle, lock, wait, ctx):
        pass


def _recording(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def recorded(self: Recorder, *arguments: Any) -> Any:
        *rest, last = arguments
        has_context = isinstance(last, fusesg.Context)
        call = Call(
            method.__name__,
            tuple(rest) if has_context else arguments,
            last if has_context else None,
        )
        if method.__name__ == "write":
            call.arguments = (*rest[:3], bytes(rest[3]))
        call.result = method(self, *arguments)
        self.record(call)
        return call.result

    return recorded


for _name, _method in list(vars(Recorder).items()):
    if not _name.startswith("_") and callable(getattr(fusesg.Filesystem, _name, None)):
        setattr(Recorder, _name, _recording(_method))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


UNCACHED = {"entry_timeout": 0, "attribute_timeout": 0}


@pytest.fixture
def recorded(mounted, mountpoint, recorder):
    """The recorder mounted, with nothing cached: every call arrives."""
    others = os.geteuid() == 0  # nobody else may let them in
    with mounted(recorder, allow_other=others, **UNCACHED):
        recorder.forget_calls()
        yield recorder


@pytest.fixture(scope="session")
def as_user():
    """Calls a function on a thread that acts as an unprivileged user."""
    libc = ctypes.CDLL(None)
    setresuid, setresgid = (117, 119) if platform.machine() == "x86_64" else (147, 149)

    def as_user(uid: int, gid: int, function: Callable[[], Any]) -> Any:
        outcome: list[Any] = []

        def run() -> None:
            # the system calls act on this thread alone, unlike setresuid(3)
            assert libc.syscall(setresgid, gid, gid, gid) == 0
            assert libc.syscall(setresuid, uid, uid, uid) == 0
            outcome.append((threading.get_native_id(), function()))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(SECONDS)
        assert outcome, "the thread failed or hangs"
        return outcome[0]

    return as_user
