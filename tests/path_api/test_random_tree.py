"""Random changes of a tree, done to a mount and to a directory, which stay alike."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import stat
import threading

import pytest

import fusesg

from .conftest import UNCACHED
from .memory import PathMemory

NAMES = "abc"
STEPS = 1500


class Tree:
    """A tree below a directory, and files of it that are open."""

    def __init__(self, root):
        self.root = os.fspath(root)
        self.open = {}

    def do(self, operation, *arguments):
        """The outcome of an operation: what it returns, or its errno."""
        try:
            return getattr(self, operation)(*arguments)
        except OSError as error:
            return errno.errorcode[error.errno]

    def at(self, path):
        return f"{self.root}/{path}"

    def mkdir(self, path):
        os.mkdir(self.at(path))

    def rmdir(self, path):
        os.rmdir(self.at(path))

    def unlink(self, path):
        os.unlink(self.at(path))

    def link(self, path, new):
        os.link(self.at(path), self.at(new))

    def symlink(self, path, new):
        os.symlink(path, self.at(new))

    def rename(self, path, new):
        os.rename(self.at(path), self.at(new))

    def put(self, path, data):
        with open(self.at(path), "wb") as file:
            file.write(data)

    def hold(self, key, path):
        self.let_go(key)
        self.open[key] = os.open(self.at(path), os.O_RDWR)

    def let_go(self, key):
        if (fd := self.open.pop(key, None)) is not None:
            os.close(fd)

    def append(self, key, data):
        if key in self.open:
            os.pwrite(self.open[key], data, os.fstat(self.open[key]).st_size)

    def cut(self, key, size):
        if key in self.open:
            os.ftruncate(self.open[key], size)

    def held(self):
        """Of each open file its length, links and content."""
        return {
            key: (os.fstat(fd).st_size, os.fstat(fd).st_nlink, os.pread(fd, 9999, 0))
            for key, fd in sorted(self.open.items())
        }

    def shown(self):
        """Every path, with its type, links and content; hard links by their first."""
        found, first = {}, {}
        for directory, directories, files in os.walk(self.root):
            for name in sorted(directories) + sorted(files):
                path = os.path.join(directory, name)
                known = os.lstat(path)
                kind = stat.S_IFMT(known.st_mode)
                content = None
                if stat.S_ISREG(kind):
                    with open(path, "rb") as file:
                        content = file.read()
                links = 0 if stat.S_ISDIR(kind) else known.st_nlink
                found[os.path.relpath(path, self.root)] = (kind, links, content)
                first.setdefault(known.st_ino, set()).add(path[len(self.root) :])
        return found, sorted(map(sorted, first.values()))

    def close(self):
        for key in list(self.open):
            self.let_go(key)


def steps(chance):
    """Operations with their arguments, for ever."""

    def path():
        return "/".join(chance.choices(NAMES, k=chance.randint(1, 3)))

    def data():
        return chance.randbytes(chance.randint(0, 20))

    makers = {
        "mkdir": lambda: [path()],
        "rmdir": lambda: [path()],
        "unlink": lambda: [path()],
        "link": lambda: [path(), path()],
        "symlink": lambda: [path(), path()],
        "rename": lambda: [path(), path()],
        "put": lambda: [path(), data()],
        "hold": lambda: [chance.randint(0, 4), path()],
        "let_go": lambda: [chance.randint(0, 4)],
        "append": lambda: [chance.randint(0, 4), data()],
        "cut": lambda: [chance.randint(0, 4), chance.randint(0, 30)],
    }
    weights = {"mkdir": 4, "rename": 6, "put": 4, "hold": 3, "rmdir": 1}
    while True:
        (operation,) = chance.choices(
            list(makers), [weights.get(name, 2) for name in makers]
        )
        yield operation, *makers[operation]()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cached", [False, True], ids=["uncached", "cached"])
def test_a_tree_stays_like_a_directory(mounted, mountpoint, tmp_path, seed, cached):
    chance = random.Random(seed)
    (tmp_path / "directory").mkdir()
    with mounted(PathMemory(), **({} if cached else UNCACHED)):
        mount, directory = Tree(mountpoint), Tree(tmp_path / "directory")
        try:
            for number, step in zip(range(STEPS), steps(chance), strict=False):
                assert mount.do(*step) == directory.do(*step), (number, step)
                if number % 20 == 0:
                    assert mount.held() == directory.held(), (number, step)
                    assert mount.shown() == directory.shown(), (number, step)
        finally:
            mount.close()
            directory.close()


def others_run():
    """A system call such as any method makes: meanwhile another one may run."""
    for _ in range(20):
        os.stat("/")


class Stateless(PathMemory):
    """Its methods find everything by the path, a moment after they were called."""

    def open(self, path, flags, ctx):
        others_run()
        self._find(path)

    def getattr(self, path, handle, ctx):
        others_run()
        return self._find(path).attributes

    def read(self, path, handle, offset, size, ctx):
        others_run()
        return bytes(self._find(path).data[offset : offset + size])

    def rename(self, path, new_path, flags, ctx):
        super().rename(path, new_path, flags, ctx)
        others_run()


def test_open_files_are_found_while_what_is_above_is_renamed(mounted, mountpoint):
    """A path must not go out of date between the core and the class."""
    rounds = 100
    with mounted(Stateless(), **UNCACHED):
        (mountpoint / "a" / "deep").mkdir(parents=True)
        (mountpoint / "a" / "deep" / "f").write_bytes(b"content")
        fd = os.open(mountpoint / "a" / "deep" / "f", os.O_RDONLY | os.O_DIRECT)
        failures = []
        ended = threading.Event()

        def read():
            while not ended.is_set():
                try:
                    os.fstat(fd)
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                    assert os.pread(fd, 100, 0) == b"content"
                except (OSError, AssertionError) as error:
                    failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        try:
            for _ in range(rounds):
                os.rename(mountpoint / "a", mountpoint / "b")
                os.rename(mountpoint / "b" / "deep", mountpoint / "b" / "low")
                os.rename(mountpoint / "b" / "low", mountpoint / "b" / "deep")
                os.rename(mountpoint / "b", mountpoint / "a")
        finally:
            ended.set()
            for reader in readers:
                reader.join()
            os.close(fd)
        assert not failures


def test_a_rename_does_not_wait_for_a_callback_that_hangs(mounted, mountpoint):
    class Hangs(PathMemory):
        reading = threading.Event()
        go_on = threading.Event()

        def read(self, path, handle, offset, size, ctx):
            self.reading.set()
            self.go_on.wait()
            return super().read(path, handle, offset, size, ctx)

    with mounted(Hangs(), **UNCACHED):
        (mountpoint / "d").mkdir()
        (mountpoint / "d" / "f").write_bytes(b"content")
        found = []
        reader = threading.Thread(
            target=lambda: found.append((mountpoint / "d" / "f").read_bytes())
        )
        reader.start()
        try:
            assert Hangs.reading.wait(10)
            os.rename(mountpoint / "d", mountpoint / "e")
            assert os.listdir(mountpoint / "e") == ["f"]
            (mountpoint / "e" / "f").unlink()
        finally:
            Hangs.go_on.set()
            reader.join()
        assert found == [b"content"]


def test_a_rename_may_use_its_own_mount(mounted, mountpoint):
    class Looks(PathMemory):
        def rename(self, path, new_path, flags, ctx):
            # not the directories that the kernel holds for the rename
            assert os.stat(f"/proc/self/fd/{self.held}").st_size == 7
            return super().rename(path, new_path, flags, ctx)

    looks = Looks()
    with mounted(looks, **UNCACHED):
        (mountpoint / "d").mkdir()
        (mountpoint / "d" / "f").write_bytes(b"content")
        looks.held = os.open(mountpoint / "d" / "f", os.O_RDONLY)
        try:
            os.rename(mountpoint / "d", mountpoint / "e")
            assert os.pread(looks.held, 100, 0) == b"content"
        finally:
            os.close(looks.held)


def test_a_client_sees_the_same(tmp_path):
    chance = random.Random(7)
    operations = {"mkdir", "rmdir", "unlink", "link", "rename"}
    directory = Tree(tmp_path)
    with fusesg.Client(PathMemory()) as client:
        for number, (operation, *paths) in zip(
            range(STEPS), steps(chance), strict=False
        ):
            if operation not in operations:
                continue
            try:
                expected = getattr(os, operation)(*map(directory.at, paths))
            except OSError as error:
                expected = error.errno
            with contextlib.suppress(OSError):
                found = None
                try:
                    getattr(client, operation)(*(f"/{path}" for path in paths))
                except OSError as error:
                    found = error.errno
            assert found == expected, (number, operation, paths)
