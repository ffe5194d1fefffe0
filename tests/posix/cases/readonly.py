"""A read-only file system: whatever would change it is EROFS.

The directory has a file `file` with some content, at least four bytes of it.
"""

from __future__ import annotations

import errno
import os

from .tools import fails, opened


def files_can_be_read(directory):
    content = (directory / "file").read_bytes()
    assert len(content) == os.stat(directory / "file").st_size >= 4
    with opened(directory / "file", os.O_RDONLY) as file:
        assert os.pread(file, 2, 1) == content[1:3]
        assert os.pread(file, 100, len(content)) == b""
        assert os.lseek(file, 0, os.SEEK_END) == len(content)


def listings_work(directory):
    with os.scandir(directory) as entries:
        found = {entry.name: entry.inode() for entry in entries}
    assert found["file"] == os.stat(directory / "file").st_ino


def names_that_are_missing_are_enoent(directory):
    for call in (os.stat, os.readlink, os.listdir):
        with fails(errno.ENOENT):
            call(directory / "missing")


def flags_of_the_mount_say_so(directory):
    assert os.statvfs(directory).f_flag & os.ST_RDONLY


def files_cannot_be_opened_for_writing(directory):
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        with fails(errno.EROFS):
            os.open(directory / "file", flags)


def nothing_can_be_created(directory):
    for call in (
        lambda path: os.open(path, os.O_CREAT | os.O_WRONLY),
        os.mkdir,
        os.mkfifo,
        lambda path: os.symlink("target", path),
        lambda path: os.link(directory / "file", path),
        lambda path: os.rename(directory / "file", path),
    ):
        with fails(errno.EROFS):
            call(directory / "new")
    assert "new" not in os.listdir(directory)


def nothing_can_be_removed(directory):
    with fails(errno.EROFS):
        os.unlink(directory / "file")
    assert "file" in os.listdir(directory)


def no_attribute_can_be_changed(directory):
    for call in (
        lambda path: os.chmod(path, 0o600),
        lambda path: os.chown(path, 1, 1),
        os.utime,
        lambda path: os.truncate(path, 0),
        lambda path: os.setxattr(path, "user.a", b""),
        lambda path: os.removexattr(path, "user.a"),
    ):
        with fails(errno.EROFS):
            call(directory / "file")
