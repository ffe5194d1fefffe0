"""Listings: snapshots, positions of the class's own, entries with attributes."""

import ctypes
import os
import stat

import pytest

import fusesg

ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)


def attributes(inode):
    return fusesg.Attributes(inode=inode, mode=stat.S_IFREG | 0o644)


class Names(fusesg.Filesystem):
    """Files 0, 1, 2 …, which can be removed."""

    def __init__(self, count):
        self.names = {str(number): number + 10 for number in range(count)}
        self.listings = 0
        self.lookups = 0

    def getattr(self, inode, handle, ctx):
        return ROOT if inode == 1 else attributes(inode)

    def lookup(self, parent, name, ctx):
        self.lookups += 1
        inode = self.names.get(name)
        return inode and fusesg.Entry(attributes(inode))

    def unlink(self, parent, name, ctx):
        del self.names[name]

    def readdir(self, inode, handle, offset, ctx):
        self.listings += 1
        for name, number in list(self.names.items()):
            yield fusesg.DirectoryEntry(name, number, stat.S_IFREG)


class Positions(Names):
    """The same with positions of its own, asked for part by part."""

    def readdir(self, inode, handle, offset, ctx):
        self.listings += 1
        for position, (name, number) in enumerate(self.names.items(), 1):
            if position > offset:
                yield fusesg.DirectoryEntry(
                    name, number, stat.S_IFREG, next_offset=position
                )


class Plus(Names):
    """The same with attributes, which saves the lookups."""

    readdirplus = True

    def readdir(self, inode, handle, offset, ctx):
        for name, number in self.names.items():
            entry = fusesg.Entry(attributes(number), entry_timeout=60)
            yield fusesg.DirectoryEntry.of(name, entry)


@pytest.mark.parametrize("kind", [Names, Positions])
def test_a_hundred_thousand_names(mounted, mountpoint, kind):
    filesystem = kind(100_000)
    with mounted(filesystem):
        names = os.listdir(mountpoint)
    assert len(names) == 100_000
    assert set(names) == set(filesystem.names)
    if kind is Names:
        assert filesystem.listings == 1


def test_removing_while_listing_loses_nothing(mounted, mountpoint):
    with mounted(Names(5000)):
        seen = []
        with os.scandir(mountpoint) as listing:
            for entry in listing:
                seen.append(entry.name)
                os.unlink(entry.path)
        assert len(seen) == len(set(seen)) == 5000
        assert os.listdir(mountpoint) == []


def test_entries_with_attributes_save_lookups(mounted, mountpoint):
    filesystem = Plus(200)
    with mounted(filesystem), os.scandir(mountpoint) as listing:
        assert sum(1 for entry in listing if entry.stat()) == 200
    assert filesystem.lookups == 0


class Dirent(ctypes.Structure):
    """struct dirent of 64-bit Linux."""

    _fields_ = (
        ("ino", ctypes.c_uint64),
        ("off", ctypes.c_int64),
        ("reclen", ctypes.c_uint16),
        ("type", ctypes.c_uint8),
        ("name", ctypes.c_char * 256),
    )


@pytest.fixture
def libc():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = ctypes.c_void_p
    libc.readdir.argtypes = [ctypes.c_void_p]
    libc.readdir.restype = ctypes.POINTER(Dirent)
    libc.telldir.argtypes = [ctypes.c_void_p]
    libc.telldir.restype = ctypes.c_long
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
    libc.rewinddir.argtypes = [ctypes.c_void_p]
    libc.closedir.argtypes = [ctypes.c_void_p]
    return libc


@pytest.mark.parametrize("kind", [Names, Positions, Plus])
def test_seekdir_goes_back_to_where_telldir_was(mounted, mountpoint, libc, kind):
    with mounted(kind(1000)):
        directory = libc.opendir(os.fsencode(mountpoint))
        positions = []
        for _ in range(900):
            position = libc.telldir(directory)
            positions.append((position, libc.readdir(directory).contents.name))
        for position, name in positions[::-41]:
            libc.seekdir(directory, position)
            assert libc.readdir(directory).contents.name == name
        libc.closedir(directory)


def test_dots_are_listed_once_and_rewinddir_asks_again(mounted, mountpoint, libc):
    filesystem = Names(1)
    with mounted(filesystem):
        directory = libc.opendir(os.fsencode(mountpoint))

        def names():
            found = []
            while entry := libc.readdir(directory):
                found.append(entry.contents.name)
            return found

        assert names() == [b".", b"..", b"0"]
        filesystem.names["new"] = 99
        libc.rewinddir(directory)
        assert names() == [b".", b"..", b"0", b"new"]
        libc.closedir(directory)


@pytest.mark.parametrize(
    ("listing", "complaint"),
    [
        (None, "expected an iterable of DirectoryEntry"),
        ([("name", 3)], "expected entries that are DirectoryEntry"),
        (
            [
                fusesg.DirectoryEntry("a", 2, stat.S_IFREG, next_offset=1),
                fusesg.DirectoryEntry("b", 3, stat.S_IFREG),
            ],
            "next_offset with some entries and not with others",
        ),
    ],
)
def test_what_is_no_listing_is_an_error(
    mounted, mountpoint, expect_log, listing, complaint
):
    class Wrong(Names):
        def readdir(self, inode, handle, offset, ctx):
            return listing

    expect_log(f"Wrong.readdir .*{complaint}")
    with mounted(Wrong(0)), pytest.raises(OSError, match="Input/output error"):
        os.listdir(mountpoint)
