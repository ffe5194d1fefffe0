"""Every operation once, for native file systems with overridden methods."""

import errno
import fcntl
import os
import select
import struct

from fusesg import _core

METHODS = sorted(
    name
    for name, method in vars(_core.NativeFilesystem).items()
    if not name.startswith("_") and callable(method)
)
"""What a native file system has."""


def counting(base, *names, **attributes):
    """A class of `base` whose methods of these names only count and call super()."""

    def method_of(name):
        def method(self, *arguments):
            self.called[name] = self.called.get(name, 0) + 1
            return getattr(super(Counting, self), name)(*arguments)

        return method

    def init(self, *arguments):
        base.__init__(self, *arguments)
        self.called = {}

    members = {name: method_of(name) for name in names}
    Counting = type(  # noqa: N806 - a class
        "Counting", (base,), {"__init__": init, **members, **attributes}
    )
    return Counting


def outcome(function, *arguments):
    """What it returns, or the errno it raises."""
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def seen(found):
    return (found.st_mode, found.st_size, found.st_nlink, found.st_uid, found.st_gid)


def workout(top):
    """Uses every operation, and returns all that was seen."""
    path = lambda name: os.fspath(top / name)  # noqa: E731
    results = [
        outcome(os.mkdir, path("dir"), 0o750),
        outcome(os.mkdir, path("dir")),
        outcome(os.mkfifo, path("fifo"), 0o600),
        outcome(os.symlink, "a target", path("link")),
        outcome(os.readlink, path("link")),
        outcome(os.readlink, path("dir")),
        outcome(os.stat, path("missing")),
    ]
    fd = os.open(path("file"), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
    other = os.open(path("other"), os.O_CREAT | os.O_RDWR)
    try:
        results += [
            outcome(os.open, path("file"), os.O_CREAT | os.O_EXCL | os.O_RDWR),
            os.pwrite(fd, b"content" * 10_000, 5),
            os.pread(fd, 100_000, 0),
            os.pread(fd, 10, 10**6),
            outcome(os.fsync, fd),
            outcome(os.fdatasync, fd),
            outcome(os.posix_fallocate, fd, 0, 80_000),
            outcome(os.lseek, fd, 0, os.SEEK_DATA),
            outcome(os.lseek, fd, 0, os.SEEK_HOLE),
            outcome(os.lseek, fd, 10**6, os.SEEK_DATA),
            outcome(os.copy_file_range, fd, other, 1000, 10, 0),
            os.pread(other, 2000, 0),
            outcome(os.ftruncate, fd, 60_000),
            seen(os.fstat(fd)),
            os.isatty(fd),
            outcome(get_flags, fd),
            select.select([fd], [fd], [], 1) == ([fd], [fd], []),
            outcome(os.setxattr, path("file"), "user.name", b"value"),
            outcome(os.setxattr, path("file"), "user.name", b"", os.XATTR_CREATE),
            outcome(os.getxattr, path("file"), "user.name"),
            outcome(os.getxattr, path("file"), "user.none"),
            outcome(os.listxattr, path("file")),
            outcome(os.removexattr, path("file"), "user.name"),
            outcome(os.removexattr, path("file"), "user.name"),
        ]
    finally:
        os.close(fd)
        os.close(other)
    fd = os.open(path("file"), os.O_RDONLY)  # not from create
    try:
        results.append(os.read(fd, 1000))
    finally:
        os.close(fd)
    directory = os.open(path("dir"), os.O_RDONLY)
    try:
        results.append(outcome(os.fsync, directory))
    finally:
        os.close(directory)
    results += [
        outcome(os.link, path("file"), path("dir/hard")),
        seen(os.stat(path("dir/hard"))),
        outcome(os.chmod, path("file"), 0o604),
        outcome(os.utime, path("file"), None),
        outcome(lambda: os.utime(path("file"), ns=(1, -2_000_000_001))),
        os.stat(path("file")).st_mtime_ns,
        outcome(os.rename, path("other"), path("dir/other")),
        outcome(os.rmdir, path("dir")),
        sorted(os.listdir(top)),
        sorted((e.name, e.is_dir(), e.is_file()) for e in os.scandir(path("dir"))),
        outcome(os.unlink, path("dir/other")),
        outcome(os.unlink, path("dir/hard")),
        outcome(os.rmdir, path("dir")),
        sorted((e.name, seen(e.stat(follow_symlinks=False))) for e in os.scandir(top)),
        os.statvfs(top).f_namemax,
    ]
    for name in os.listdir(top):
        os.unlink(path(name))
    return results


def get_flags(fd):
    return struct.unpack("i", fcntl.ioctl(fd, 0x8008_6601, bytes(4)))
