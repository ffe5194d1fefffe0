"""Length and layout of files: truncate, holes, allocation, copies, large offsets."""

from __future__ import annotations

import ctypes
import errno
import os

from .tools import fails, opened, pattern

FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2
FALLOC_FL_ZERO_RANGE = 16

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def _fallocate(file, mode, offset, length):
    if _libc.fallocate(file, mode, offset, length):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def truncate_cuts_and_extends_with_zeros(directory):
    path = directory / "file"
    path.write_bytes(b"0123456789")
    os.truncate(path, 4)
    os.truncate(path, 8)
    assert path.read_bytes() == b"0123\0\0\0\0"
    with opened(path, os.O_RDWR) as file:
        os.ftruncate(file, 2)
        assert os.fstat(file).st_size == 2
        os.ftruncate(file, 100_000)
        assert os.pread(file, 200_000, 0) == b"01" + bytes(99_998)


def truncate_refuses_nonsense(directory):
    (directory / "file").touch()
    with fails(errno.EINVAL):
        os.truncate(directory / "file", -1)
    with fails(errno.EISDIR):
        os.truncate(directory, 0)
    with fails(errno.ENOENT):
        os.truncate(directory / "missing", 0)


def truncate_to_the_same_length_keeps_the_content(directory):
    (directory / "file").write_bytes(b"0123")
    os.truncate(directory / "file", 4)
    assert (directory / "file").read_bytes() == b"0123"


def a_write_beyond_the_end_leaves_a_hole_of_zeros(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.pwrite(file, b"END", 1_000_000)
        assert os.fstat(file).st_size == 1_000_003
        assert os.pread(file, 10, 999_998) == b"\0\0END"
        assert os.pread(file, 10, 0) == bytes(10)


def a_hole_takes_no_space(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.pwrite(file, b"END", 64 << 20)
        os.fsync(file)
        assert os.fstat(file).st_blocks * 512 < 1 << 20


def offsets_beyond_4_gib(directory):
    offset = (5 << 30) + 123
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.pwrite(file, b"FAR", offset)
        os.pwrite(file, b"NEAR", 123)
        assert os.fstat(file).st_size == offset + 3
        assert os.pread(file, 10, offset) == b"FAR"
        assert os.pread(file, 4, 123) == b"NEAR"
        assert os.pread(file, 3, offset & 0xFFFF_FFFF) == bytes(3)
        os.ftruncate(file, (4 << 30) + 1)
        assert os.lseek(file, 0, os.SEEK_END) == (4 << 30) + 1


def a_file_may_not_grow_beyond_the_limit_of_the_system(directory):
    (directory / "file").touch()
    with fails(errno.EFBIG):
        os.truncate(directory / "file", 2**63 - 1)


def seek_finds_the_ends_of_a_file(directory):
    (directory / "file").write_bytes(b"0123456789")
    with opened(directory / "file", os.O_RDONLY) as file:
        assert os.lseek(file, -3, os.SEEK_END) == 7
        assert os.lseek(file, 1, os.SEEK_CUR) == 8
        assert os.lseek(file, 100, os.SEEK_SET) == 100
        with fails(errno.EINVAL):
            os.lseek(file, -1, os.SEEK_SET)
        assert os.lseek(file, 2, os.SEEK_DATA) == 2
        assert os.lseek(file, 2, os.SEEK_HOLE) == 10
        with fails(errno.ENXIO):
            os.lseek(file, 10, os.SEEK_DATA)


def seek_finds_holes_and_data(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.pwrite(file, b"A" * 65536, 1 << 20)
        os.ftruncate(file, 4 << 20)
        os.fsync(file)
        assert os.lseek(file, 0, os.SEEK_HOLE) == 0
        assert os.lseek(file, 0, os.SEEK_DATA) == 1 << 20
        assert os.lseek(file, 1 << 20, os.SEEK_HOLE) == (1 << 20) + 65536
        with fails(errno.ENXIO):
            os.lseek(file, 2 << 20, os.SEEK_DATA)


def allocation_extends_the_file(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.write(file, b"0123")
        _fallocate(file, 0, 0, 100_000)
        status = os.fstat(file)
        assert status.st_size == 100_000
        assert status.st_blocks * 512 >= 100_000
        assert os.pread(file, 100_000, 0) == b"0123" + bytes(99_996)


def allocation_can_keep_the_size(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.write(file, b"0123")
        _fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 100_000)
        status = os.fstat(file)
    assert status.st_size == 4
    assert status.st_blocks * 512 >= 100_000


def allocation_can_punch_holes(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.write(file, b"A" * 65536)
        punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
        _fallocate(file, punch, 8192, 16384)
        found = os.pread(file, 65536, 0)
        assert found == b"A" * 8192 + bytes(16384) + b"A" * 40960
        os.fsync(file)
        assert os.lseek(file, 0, os.SEEK_HOLE) == 8192
        with fails(errno.EOPNOTSUPP):
            _fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, 4096)


def allocation_can_zero_a_range(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.write(file, b"A" * 10_000)
        _fallocate(file, FALLOC_FL_ZERO_RANGE, 5000, 10_000)
        assert os.fstat(file).st_size == 15_000
        assert os.pread(file, 20_000, 0) == b"A" * 5000 + bytes(10_000)


def allocation_refuses_nonsense(directory):
    (directory / "file").touch()
    with opened(directory / "file", os.O_RDWR) as file, fails(errno.EINVAL):
        _fallocate(file, 0, 0, 0)
    with opened(directory / "file", os.O_RDONLY) as file, fails(errno.EBADF):
        _fallocate(file, 0, 0, 10)


def ranges_are_copied_between_files(directory):
    content = pattern(300_000)
    (directory / "from").write_bytes(content)
    with (
        opened(directory / "from", os.O_RDONLY) as source,
        opened(directory / "to", os.O_CREAT | os.O_RDWR) as target,
    ):
        done = 0
        while done < 200_000:
            more = os.copy_file_range(
                source, target, 200_000 - done, 1000 + done, 10 + done
            )
            assert more > 0
            done += more
        assert os.copy_file_range(source, target, 10, 300_000) == 0
        assert os.pread(target, 300_000, 0) == bytes(10) + content[1000:201_000]


def ranges_are_copied_within_a_file(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.write(file, pattern(8192))
        assert os.copy_file_range(file, file, 4096, 0, 8192) == 4096
        assert os.pread(file, 20_000, 0) == pattern(8192) + pattern(4096)
        with fails(errno.EINVAL):
            os.copy_file_range(file, file, 4096, 0, 1000)
