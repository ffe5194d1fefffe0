"""Fixtures for reads that are answered with `Fetch` pieces."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import stat

import pytest

import fusesg

SIZE = 65_536
ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)
FILE = fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o644, size=SIZE)


class OneFile(fusesg.Filesystem):
    """The file `file`, of which each READ is answered by `answer(offset, size)`."""

    def __init__(self, answer):
        self.answer = answer
        self.contexts = []

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(FILE) if name == "file" else None

    def getattr(self, inode, handle, ctx):
        return FILE if inode == 2 else ROOT

    def open(self, inode, flags, ctx):
        return fusesg.Opened(None, direct_io=True)

    def read(self, inode, handle, offset, size, ctx):
        self.contexts.append(ctx)
        return self.answer(offset, size)


@pytest.fixture
def answering(mounted, mountpoint):
    """Mounts a file whose READs a function answers, to be used as `with`'s object."""

    class Answering:
        def __init__(self, answer, **options):
            self.filesystem = OneFile(answer)
            self._options = options

        def __enter__(self):
            with contextlib.ExitStack() as stack:
                self.mount = stack.enter_context(
                    mounted(self.filesystem, **self._options)
                )
                self._descriptor = os.open(mountpoint / "file", os.O_RDONLY)
                stack.callback(os.close, self._descriptor)
                self._stack = stack.pop_all()
            return self

        def __exit__(self, *exception):
            return self._stack.__exit__(*exception)

        def read(self, offset=0, size=SIZE):
            return os.pread(self._descriptor, size, offset)

        def error(self, offset=0, size=SIZE):
            try:
                self.read(offset, size)
            except OSError as error:
                return error.errno
            pytest.fail("the read succeeded")

        def completions(self):
            return self.mount.statistics()["core"]["completions"]

        def fetches(self):
            return self.mount.statistics()["python"]["fetches"]

    return Answering


@pytest.fixture
def threads():
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        yield pool


@pytest.fixture
def counts():
    """The counters of completions, of which all others are 0."""

    def counts(**numbers):
        names = ("ios", "parts", "holes", "errors", "cancelled")
        return dict.fromkeys(names, 0) | numbers

    return counts
