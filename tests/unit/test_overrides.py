"""What is said of a class's methods when it is mounted, or given to a client."""

from __future__ import annotations

import functools
import re
import stat
from typing import ClassVar

import pytest

import fusesg

DIRECTORY = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)


class Inodes(fusesg.Filesystem):
    def getattr(self, inode, handle, ctx):
        return DIRECTORY


class Paths(fusesg.PathFilesystem):
    def getattr(self, path, handle, ctx):
        return DIRECTORY if path == "/" else None


def passing_on(method):
    @functools.wraps(method)
    def wrapper(self, *arguments):
        return method(self, *arguments[:-1])

    return wrapper


def shortened(method):
    @functools.wraps(method)
    def wrapper(self, path):
        return method(self, path, None, 0, None)

    return wrapper


class Callable:
    def __call__(self, path, handle, offset, ctx):
        return []


@pytest.fixture
def said(fuse_client, fuse_log):
    """What is logged of a class."""

    def said(kind):
        fuse_client(kind())
        for message in fuse_log.messages:
            fuse_log.expect(re.escape(message))
        return fuse_log.messages

    return said


# Methods that cannot be called


class FusepyRead(Paths):
    def read(self, path, size, offset, fh):
        return b""


class Pyfuse3Read(Inodes):
    async def read(self, fh, off, size):
        return b""


class ThreeDefaults(Paths):
    def readdir(self, path, fh=None, offset=0):
        return []


class KeywordOnly(Paths):
    def readdir(self, path, handle, offset, *, ctx):
        return []


class FusepyDestroy(Paths):
    def destroy(self, path):
        pass


class Static(Paths):
    @staticmethod
    def readlink(self, path, ctx):  # noqa: PLW0211 - the mistake
        return ""


class Wrapped(Paths):
    @shortened
    def readdir(self, path, handle, offset, ctx):
        return []


class OnInstance(Paths):
    def __init__(self):
        self.rmdir = lambda path: None


class Partial(Paths):
    readlink = functools.partial(lambda self, path, ctx: "")


class Inherited(FusepyRead):
    pass


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            FusepyRead,
            (
                "FusepyRead.read(path, size, offset, fh) does not take what it is "
                "called with: read(path, handle, offset, size, ctx)"
            ),
        ),
        (Pyfuse3Read, "Pyfuse3Read.read(fh, off, size) does not take"),
        (ThreeDefaults, "ThreeDefaults.readdir(path, fh=None, offset=0) does not take"),
        (KeywordOnly, "KeywordOnly.readdir(path, handle, offset, *, ctx) does not"),
        (FusepyDestroy, "FusepyDestroy.destroy(path) does not take what it is called "),
        (Static, "Static.readlink(self, path, ctx) does not take"),
        (Wrapped, "Wrapped.readdir(path) does not take"),
        (OnInstance, "OnInstance.rmdir(path) does not take"),
        (Partial, "Partial.readlink(self, path, ctx) does not take"),
        (Inherited, "FusepyRead.read(path, size, offset, fh) does not take"),
    ],
)
def test_a_method_that_cannot_be_called_is_refused(kind, message, fuse_client):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        fuse_client(kind())


def test_the_same_before_anything_is_mounted(mountpoint):
    with pytest.raises(TypeError, match=r"FusepyRead\.read\(path, size, offset, fh\)"):
        fusesg.mount(FusepyRead(), mountpoint)
    assert not mountpoint.is_mount()


# Methods that are called, however they are written


class Anyhow(Paths):
    lists: ClassVar[list[str]] = ["name"]
    readlink = None
    readdir = Callable()

    def __init__(self):
        self.rmdir = lambda *arguments: None
        self.unlink = functools.partial(lambda kept, path, ctx: None, "kept")

    @classmethod
    def mkdir(cls, path, mode, ctx):
        return None

    @staticmethod
    def rename(path, new_path, flags, ctx):
        return None

    @passing_on
    def read(self, path, handle, offset, size):
        return b""

    async def write(self, a, b, c, d, e=None, *f, **g):
        return 0

    def open(self, *_, **__):
        return None

    def release(self, path, handle, ctx, more=None):
        return None


def test_what_can_be_called_is_called(said):
    assert said(Anyhow) == []


class Swapped(Paths):
    def read(self, path, size, offset, handle, ctx):
        return b""


class FusepyWithContext(Paths):
    def read(self, path, size, offset, fh, ctx):
        return b""

    def write(self, path, data, offset, fh, ctx):
        return len(data)

    def readdir(self, path, offset, fh, ctx):
        return []


def test_ported_methods_in_another_order_are_warned_of(said):
    assert sorted(said(FusepyWithContext)) == [
        f"FusepyWithContext.{method} is called in another order: {operation}"
        for method, operation in [
            (
                "read(path, size, offset, fh, ctx)",
                "read(path, handle, offset, size, ctx)",
            ),
            (
                "readdir(path, offset, fh, ctx)",
                "readdir(path, handle, offset, ctx)",
            ),
            (
                "write(path, data, offset, fh, ctx)",
                "write(path, handle, offset, data, ctx)",
            ),
        ]
    ]


def test_names_in_another_order_are_warned_of(said):
    assert said(Swapped) == [
        (
            "Swapped.read(path, size, offset, handle, ctx) is called in another order: "
            "read(path, handle, offset, size, ctx)"
        )
    ]


# Methods that nothing calls


class Misspelled(Paths):
    def raed(self, path, handle, offset, size, ctx):
        return b""

    def readir(self, path, handle, ctx):
        return []

    def destory(self):
        pass


class MisspelledByInode(Inodes):
    async def lokup(self, parent, name, ctx):
        return None


class MisspelledOverride(fusesg.Memory):
    def opne(self, inode, flags, ctx):
        return None


class FromFusepy(Paths):
    def chmod(self, path, mode):
        pass

    def utimens(self, path, times=None):
        pass

    def lock(self, path, fh, cmd, lock):
        pass


class LookingUp(Paths):
    def lookup(self, parent, name, ctx):
        return None


@pytest.mark.parametrize(
    ("kind", "messages"),
    [
        (
            Misspelled,
            [
                "Misspelled.destory is never called by fusesg: did you mean destroy()?",
                (
                    "Misspelled.raed is never called by fusesg: did you mean "
                    "read(path, handle, offset, size, ctx)?"
                ),
                (
                    "Misspelled.readir is never called by fusesg: did you mean "
                    "readdir(path, handle, offset, ctx)?"
                ),
            ],
        ),
        (
            MisspelledByInode,
            [
                (
                    "MisspelledByInode.lokup is never called by fusesg: did you mean "
                    "lookup(parent, name, ctx)?"
                )
            ],
        ),
        (
            MisspelledOverride,
            [
                (
                    "MisspelledOverride.opne is never called by fusesg: did you mean "
                    "open(inode, flags, ctx)?"
                )
            ],
        ),
        (
            FromFusepy,
            [
                (
                    "FromFusepy.chmod is never called by fusesg: override "
                    "setattr(path, changes, handle, ctx) (the mode is changes.mode)"
                ),
                (
                    "FromFusepy.lock is never called by fusesg: override "
                    "setlk(path, handle, lock, wait, ctx)"
                ),
                (
                    "FromFusepy.utimens is never called by fusesg: override "
                    "setattr(path, changes, handle, ctx) (the times are "
                    "changes.atime_ns and changes.mtime_ns)"
                ),
            ],
        ),
        (
            LookingUp,
            [
                (
                    "LookingUp.lookup is never called by fusesg: in a file system of "
                    "paths getattr answers lookups"
                )
            ],
        ),
    ],
)
def test_methods_that_nothing_calls_are_warned_of(kind, messages, said):
    assert said(kind) == messages


class Helpers(Paths):
    """Names of its own, some of them near to those of operations."""

    chmod = None
    status: ClassVar[str] = "idle"

    def setattr(self, path, changes, handle, ctx):
        return self.truncate(path, changes.size)

    def truncate(self, path, size):  # what its setattr uses
        return None

    def read(self, path, handle, offset, size, ctx):
        return self.reads(path, handle, offset, size, ctx)

    def reads(self, path, handle, offset, size, ctx):  # there is a read
        return b""

    def stats(self):  # no statfs: it takes nothing
        return {}

    def mkdirs(self, path, mode):  # no mkdir
        return None

    def remove(self, path):
        return None

    def close(self):
        return None

    @property
    def link_(self):
        raise AssertionError("looked at by running it")

    @functools.cached_property
    def unlinks(self):
        raise AssertionError("looked at by running it")

    class Reader:
        def __init__(self, path, ctx):
            pass

    def _raed(self, path, handle, offset, size, ctx):
        return b""


def test_helpers_of_ones_own_are_not(said):
    assert said(Helpers) == []


def test_mounting_warns_once(mounted, expect_log, fuse_log):
    expect_log("Misspelled.* is never called")
    with mounted(Misspelled()) as mount:
        mount.statistics()
    said = [text for text in fuse_log.messages if "Misspelled.raed" in text]
    assert len(said) == 1
