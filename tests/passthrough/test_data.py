"""File content: layout, late errors, and numbers that must be the backing's."""

from __future__ import annotations

import errno
import os
import subprocess

import pytest

import fusesg

GIB = 1 << 30


def _fails(*numbers):
    return pytest.raises(OSError, match=rf"\[Errno ({'|'.join(map(str, numbers))})\]")


def _layout(path):
    """The runs of data in a file, as (start, end)."""
    runs, end = [], 0
    with open(path, "rb", buffering=0) as file:
        while True:
            try:
                start = file.seek(end, os.SEEK_DATA)
            except OSError:  # no data behind `end`
                return runs
            end = file.seek(start, os.SEEK_HOLE)
            runs.append((start, end))


def test_a_sparse_file_of_6_gib(view):
    places = (0, 2 * GIB - 2, 4 * GIB - 2, 6 * GIB - 4)
    with open(view.path / "file", "wb", buffering=0) as file:
        for place in places:
            file.seek(place)
            file.write(b"%04d" % (place % 9973))
        os.fsync(file.fileno())
    for path in (view.path / "file", view.backing / "file"):
        assert os.stat(path).st_size == 6 * GIB
        assert os.stat(path).st_blocks * 512 < GIB
        with open(path, "rb") as file:
            for place in places:
                file.seek(place)
                assert file.read(4) == b"%04d" % (place % 9973)
    assert _layout(view.path / "file") == _layout(view.backing / "file")
    assert len(_layout(view.path / "file")) == len(places)


def test_a_copy_keeps_holes(view):
    with open(view.path / "file", "wb") as file:
        file.seek(64 << 20)
        file.write(b"END")
    command = ["cp", "--sparse=auto", view.path / "file", view.path / "copy"]
    subprocess.run(command, check=True)
    assert _layout(view.backing / "copy") == _layout(view.backing / "file")


def test_renames_over_open_files(view):
    (view.path / "old").write_bytes(b"OLD")
    (view.path / "new").write_bytes(b"NEW")
    with open(view.path / "old", "r+b", buffering=0) as file:
        os.rename(view.path / "new", view.path / "old")
        assert file.read() == b"OLD"
        file.write(b" AND MORE")
        assert os.fstat(file.fileno()).st_nlink == 0
        assert os.fstat(file.fileno()).st_size == len(b"OLD AND MORE")
    assert (view.backing / "old").read_bytes() == b"NEW"
    assert os.listdir(view.backing) == ["old"]


@pytest.fixture
def small(source, mountpoint):
    """A source of 4 MiB; `mountpoint` takes it away again."""
    options = ["-o", "size=4m,nr_inodes=100"]
    subprocess.run(
        ["mount", "-t", "tmpfs", *options, "fusesg-test", source], check=True
    )
    return source


@pytest.mark.requires("root")
def test_statvfs_is_that_of_the_backing(small, mounted, mountpoint):
    (small / "file").write_bytes(bytes(100_000))
    with mounted(fusesg.Passthrough(os.fspath(small))):
        found, expected = os.statvfs(mountpoint), os.statvfs(small)
        fields = ("bsize", "frsize", "blocks", "bfree", "bavail", "files", "ffree")
        for name in (*fields, "namemax"):
            field = f"f_{name}"
            assert getattr(found, field) == getattr(expected, field), name


@pytest.mark.requires("root")
@pytest.mark.parametrize("kernel_passthrough", [False, True])
def test_a_full_file_system_is_enospc(small, mounted, mountpoint, kernel_passthrough):
    with mounted(
        fusesg.Passthrough(os.fspath(small)), kernel_passthrough=kernel_passthrough
    ):
        with _fails(errno.ENOSPC):
            (mountpoint / "file").write_bytes(bytes(8 << 20))
        os.truncate(mountpoint / "file", 0)
        (mountpoint / "file").write_bytes(b"FITS")
        assert (small / "file").read_bytes() == b"FITS"


@pytest.fixture
def failing(small, tmp_path):
    """A source whose disk fails late: its image is larger than what holds the image."""
    image, source = small / "image", tmp_path / "failing"
    source.mkdir()
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", image], check=True)
    command = ["mount", "-o", "loop", image, source]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no loop devices here: {done.stderr.strip()}")
    return source


@pytest.mark.requires("root", "program mkfs.ext4")
@pytest.mark.parametrize("sync", [os.fsync, os.fdatasync])
def test_errors_of_fsync_reach_the_caller(failing, mounted, mountpoint, sync):
    with mounted(fusesg.Passthrough(os.fspath(failing))):
        file = os.open(mountpoint / "file", os.O_CREAT | os.O_WRONLY)
        try:
            os.write(file, bytes(range(256)) * 65536)  # into the page cache below
            with _fails(errno.EIO, errno.ENOSPC):
                sync(file)
        finally:
            os.close(file)


class Flushes(fusesg.Passthrough):
    """Tells what close(2) is told."""

    error = None

    def flush(self, inode, handle, ctx):
        super().flush(inode, handle, ctx)
        if self.error:
            raise OSError(self.error, "late")


def test_errors_of_flush_reach_close(source, mounted, mountpoint):
    filesystem = Flushes(os.fspath(source))
    with mounted(filesystem):
        file = os.open(mountpoint / "file", os.O_CREAT | os.O_WRONLY)
        os.close(os.dup(file))
        filesystem.error = errno.EDQUOT
        with _fails(errno.EDQUOT):
            os.close(os.dup(file))
        with _fails(errno.EDQUOT):
            os.close(file)
