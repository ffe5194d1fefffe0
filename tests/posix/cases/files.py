"""Files: open, create, read, write, append, close."""

from __future__ import annotations

import errno
import mmap
import os
import stat
import subprocess
import sys

from .tools import SECONDS, fails, opened, pattern


def create_makes_an_empty_file(directory):
    with opened(directory / "file", os.O_CREAT | os.O_WRONLY, 0o640) as file:
        status = os.fstat(file)
    assert stat.S_ISREG(status.st_mode)
    assert (status.st_size, status.st_nlink) == (0, 1)
    assert status.st_ino == os.stat(directory / "file").st_ino


def create_opens_what_exists(directory):
    (directory / "file").write_bytes(b"OLD")
    with opened(directory / "file", os.O_CREAT | os.O_RDONLY) as file:
        assert os.read(file, 10) == b"OLD"


def exclusive_create_refuses_what_exists(directory):
    (directory / "file").write_bytes(b"OLD")
    os.symlink("nowhere", directory / "link")
    for name in ("file", "link"):
        with fails(errno.EEXIST):
            os.open(directory / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    assert (directory / "file").read_bytes() == b"OLD"


def create_through_a_dangling_link_makes_the_target(directory):
    os.symlink("target", directory / "link")
    (directory / "link").write_bytes(b"NEW")
    assert (directory / "target").read_bytes() == b"NEW"


def open_refuses_what_is_missing_or_of_another_kind(directory):
    (directory / "file").touch()
    (directory / "sub").mkdir()
    with fails(errno.ENOENT):
        os.open(directory / "missing", os.O_RDONLY)
    with fails(errno.ENOTDIR):
        os.open(directory / "file/below", os.O_RDONLY)
    with fails(errno.ENOTDIR):
        os.open(directory / "file", os.O_RDONLY | os.O_DIRECTORY)
    with fails(errno.EISDIR):
        os.open(directory / "sub", os.O_WRONLY)


def open_can_refuse_to_follow_a_link(directory):
    (directory / "file").touch()
    os.symlink("file", directory / "link")
    with fails(errno.ELOOP):
        os.open(directory / "link", os.O_RDONLY | os.O_NOFOLLOW)


def open_can_truncate(directory):
    (directory / "file").write_bytes(b"OLD CONTENT")
    with opened(directory / "file", os.O_WRONLY | os.O_TRUNC) as file:
        assert os.fstat(file).st_size == 0
    assert (directory / "file").read_bytes() == b""


def a_descriptor_does_what_it_was_opened_for(directory):
    (directory / "file").write_bytes(b"OLD")
    with opened(directory / "file", os.O_RDONLY) as file:
        with fails(errno.EBADF):
            os.write(file, b"NEW")
        with fails(errno.EINVAL):
            os.ftruncate(file, 0)
    with opened(directory / "file", os.O_WRONLY) as file, fails(errno.EBADF):
        os.read(file, 10)


def reads_end_at_the_end_of_the_file(directory):
    (directory / "file").write_bytes(b"0123456789")
    with opened(directory / "file", os.O_RDONLY) as file:
        assert os.pread(file, 100, 7) == b"789"
        assert os.pread(file, 100, 10) == b""
        assert os.pread(file, 100, 1 << 40) == b""


def writes_land_where_they_are_aimed(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        assert os.write(file, b"0123456789") == 10
        assert os.pwrite(file, b"AB", 4) == 2
        assert os.write(file, b"END") == 3, "pwrite does not move the position"
        assert os.pread(file, 100, 0) == b"0123AB6789END"


def vectors_are_read_and_written_in_order(directory):
    pieces = [b"A" * 5000, b"B", b"", b"C" * 4096, b"D" * 100_000]
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        assert os.writev(file, pieces) == sum(map(len, pieces))
        assert os.pwritev(file, [b"X", b"Y"], 4999) == 2
        buffers = [bytearray(4999), bytearray(2), bytearray(200_000)]
        assert os.preadv(file, buffers, 0) == sum(map(len, pieces))
    assert (bytes(buffers[0]), bytes(buffers[1])) == (b"A" * 4999, b"XY")
    assert buffers[2].rstrip(b"\0") == b"C" * 4096 + b"D" * 100_000


def large_content_survives(directory):
    content = pattern(5_000_001)
    (directory / "file").write_bytes(content)
    assert (directory / "file").read_bytes() == content


def content_is_seen_through_every_descriptor(directory):
    with (
        opened(directory / "file", os.O_CREAT | os.O_WRONLY) as writer,
        opened(directory / "file", os.O_RDONLY) as reader,
    ):
        assert os.read(reader, 10) == b""
        os.write(writer, b"NEW")
        assert os.read(reader, 10) == b"NEW"
        assert os.fstat(reader).st_size == 3


def append_ignores_the_position(directory):
    (directory / "file").write_bytes(b"0123")
    with opened(directory / "file", os.O_RDWR | os.O_APPEND) as file:
        os.lseek(file, 1, os.SEEK_SET)
        os.write(file, b"45")
        os.truncate(directory / "file", 5)
        os.write(file, b"AB")
        assert os.lseek(file, 0, os.SEEK_CUR) == 7
    assert (directory / "file").read_bytes() == b"01234AB"


APPENDER = """
import os, sys
path, letter, count = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
sys.stdin.readline()
file = os.open(path, os.O_WRONLY | os.O_APPEND)
for _ in range(count):
    os.write(file, letter * 99 + b"\\n")
"""


def concurrent_appends_lose_nothing(directory):
    path, count = directory / "log", 200
    path.touch()
    writers = [
        subprocess.Popen(
            [sys.executable, "-I", "-c", APPENDER, path, letter, str(count)],
            stdin=subprocess.PIPE,
        )
        for letter in "ABC"
    ]
    for writer in writers:  # all have started: off they go
        writer.stdin.write(b"\n")
        writer.stdin.close()
    assert [writer.wait(SECONDS) for writer in writers] == [0, 0, 0]
    lines = path.read_bytes().splitlines()
    assert sorted(lines) == [c * 99 for c in (b"A", b"B", b"C") for _ in range(count)]


def direct_io_sees_what_was_written(directory):
    (directory / "file").write_bytes(pattern(16384))
    page = mmap.mmap(-1, 8192)  # aligned, as O_DIRECT wants it
    with opened(directory / "file", os.O_RDWR | os.O_DIRECT) as file:
        assert os.preadv(file, [page], 4096) == 8192
        assert page[:] == pattern(16384)[4096:12288]
        page[:] = b"D" * 8192
        assert os.pwritev(file, [page], 8192) == 8192
    expected = pattern(16384)[:8192] + b"D" * 8192
    assert (directory / "file").read_bytes() == expected


def a_duplicate_shares_position_and_outlives_the_original(directory):
    file = os.open(directory / "file", os.O_CREAT | os.O_RDWR)
    with opened(directory / "file", os.O_RDONLY):
        duplicate = os.dup(file)
        os.write(file, b"0123")
        os.close(file)
        os.write(duplicate, b"45")
        os.close(duplicate)
    assert (directory / "file").read_bytes() == b"012345"


def sync_of_files_and_directories(directory):
    with opened(directory / "file", os.O_CREAT | os.O_WRONLY | os.O_DSYNC) as file:
        os.write(file, b"SAFE")
        os.fsync(file)
        os.fdatasync(file)
    with opened(directory, os.O_RDONLY | os.O_DIRECTORY) as handle:
        os.fsync(handle)


def a_directory_cannot_be_read_as_a_file(directory):
    with opened(directory, os.O_RDONLY) as handle, fails(errno.EISDIR):
        os.read(handle, 10)


def programs_can_be_run(directory):
    script = directory / "script"
    script.write_text("#!/bin/sh\necho $((6 * 7))\n")
    script.chmod(0o755)
    # cwd keeps subprocess from posix_spawn, which holds the GIL until the program runs
    printed = subprocess.check_output([script], cwd=directory, timeout=SECONDS)
    assert printed == b"42\n"
