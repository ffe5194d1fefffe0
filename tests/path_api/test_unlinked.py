"""Open files after their last name was removed."""

import errno
import os
import stat
from typing import ClassVar

import pytest

import fusesg

from .conftest import UNCACHED
from .memory import PathMemory


def test_an_open_file_outlives_its_name(mounted, mountpoint, memory):
    with mounted(memory, **UNCACHED):
        with open(mountpoint / "f", "w+b", buffering=0) as file:
            file.write(b"0123456789")
            os.unlink(mountpoint / "f")
            assert os.listdir(mountpoint) == []
            file.write(b"abc")
            assert os.pread(file.fileno(), 100, 0) == b"0123456789abc"
            os.ftruncate(file.fileno(), 5)
            os.fchmod(file.fileno(), 0o600)
            found = os.fstat(file.fileno())
            assert (found.st_size, found.st_nlink) == (5, 0)
            assert stat.S_IMODE(found.st_mode) == 0o600
        assert memory.root.names == {}


def test_a_new_file_of_that_name_is_another(mounted, mountpoint, memory):
    with (
        mounted(memory, **UNCACHED),
        open(mountpoint / "f", "w+b", buffering=0) as old,
    ):
        old.write(b"old")
        os.unlink(mountpoint / "f")
        (mountpoint / "f").write_bytes(b"new one")
        assert os.pread(old.fileno(), 100, 0) == b"old"
        assert os.fstat(old.fileno()).st_size == 3
        assert (mountpoint / "f").stat().st_size == 7
        assert os.fstat(old.fileno()).st_ino != (mountpoint / "f").stat().st_ino


def test_a_file_that_is_renamed_over_is_unlinked(mounted, mountpoint, memory):
    with mounted(memory, **UNCACHED):
        (mountpoint / "new").write_bytes(b"new")
        with open(mountpoint / "f", "w+b", buffering=0) as old:
            old.write(b"old one")
            os.rename(mountpoint / "new", mountpoint / "f")
            assert (mountpoint / "f").read_bytes() == b"new"
            assert os.pread(old.fileno(), 100, 0) == b"old one"
            found = os.fstat(old.fileno())
            assert (found.st_size, found.st_nlink) == (7, 0)


def test_methods_get_the_handle_and_no_path(mounted, mountpoint):
    class Asked(PathMemory):
        calls: ClassVar[list[tuple]] = []

        def getattr(self, path, handle, ctx):
            self.calls.append(("getattr", path, handle is not None))
            return super().getattr(path, handle, ctx)

        def read(self, path, handle, offset, size, ctx):
            self.calls.append(("read", path))
            return super().read(path, handle, offset, size, ctx)

        def flush(self, path, handle, ctx):
            self.calls.append(("flush", path))

        def release(self, path, handle, ctx):
            self.calls.append(("release", path))

    asked = Asked()
    with (
        mounted(asked, **UNCACHED),
        open(mountpoint / "f", "w+b", buffering=0) as file,
    ):
        file.write(b"x")
        os.unlink(mountpoint / "f")
        asked.calls.clear()
        os.fstat(file.fileno())
        os.pread(file.fileno(), 1, 0)
    assert ("getattr", None, True) in asked.calls
    assert ("read", None) in asked.calls
    assert ("flush", None) in asked.calls
    assert asked.calls[-1] == ("release", None)
    assert not any(path for _, path, *_ in asked.calls)


def test_with_a_hard_link_left_the_other_path_is_used(mounted, mountpoint):
    memory = PathMemory()
    with mounted(memory, **UNCACHED):
        (mountpoint / "a").write_text("text")
        os.link(mountpoint / "a", mountpoint / "b")
        with open(mountpoint / "b") as file:
            os.unlink(mountpoint / "b")
            os.setxattr(f"/proc/self/fd/{file.fileno()}", "user.a", b"v")
            assert os.getxattr(mountpoint / "a", "user.a") == b"v"
            assert file.read() == "text"


class Handleless(fusesg.PathFilesystem):
    """Files whose methods know them by path only."""

    def __init__(self):
        self.files = {}

    def getattr(self, path, handle, ctx):
        if path == "/":
            return fusesg.Attributes(mode=stat.S_IFDIR | 0o755)
        data = self.files.get(path)
        if data is None:
            return None
        return fusesg.Attributes(mode=stat.S_IFREG | 0o644, size=len(data))

    def mknod(self, path, mode, rdev, ctx):
        self.files[path] = bytearray()

    def setattr(self, path, changes, handle, ctx):
        if changes.size is not None:
            data = self.files[path]
            del data[changes.size :]
            data.extend(bytes(changes.size - len(data)))

    def read(self, path, handle, offset, size, ctx):
        return bytes(self.files[path][offset : offset + size])

    def write(self, path, handle, offset, data, ctx):
        self.files[path][offset : offset + len(data)] = data
        return len(data)

    def unlink(self, path, ctx):
        del self.files[path]

    def flush(self, path, handle, ctx):
        self.files[path]

    def release(self, path, handle, ctx):
        self.files[path]


def test_without_handles_the_core_answers_what_it_can(mounted, mountpoint):
    handleless = Handleless()
    with mounted(handleless, **UNCACHED) as mount:
        with open(mountpoint / "f", "w+b", buffering=0) as file:
            file.write(b"0123456789")
            os.unlink(mountpoint / "f")
            found = os.fstat(file.fileno())
            assert (found.st_size, found.st_nlink) == (10, 0)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            for attempt in (
                lambda: os.pread(file.fileno(), 10, 0),
                lambda: os.pwrite(file.fileno(), b"x", 0),
                lambda: os.ftruncate(file.fileno(), 1),
                lambda: os.fchmod(file.fileno(), 0o600),
            ):
                with pytest.raises(OSError, match="Stale") as raised:
                    attempt()
                assert raised.value.errno == errno.ESTALE
        assert handleless.files == {}
        assert not [name for name in os.listdir("/proc/self/fd") if "hidden" in name]
        assert mount.statistics()["python"]["handles"] == 0


def test_a_getattr_that_needs_a_path_is_helped_out(mounted, mountpoint):
    class ByPath(PathMemory):
        def getattr(self, path, handle, ctx):
            return self._find(path).attributes  # AttributeError: None has no split

    with (
        mounted(ByPath(), **UNCACHED),
        open(mountpoint / "f", "w+b", buffering=0) as file,
    ):
        file.write(b"abc")
        os.unlink(mountpoint / "f")
        file.write(b"def")
        found = os.fstat(file.fileno())
        assert (found.st_size, found.st_nlink) == (6, 0)


def test_the_backends_error_is_passed_on(mounted, mountpoint):
    class Broken(PathMemory):
        def getattr(self, path, handle, ctx):
            if path is None:
                raise OSError(errno.EREMOTEIO, "gone")
            return super().getattr(path, handle, ctx)

    with (
        mounted(Broken(), **UNCACHED),
        open(mountpoint / "f", "w+b", buffering=0) as file,
    ):
        os.unlink(mountpoint / "f")
        with pytest.raises(OSError, match="Remote I/O") as raised:
            os.fstat(file.fileno())
        assert raised.value.errno == errno.EREMOTEIO


def test_a_removed_directory_is_empty_and_stays_so(mounted, mountpoint, memory):
    with mounted(memory, **UNCACHED):
        (mountpoint / "d").mkdir()
        fd = os.open(mountpoint / "d", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.rmdir(mountpoint / "d")
            with pytest.raises(FileNotFoundError):
                os.stat("x", dir_fd=fd)
            with pytest.raises(FileNotFoundError):
                os.mkdir("x", dir_fd=fd)
            assert os.fstat(fd).st_nlink == 0
        finally:
            os.close(fd)
        assert os.listdir(mountpoint) == []


def test_without_a_mount(memory):
    with fusesg.Client(memory) as client:
        fd = client.open("/f", os.O_CREAT | os.O_RDWR)
        client.write(fd, b"text")
        client.unlink("/f")
        assert client.listdir("/") == []
        assert client.fstat(fd).st_nlink == 0
        assert client.pread(fd, 100, 0) == b"text"
        client.close(fd)
