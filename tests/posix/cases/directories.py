"""Directories: making, removing, listing."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat

from .tools import fails, opened

_libc = ctypes.CDLL(None, use_errno=True)
_libc.opendir.restype = ctypes.c_void_p
_libc.readdir64.restype = ctypes.c_void_p
_libc.readdir64.argtypes = [ctypes.c_void_p]
_libc.telldir.restype = ctypes.c_long
_libc.telldir.argtypes = [ctypes.c_void_p]
_libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
_libc.rewinddir.argtypes = [ctypes.c_void_p]
_libc.closedir.argtypes = [ctypes.c_void_p]

_NAME_OFFSET = 19
"""Of `d_name` in `struct dirent64`."""


class _Stream:
    """A directory stream of the C library: Python's own cannot seek."""

    def __init__(self, path):
        self._stream = _libc.opendir(os.fsencode(path))
        assert self._stream, os.strerror(ctypes.get_errno())

    def read(self):
        entry = _libc.readdir64(self._stream)
        return ctypes.string_at(entry + _NAME_OFFSET).decode() if entry else None

    def rest(self):
        return list(iter(self.read, None))

    def tell(self):
        return _libc.telldir(self._stream)

    def seek(self, position):
        _libc.seekdir(self._stream, position)

    def rewind(self):
        _libc.rewinddir(self._stream)

    def close(self):
        _libc.closedir(self._stream)


def _fill(directory, count):
    names = [f"{number:04}-WITH-A-NAME-OF-SOME-LENGTH" for number in range(count)]
    for name in names:
        (directory / name).touch()
    return names


def a_new_directory_is_empty(directory):
    (directory / "sub").mkdir()
    assert os.listdir(directory / "sub") == []
    status = os.stat(directory / "sub")
    assert stat.S_ISDIR(status.st_mode)
    assert status.st_nlink == 2


def link_counts_count_subdirectories(directory):
    before = os.stat(directory).st_nlink
    (directory / "a").mkdir()
    (directory / "b").mkdir()
    (directory / "file").touch()
    assert os.stat(directory).st_nlink == before + 2
    (directory / "a").rmdir()
    assert os.stat(directory).st_nlink == before + 1


def mkdir_refuses_what_exists(directory):
    (directory / "file").touch()
    with fails(errno.EEXIST):
        os.mkdir(directory / "file")
    with fails(errno.EEXIST):
        os.mkdir(directory)
    with fails(errno.ENOENT):
        os.mkdir(directory / "missing/sub")
    with fails(errno.ENOTDIR):
        os.mkdir(directory / "file/sub")


def rmdir_removes_empty_directories_only(directory):
    (directory / "a/b").mkdir(parents=True)
    (directory / "file").touch()
    with fails(errno.ENOTEMPTY, errno.EEXIST):
        os.rmdir(directory / "a")
    with fails(errno.ENOTDIR):
        os.rmdir(directory / "file")
    with fails(errno.EINVAL):
        os.rmdir(f"{directory}/a/.")
    with fails(errno.ENOENT):
        os.rmdir(directory / "missing")
    os.rmdir(directory / "a/b")
    os.rmdir(directory / "a")
    assert os.listdir(directory) == ["file"]


def a_removed_directory_stays_empty_for_those_who_are_in_it(directory):
    (directory / "sub").mkdir()
    with opened(directory / "sub", os.O_RDONLY) as sub:
        os.rmdir(directory / "sub")
        assert os.listdir(sub) == []
        with fails(errno.ENOENT):
            os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=sub)


def a_listing_has_every_entry_once(directory):
    names = _fill(directory, 700)
    assert sorted(os.listdir(directory)) == names


def a_listing_has_dot_and_dot_dot(directory):
    (directory / "sub").mkdir()
    with contextlib.closing(_Stream(directory / "sub")) as stream:
        assert sorted(stream.rest()) == [".", ".."]


def a_listing_tells_types_and_inode_numbers(directory):
    (directory / "file").touch()
    (directory / "sub").mkdir()
    os.symlink("file", directory / "link")
    os.mkfifo(directory / "fifo")
    with os.scandir(directory) as entries:
        found = {entry.name: entry for entry in entries}
    assert found["file"].is_file(follow_symlinks=False)
    assert found["sub"].is_dir(follow_symlinks=False)
    assert found["link"].is_symlink()
    assert len(found) == 4
    for name, entry in found.items():
        assert entry.inode() == os.lstat(directory / name).st_ino


def positions_can_be_returned_to(directory):
    _fill(directory, 300)
    with contextlib.closing(_Stream(directory)) as stream:
        for _ in range(100):
            stream.read()
        position = stream.tell()
        rest = stream.rest()
        assert len(rest) == 202
        stream.seek(position)
        assert stream.rest() == rest


def every_position_leads_back_to_its_entry(directory):
    _fill(directory, 150)
    with contextlib.closing(_Stream(directory)) as stream:
        positions = []
        while True:
            position = stream.tell()
            if (name := stream.read()) is None:
                break
            positions.append((position, name))
        for position, name in reversed(positions):
            stream.seek(position)
            assert stream.read() == name


def rewinding_starts_again_and_sees_what_is_new(directory):
    names = _fill(directory, 300)
    with contextlib.closing(_Stream(directory)) as stream:
        for _ in range(50):
            stream.read()
        (directory / "new").touch()
        stream.rewind()
        assert sorted(stream.rest()) == [".", "..", *names, "new"]


def what_is_listed_can_be_deleted_meanwhile(directory):
    names = _fill(directory, 500)
    seen = []
    with os.scandir(directory) as entries:
        for entry in entries:
            seen.append(entry.name)
            os.unlink(directory / entry.name)
    assert sorted(seen) == names
    assert os.listdir(directory) == []
    os.rmdir(directory)
    directory.mkdir()


def what_is_not_touched_is_listed_once_while_others_come_and_go(directory):
    kept = set(_fill(directory, 300))
    seen = []
    with os.scandir(directory) as entries:
        for number, entry in enumerate(entries):
            (directory / f"new{number % 10}").touch()
            if number % 3 == 0:
                (directory / f"new{number % 10}").unlink()
            if entry.name in kept:
                seen.append(entry.name)
            if number > 5000:
                break
    assert sorted(seen) == sorted(kept)


def changes_set_the_times_of_the_directory(directory):
    (directory / "sub").mkdir()
    (directory / "file").touch()
    changes = (
        (directory / "new").touch,
        (directory / "dir").mkdir,
        lambda: os.symlink("x", directory / "link"),
        lambda: os.link(directory / "file", directory / "twin"),
        (directory / "file").unlink,
        (directory / "dir").rmdir,
    )
    for change in changes:
        os.utime(directory, (0, 0))
        change()
        assert os.stat(directory).st_mtime > 0


def paths_may_go_through_dot_and_dot_dot(directory):
    (directory / "a/b").mkdir(parents=True)
    (directory / "file").write_bytes(b"CONTENT")
    with open(f"{directory}/a/./b/../../file", "rb") as file:
        assert file.read() == b"CONTENT"
    assert os.path.samefile(f"{directory}/a/b/..", directory / "a")
