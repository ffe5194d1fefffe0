"""What write gives to the callback: a view that may be kept."""

import gc
import os
import stat

import pytest

import fusesg

ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)
SIZE = 1 << 16


class Keeper(fusesg.Filesystem):
    """One file that keeps every view it was given."""

    def __init__(self):
        self.views = []

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.getattr(2, None, ctx)) if name == "file" else None

    def getattr(self, inode, handle, ctx):
        if inode == 1:
            return ROOT
        return fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o644, size=SIZE)

    def open(self, inode, flags, ctx):
        return fusesg.Opened(None, direct_io=True)

    def write(self, inode, handle, offset, data, ctx):
        self.views.append(data)
        return len(data)


def test_a_view_that_is_kept_stays_as_it_was(mounted, mountpoint):
    keeper = Keeper()
    written = [bytes([number]) * (number * 997 + 1) for number in range(64)]
    with mounted(keeper):
        fd = os.open(mountpoint / "file", os.O_WRONLY)
        try:
            for data in written:
                assert os.pwrite(fd, data, 0) == len(data)
        finally:
            os.close(fd)
    gc.collect()
    assert all(isinstance(view, memoryview) for view in keeper.views)
    assert [bytes(view) for view in keeper.views] == written


def test_a_view_cannot_be_written_to(mounted, mountpoint):
    keeper = Keeper()
    with mounted(keeper):
        fd = os.open(mountpoint / "file", os.O_WRONLY)
        try:
            os.pwrite(fd, b"data", 0)
        finally:
            os.close(fd)
    (view,) = keeper.views
    assert (view.readonly, view.format, view.contiguous) == (True, "B", True)
    with pytest.raises(TypeError):
        view[0] = 1
    part = view[1:3]
    view.release()
    assert bytes(part) == b"at"
