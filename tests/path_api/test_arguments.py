"""What each method is called with, and what it may return."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import Any

import pytest

import fusesg

from .conftest import UNCACHED

DIRECTORY = fusesg.Attributes(mode=stat.S_IFDIR | 0o777)
FILE = fusesg.Attributes(mode=stat.S_IFREG | 0o666, size=10)
LINK = fusesg.Attributes(mode=stat.S_IFLNK | 0o777)


class Recorder(fusesg.PathFilesystem):
    """A directory `/d` with a file `f` and a link `l`, and what is made."""

    def __init__(self):
        self.files = {"/": DIRECTORY, "/d": DIRECTORY, "/d/f": FILE, "/d/l": LINK}
        self.calls: list[tuple[Any, ...]] = []

    def record(self, *call):
        self.calls.append(call)

    def called(self, method):
        return [call[1:] for call in self.calls if call[0] == method]

    def getattr(self, path, handle, ctx):
        assert isinstance(ctx, fusesg.Context)
        self.record("getattr", path, handle)
        return self.files.get(path)

    def setattr(self, path, changes, handle, ctx):
        self.record("setattr", path, changes, handle)
        self.files[path] = changes.apply(self.files[path])

    def readlink(self, path, ctx):
        self.record("readlink", path)
        return "f"

    def mknod(self, path, mode, rdev, ctx):
        self.record("mknod", path, mode, rdev)
        self.files[path] = fusesg.Attributes(mode=mode, rdev=rdev)

    def mkdir(self, path, mode, ctx):
        self.record("mkdir", path, mode)
        self.files[path] = fusesg.Attributes(mode=stat.S_IFDIR | mode)

    def symlink(self, path, target, ctx):
        self.record("symlink", path, target)
        self.files[path] = LINK

    def link(self, path, new_path, ctx):
        self.record("link", path, new_path)
        self.files[new_path] = self.files[path]

    def unlink(self, path, ctx):
        self.record("unlink", path)

    def rmdir(self, path, ctx):
        self.record("rmdir", path)

    def rename(self, path, new_path, flags, ctx):
        self.record("rename", path, new_path, flags)
        self.files[new_path] = self.files.pop(path)

    def open(self, path, flags, ctx):
        self.record("open", path, flags)
        return fusesg.Opened("handle", direct_io=True)

    def create(self, path, mode, flags, ctx):
        self.record("create", path, mode, flags)
        self.files[path] = FILE
        return "created"

    def read(self, path, handle, offset, size, ctx):
        self.record("read", path, handle, offset, size)
        return b"0123456789"[offset : offset + size]

    def write(self, path, handle, offset, data, ctx):
        self.record("write", path, handle, offset, bytes(data))
        return len(data)

    def flush(self, path, handle, ctx):
        self.record("flush", path, handle)

    def fsync(self, path, handle, datasync, ctx):
        self.record("fsync", path, handle, datasync)

    def fallocate(self, path, handle, offset, length, mode, ctx):
        self.record("fallocate", path, handle, offset, length, mode)

    def lseek(self, path, handle, offset, whence, ctx):
        self.record("lseek", path, handle, offset, whence)
        return offset

    def copy_file_range(self, *arguments):
        self.record("copy_file_range", *arguments[:-1])
        return 5

    def ioctl(self, path, handle, command, data, out_size, ctx):
        self.record("ioctl", path, handle, command)
        return b""

    def opendir(self, path, flags, ctx):
        self.record("opendir", path)
        return "directory"

    def readdir(self, path, handle, offset, ctx):
        self.record("readdir", path, handle, offset)
        return ["f", fusesg.DirectoryEntry("l", 0, stat.S_IFLNK)]

    def fsyncdir(self, path, handle, datasync, ctx):
        self.record("fsyncdir", path, handle, datasync)

    def statfs(self, path, ctx):
        self.record("statfs", path)
        return fusesg.FilesystemStatistics(block_size=512, blocks=77)

    def getxattr(self, path, name, ctx):
        self.record("getxattr", path, name)
        return b"value"

    def setxattr(self, path, name, value, flags, ctx):
        self.record("setxattr", path, name, value, flags)

    def listxattr(self, path, ctx):
        self.record("listxattr", path)
        return ["user.a"]

    def removexattr(self, path, name, ctx):
        self.record("removexattr", path, name)

    def access(self, path, mask, ctx):
        self.record("access", path, mask)

    def getlk(self, path, handle, lock, ctx):
        self.record("getlk", path, handle)
        return fusesg.Lock(type=fcntl.F_UNLCK)

    def setlk(self, path, handle, lock, wait, ctx):
        self.record("setlk", path, handle, wait)


@pytest.fixture
def recorder(mounted):
    recorder = Recorder()
    with mounted(recorder, default_permissions=False, **UNCACHED):
        yield recorder


def test_names(recorder, mountpoint):
    d = mountpoint / "d"
    os.mkdir(d / "new", 0o700)
    os.mkfifo(d / "fifo", 0o600)
    os.symlink("t\udcff", d / "sym")
    os.link(d / "f", d / "new" / "hard")
    os.rename(d / "f", mountpoint / "moved")
    os.unlink(d / "fifo")
    os.rmdir(d / "new")
    assert recorder.called("mkdir") == [("/d/new", 0o700)]
    assert recorder.called("mknod") == [("/d/fifo", stat.S_IFIFO | 0o600, 0)]
    assert recorder.called("symlink") == [("/d/sym", "t\udcff")]
    assert recorder.called("link") == [("/d/f", "/d/new/hard")]
    assert recorder.called("rename") == [("/d/f", "/moved", 0)]
    assert recorder.called("unlink") == [("/d/fifo",)]
    assert recorder.called("rmdir") == [("/d/new",)]
    assert os.readlink(d / "l") == "f"
    assert recorder.called("readlink") == [("/d/l",)]


def test_an_open_file(recorder, mountpoint):
    fd = os.open(mountpoint / "d" / "f", os.O_RDWR)
    try:
        assert os.pread(fd, 4, 2) == b"2345"
        assert os.pwrite(fd, b"xy", 7) == 2
        os.fsync(fd)
        os.fdatasync(fd)
        os.posix_fallocate(fd, 1, 2)
        assert os.lseek(fd, 3, os.SEEK_DATA) == 3
        os.ftruncate(fd, 5)
        fcntl.ioctl(fd, 0x5401 << 8)
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert os.copy_file_range(fd, fd, 5, 0, 100) == 5
    finally:
        os.close(fd)
    file = ("/d/f", "handle")
    assert recorder.called("open")[0][0] == "/d/f"
    assert recorder.called("read") == [(*file, 2, 4)]
    assert recorder.called("write") == [(*file, 7, b"xy")]
    assert recorder.called("fsync") == [(*file, False), (*file, True)]
    assert recorder.called("fallocate") == [(*file, 1, 2, 0)]
    assert recorder.called("lseek") == [(*file, 3, os.SEEK_DATA)]
    # the kernel clears set-id bits by the path
    truncations = [call for call in recorder.called("setattr") if call[1].size == 5]
    assert [(path, handle) for path, _, handle in truncations] == [file]
    assert recorder.called("ioctl")[0][:2] == file
    assert recorder.called("setlk")[0] == (*file, False)
    assert recorder.called("copy_file_range") == [(*file, 0, *file, 100, 5, 0)]
    assert recorder.called("flush") == [file]


def test_a_directory(recorder, mountpoint):
    fd = os.open(mountpoint / "d", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert os.listdir(fd) == ["f", "l"]
        os.fsync(fd)
    finally:
        os.close(fd)
    assert recorder.called("opendir") == [("/d",)]
    assert recorder.called("readdir") == [("/d", "directory", 0)]
    assert recorder.called("fsyncdir") == [("/d", "directory", False)]


def test_what_has_no_handle(recorder, mountpoint):
    file = mountpoint / "d" / "f"
    os.chmod(file, 0o640)
    os.setxattr(file, "user.a", b"b")
    assert os.getxattr(file, "user.a") == b"value"
    assert os.listxattr(file) == ["user.a"]
    os.removexattr(file, "user.a")
    assert os.access(file, os.R_OK)
    assert os.statvfs(file).f_blocks == 77
    (path, changes, handle), *_ = recorder.called("setattr")
    assert (path, changes.mode, handle) == ("/d/f", 0o640, None)
    assert file.stat().st_mode & 0o777 == 0o640
    assert recorder.called("setxattr") == [("/d/f", "user.a", b"b", 0)]
    assert recorder.called("getxattr") == [("/d/f", "user.a")]
    assert recorder.called("listxattr") == [("/d/f",)]
    assert recorder.called("removexattr") == [("/d/f", "user.a")]
    assert ("/d/f", os.R_OK) in recorder.called("access")
    assert recorder.called("statfs") == [("/d/f",)]


@pytest.mark.parametrize(
    ("result", "handle"),
    [
        ("handle", "handle"),
        ((1, 2), (1, 2)),
        ((FILE, "handle"), "handle"),
        ((fusesg.Entry(FILE, 1), "handle"), "handle"),
        (None, None),
    ],
    ids=["handle", "tuple", "attributes", "entry", "none"],
)
def test_create_may_tell_of_the_file(mounted, mountpoint, result, handle):
    class Creates(Recorder):
        def create(self, path, mode, flags, ctx):
            self.files[path] = FILE
            self.calls.clear()
            return result

    creates = Creates()
    with mounted(creates):
        fd = os.open(mountpoint / "new", os.O_CREAT | os.O_RDWR, 0o640)
        assert os.pread(fd, 2, 0) == b"01"
        os.close(fd)
        assert creates.called("read")[0][:2] == ("/new", handle)
        asked = [("/new", None)] if result == handle else []
        assert creates.called("getattr") == asked


@pytest.mark.parametrize("name", ["name", "n\udcffme", "ümlaut", "x" * 255])
def test_names_are_bytes_in_the_end(recorder, mountpoint, name):
    os.mkdir(mountpoint / name)
    assert recorder.called("mkdir")[0][0] == f"/{name}"
    os.mkdir(mountpoint / name / name)
    assert recorder.called("mkdir")[1][0] == f"/{name}/{name}"
    assert (mountpoint / name / name).is_dir()


def test_a_parent_that_is_missing_is_not_asked_below(recorder, mountpoint):
    with pytest.raises(FileNotFoundError):
        os.stat(mountpoint / "no" / "such")
    assert ("/no/such", None) not in recorder.called("getattr")


def test_what_getattr_does_not_know_was_not_made(mounted, mountpoint, expect_log):
    class Forgetful(Recorder):
        released = None

        def mkdir(self, path, mode, ctx):
            pass

        def create(self, path, mode, flags, ctx):
            return "handle"

        def release(self, path, handle, ctx):
            self.released = (path, handle)

    forgetful = Forgetful()
    with mounted(forgetful, **UNCACHED) as mount:
        nothing = "but getattr finds nothing at the new path; expected a file there"
        expect_log(f"^Forgetful.mkdir returned None, {nothing}, or its Attributes")
        with pytest.raises(OSError, match="Input/output error"):
            (mountpoint / "d" / "new").mkdir()
        expect_log(f"^Forgetful.create returned 'handle' .str., {nothing}, or .Attrib")
        with pytest.raises(OSError, match="Input/output error"):
            (mountpoint / "d" / "new").touch()
        assert forgetful.released == ("/d/new", "handle")
        assert mount.statistics()["python"]["handles"] == 0


def test_the_handle_of_a_create_that_is_refused_is_released(
    mounted, mountpoint, expect_log
):
    class Swapped(Recorder):
        released = None

        def create(self, path, mode, flags, ctx):
            return "handle", FILE

        def release(self, path, handle, ctx):
            self.released = (path, handle)

    swapped = Swapped()
    expect_log("Swapped.create .*expected .Attributes or Entry, handle")
    with mounted(swapped, **UNCACHED):
        with pytest.raises(OSError, match="Input/output error"):
            (mountpoint / "d" / "new").touch()
        assert swapped.released == ("/d/new", "handle")


WRONG = [
    ("getattr", "text", "expected Attributes, an Entry or None"),
    ("mkdir", 0, r"returned 0 \(int\); expected Attributes, an Entry or None"),
    ("mknod", 0, r"returned 0 \(int\); expected Attributes, an Entry or None"),
    ("symlink", 0, r"returned 0 \(int\); expected Attributes, an Entry or None"),
    ("link", 0, r"returned 0 \(int\); expected Attributes, an Entry or None"),
    ("setattr", 0, r"returned 0 \(int\); expected Attributes, an Entry or None"),
    ("unlink", 0, r"returned 0 \(int\); expected None \(what fails is raised"),
    ("rename", -errno.EPERM, r"returned -1 \(int\); expected None"),
    (
        "create",
        ("handle", FILE),
        r"expected \(Attributes or Entry, handle\), or a hand",
    ),
    ("create", (7, fusesg.Entry(FILE)), r"expected \(Attributes or Entry, handle\)"),
    ("mkdir", FILE, "returned the entry of a regular file, not of a directory"),
    (
        "create",
        (DIRECTORY, None),
        "returned the entry of a directory, not of a regular file",
    ),
    ("setattr", "text", "expected Attributes, an Entry or None"),
    ("readdir", [5], "entries that are names or DirectoryEntry"),
    ("readdir", ["a/b"], "contains a slash"),
    ("readdir", [""], "name is empty"),
    ("readdir", None, "expected an iterable of names"),
    ("readdir", "text", "expected an iterable of names"),
]

CAUSES = {
    "getattr": os.stat,
    "mkdir": lambda path: os.mkdir(path.parent / "new"),
    "mknod": lambda path: os.mkfifo(path.parent / "new"),
    "symlink": lambda path: os.symlink("to", path.parent / "new"),
    "link": lambda path: os.link(path, path.parent / "new"),
    "unlink": os.unlink,
    "rename": lambda path: os.rename(path, path.parent / "new"),
    "create": lambda path: (path.parent / "new").touch(),
    "setattr": lambda path: os.chmod(path, 0o600),
    "readdir": lambda path: os.listdir(path.parent),
}


@pytest.mark.parametrize(("method", "result", "message"), WRONG)
def test_wrong_results_are_told_by_method(
    mounted, mountpoint, expect_log, method, result, message
):
    class Wrong(Recorder):
        pass

    def wrong(self, path, *rest):
        if method == "getattr" and path != "/d/f":
            return self.files.get(path)
        return result

    setattr(Wrong, method, wrong)
    expect_log(rf"Wrong\.{method} .*{message}")
    with mounted(Wrong(), **UNCACHED):
        with pytest.raises(OSError, match="Input/output error") as raised:
            CAUSES[method](mountpoint / "d" / "f")
        assert raised.value.errno == errno.EIO
