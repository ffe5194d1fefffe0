"""Listings: snapshots and positions, whatever buffers the program reads them into."""

import ctypes
import os
import stat
import struct
import threading
import time

import pytest

import fusesg

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.getdents64.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
LIBC.getdents64.restype = ctypes.c_ssize_t
ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)


def file_entry(number):
    return fusesg.Entry(
        fusesg.Attributes(inode=number, mode=stat.S_IFREG | 0o644, size=number)
    )


class Directory(fusesg.Filesystem):
    """A root directory whose names a test changes; file `name-n` is inode n."""

    def __init__(self, count):
        self.names = {f"name-{number:05}": number for number in range(2, count + 2)}
        self.asked = []
        self.looked_up = []

    def getattr(self, inode, handle, ctx):
        return ROOT if inode == 1 else file_entry(inode).attributes

    def lookup(self, parent, name, ctx):
        self.looked_up.append(name)
        return file_entry(self.names[name]) if name in self.names else None

    def unlink(self, parent, name, ctx):
        del self.names[name]

    def entry(self, name, number, next_offset=None):
        return fusesg.DirectoryEntry(name, number, stat.S_IFREG, None, next_offset)

    def readdir(self, inode, handle, offset, ctx):
        self.asked.append(offset)
        return [self.entry(name, number) for name, number in self.names.items()]


class WithPositions(Directory):
    """The same, listed by the numbers of the files."""

    def readdir(self, inode, handle, offset, ctx):
        self.asked.append(offset)
        for name, number in list(self.names.items()):
            if number > offset:
                yield self.entry(name, number, number)


class OnlyAttributes(Directory):
    """The same, with attributes; that they save lookups is not declared."""

    def entry(self, name, number, next_offset=None):
        return fusesg.DirectoryEntry.of(name, file_entry(number), next_offset)


class WithAttributes(Directory):
    """The same, with attributes, and who counts lookups."""

    readdirplus = True

    def __init__(self, count):
        super().__init__(count)
        self.forgotten = {}
        self.changed = threading.Condition()

    def entry(self, name, number, next_offset=None):
        return fusesg.DirectoryEntry.of(name, file_entry(number), next_offset)

    def forget(self, inode, count):
        with self.changed:
            self.forgotten[inode] = self.forgotten.get(inode, 0) + count
            self.changed.notify_all()


class WithBoth(WithAttributes):
    readdir = WithPositions.readdir


def getdents(fd, size):
    """What one getdents64(2) returns: (name, inode, offset, type) of each entry."""
    buffer = ctypes.create_string_buffer(size)
    length = LIBC.getdents64(fd, buffer, size)
    if length < 0:
        raise OSError(ctypes.get_errno(), "getdents64")
    found, start = [], 0
    while start < length:
        inode, offset, record, kind = struct.unpack_from("=QqHB", buffer.raw, start)
        name = buffer.raw[start + 19 : start + record].split(b"\0")[0]
        found.append((os.fsdecode(name), inode, offset, kind))
        start += record
    return found


def read_all(fd, size):
    found = []
    while part := getdents(fd, size):
        found += part
    return found


@pytest.fixture
def directory(mounted, mountpoint):
    """Mounts, and opens the root directory."""
    opened = []

    class Opened:
        def __init__(self, filesystem, **options):
            self.context = mounted(filesystem, **options)

        def __enter__(self):
            self.context.__enter__()
            opened.append(os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY))
            return opened[-1]

        def __exit__(self, *exception):
            os.close(opened.pop())
            self.context.__exit__(*exception)

    return Opened


ALL = [Directory, WithPositions, WithAttributes, WithBoth]


def names_of(entries):
    return [name for name, *_ in entries if name not in {".", ".."}]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("size", [64, 100, 280, 1000, 4096, 32_768, 200_000])
def test_nothing_is_lost_or_repeated_at_any_buffer_size(directory, kind, size):
    filesystem = kind(500)
    with directory(filesystem) as fd:
        assert names_of(read_all(fd, size)) == list(filesystem.names)


@pytest.mark.parametrize("kind", ALL)
def test_names_of_all_lengths_fit(directory, kind):
    filesystem = kind(0)
    filesystem.names = {"x" * length: length + 1 for length in range(1, 256)}
    with directory(filesystem) as fd:
        assert names_of(read_all(fd, 300)) == list(filesystem.names)


@pytest.mark.parametrize("kind", [Directory, WithAttributes])
def test_dots_are_added(directory, kind):
    with directory(kind(3)) as fd:
        found = read_all(fd, 4096)
    assert [(name, inode) for name, inode, *_ in found[:2]] == [(".", 1), ("..", 1)]


def test_dots_of_the_class_are_not_doubled(directory):
    class Dotted(Directory):
        def readdir(self, inode, handle, offset, ctx):
            for name in (".", "..", "file"):
                yield fusesg.DirectoryEntry(name, 7, stat.S_IFDIR)

    with directory(Dotted(0)) as fd:
        assert [name for name, *_ in read_all(fd, 4096)] == [".", "..", "file"]


def test_number_and_type_are_those_of_the_class(directory):
    types = [stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK]

    class Typed(Directory):
        def readdir(self, inode, handle, offset, ctx):
            for number, kind in enumerate(types):
                yield fusesg.DirectoryEntry(f"{number}", 2**40 + number, kind)

    with directory(Typed(0)) as fd:
        found = read_all(fd, 4096)[2:]
    assert [(inode, kind) for _, inode, _, kind in found] == [
        (2**40 + number, stat.S_IFMT(kind) >> 12) for number, kind in enumerate(types)
    ]


def test_a_listing_is_taken_once_for_each_open_directory(directory, mountpoint):
    filesystem = Directory(1000)
    with directory(filesystem) as fd:
        first = getdents(fd, 1000)
        filesystem.names.clear()
        assert len(first + read_all(fd, 1000)) == 1002
        assert os.listdir(mountpoint) == []
    assert filesystem.asked == [0, 0]


def test_rewinddir_asks_again(directory):
    filesystem = Directory(3)
    with directory(filesystem) as fd:
        assert len(read_all(fd, 4096)) == 5
        filesystem.names["new"] = 99
        os.lseek(fd, 0, os.SEEK_SET)
        assert names_of(read_all(fd, 4096))[-1] == "new"


@pytest.mark.parametrize("kind", ALL)
def test_seekdir_goes_back_to_where_telldir_was(directory, kind):
    filesystem = kind(300)
    with directory(filesystem) as fd:
        entries = read_all(fd, 2000)
        for index in (0, 1, 7, 150, 299, len(entries) - 1):
            _, _, position, _ = entries[index]
            os.lseek(fd, position, os.SEEK_SET)
            assert read_all(fd, 2000) == entries[index + 1 :]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("size", [200, 4096])
def test_deleting_while_listing_loses_nothing(directory, mountpoint, kind, size):
    filesystem = kind(300)
    expected = list(filesystem.names)
    found = []
    with directory(filesystem) as fd:
        while part := names_of(getdents(fd, size)):
            for name in part:
                os.unlink(mountpoint / name)
            found += part
        assert os.listdir(mountpoint) == []
    assert found == expected


def test_a_class_with_positions_is_asked_for_each_part(directory):
    filesystem = WithPositions(1000)
    with directory(filesystem) as fd:
        entries = read_all(fd, 32_768)
    assert [offset for *_, offset, _ in entries] == list(filesystem.names.values())
    assert filesystem.asked[0] == 0
    assert len(filesystem.asked) > 2
    assert set(filesystem.asked[1:]) <= set(filesystem.names.values())


def test_a_directory_may_be_empty_first_and_have_positions_later(directory):
    filesystem = WithPositions(0)
    with directory(filesystem) as fd:
        assert names_of(read_all(fd, 4096)) == []
        filesystem.names = {f"name-{number:05}": number for number in range(2, 1002)}
        os.lseek(fd, 0, os.SEEK_SET)
        assert names_of(read_all(fd, 4096)) == list(filesystem.names)


def test_two_open_directories_have_listings_of_their_own(directory, mountpoint):
    filesystem = Directory(500)
    with directory(filesystem) as fd:
        first = getdents(fd, 500)
        del filesystem.names["name-00500"]
        other = os.open(mountpoint, os.O_RDONLY)
        assert len(read_all(other, 500)) == 501
        os.close(other)
        assert len(first + read_all(fd, 500)) == 502


@pytest.mark.parametrize("kind", [Directory, WithPositions])
def test_a_hundred_thousand_entries(mounted, mountpoint, kind):
    filesystem = kind(100_000)
    with mounted(filesystem):
        start = time.monotonic()
        with os.scandir(mountpoint) as entries:
            found = sum(entry.is_file(follow_symlinks=False) for entry in entries)
        elapsed = time.monotonic() - start
    assert found == 100_000
    assert elapsed < 20
    assert filesystem.looked_up == []


def test_a_listing_that_never_ends_is_given_up(mounted, mountpoint, expect_log):
    class Endless(Directory):
        def readdir(self, inode, handle, offset, ctx):
            entry = self.entry("again", 5)
            while True:
                yield entry

    expect_log(r"Endless\.readdir gave more than \d+ entries without next_offset")
    with mounted(Endless(1)):
        with pytest.raises(OSError, match="Input/output error"):
            os.listdir(mountpoint)
        assert os.stat(mountpoint / "name-00002").st_ino == 2


def test_a_listing_with_positions_may_never_end(directory):
    class Endless(Directory):
        def readdir(self, inode, handle, offset, ctx):
            while True:
                offset += 1
                yield self.entry(f"{offset}", 5, offset)

    with directory(Endless(0)) as fd:
        found = [name for _ in range(20) for name in names_of(getdents(fd, 4096))]
    assert found == [f"{number}" for number in range(1, len(found) + 1)]


class IgnoresOffset(Directory):
    """Gives positions, and always begins at the beginning."""

    def readdir(self, inode, handle, offset, ctx):
        for name, number in self.names.items():
            yield self.entry(name, number, number)


class StandsStill(Directory):
    """Gives the same position to all."""

    def readdir(self, inode, handle, offset, ctx):
        for name, number in self.names.items():
            yield self.entry(name, number, 1)


@pytest.mark.parametrize("kind", [IgnoresOffset, StandsStill])
@pytest.mark.parametrize("count", [1, 5, 5000])
def test_positions_that_lead_nowhere_are_an_error(directory, expect_log, kind, count):
    expect_log(rf"{kind.__name__}\.readdir gave next_offset=\d+ to an entry that comes")
    with directory(kind(count)) as fd, pytest.raises(OSError, match="getdents64"):
        read_all(fd, 32_768)


def test_positions_need_no_order(directory):
    class Hashed(Directory):
        def readdir(self, inode, handle, offset, ctx):
            order = [5, 3, 1 << 60, 2, 9]
            first = order.index(offset) + 1 if offset else 0
            for position in order[first:]:
                yield self.entry(f"name-{position}", position, position)

    with directory(Hashed(0)) as fd:
        found = read_all(fd, 64)
    assert [offset for *_, offset, _ in found] == [5, 3, 1 << 60, 2, 9]


# With attributes


@pytest.mark.parametrize("kind", [OnlyAttributes, WithAttributes, WithBoth])
def test_attributes_in_a_listing_save_lookups(mounted, mountpoint, kind):
    filesystem = kind(200)
    with mounted(filesystem, entry_timeout=60, attribute_timeout=60) as mount:
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(mountpoint)}
    assert sizes == filesystem.names
    assert len(filesystem.looked_up) < 50  # the kernel decides when to ask for more
    assert mount.statistics()["operations"]["readdirplus"]["count"] > 0


class Declines(OnlyAttributes):
    readdirplus = False


class Counts(OnlyAttributes):
    def forget(self, inode, count):
        pass


@pytest.mark.parametrize("kind", [Declines, Counts])
def test_no_attributes_are_asked_for_where_the_class_declines_or_counts_lookups(
    mounted, mountpoint, kind
):
    filesystem = kind(200)
    with mounted(filesystem) as mount:
        for entry in os.scandir(mountpoint):
            entry.stat()
    assert "readdirplus" not in mount.statistics()["operations"]
    assert len(filesystem.looked_up) == 200


@pytest.mark.parametrize("kind", [Directory, WithPositions])
def test_a_listing_without_attributes_is_read_the_same(mounted, mountpoint, kind):
    filesystem = kind(200)
    with mounted(filesystem):
        names = [entry.name for entry in os.scandir(mountpoint) if entry.stat()]
    assert sorted(names) == sorted(filesystem.names)
    assert len(filesystem.looked_up) == 200


@pytest.mark.parametrize("kind", [WithAttributes, WithBoth])
def test_entries_of_a_listing_are_forgotten_like_lookups(mounted, mountpoint, kind):
    filesystem = kind(50)
    with mounted(filesystem):
        assert len(list(os.scandir(mountpoint))) == 50
        for name in list(filesystem.names):
            os.unlink(mountpoint / name)
        with filesystem.changed:
            assert filesystem.changed.wait_for(
                lambda: len(filesystem.forgotten) == 50, timeout=10
            )


def test_names_with_and_without_attributes_may_be_mixed(mounted, mountpoint):
    class Mixed(WithAttributes):
        def entry(self, name, number, next_offset=None):
            kind = WithAttributes if number % 2 else Directory
            return kind.entry(self, name, number, next_offset)

    filesystem = Mixed(100)
    with mounted(filesystem, entry_timeout=60, attribute_timeout=60):
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(mountpoint)}
    assert sizes == filesystem.names


def test_a_listing_whose_reader_was_killed_is_given_up(
    mounted, mountpoint, start_python
):
    class Slow(Directory):
        def __init__(self):
            super().__init__(0)
            self.started, self.ended = threading.Event(), threading.Event()

        def readdir(self, inode, handle, offset, ctx):
            try:
                while not self.ended.wait(0.001):
                    self.started.set()
                    yield self.entry("again", 5)
            finally:
                self.ended.set()

    filesystem = Slow()
    with mounted(filesystem):
        child = start_python("import os, sys; os.listdir(sys.argv[1])", mountpoint)
        assert filesystem.started.wait(20)
        child.kill()
        child.wait(20)
        assert filesystem.ended.wait(20)
