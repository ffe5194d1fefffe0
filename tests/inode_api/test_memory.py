"""Memory: what only it has, subclasses of it, many threads at work on one file."""

import errno
import os
import random
import stat
import threading

import pytest

import fusesg

from .workout import METHODS, counting, workout

PAGE = 4096


@pytest.fixture(scope="module")
def on_tmpfs(tmp_path_factory):
    """What the workout sees on a native Memory that nobody overrides."""
    mountpoint = tmp_path_factory.mktemp("oracle")
    with fusesg.mount(fusesg.Memory(), mountpoint):
        return workout(mountpoint)


# The constructor


def test_the_root_is_as_asked_for(mounted, mountpoint):
    memory = fusesg.Memory(64 * PAGE, 10, uid=5, gid=6, mode=0o2750)
    with mounted(memory):
        root = os.stat(mountpoint)
        assert (root.st_uid, root.st_gid, root.st_ino) == (5, 6, 1)
        assert stat.S_IMODE(root.st_mode) == 0o2750
        shown = os.statvfs(mountpoint)
        assert (shown.f_blocks, shown.f_bfree, shown.f_frsize) == (64, 64, PAGE)
        assert (shown.f_files, shown.f_ffree) == (10, 9)


def test_the_root_belongs_to_whoever_made_it(mounted, mountpoint):
    with mounted(fusesg.Memory()):
        root = os.stat(mountpoint)
        assert (root.st_uid, root.st_gid) == (os.geteuid(), os.getegid())
        assert stat.S_IMODE(root.st_mode) == 0o755


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": -1}, ValueError, "size"),
        ({"size": 0}, ValueError, "size"),
        ({"inodes": 1 << 64}, ValueError, "inodes"),
        ({"size": "1g"}, TypeError, "size"),
        ({"mode": 0o10000}, ValueError, "mode"),
        ({"uid": 0xFFFFFFFF}, ValueError, "uid"),
        ({"gid": 1.5}, TypeError, "gid"),
    ],
)
def test_arguments_that_make_no_sense(arguments, error, message):
    with pytest.raises(error, match=message):
        fusesg.Memory(**arguments)


def test_a_constructor_that_forgets_super(mountpoint):
    class Forgetful(fusesg.Memory):
        def __init__(self):
            pass

    assert repr(Forgetful()).endswith("Forgetful, not initialised>")
    with pytest.raises(RuntimeError, match=r"call super\(\).__init__"):
        fusesg.mount(Forgetful(), mountpoint)
    with pytest.raises(RuntimeError, match="Memory is already initialised"):
        fusesg.Memory().__init__()


# Limits


def test_what_is_full_says_so_and_stays_whole(mounted, mountpoint):
    with mounted(fusesg.Memory(size=16 * PAGE, inodes=3)):
        (mountpoint / "file").write_bytes(b"x" * 10 * PAGE)
        fd = os.open(mountpoint / "file", os.O_WRONLY)
        try:
            with pytest.raises(OSError, match="No space left") as caught:
                os.pwrite(fd, b"y" * 7 * PAGE, 10 * PAGE)
            assert caught.value.errno == errno.ENOSPC
        finally:
            os.close(fd)
        assert (mountpoint / "file").read_bytes() == b"x" * 10 * PAGE
        (mountpoint / "other").write_bytes(b"y" * 6 * PAGE)
        with pytest.raises(OSError, match="No space left"):
            (mountpoint / "third").touch()
        os.truncate(mountpoint / "file", 0)
        (mountpoint / "other").write_bytes(b"z" * 16 * PAGE)


# From one mount to the next


def test_files_live_as_long_as_the_object(mounted, mountpoint):
    memory = fusesg.Memory()
    with mounted(memory):
        (mountpoint / "dir").mkdir()
        (mountpoint / "dir/file").write_bytes(b"content")
    assert os.listdir(mountpoint) == []
    with mounted(memory):
        assert (mountpoint / "dir/file").read_bytes() == b"content"
        assert os.statvfs(mountpoint).f_blocks - os.statvfs(mountpoint).f_bfree == 1


def test_two_mounts_show_the_same_files(mounted, mountpoint, tmp_path):
    second = tmp_path / "second"
    second.mkdir()
    memory = fusesg.Memory()
    with (
        mounted(memory, attribute_timeout=0, entry_timeout=0),
        mounted(memory, at=second, attribute_timeout=0, entry_timeout=0),
    ):
        (mountpoint / "file").write_bytes(b"content")
        assert (second / "file").read_bytes() == b"content"
        (second / "file").write_bytes(b"changed")
        assert (mountpoint / "file").read_bytes() == b"changed"
        os.unlink(second / "file")
        assert not (mountpoint / "file").exists()


def test_an_entry_that_python_kept_does_not_count_for_the_next_mount(
    mounted, mountpoint
):
    class Keeping(fusesg.Memory):
        def __init__(self):
            super().__init__()
            self.kept = []

        def lookup(self, parent, name, ctx):
            self.kept.append(super().lookup(parent, name, ctx))
            return self.kept[-1]

    memory = Keeping()
    with mounted(memory, entry_timeout=0):
        (mountpoint / "file").write_bytes(b"content")
        for _ in range(5):
            os.stat(mountpoint / "file")
    with mounted(memory, entry_timeout=0), open(mountpoint / "file", "rb") as file:
        os.unlink(mountpoint / "file")
        memory.kept.clear()  # gives back what the first mount had counted
        assert file.read() == b"content"


# Subclasses


@pytest.mark.parametrize("method", METHODS)
def test_overriding_one_method_changes_nothing(mounted, mountpoint, on_tmpfs, method):
    filesystem = counting(fusesg.Memory, method)()
    options = {"entry_timeout": 0, "attribute_timeout": 0}
    with mounted(filesystem, **options):
        assert workout(mountpoint) == on_tmpfs
    assert filesystem.called.get(method, 0) > 0 or method == "forget"


@pytest.mark.parametrize("options", [{}, {"writeback_cache": True}])
def test_overriding_all_methods_changes_nothing(mounted, mountpoint, on_tmpfs, options):
    with mounted(counting(fusesg.Memory, *METHODS)(), **options):
        assert workout(mountpoint) == on_tmpfs


def test_without_methods_it_never_enters_python(mounted, mountpoint, on_tmpfs):
    with mounted(counting(fusesg.Memory)()) as mount:
        assert workout(mountpoint) == on_tmpfs
        assert mount.statistics()["python"]["handles"] == 0


def test_what_a_method_returns_is_what_is_seen(mounted, mountpoint):
    class Shouting(fusesg.Memory):
        def read(self, inode, handle, offset, size, ctx):
            return bytes(super().read(inode, handle, offset, size, ctx)).upper()

    with mounted(Shouting()):
        (mountpoint / "file").write_bytes(b"content")
        assert (mountpoint / "file").read_bytes() == b"CONTENT"


# Many threads


class Region(threading.Thread):
    """Writes, reads and compares at random places of its own part of a file."""

    LENGTH = 1 << 20

    def __init__(self, path, number, flags):
        super().__init__(name=f"region {number}")
        self.fd = os.open(path, os.O_RDWR | flags)
        self.start_offset = number * self.LENGTH
        self.random = random.Random(number)
        self.expected = bytearray(self.LENGTH)
        self.error = None

    def run(self):
        try:
            for _ in range(600):
                self.step()
        except Exception as error:
            self.error = error
        finally:
            os.close(self.fd)

    def step(self):
        at = self.random.randrange(self.LENGTH - 1)
        length = min(self.random.choice([1, 100, PAGE, 70_000]), self.LENGTH - at)
        if self.random.random() < 0.5:
            data = self.random.randbytes(length)
            assert os.pwrite(self.fd, data, self.start_offset + at) == length
            self.expected[at : at + length] = data
        else:
            found = os.pread(self.fd, length, self.start_offset + at)
            assert found == self.expected[at : at + length], f"{self.name} at {at}"


@pytest.mark.parametrize(
    ("flags", "options"),
    [(0, {}), (os.O_DIRECT, {}), (0, {"writeback_cache": True})],
    ids=["buffered", "direct", "writeback"],
)
def test_threads_find_what_they_wrote_while_the_end_moves(
    mounted, mountpoint, flags, options
):
    path = mountpoint / "file"
    with mounted(fusesg.Memory(), **options):
        floor = 4 * Region.LENGTH
        path.touch()
        os.truncate(path, floor)
        regions = [Region(path, number, flags) for number in range(4)]
        for region in regions:
            region.start()
        lengths = random.Random(7)
        while any(region.is_alive() for region in regions):
            # pages behind the regions come and go, with data in them
            end = floor + lengths.randrange(1 << 20)
            os.truncate(path, end)
            with open(path, "r+b") as file:
                file.seek(end)
                file.write(b"tail" * 5000)
            os.truncate(path, floor)
        for region in regions:
            region.join()
            assert region.error is None
        whole = b"".join(region.expected for region in regions)
        assert path.read_bytes() == whole
