"""Inodes are the backing's own, however deep, many or foreign they are."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
import time

import pytest

import fusesg

DEPTH = 30
"""Directories with names of 200 bytes: more than PATH_MAX."""


def _fails(number):
    return pytest.raises(OSError, match=rf"\[Errno {number}\]")


def _numbers(root):
    """Inode number, by stat and by listing, of everything below a directory."""
    found = {".": os.stat(root).st_ino}
    for path, directories, files in os.walk(root):
        with os.scandir(path) as entries:
            listed = {entry.name: entry.inode() for entry in entries}
        for name in directories + files:
            status = os.lstat(os.path.join(path, name))
            assert status.st_ino == listed[name], name
            found[os.path.relpath(os.path.join(path, name), root)] = status.st_ino
    return found


@pytest.fixture
def tree(source):
    (source / "a/b").mkdir(parents=True)
    for name in ("file", "a/file", "a/b/file"):
        (source / name).write_text(name)
    os.symlink("file", source / "link")
    os.link(source / "file", source / "a/twin")
    os.mkfifo(source / "fifo")
    return source


def test_inode_numbers_are_those_of_the_backing(tree, view):
    assert _numbers(view.path) == _numbers(tree)


@pytest.mark.requires("root")
def test_inode_numbers_stay_when_the_kernel_forgets(tree, view):
    before = _numbers(view.path)
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("2\n")  # names and inodes
    assert _numbers(view.path) == before == _numbers(tree)


def _descend(root, make):
    """A descriptor of the directory `DEPTH` levels below `root`."""
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for level in range(DEPTH):
        name = f"{level:02}" + "x" * 198
        if make:
            os.mkdir(name, dir_fd=current)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=current)
        os.close(current)
        current = below
    return current


def test_paths_may_be_longer_than_path_max(view):
    deepest = _descend(view.path, make=True)
    try:
        flags = os.O_CREAT | os.O_WRONLY
        with open(os.open("file", flags, 0o644, dir_fd=deepest), "wb") as file:
            file.write(b"DEEP")
        os.rename("file", "renamed", src_dir_fd=deepest, dst_dir_fd=deepest)
        behind = _descend(view.backing, make=False)
        with open(os.open("renamed", os.O_RDONLY, dir_fd=behind), "rb") as file:
            assert file.read() == b"DEEP"
        os.close(behind)
    finally:
        os.close(deepest)
    # by descriptors, as no path is short enough
    shutil.rmtree(view.path / ("00" + "x" * 198))
    assert os.listdir(view.backing) == []


@pytest.mark.slow
def test_a_directory_of_100_000_entries(source, mounted, mountpoint):
    names = {f"{number:06}" for number in range(100_000)}
    directory = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    for name in names:
        os.mknod(name, dir_fd=directory)
    with os.scandir(directory) as entries:
        expected = {entry.name: entry.inode() for entry in entries}
    with mounted(fusesg.Passthrough(os.fspath(source))):
        with os.scandir(mountpoint) as entries:
            found = [(entry.name, entry.inode()) for entry in entries]
        assert len(found) == len(names)
        assert dict(found) == expected
        assert os.stat(mountpoint / "099999").st_ino == expected["099999"]
    for name in names:
        os.unlink(name, dir_fd=directory)
    os.close(directory)


def test_two_mounts_in_one_process(tmp_path, mounted):
    for name in ("one", "two", "at-one", "at-two", "at-one-again"):
        (tmp_path / name).mkdir()
    one, two, again = (tmp_path / f"at-{name}" for name in ("one", "two", "one-again"))
    with (
        mounted(fusesg.Passthrough(os.fspath(tmp_path / "one")), at=one),
        mounted(fusesg.Passthrough(os.fspath(tmp_path / "two")), at=two),
        mounted(
            fusesg.Passthrough(os.fspath(tmp_path / "one")),
            at=again,
            attribute_timeout=0,
        ),
    ):
        (one / "file").write_bytes(b"ONE")
        (two / "file").write_bytes(b"TWO")
        assert (again / "file").read_bytes() == b"ONE"
        assert os.stat(one / "file").st_ino == os.stat(again / "file").st_ino
        assert os.stat(one).st_dev != os.stat(again).st_dev
        with _fails(errno.EXDEV):
            os.rename(one / "file", two / "renamed")
        with _fails(errno.EXDEV):
            os.link(one / "file", again / "linked")
        shutil.move(one / "file", two / "moved")
        assert (tmp_path / "two/moved").read_bytes() == b"ONE"
        assert os.listdir(again) == []


@pytest.fixture
def foreign(source, mountpoint):
    """Another file system, mounted in the source; `mountpoint` takes it away again."""
    directory = source / "foreign"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "fusesg-test", directory], check=True)
    (directory / "sub").mkdir()
    (directory / "sub/file").write_bytes(b"FOREIGN")
    return directory


@pytest.mark.requires("root")
def test_a_foreign_mount_below_the_source_is_shown(foreign, view):
    path = view.path / "foreign"
    assert (path / "sub/file").read_bytes() == b"FOREIGN"
    (path / "new").write_bytes(b"NEW")
    os.rename(path / "new", path / "sub/new")
    assert (foreign / "sub/new").read_bytes() == b"NEW"
    with _fails(errno.EXDEV):
        os.rename(path / "sub/new", view.path / "new")
    with _fails(errno.EXDEV):
        os.link(path / "sub/new", view.path / "new")
    with _fails(errno.EBUSY):
        os.rmdir(path)
    assert sorted(os.listdir(path / "sub")) == ["file", "new"]


@pytest.mark.requires("root")
def test_inodes_of_a_foreign_mount_are_told_apart(foreign, source, mounted, mountpoint):
    # a tmpfs numbers from 1, as others do: the same number on two devices
    for number in range(200):
        (foreign / f"{number}").touch()
    (source / "own").touch()
    with mounted(fusesg.Passthrough(os.fspath(source))):
        first = _numbers(mountpoint)
        numbers = list(first.values())
        assert len(set(numbers)) == len(numbers)
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("2\n")
        assert _numbers(mountpoint) == first


def _eventually(condition, seconds=10):
    """Waits for what the kernel's timeouts bring about; it has no event for it."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def test_names_that_come_and_go_behind_the_mount(view):
    assert os.listdir(view.path) == []
    with _fails(errno.ENOENT):
        os.stat(view.path / "new")
    (view.backing / "new").write_bytes(b"NEW")
    assert (view.path / "new").read_bytes() == b"NEW"
    assert os.listdir(view.path) == ["new"]
    (view.backing / "new").unlink()
    assert os.listdir(view.path) == []
    _eventually(lambda: not os.path.lexists(view.path / "new"))


def test_content_and_attributes_that_change_behind_the_mount(view):
    (view.path / "file").write_bytes(b"OLD")
    assert (view.path / "file").read_bytes() == b"OLD"
    (view.backing / "file").write_bytes(b"NEW AND LONGER")
    (view.backing / "file").chmod(0o600)
    _eventually(lambda: os.stat(view.path / "file").st_size == 14)
    assert (view.path / "file").read_bytes() == b"NEW AND LONGER"
    assert os.stat(view.path / "file").st_mode & 0o777 == 0o600


def test_a_file_that_is_replaced_behind_the_mount(view):
    (view.path / "file").write_bytes(b"OLD")
    with open(view.path / "file", "rb") as old:
        (view.backing / "new").write_bytes(b"NEW")
        os.rename(view.backing / "new", view.backing / "file")
        inode = os.stat(view.backing / "file").st_ino
        _eventually(lambda: os.stat(view.path / "file").st_ino == inode)
        assert (view.path / "file").read_bytes() == b"NEW"
        assert old.read() == b"OLD"


def test_a_directory_that_is_moved_behind_the_mount_is_followed(view):
    (view.path / "a").mkdir()
    inside = os.open(view.path / "a", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.rename(view.backing / "a", view.backing / "b")
        file = os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=inside)
        os.write(file, b"FOLLOWED")
        os.close(file)
    finally:
        os.close(inside)
    assert (view.backing / "b/file").read_bytes() == b"FOLLOWED"
