"""The flags of an open: what a class gets of them is right for a file of its own."""

import os
import subprocess

import pytest

import fusesg

PAGE = 4096
ACCESS = os.O_ACCMODE


class Mirror(fusesg.PathFilesystem):
    """A directory, each file opened with the flags that come."""

    def __init__(self, source):
        self.source = os.fspath(source)
        self.seen = []

    def real(self, path):
        return self.source + path

    def getattr(self, path, handle, ctx):
        found = os.lstat(self.real(path)) if handle is None else os.fstat(handle)
        return fusesg.Attributes.from_stat(found)

    def setattr(self, path, changes, handle, ctx):
        if changes.size is not None:
            os.truncate(self.real(path) if handle is None else handle, changes.size)

    def readdir(self, path, handle, offset, ctx):
        return os.listdir(self.real(path))

    def opendir(self, path, flags, ctx):
        self.seen.append((flags, ctx.open_flags))

    def open(self, path, flags, ctx):
        self.seen.append((flags, ctx.open_flags))
        return os.open(self.real(path), flags)

    def create(self, path, mode, flags, ctx):
        self.seen.append((flags, ctx.open_flags))
        return os.open(self.real(path), flags, mode)

    def read(self, path, handle, offset, size, ctx):
        return os.pread(handle, size, offset)

    def write(self, path, handle, offset, data, ctx):
        return os.pwrite(handle, data, offset)

    def fsync(self, path, handle, datasync, ctx):
        os.fsync(handle)

    def release(self, path, handle, ctx):
        os.close(handle)


class ByDescriptor(Mirror):
    """Reopens what it has found, as classes do with a descriptor for each inode."""

    def open(self, path, flags, ctx):
        found = os.open(self.real(path), os.O_PATH | os.O_NOFOLLOW)
        try:
            return os.open(f"/proc/self/fd/{found}", flags)
        finally:
            os.close(found)


class Subclass(fusesg.Passthrough):
    """Passes on the flags that come."""

    def __init__(self, source):
        super().__init__(source)
        self.seen = []

    def open(self, inode, flags, ctx):
        self.seen.append((flags, ctx.open_flags))
        return super().open(inode, flags, ctx)

    def create(self, parent, name, mode, flags, ctx):
        self.seen.append((flags, ctx.open_flags))
        return super().create(parent, name, mode, flags, ctx)


def use(directory):
    """Partial pages through descriptors that cannot read, and two that append."""
    path = os.path.join(directory, "file")
    with open(path, "wb") as file:
        file.write(bytes(range(256)) * 64)
    fd = os.open(path, os.O_WRONLY)
    for offset in (10, PAGE - 3, 3 * PAGE + 1):
        os.pwrite(fd, b"part", offset)
    os.close(fd)
    both = [os.open(path, os.O_WRONLY | os.O_APPEND) for _ in range(2)]
    for number in range(200):
        os.write(both[number % 2], b"line %d\n" % number)
    for fd in both:
        os.fsync(fd)
        os.close(fd)
    fd = os.open(path, os.O_RDWR | os.O_APPEND)
    os.write(fd, b"end")
    os.close(fd)


@pytest.mark.parametrize("kind", [Mirror, ByDescriptor, Subclass])
@pytest.mark.parametrize("writeback_cache", [False, True])
def test_a_file_of_the_class_is_written_as_a_file_is(
    mounted, mountpoint, source, tmp_path, kind, writeback_cache
):
    (tmp_path / "truth").mkdir()
    use(tmp_path / "truth")
    truth = (tmp_path / "truth" / "file").read_bytes()
    with mounted(kind(source), writeback_cache=writeback_cache):
        use(mountpoint)
        assert (mountpoint / "file").read_bytes() == truth
    assert (source / "file").read_bytes() == truth


@pytest.mark.parametrize("kind", [Mirror, Subclass])
@pytest.mark.parametrize("writeback_cache", [False, True])
def test_what_comes_and_what_was_asked_for(
    mounted, mountpoint, source, kind, writeback_cache
):
    filesystem = kind(source)
    asked = os.O_WRONLY | os.O_APPEND | os.O_DIRECT | os.O_NOFOLLOW | os.O_DSYNC
    with mounted(filesystem, writeback_cache=writeback_cache):
        path = mountpoint / "file"
        os.close(os.open(path, asked | os.O_CREAT | os.O_EXCL, 0o644))
        os.close(os.open(path, asked))
    come = os.O_DSYNC | (os.O_RDWR if writeback_cache else os.O_WRONLY | os.O_APPEND)
    mask = asked | ACCESS | os.O_CREAT | os.O_EXCL
    (created, of_create), (opened, of_open) = filesystem.seen
    assert opened & mask == come
    assert created & mask == come | os.O_CREAT | os.O_EXCL
    assert of_open & mask == asked
    assert of_create & mask == asked | os.O_CREAT | os.O_EXCL


def test_a_directory(mounted, mountpoint, source):
    filesystem = Mirror(source)
    asked = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    with mounted(filesystem):
        os.close(os.open(mountpoint, asked))
    ((come, of_caller),) = filesystem.seen
    assert come & (asked | ACCESS) == os.O_DIRECTORY
    assert of_caller & (asked | ACCESS) == asked


@pytest.mark.parametrize("writeback_cache", [False, True])
def test_direct_io_needs_no_aligned_buffers_behind(
    mounted, mountpoint, source, writeback_cache
):
    (source / "file").write_bytes(b"unaligned")
    with mounted(Mirror(source), writeback_cache=writeback_cache) as mount:
        fd = os.open(mountpoint / "file", os.O_RDWR | os.O_DIRECT)
        assert os.pwrite(fd, b"A", 2) == 1
        assert os.pread(fd, 5, 1) == b"nAlig"
        assert os.pread(fd, 5, 1) == b"nAlig"
        os.close(fd)
        # each as it was made, none out of the page cache
        assert mount.statistics()["operations"]["read"]["count"] == 2


@pytest.mark.requires("root", "program chattr")
def test_a_native_file_system_has_the_flags_of_the_caller(mounted, mountpoint, source):
    """A file with chattr +a opens in no other way than for appending."""
    (source / "file").write_bytes(b"a")
    if subprocess.run(["chattr", "+a", source / "file"], check=False).returncode:
        pytest.skip("chattr +a does not work here")
    try:
        with mounted(Subclass(source), writeback_cache=True):
            os.close(os.open(mountpoint / "file", os.O_WRONLY | os.O_APPEND))
    finally:
        subprocess.run(["chattr", "-a", source / "file"], check=True)
