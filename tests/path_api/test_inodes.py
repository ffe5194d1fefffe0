"""Inode numbers: which file is which."""

import os
import stat

import pytest

import fusesg

from .conftest import UNCACHED, forgotten_but
from .memory import PathMemory

CHOSEN = 2**63


class Numbers(fusesg.PathFilesystem):
    """Files in the root, with the inode numbers that are asked for."""

    def __init__(self, **numbers):
        self.numbers = numbers

    def getattr(self, path, handle, ctx):
        if path == "/":
            return fusesg.Attributes(inode=5, mode=stat.S_IFDIR | 0o755)
        inode = self.numbers.get(path[1:])
        if inode is None:
            return None
        return fusesg.Attributes(inode=inode, mode=stat.S_IFREG | 0o644, nlink=2)

    def readdir(self, path, handle, offset, ctx):
        return [
            fusesg.DirectoryEntry(name, inode, stat.S_IFREG)
            for name, inode in self.numbers.items()
        ]


def test_numbers_of_the_class_are_those_of_stat(mounted, mountpoint):
    with mounted(Numbers(a=7, large=2**64 - 1, middle=CHOSEN + 1)):
        assert os.stat(mountpoint / "a").st_ino == 7
        assert os.stat(mountpoint / "large").st_ino == 2**64 - 1
        assert os.stat(mountpoint / "middle").st_ino == CHOSEN + 1
        listed = {entry.name: entry.inode() for entry in os.scandir(mountpoint)}
        assert listed == {"a": 7, "large": 2**64 - 1, "middle": CHOSEN + 1}


def test_the_root_is_1_whatever_the_class_says(mounted, mountpoint):
    with mounted(Numbers()):
        assert os.stat(mountpoint).st_ino == 1


def test_a_number_that_cannot_be_is_replaced(mounted, mountpoint):
    with mounted(Numbers(none=0, one=1, other=1), **UNCACHED):
        found = [os.stat(mountpoint / name).st_ino for name in ("none", "one", "other")]
        assert len(set(found)) == 3
        assert min(found) >= CHOSEN
        again = [os.stat(mountpoint / name).st_ino for name in ("none", "one", "other")]
        assert again == found


def test_one_number_is_one_file(mounted, mountpoint):
    numbers = Numbers(a=7, b=7, c=8)
    with mounted(numbers):
        assert os.path.samefile(mountpoint / "a", mountpoint / "b")
        assert not os.path.samefile(mountpoint / "a", mountpoint / "c")


def test_a_file_that_was_replaced_elsewhere_is_another(mounted, mountpoint):
    numbers = Numbers(a=7)
    with mounted(numbers, **UNCACHED):
        fd = os.open(mountpoint / "a", os.O_RDONLY)
        try:
            numbers.numbers["a"] = 8
            assert os.stat(mountpoint / "a").st_ino == 8
            assert os.fstat(fd).st_ino == 7
        finally:
            os.close(fd)


def test_numbers_last_as_long_as_the_kernel_knows_the_file(mounted, mountpoint):
    with mounted(PathMemory(numbered=False), **UNCACHED):
        (mountpoint / "d").mkdir()
        (mountpoint / "d" / "f").write_text("x")
        with open(mountpoint / "d" / "f") as file:
            before = os.fstat(file.fileno()).st_ino
            os.rename(mountpoint / "d", mountpoint / "e")
            os.rename(mountpoint / "e" / "f", mountpoint / "g")
            assert os.stat(mountpoint / "g").st_ino == before
            assert os.fstat(file.fileno()).st_ino == before


def test_hard_links_are_one_file(mounted, mountpoint):
    with mounted(PathMemory(), **UNCACHED):
        (mountpoint / "a").write_text("text")
        os.link(mountpoint / "a", mountpoint / "b")
        assert os.stat(mountpoint / "a").st_nlink == 2
        assert os.path.samefile(mountpoint / "a", mountpoint / "b")
        (mountpoint / "b").write_text("other")
        assert (mountpoint / "a").read_text() == "other"
        os.unlink(mountpoint / "a")
        assert os.stat(mountpoint / "b").st_nlink == 1
        assert (mountpoint / "b").read_text() == "other"


def test_an_entry_may_say_how_long_it_holds(mounted, mountpoint):
    class Long(Numbers):
        asked = 0

        def getattr(self, path, handle, ctx):
            attributes = super().getattr(path, handle, ctx)
            if path == "/a":
                self.asked += 1
                return fusesg.Entry(attributes, 3600, 3600)
            return attributes

    long = Long(a=0)
    with mounted(long, **UNCACHED):
        for _ in range(5):
            os.stat(mountpoint / "a")
        assert long.asked == 1


@pytest.mark.requires("root")
def test_what_the_kernel_forgets_is_forgotten(mounted, mountpoint):
    with mounted(PathMemory(numbered=False)) as mount:
        deep = mountpoint / "a" / "b"
        deep.mkdir(parents=True)
        for number in range(500):
            (deep / str(number)).write_text("")
        assert mount.statistics()["python"]["paths"] == 503
        with open(deep / "7") as file:
            # those above an open file stay known with it
            forgotten_but(mount, 4)
            assert file.read() == ""
        forgotten_but(mount, 1)
        assert len(os.listdir(deep)) == 500


def test_a_client_gives_all_back():
    with fusesg.Client(PathMemory()) as client:
        client.mkdir("/a")
        with client.open_file("/a/b", "w") as file:
            file.write(b"x")
        client.rename("/a", "/c")
        assert client.listdir("/c") == ["b"]
        assert client.statistics()["paths"] == 1
