"""A path file system whose methods are `async def`."""

import asyncio
import functools
import os
import random
import stat
import threading

import pytest

import fusesg

from .conftest import UNCACHED
from .memory import PathMemory
from .test_random_tree import Tree, steps


def asynchronous(base):
    """The class with every method of it awaited, after a turn of the loop."""

    def awaited(method):
        @functools.wraps(method)
        async def call(self, *arguments):
            await asyncio.sleep(0)
            return method(self, *arguments)

        return call

    methods = {
        name: awaited(method)
        for name, method in vars(base).items()
        if not name.startswith("_") and callable(method)
    }
    return type(f"Async{base.__name__}", (base,), methods)


@pytest.fixture
def tree(mounted, mountpoint):
    with mounted(asynchronous(PathMemory)(), **UNCACHED):
        yield mountpoint


def test_what_is_made_is_told_by_getattr(tree):
    os.mkdir(tree / "d", 0o750)
    os.mkfifo(tree / "d" / "fifo", 0o600)
    os.symlink("target", tree / "d" / "link")
    (tree / "d" / "f").write_bytes(b"content")
    os.link(tree / "d" / "f", tree / "hard")
    os.chmod(tree / "hard", 0o640)
    os.truncate(tree / "hard", 3)
    assert (tree / "d" / "f").read_bytes() == b"con"
    assert stat.S_IMODE((tree / "d" / "f").stat().st_mode) == 0o640
    assert os.readlink(tree / "d" / "link") == "target"
    assert sorted(os.listdir(tree / "d")) == ["f", "fifo", "link"]
    assert not (tree / "missing").exists()


def test_renaming_and_unlinking(tree):
    os.mkdir(tree / "d")
    with open(tree / "d" / "f", "w+b", buffering=0) as file:
        file.write(b"content")
        os.rename(tree / "d", tree / "e")
        assert (tree / "e" / "f").read_bytes() == b"content"
        os.unlink(tree / "e" / "f")
        file.write(b"!")
        assert os.pread(file.fileno(), 100, 0) == b"content!"
        found = os.fstat(file.fileno())
        assert (found.st_size, found.st_nlink) == (8, 0)


def test_what_getattr_does_not_know_was_not_made(mounted, mountpoint, expect_log):
    class Forgetful(fusesg.PathFilesystem):
        async def getattr(self, path, handle, ctx):
            if path == "/":
                return fusesg.Attributes(mode=stat.S_IFDIR | 0o755)
            return None

        async def mkdir(self, path, mode, ctx):
            return None

        async def create(self, path, mode, flags, ctx):
            return "handle"

    with mounted(Forgetful(), **UNCACHED):
        expect_log(r"Forgetful\.mkdir returned None, but getattr finds nothing at the ")
        with pytest.raises(OSError, match="Input/output error"):
            (mountpoint / "d").mkdir()
        expect_log(r"Forgetful\.create returned 'handle' \(str\), but getattr finds no")
        with pytest.raises(OSError, match="Input/output error"):
            (mountpoint / "f").touch()


class Untold(fusesg.PathFilesystem):
    """Opens what it creates, and then cannot tell of it."""

    def __init__(self, error):
        self.error = error
        self.opened = []
        self.changed = threading.Condition()

    def note(self, change, *handle):
        with self.changed:
            change(*handle)
            self.changed.notify_all()

    async def getattr(self, path, handle, ctx):
        await asyncio.sleep(0)
        if path == "/":
            return fusesg.Attributes(mode=stat.S_IFDIR | 0o755)
        if self.opened:
            if self.error is None:
                await asyncio.get_running_loop().create_future()
            if self.error is not FileNotFoundError:
                raise self.error
        return None

    async def create(self, path, mode, flags, ctx):
        await asyncio.sleep(0)
        self.note(self.opened.append, f"handle of {path}")
        return f"handle of {path}"

    async def release(self, path, handle, ctx):
        await asyncio.sleep(0)
        self.note(self.opened.remove, handle)

    def wait_for(self, handles):
        with self.changed:
            assert self.changed.wait_for(lambda: self.opened == handles, 10)


class UntoldBySyncCreate(Untold):
    def create(self, path, mode, flags, ctx):
        self.note(self.opened.append, f"handle of {path}")
        return f"handle of {path}"

    def release(self, path, handle, ctx):
        self.note(self.opened.remove, handle)


@pytest.mark.parametrize("kind", [Untold, UntoldBySyncCreate])
@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError, KeyError])
def test_what_was_created_and_cannot_be_told_of_is_released(
    mounted, mountpoint, fuse_log, kind, error
):
    if error is KeyError:
        fuse_log.expect(rf"{kind.__name__}\.getattr raised")
    elif error is FileNotFoundError:
        fuse_log.expect(rf"{kind.__name__}\.create returned .* getattr finds nothing")
    filesystem = kind(error)
    with mounted(filesystem, **UNCACHED) as mount:
        with pytest.raises(OSError, match="new"):
            (mountpoint / "new").touch()
        filesystem.wait_for([])
        assert mount.statistics()["python"]["handles"] == 0


@pytest.mark.parametrize("kind", [Untold, UntoldBySyncCreate])
def test_what_a_killed_program_creates_is_released(
    mounted, mountpoint, start_python, kind
):
    filesystem = kind(None)
    with mounted(filesystem, **UNCACHED):
        child = start_python("import sys; open(sys.argv[1], 'w')", mountpoint / "new")
        filesystem.wait_for(["handle of /new"])
        child.kill()
        filesystem.wait_for([])


def test_a_getattr_that_needs_a_path_is_helped_out(mounted, mountpoint):
    class ByPath(asynchronous(PathMemory)):
        async def getattr(self, path, handle, ctx):
            await asyncio.sleep(0)
            return self._find(path).attributes

    with (
        mounted(ByPath(), **UNCACHED),
        open(mountpoint / "f", "w+b", buffering=0) as file,
    ):
        file.write(b"abc")
        os.unlink(mountpoint / "f")
        file.write(b"def")
        found = os.fstat(file.fileno())
        assert (found.st_size, found.st_nlink) == (6, 0)


def test_a_tree_stays_like_a_directory(mounted, mountpoint, tmp_path):
    (tmp_path / "directory").mkdir()
    with mounted(asynchronous(PathMemory)(), **UNCACHED):
        mount, directory = Tree(mountpoint), Tree(tmp_path / "directory")
        try:
            for number, step in zip(range(400), steps(random.Random(1)), strict=False):
                assert mount.do(*step) == directory.do(*step), (number, step)
            assert mount.held() == directory.held()
            assert mount.shown() == directory.shown()
        finally:
            mount.close()
            directory.close()
