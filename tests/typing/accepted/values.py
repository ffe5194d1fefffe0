"""Values, plans and handles."""

import array
import fcntl
import mmap
import os
import socket
import stat
from pathlib import Path
from typing import assert_type

import fusesg


def attributes(path: Path) -> fusesg.Attributes:
    """All that attributes are made of."""
    made = fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o644, size=10, mtime_ns=5)
    seen = fusesg.Attributes.from_stat(path.stat(), inode=made.inode + 1)
    changes = fusesg.SetAttributes(mode=0o600, atime_ns=fusesg.NOW)
    assert_type(made.replace(size=0).mtime_ns, int)
    assert_type(changes.size, int | None)
    return changes.apply(seen)


def entries(of: fusesg.Attributes) -> list[fusesg.DirectoryEntry]:
    """Names and where they lead."""
    entry = fusesg.Entry(of, entry_timeout=60, attribute_timeout=0.5)
    assert_type(entry.attributes, fusesg.Attributes)
    return [
        fusesg.DirectoryEntry("name", 2, stat.S_IFREG, entry, next_offset=1),
        fusesg.DirectoryEntry(b"\xff", 3, stat.S_IFDIR),
        fusesg.DirectoryEntry.of(Path("name"), entry),
    ]


def plans(path: Path) -> fusesg.SegmentList:
    """Where bytes are."""
    backing = fusesg.Backing(path, immutable=True)
    with path.open("r+b") as file:
        writable = fusesg.Backing(file, writable=True)
    by_number = fusesg.Backing(os.open(path, os.O_RDONLY))
    whole = fusesg.SegmentList(
        [
            backing.extent(0, 10),
            by_number.extent(),
            fusesg.Zeros(100),
            b"bytes",
            bytearray(b"bytearray"),
            memoryview(b"view"),
            array.array("b", b"array"),
            mmap.mmap(-1, 4096),
            fusesg.SegmentList(writable.extent(5)),
        ]
    )
    assert_type(whole.slice(3, 10), fusesg.SegmentList)
    assert_type(whole + b"more", fusesg.SegmentList)
    assert_type(b"before" + whole, fusesg.SegmentList)
    assert_type(bytes(whole), bytes)
    assert_type(len(whole), int)
    return whole


def streams(connection: socket.socket, read_end: int) -> list[object]:
    """What can be consumed once."""
    return [
        fusesg.Pipe(read_end, 10),
        fusesg.Socket(connection, 10),
        fusesg.Socket(connection.fileno(), 10),
    ]


def handles(backing: fusesg.Backing) -> list[fusesg.Opened]:
    """What `open` may return."""
    part = fusesg.BackingHandle(backing, offset=4096, length=None)
    assert_type(part.length, int | None)
    return [
        fusesg.Opened(part, direct_io=True),
        fusesg.Opened(fusesg.SegmentHandle([b"a", fusesg.Zeros(1)]), keep_cache=True),
        fusesg.Opened(fusesg.BytesHandle(b"text"), nonseekable=True),
    ]


def lock() -> fusesg.Lock:
    """A record lock."""
    return fusesg.Lock(fcntl.F_WRLCK, 0, fusesg.Lock.END_OF_FILE, os.getpid())


def statistics(path: Path) -> fusesg.FilesystemStatistics:
    """What df shows."""
    fusesg.FilesystemStatistics(block_size=4096, blocks=10)
    return fusesg.FilesystemStatistics.from_statvfs(os.statvfs(path))
