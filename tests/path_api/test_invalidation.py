"""Telling the kernel that something changed, by its path."""

import os
import stat
import threading
import time

import pytest

import fusesg
from fusesg.examples.hello import Hello

HOUR = {
    "entry_timeout": 3600,
    "attribute_timeout": 3600,
    "negative_timeout": 3600,
}


class Elsewhere(fusesg.PathFilesystem):
    """Files that change behind the mount's back."""

    keep_cache = True

    def __init__(self):
        self.files = {"/d/f": b"before"}

    def getattr(self, path, handle, ctx):
        if path in {"/", "/d"}:
            return fusesg.Attributes(mode=stat.S_IFDIR | 0o755)
        if path not in self.files:
            return None
        size = len(self.files[path])
        return fusesg.Attributes(mode=stat.S_IFREG | 0o644, size=size)

    def opendir(self, path, flags, ctx):
        return fusesg.Opened(None, cache_directory=True, keep_cache=True)

    def readdir(self, path, handle, offset, ctx):
        return (
            [name.rpartition("/")[2] for name in self.files] if path == "/d" else ["d"]
        )

    def read(self, path, handle, offset, size, ctx):
        return self.files[path][offset : offset + size]


@pytest.fixture
def elsewhere():
    return Elsewhere()


def eventually(condition):
    """Notifications are sent by a thread of its own, and nobody is told when."""
    deadline, pause = time.monotonic() + 10, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def settle(mount, elsewhere, mountpoint):
    """What was sent before has arrived when this change is seen."""
    elsewhere.files["/last"] = b""
    mount.invalidate_path("/last")
    eventually((mountpoint / "last").exists)


def test_a_change_is_seen(mounted, mountpoint, elsewhere):
    with mounted(elsewhere, **HOUR) as mount:
        file = mountpoint / "d" / "f"
        assert file.read_bytes() == b"before"
        elsewhere.files["/d/f"] = b"afterwards"
        assert file.read_bytes() == b"before"
        mount.invalidate_path("/d/f")
        eventually(lambda: file.read_bytes() == b"afterwards")
        assert file.stat().st_size == 10


def test_names_come_and_go(mounted, mountpoint, elsewhere):
    with mounted(elsewhere, **HOUR) as mount:
        new = mountpoint / "d" / "new"
        assert not new.exists()
        assert os.listdir(mountpoint / "d") == ["f"]
        elsewhere.files["/d/new"] = b"new"
        assert not new.exists()
        mount.invalidate_path("/d/new")
        eventually(new.exists)
        assert new.read_bytes() == b"new"
        assert os.listdir(mountpoint / "d") == ["f", "new"]
        del elsewhere.files["/d/new"]
        assert new.exists()
        mount.invalidate_path(os.fsencode("/d/new"), deleted=True)
        eventually(lambda: not new.exists())


def test_a_directory_that_somebody_is_in_stays_one(mounted, mountpoint, elsewhere):
    with mounted(elsewhere, **HOUR) as mount:
        assert not (mountpoint / "last").exists()
        fd = os.open(mountpoint / "d", os.O_RDONLY)
        try:
            mount.invalidate_path("/d/")
            settle(mount, elsewhere, mountpoint)
            there = os.readlink(f"/proc/self/fd/{fd}")
            assert there == os.fspath(mountpoint / "d")
        finally:
            os.close(fd)


def test_data_can_be_given_before_it_is_asked_for(mounted, mountpoint, elsewhere):
    with mounted(elsewhere, **HOUR) as mount:
        file = mountpoint / "d" / "f"
        assert file.stat().st_size == 6
        assert not (mountpoint / "last").exists()
        mount.store_path("/d/f", 0, b"STORED")
        mount.store_path("/nowhere", 0, b"x")
        settle(mount, elsewhere, mountpoint)
        assert file.read_bytes() == b"STORED"


def test_what_the_kernel_does_not_know_is_ignored(mounted, mountpoint, elsewhere):
    with mounted(elsewhere, **HOUR) as mount:
        assert not (mountpoint / "last").exists()
        mount.invalidate_path("/")
        mount.invalidate_path("/never/heard/of")
        settle(mount, elsewhere, mountpoint)
        assert (mountpoint / "d" / "f").read_bytes() == b"before"
    mount.invalidate_path("/d/f")


def test_a_path_is_one(mounted, elsewhere):
    with mounted(elsewhere) as mount:
        with pytest.raises(ValueError, match="path='d' does not begin at the root"):
            mount.invalidate_path("d")
        with pytest.raises(TypeError, match="expected str, bytes or a path"):
            mount.invalidate_path(7)


def test_a_file_system_of_inodes_has_none(mounted):
    with (
        mounted(Hello()) as mount,
        pytest.raises(TypeError, match="Hello is a file system of inodes"),
    ):
        mount.invalidate_path("/hello")
