"""A mount that lies in the directory that it shows: there, the tree ends."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess

import pytest

import fusesg

SECONDS = 20
"""Nothing here waits for anybody: who takes that long hangs."""


@pytest.fixture
def inside(source):
    """Where to mount, in the source; unmounted at the end, whatever happened."""
    (source / "directory/deep").mkdir(parents=True)
    (source / "directory/deep/file").write_text("content")
    point = source / "mnt"
    point.mkdir()
    return point


@pytest.fixture
def warned(expect_log):
    expect_log(r"source/mnt lies in .*/source, .* answered ELOOP")


@pytest.fixture(params=[True, False], ids=["readdirplus", "readdir"])
def shown(request):
    class Shown(fusesg.Passthrough):
        readdirplus = request.param

    return Shown


@contextlib.contextmanager
def _bound(directory, point):
    subprocess.run(["mount", "--bind", directory, point], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", point], check=True)


def _ends(path):
    """Runs `ls`, which would hang, and not this process."""
    command = ["ls", "-l", path]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return result.returncode != 0 and os.strerror(errno.ELOOP) in result.stderr


def test_the_whole_can_be_searched(mounted, shown, source, inside, warned):
    with mounted(shown(source), at=inside) as mount:
        command = ["find", inside, "-printf", "%P\n"]
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert sorted(found.stdout.split()) == [
            "directory",
            "directory/deep",
            "directory/deep/file",
        ]
        assert len(found.stderr.splitlines()) == 1
        assert "mnt/mnt" in found.stderr
        assert os.strerror(errno.ELOOP) in found.stderr
        assert sorted(os.listdir(inside)) == ["directory", "mnt"]
        assert _ends(inside / "mnt")
        assert _ends(inside / "mnt/mnt")
        for change in os.rmdir, os.unlink, os.mkdir:
            with pytest.raises(OSError, match="Too many levels"):
                change(inside / "mnt")
        if os.geteuid() == 0:
            # at once: nothing of ours keeps it busy
            subprocess.run(["umount", inside], timeout=SECONDS, check=True)
            assert mount.wait(SECONDS)


@pytest.mark.requires("root")
def test_other_ways_to_it(mounted, source, inside, warned):
    (source / "other").mkdir()
    (source / "of a directory").mkdir()
    with (
        mounted(fusesg.Passthrough(source), at=inside),
        _bound(inside, source / "other"),
        _bound(inside / "directory", source / "of a directory"),
    ):
        assert _ends(inside / "other")
        assert _ends(inside / "of a directory")
        assert _ends(inside / "mnt")
        assert (inside / "directory/deep/file").read_text() == "content"


@pytest.mark.requires("root")
def test_what_else_is_mounted_there_is_entered(mounted, source, mountpoint, tmp_path):
    (source / "bound").mkdir()
    (source / "other").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("other")
    with (
        mounted(fusesg.Passthrough(source)),
        mounted(fusesg.Passthrough(elsewhere), at=source / "other"),
        _bound(elsewhere, source / "bound"),
    ):
        assert (mountpoint / "other/file").read_text() == "other"
        assert (mountpoint / "bound/file").read_text() == "other"


def test_two_mounts_of_one_object(mounted, source, mountpoint, inside, warned):
    shown = fusesg.Passthrough(source)
    with mounted(shown, entry_timeout=0):
        with mounted(shown, at=inside):
            assert _ends(mountpoint / "mnt")
            assert _ends(inside / "mnt")
        assert os.listdir(mountpoint / "mnt") == []
        # the kernel gives its number to the next
        (source / "directory/file").write_text("next")
        with mounted(fusesg.Passthrough(source / "directory"), at=inside):
            assert (mountpoint / "mnt/file").read_text() == "next"


def test_over_its_source(mounted, source, inside):
    with mounted(fusesg.Passthrough(source), at=source):
        assert sorted(os.listdir(source)) == ["directory", "mnt"]
        assert (source / "directory/deep/file").read_text() == "content"
