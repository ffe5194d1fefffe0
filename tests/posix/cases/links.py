"""Hard and symbolic links, and what happens to files without a name."""

from __future__ import annotations

import errno
import os
import stat

from .tools import fails, opened


def hard_links_are_one_file(directory):
    (directory / "a").write_bytes(b"0123")
    os.link(directory / "a", directory / "b")
    first, second = os.stat(directory / "a"), os.stat(directory / "b")
    assert (first.st_ino, first.st_nlink) == (second.st_ino, 2)
    (directory / "b").write_bytes(b"NEW")
    assert (directory / "a").read_bytes() == b"NEW"
    os.unlink(directory / "a")
    assert os.stat(directory / "b").st_nlink == 1
    assert (directory / "b").read_bytes() == b"NEW"


def hard_links_refuse_what_exists_and_directories(directory):
    (directory / "a").touch()
    (directory / "sub").mkdir()
    with fails(errno.EEXIST):
        os.link(directory / "a", directory / "sub")
    with fails(errno.EPERM):
        os.link(directory / "sub", directory / "other")
    with fails(errno.ENOENT):
        os.link(directory / "missing", directory / "other")


def symbolic_links_can_have_hard_links(directory):
    os.symlink("target", directory / "a")
    os.link(directory / "a", directory / "b", follow_symlinks=False)
    assert os.readlink(directory / "b") == "target"
    assert os.lstat(directory / "b").st_nlink == 2


def _link_descriptor(file, path):
    # Python uses linkat(2) only with a `src_dir_fd`; an absolute path ignores it
    os.link(f"/proc/self/fd/{file}", path, src_dir_fd=file, follow_symlinks=True)


def an_open_file_can_be_linked_by_its_descriptor(directory):
    with opened(directory / "a", os.O_CREAT | os.O_RDWR) as file:
        os.write(file, b"CONTENT")
        _link_descriptor(file, directory / "b")
    assert (directory / "b").read_bytes() == b"CONTENT"


def symbolic_links_are_followed(directory):
    (directory / "sub").mkdir()
    (directory / "sub/file").write_bytes(b"CONTENT")
    os.symlink("sub", directory / "link")
    assert (directory / "link/file").read_bytes() == b"CONTENT"
    status = os.lstat(directory / "link")
    assert stat.S_ISLNK(status.st_mode)
    assert status.st_size == len("sub")


def symbolic_links_keep_any_target(directory):
    for number, target in enumerate((b"x" * 4095, b"\xff\n \\", b"/a//b/../c/")):
        path = os.fsencode(directory) + b"/%d" % number
        os.symlink(target, path)
        assert os.readlink(path) == target


def symbolic_links_refuse_what_exists_and_bad_targets(directory):
    (directory / "file").touch()
    with fails(errno.EEXIST):
        os.symlink("target", directory / "file")
    with fails(errno.ENOENT):
        os.symlink("", directory / "empty")
    with fails(errno.ENAMETOOLONG):
        os.symlink("x" * 4096, directory / "long")


def circles_of_symbolic_links_end(directory):
    os.symlink("b", directory / "a")
    os.symlink("a", directory / "b")
    with fails(errno.ELOOP):
        os.stat(directory / "a")


def readlink_refuses_what_is_no_link(directory):
    (directory / "file").touch()
    for path in (directory / "file", directory):
        with fails(errno.EINVAL):
            os.readlink(path)


def a_removed_file_lives_as_long_as_it_is_open(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as file:
        os.write(file, b"0123")
        os.unlink(directory / "file")
        assert os.listdir(directory) == []
        assert os.fstat(file).st_nlink == 0
        os.pwrite(file, b"45", 4)
        os.ftruncate(file, 5)
        os.fchmod(file, 0o600)
        os.utime(file, (1, 2))
        status = os.fstat(file)
        assert (status.st_size, status.st_mtime) == (5, 2)
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert os.pread(file, 10, 0) == b"01234"


def a_removed_file_makes_room_for_another(directory):
    with opened(directory / "file", os.O_CREAT | os.O_RDWR) as old:
        os.write(old, b"OLD")
        os.unlink(directory / "file")
        (directory / "file").write_bytes(b"NEW")
        assert os.pread(old, 10, 0) == b"OLD"
        assert os.fstat(old).st_ino != os.stat(directory / "file").st_ino
    assert (directory / "file").read_bytes() == b"NEW"


def unlink_refuses_directories_and_what_is_missing(directory):
    (directory / "sub").mkdir()
    with fails(errno.EISDIR):
        os.unlink(directory / "sub")
    with fails(errno.ENOENT):
        os.unlink(directory / "missing")


def unlink_removes_a_link_and_not_its_target(directory):
    (directory / "file").touch()
    os.symlink("file", directory / "link")
    os.unlink(directory / "link")
    assert os.listdir(directory) == ["file"]


def a_temporary_file_needs_no_name(directory):
    with opened(directory, os.O_TMPFILE | os.O_RDWR, 0o600) as file:
        os.write(file, b"CONTENT")
        assert os.listdir(directory) == []
        _link_descriptor(file, directory / "named")
    assert (directory / "named").read_bytes() == b"CONTENT"
