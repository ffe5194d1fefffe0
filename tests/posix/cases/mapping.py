"""mmap(2). Each case runs in a process of its own: a page fault holds Python's lock."""

from __future__ import annotations

import mmap
import os

from .tools import in_other_process, opened, pattern

PAGE = mmap.PAGESIZE


def a_mapping_shows_the_file(directory):
    (directory / "file").write_bytes(pattern(10 * PAGE + 100))
    with (
        opened(directory / "file", os.O_RDONLY) as file,
        mmap.mmap(file, 0, prot=mmap.PROT_READ) as mapping,
    ):
        assert mapping[:] == pattern(10 * PAGE + 100)
        assert (
            mapping[5 * PAGE - 5 : 5 * PAGE + 5] == pattern(6 * PAGE)[-PAGE - 5 :][:10]
        )


def a_shared_mapping_writes_the_file(directory):
    (directory / "file").write_bytes(pattern(4 * PAGE))
    with opened(directory / "file", os.O_RDWR) as file:
        with mmap.mmap(file, 0, flags=mmap.MAP_SHARED) as mapping:
            mapping[PAGE - 2 : PAGE + 2] = b"ABCD"
            mapping.flush()
            assert os.pread(file, 4, PAGE - 2) == b"ABCD"
            mapping[3 * PAGE : 3 * PAGE + 1] = b"E"
        assert os.pread(file, 1, 3 * PAGE) == b"E"
    read = "import sys; print(open(sys.argv[1], 'rb').read()[int(sys.argv[2]):][:4])"
    found = in_other_process(read, directory / "file", PAGE - 2)
    assert found == "b'ABCD'"


def a_private_mapping_leaves_the_file(directory):
    (directory / "file").write_bytes(pattern(2 * PAGE))
    with (
        opened(directory / "file", os.O_RDONLY) as file,
        mmap.mmap(
            file, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE
        ) as mapping,
    ):
        mapping[:4] = b"MINE"
        assert mapping[:4] == b"MINE"
    assert (directory / "file").read_bytes() == pattern(2 * PAGE)


def a_mapping_sees_what_is_written(directory):
    (directory / "file").write_bytes(bytes(2 * PAGE))
    with (
        opened(directory / "file", os.O_RDWR) as file,
        mmap.mmap(file, 0, flags=mmap.MAP_SHARED) as mapping,
    ):
        assert mapping[PAGE : PAGE + 3] == bytes(3)
        os.pwrite(file, b"NEW", PAGE)
        assert mapping[PAGE : PAGE + 3] == b"NEW"


def a_mapping_outlives_the_descriptor_and_the_name(directory):
    (directory / "file").write_bytes(pattern(2 * PAGE))
    with opened(directory / "file", os.O_RDWR) as file:
        mapping = mmap.mmap(file, 0, flags=mmap.MAP_SHARED)
    os.unlink(directory / "file")
    with mapping:
        assert mapping[PAGE:] == pattern(2 * PAGE)[PAGE:]
        mapping[:3] = b"NEW"
        mapping.flush()
        assert mapping[:3] == b"NEW"


def bytes_behind_the_end_of_the_file_are_zeros(directory):
    (directory / "file").write_bytes(b"0123")
    with opened(directory / "file", os.O_RDWR) as file:
        with mmap.mmap(file, 4) as mapping:
            os.ftruncate(file, 2)
            os.ftruncate(file, 4)
            assert mapping[:] == b"01\0\0"
        assert os.fstat(file).st_size == 4
