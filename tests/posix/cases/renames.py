"""rename(2) and renameat2(2)."""

from __future__ import annotations

import ctypes
import errno
import os

from .tools import fails, opened

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

_libc = ctypes.CDLL(None, use_errno=True)
_CWD = -100


def _rename(source, target, flags):
    paths = os.fsencode(source), os.fsencode(target)
    if _libc.renameat2(_CWD, paths[0], _CWD, paths[1], flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def moves_a_file_with_its_inode(directory):
    (directory / "old").write_bytes(b"CONTENT")
    inode = os.stat(directory / "old").st_ino
    os.rename(directory / "old", directory / "new")
    assert os.listdir(directory) == ["new"]
    assert os.stat(directory / "new").st_ino == inode
    assert (directory / "new").read_bytes() == b"CONTENT"


def replaces_a_file(directory):
    (directory / "old").write_bytes(b"OLD")
    (directory / "new").write_bytes(b"NEW")
    os.rename(directory / "new", directory / "old")
    assert os.listdir(directory) == ["old"]
    assert (directory / "old").read_bytes() == b"NEW"


def leaves_a_replaced_file_to_those_who_have_it_open(directory):
    (directory / "old").write_bytes(b"OLD")
    (directory / "new").write_bytes(b"NEW")
    with opened(directory / "old", os.O_RDWR) as file:
        os.rename(directory / "new", directory / "old")
        assert os.fstat(file).st_nlink == 0
        assert os.pread(file, 10, 0) == b"OLD"
        os.pwrite(file, b"X", 0)
        assert os.pread(file, 10, 0) == b"XLD"
    assert (directory / "old").read_bytes() == b"NEW"


def moves_an_open_file(directory):
    with opened(directory / "old", os.O_CREAT | os.O_RDWR) as file:
        os.rename(directory / "old", directory / "new")
        os.write(file, b"AFTER")
    assert (directory / "new").read_bytes() == b"AFTER"


def moves_a_directory_with_what_is_in_it(directory):
    (directory / "a/b").mkdir(parents=True)
    (directory / "c").mkdir()
    (directory / "a/b/file").write_bytes(b"CONTENT")
    links = os.stat(directory).st_nlink
    os.rename(directory / "a", directory / "c/d")
    assert (directory / "c/d/b/file").read_bytes() == b"CONTENT"
    assert not (directory / "a").exists()
    assert os.stat(directory).st_nlink == links - 1
    assert os.path.samefile(directory / "c/d/..", directory / "c")


def replaces_an_empty_directory_only(directory):
    for name in ("old", "empty", "full"):
        (directory / name).mkdir()
    (directory / "full/file").touch()
    with fails(errno.ENOTEMPTY, errno.EEXIST):
        os.rename(directory / "old", directory / "full")
    os.rename(directory / "old", directory / "empty")
    assert sorted(os.listdir(directory)) == ["empty", "full"]


def does_not_mix_files_and_directories(directory):
    (directory / "file").touch()
    (directory / "sub").mkdir()
    with fails(errno.EISDIR):
        os.rename(directory / "file", directory / "sub")
    with fails(errno.ENOTDIR):
        os.rename(directory / "sub", directory / "file")


def refuses_to_move_a_directory_into_itself(directory):
    (directory / "a/b").mkdir(parents=True)
    with fails(errno.EINVAL):
        os.rename(directory / "a", directory / "a/b/c")
    with fails(errno.ENOTEMPTY, errno.EEXIST):
        os.rename(directory / "a/b", directory / "a")


def needs_a_source(directory):
    with fails(errno.ENOENT):
        os.rename(directory / "missing", directory / "new")
    with fails(errno.ENOENT):
        (directory / "file").touch()
        os.rename(directory / "file", directory / "missing/file")


def onto_another_link_of_the_same_file_does_nothing(directory):
    (directory / "a").touch()
    os.link(directory / "a", directory / "b")
    os.rename(directory / "a", directory / "b")
    assert sorted(os.listdir(directory)) == ["a", "b"]
    assert os.stat(directory / "a").st_nlink == 2


def onto_itself_does_nothing(directory):
    (directory / "a").write_bytes(b"CONTENT")
    os.rename(directory / "a", directory / "a")
    assert (directory / "a").read_bytes() == b"CONTENT"


def moves_links_and_not_what_they_point_to(directory):
    (directory / "file").touch()
    os.symlink("file", directory / "link")
    os.rename(directory / "link", directory / "moved")
    assert os.readlink(directory / "moved") == "file"
    assert sorted(os.listdir(directory)) == ["file", "moved"]


def noreplace_refuses_to_replace(directory):
    (directory / "a").write_bytes(b"A")
    (directory / "b").write_bytes(b"B")
    with fails(errno.EEXIST):
        _rename(directory / "a", directory / "b", RENAME_NOREPLACE)
    _rename(directory / "a", directory / "c", RENAME_NOREPLACE)
    assert (directory / "b").read_bytes() == b"B"
    assert (directory / "c").read_bytes() == b"A"


def exchange_swaps(directory):
    (directory / "file").write_bytes(b"FILE")
    (directory / "sub").mkdir()
    (directory / "sub/inner").touch()
    _rename(directory / "file", directory / "sub", RENAME_EXCHANGE)
    assert (directory / "sub").read_bytes() == b"FILE"
    assert os.listdir(directory / "file") == ["inner"]
    with fails(errno.ENOENT):
        _rename(directory / "file", directory / "missing", RENAME_EXCHANGE)


def exchange_across_directories_keeps_the_link_counts(directory):
    (directory / "a/x").mkdir(parents=True)
    (directory / "b").mkdir()
    (directory / "b/y").write_bytes(b"FILE")
    _rename(directory / "a/x", directory / "b/y", RENAME_EXCHANGE)
    assert (directory / "a/x").read_bytes() == b"FILE"
    links = [os.stat(directory / name).st_nlink for name in ("a", "b", "b/y")]
    assert links == [2, 3, 2]


def unknown_flags_are_refused(directory):
    (directory / "a").touch()
    with fails(errno.EINVAL):
        _rename(directory / "a", directory / "b", RENAME_NOREPLACE | RENAME_EXCHANGE)
    with fails(errno.EINVAL):
        _rename(directory / "a", directory / "b", 1 << 20)


def updates_the_times_of_both_directories(directory):
    for name in ("a", "b"):
        (directory / name).mkdir()
    (directory / "a/file").touch()
    for name in ("a", "b"):
        os.utime(directory / name, (0, 0))
    os.rename(directory / "a/file", directory / "b/file")
    for name in ("a", "b"):
        assert os.stat(directory / name).st_mtime > 0
