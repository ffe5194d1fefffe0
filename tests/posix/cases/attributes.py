"""Modes, owners, times and what statvfs tells."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import stat
import time

from .tools import fails, opened

UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
_CWD = -100

_libc = ctypes.CDLL(None, use_errno=True)


def _utimens(path, access, modification):
    """utimensat(2) with (seconds, nanoseconds) twice; Python's knows no OMIT."""
    times = (ctypes.c_long * 4)(*access, *modification)
    if _libc.utimensat(_CWD, os.fsencode(path), times, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def every_bit_of_a_mode_is_kept(directory):
    (directory / "file").touch()
    (directory / "sub").mkdir()
    for name in ("file", "sub"):
        for mode in (0, 0o400, 0o755, 0o777, 0o1755, 0o2755, 0o4711, 0o7777):
            os.chmod(directory / name, mode)
            assert _mode(directory / name) == mode, name


def chmod_through_a_descriptor_and_of_an_open_file(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.fchmod(file, 0o200)
        assert _mode(directory / "file") == 0o200
        os.write(file, b"STILL OPEN")


def new_files_get_the_mode_minus_the_umask(directory):
    old = os.umask(0o027)
    try:
        os.close(os.open(directory / "file", os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkdir(directory / "sub", 0o777)
        os.mkfifo(directory / "fifo", 0o777)
    finally:
        os.umask(old)
    found = [_mode(directory / name) for name in ("file", "sub", "fifo")]
    assert found == [0o640, 0o750, 0o750]


def a_new_file_may_be_unreadable_to_its_own_creator(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR, 0) as file:
        os.write(file, b"OPEN")
        assert os.pread(file, 10, 0) == b"OPEN"
    assert _mode(directory / "file") == 0


def owners_can_be_changed(directory):
    (directory / "file").touch()
    os.symlink("file", directory / "link")
    os.chown(directory / "file", 1234, 5678)
    os.chown(directory / "file", -1, 6789)
    os.chown(directory / "link", 11, 12, follow_symlinks=False)
    file, link = os.lstat(directory / "file"), os.lstat(directory / "link")
    assert (file.st_uid, file.st_gid) == (1234, 6789)
    assert (link.st_uid, link.st_gid) == (11, 12)


def new_files_belong_to_the_process(directory):
    (directory / "file").touch()
    (directory / "sub").mkdir()
    os.symlink("x", directory / "link")
    for name in ("file", "sub", "link"):
        status = os.lstat(directory / name)
        assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())


def set_group_id_directories_pass_their_group_on(directory):
    os.chown(directory, -1, 4321)
    os.chmod(directory, 0o2755)
    (directory / "file").touch()
    (directory / "sub").mkdir()
    assert os.stat(directory / "file").st_gid == 4321
    assert os.stat(directory / "sub").st_gid == 4321
    assert _mode(directory / "sub") & stat.S_ISGID


def times_have_nanoseconds(directory):
    (directory / "file").touch()
    times = (1_000_000_000_123_456_789, 1_500_000_000_987_654_321)
    os.utime(directory / "file", ns=times)
    status = os.stat(directory / "file")
    assert (status.st_atime_ns, status.st_mtime_ns) == times


def times_may_be_before_1970_and_after_2038(directory):
    (directory / "file").touch()
    for seconds in (-1, -86_400 * 365, (1 << 31) + 5, (1 << 33) + 5):
        times = (seconds * 10**9 + 5, seconds * 10**9 + 999_999_999)
        os.utime(directory / "file", ns=times)
        status = os.stat(directory / "file")
        assert (status.st_atime_ns, status.st_mtime_ns) == times


def times_can_be_left_and_set_to_now(directory):
    path = directory / "file"
    path.touch()
    os.utime(path, ns=(1, 2))
    _utimens(path, (0, UTIME_OMIT), (3, 4))
    status = os.stat(path)
    assert (status.st_atime_ns, status.st_mtime_ns) == (1, 3_000_000_004)
    before = time.time_ns() - 20_000_000  # the clock of file systems ticks coarsely
    _utimens(path, (0, UTIME_NOW), (0, UTIME_OMIT))
    status = os.stat(path)
    assert before <= status.st_atime_ns <= time.time_ns()
    assert status.st_mtime_ns == 3_000_000_004
    os.utime(path)
    assert before <= os.stat(path).st_mtime_ns <= time.time_ns()


def times_of_links_and_directories_can_be_set(directory):
    (directory / "sub").mkdir()
    os.symlink("sub", directory / "link")
    os.utime(directory / "sub", ns=(5, 6))
    os.utime(directory / "link", ns=(7, 8), follow_symlinks=False)
    assert os.stat(directory / "sub").st_mtime_ns == 6
    assert os.lstat(directory / "link").st_mtime_ns == 8


def times_refuse_nonsense(directory):
    (directory / "file").touch()
    with fails(errno.EINVAL):
        _utimens(directory / "file", (0, 1_000_000_000), (0, 0))


def writing_sets_mtime_and_ctime(directory):
    path = directory / "file"
    path.touch()
    os.utime(path, ns=(0, 0))
    changed = os.stat(path).st_ctime_ns
    with opened(path, os.O_WRONLY) as file:
        os.write(file, b"NEW")
    status = os.stat(path)
    assert status.st_mtime_ns > 0
    assert status.st_ctime_ns >= changed


def truncating_sets_mtime(directory):
    path = directory / "file"
    path.write_bytes(b"0123")
    for truncate in (
        lambda: os.truncate(path, 2),
        lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
    ):
        os.utime(path, ns=(0, 0))
        truncate()
        assert os.stat(path).st_mtime_ns > 0


def changes_of_attributes_set_ctime(directory):
    path = directory / "file"
    path.touch()
    numbers = itertools.count()
    changes = (
        lambda: os.chmod(path, 0o600),
        lambda: os.chown(path, 1, 1),
        lambda: os.utime(path, ns=(0, 0)),
        lambda: os.link(path, directory / f"link{next(numbers)}"),
    )
    for change in changes:
        before = os.stat(path).st_ctime_ns
        # file systems tick coarsely: again until the clock has moved on
        deadline = time.monotonic() + 2
        while os.stat(path).st_ctime_ns == before and time.monotonic() < deadline:
            change()
        assert os.stat(path).st_ctime_ns > before


def statvfs_tells_sane_numbers(directory):
    status = os.statvfs(directory)
    assert status.f_namemax == 255
    assert status.f_frsize >= 512
    assert status.f_frsize & (status.f_frsize - 1) == 0
    assert status.f_bavail <= status.f_bfree <= status.f_blocks
    with opened(directory, os.O_RDONLY) as handle:
        assert os.fstatvfs(handle).f_namemax == 255
