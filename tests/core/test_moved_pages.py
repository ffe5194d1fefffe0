"""Pages that the kernel takes over from the cache of a file instead of copying them.

A program can only offer that and never hears what came of it; but a page that was taken
over is no longer in the cache of the file it came from, and mincore(2) tells what is.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

import fusesg

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = mmap.PAGESIZE
PAGES = 1024
CONTENT = random.Random(1).randbytes(PAGES * PAGE)

# Pages of these come from the cache one by one and clean. Those of tmpfs are the file.
DISK = {"ext2", "ext3", "ext4", "xfs"}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
    *(ctypes.c_int, ctypes.c_int, ctypes.c_long),
)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)


def cached_pages(path: Path) -> int:
    """How many pages of a file are in its cache; looking at them brings none there."""
    fd = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        address = _libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    finally:
        os.close(fd)
    assert address != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())
    try:
        resident = ctypes.create_string_buffer(size // PAGE)
        assert _libc.mincore(address, size, resident) == 0
    finally:
        _libc.munmap(address, size)
    return sum(flags & 1 for flags in resident.raw)


def filesystem_type(directory: Path) -> str:
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        lines = [line.split(" - ") for line in table]
    device = os.stat(directory).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    types = [kind.split()[0] for mount, kind in lines if mount.split()[2] == number]
    return types[0] if types else "unknown"


@pytest.fixture
def source() -> Iterator[Path]:
    """A directory with a file whose pages are all in the cache, clean, one by one."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        if (kind := filesystem_type(directory)) not in DISK:
            pytest.skip(f"the pages of {kind} (/var/tmp) cannot be taken over")
        with open(directory / "file", "w+b", buffering=0) as file:
            file.write(CONTENT)
            os.fsync(file)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            # no readahead: it would bring pages in blocks, which cannot be taken apart
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            # the system may reclaim some while the others are being read
            for _ in range(5):
                for page in range(PAGES):
                    os.pread(file.fileno(), PAGE, page * PAGE)
                if cached_pages(directory / "file") == PAGES:
                    break
            else:
                pytest.skip("memory is short: the cache does not keep the file")
        yield directory


def read_all(path: Path) -> bytes:
    """Reads a file through its cache, so that the kernel reads ahead."""
    return path.read_bytes()


@pytest.mark.requires("root")
def test_pages_that_are_offered_leave_the_cache_of_their_file(
    mounted, mountpoint, source
):
    with mounted(fusesg.Passthrough(source), splice_move=True) as mount:
        assert read_all(mountpoint / "file") == CONTENT
        left = cached_pages(source / "file")
    copier = mount.statistics()["core"]["copier"]
    assert copier["moves_offered"] == PAGES
    assert sum(copier["not_moved"].values()) == 0
    # but for those that some CPU still has in its list of new pages
    assert left < PAGES // 2
    assert read_all(source / "file") == CONTENT, "they are read again from the disk"


@pytest.mark.requires("root")
@pytest.mark.parametrize("options", [{}, {"splice_move": False}])
def test_pages_stay_in_the_cache_of_their_file_by_default(
    mounted, mountpoint, source, options
):
    with mounted(fusesg.Passthrough(source), **options) as mount:
        assert read_all(mountpoint / "file") == CONTENT
        left = cached_pages(source / "file")
    copier = mount.statistics()["core"]["copier"]
    assert copier["spliced"] > 0
    assert copier["moves_offered"] == 0
    assert copier["not_moved"]["not_offered"] == PAGES
    # memory may run short meanwhile, but not that short
    assert left > PAGES // 2


def read_at_once(path: Path) -> bytes:
    """Reads a file past its cache, with one request."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, 32 * PAGE) as memory:
            return memory[: os.preadv(fd, [memory], 0)]
    finally:
        os.close(fd)


ROOT = fusesg.Attributes(inode=fusesg.ROOT_INODE, mode=stat.S_IFDIR | 0o755)


class Pieces(fusesg.Filesystem):
    """One file, made of pieces of another."""

    def __init__(self, path: Path, pieces: list[tuple[int, int]]) -> None:
        backing = fusesg.Backing(path)
        self.list = fusesg.SegmentList([backing.extent(*piece) for piece in pieces])

        self.file = fusesg.Attributes(
            inode=2, mode=stat.S_IFREG | 0o644, size=len(self.list)
        )

    def getattr(self, inode, handle, ctx):
        return ROOT if inode == fusesg.ROOT_INODE else self.file

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.file)

    def read(self, inode, handle, offset, size, ctx):
        return self.list.slice(offset, size)


@pytest.mark.parametrize(
    ("pieces", "offered", "not_moved"),
    [
        ([(0, 8 * PAGE), (100 * PAGE, 8 * PAGE)], 16, {}),
        # the second begins in the middle of a page of the message
        ([(0, 8 * PAGE + 100), (PAGE, 8 * PAGE)], 8, {"short": 1, "misaligned": 8}),
        ([(1, 16 * PAGE)], 0, {"misaligned": 16}),
        ([(0, 15 * PAGE + 1)], 15, {"short": 1}),
    ],
    ids=["aligned", "odd", "misaligned", "short"],
)
def test_only_whole_pages_in_their_places_can_be_offered(
    mounted, mountpoint, source, pieces, offered, not_moved
):
    expected = b"".join(CONTENT[start : start + size] for start, size in pieces)
    with mounted(Pieces(source / "file", pieces), splice_move=True) as mount:
        assert read_at_once(mountpoint / "file") == expected
    copier = mount.statistics()["core"]["copier"]
    assert copier["moves_offered"] == offered
    assert {name: n for name, n in copier["not_moved"].items() if n} == not_moved
