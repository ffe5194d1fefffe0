"""Mounts whose numbers are asked for, from here and from other processes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from typing import TYPE_CHECKING

import pytest

import fusesg
from fusesg.cli import _mount_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """This process is an ordinary user for a while."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


class Words(fusesg.Filesystem):
    """A file of five bytes, and names that begin with x, which are an error."""

    def getattr(self, inode, handle, ctx):
        kind = stat.S_IFDIR if inode == 1 else stat.S_IFREG
        return fusesg.Attributes(inode=inode, mode=kind | 0o755, size=5)

    def lookup(self, parent, name, ctx):
        if name.startswith("x"):
            raise PermissionError
        return fusesg.Entry(self.getattr(2, None, ctx)) if name == "file" else None

    def read(self, inode, handle, offset, size, ctx):
        return b"words"[offset : offset + size]


@pytest.fixture
def unserved(mountpoint: Path) -> Iterator[_mount_table.MountEntry]:
    """A mount that looks like one of ours, and that nobody serves."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
        mounted = libc.mount(
            b"fusesg", os.fsencode(mountpoint), b"fuse.fusesg", 0, options.encode()
        )
        assert mounted == 0, os.strerror(ctypes.get_errno())
        entry = _mount_table.find(os.fspath(mountpoint))
        assert entry is not None
        yield entry
        _mount_table.unmount(entry, lazy=True)
    finally:
        os.close(device)
