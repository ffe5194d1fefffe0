"""What the kernel caches for an hour follows changes that it is told about."""

from __future__ import annotations

import ctypes
import mmap
import os
import stat
import struct
import threading

import pytest

import fusesg

HOUR = 3600.0
SECONDS = 10.0
CACHED = {"entry_timeout": HOUR, "attribute_timeout": HOUR, "negative_timeout": HOUR}
PAGE = mmap.PAGESIZE

IN_ATTRIB, IN_DELETE_SELF, IN_IGNORED = 0x4, 0x400, 0x8000


class Changing(fusesg.Filesystem):
    """Files whose content and names change behind the kernel's back."""

    def __init__(self, **files: bytes) -> None:
        self.names = {(1, name): number for number, name in enumerate(files, 2)}
        self.contents = dict(enumerate(files.values(), 2))
        self.directories = {1}
        self.asked: list[str] = []

    def attributes(self, inode):
        if inode in self.directories:
            return fusesg.Attributes(inode=inode, mode=stat.S_IFDIR | 0o755)
        size = len(self.contents[inode])
        return fusesg.Attributes(inode=inode, mode=stat.S_IFREG | 0o644, size=size)

    def lookup(self, parent, name, ctx):
        self.asked.append("lookup")
        inode = self.names.get((parent, name))
        return None if inode is None else fusesg.Entry(self.attributes(inode))

    def getattr(self, inode, handle, ctx):
        self.asked.append("getattr")
        return self.attributes(inode)

    def open(self, inode, flags, ctx):
        return fusesg.Opened(None, keep_cache=True)

    def read(self, inode, handle, offset, size, ctx):
        self.asked.append("read")
        return self.contents[inode][offset : offset + size]

    def opendir(self, inode, flags, ctx):
        return fusesg.Opened(None, cache_directory=True)

    def readdir(self, inode, handle, offset, ctx):
        self.asked.append("readdir")
        return [
            fusesg.DirectoryEntry(name, child, self.attributes(child).mode)
            for (parent, name), child in self.names.items()
            if parent == inode
        ]

    def unlink(self, parent, name, ctx):
        del self.names[parent, name]

    def add(self, name, content=b"", parent=1):
        inode = max(self.contents, default=1) + 1
        self.contents[inode] = content
        self.names[parent, name] = inode
        return inode


@pytest.fixture
def changing():
    return Changing(file=b"old")


@pytest.fixture
def mount(mounted, mountpoint, changing):
    with mounted(changing, **CACHED) as mount:
        yield mount


def ignored(mount):
    return mount.statistics()["notifications"]["ignored"]


READ_MAPPED = """
import mmap, sys
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
def show():
    print(mapped[:1].decode() + mapped[-1:].decode(), flush=True)
show()
for _ in sys.stdin:
    show()
"""


class TestInode:
    def test_content_size_and_time_follow(self, mount, mountpoint, changing):
        path = mountpoint / "file"
        assert path.stat().st_size == 3
        changing.contents[2] = b"new and longer"
        assert path.stat().st_size == 3, "nobody has told the kernel"
        mount.invalidate_inode(2)
        assert mount.flush_notifications(SECONDS)
        assert path.read_bytes() == b"new and longer"
        assert path.stat().st_size == 14

    def test_who_has_it_open_sees_it(self, mount, mountpoint, changing):
        with open(mountpoint / "file", "rb", buffering=0) as file:
            assert file.read() == b"old"
            changing.contents[2] = b"old+more"
            mount.invalidate_inode(2)
            assert mount.flush_notifications(SECONDS)
            assert file.read() == b"+more"

    def test_who_has_it_mapped_sees_it(self, mounted, mountpoint, start_python):
        changing = Changing(file=b"a" * 2 * PAGE)
        with mounted(changing, **CACHED) as mount:
            # not in this process: a page fault does not let go of the interpreter lock
            program = start_python(READ_MAPPED, mountpoint / "file", stdin=-1)
            assert program.read_line() == "aa"
            changing.contents[2] = b"b" * 2 * PAGE
            mount.invalidate_inode(2, PAGE, 1)
            assert mount.flush_notifications(SECONDS)
            program.stdin.write("again\n")
            program.stdin.flush()
            assert program.read_line() == "ab", "the page of that byte, and no other"

    def test_attributes_only(self, mount, mountpoint, changing):
        path = mountpoint / "file"
        path.read_bytes()
        changing.asked.clear()
        mount.invalidate_inode(2, -1)
        assert mount.flush_notifications(SECONDS)
        assert path.read_bytes() == b"old"
        assert "getattr" in changing.asked
        assert "read" not in changing.asked

    @pytest.mark.parametrize("inode", [0, 99, 2**64 - 1])
    def test_an_unknown_one_is_ignored(self, mount, inode):
        mount.invalidate_inode(inode)
        mount.store(inode, 0, b"data")
        mount.invalidate_entry(inode, "name")
        mount.invalidate_entry(inode, "name", deleted=True, inode=7)
        assert mount.flush_notifications(SECONDS)
        assert ignored(mount) == 4


class TestEntry:
    def test_a_name_that_is_gone(self, mount, mountpoint, changing):
        assert (mountpoint / "file").exists()
        del changing.names[1, "file"]
        assert (mountpoint / "file").exists(), "nobody has told the kernel"
        mount.invalidate_entry(1, "file")
        assert mount.flush_notifications(SECONDS)
        assert not (mountpoint / "file").exists()

    def test_a_name_that_was_not_there(self, mount, mountpoint, changing):
        assert not (mountpoint / "new").exists()
        changing.add("new", b"content")
        assert not (mountpoint / "new").exists(), "nobody has told the kernel"
        mount.invalidate_entry(1, "new")
        assert mount.flush_notifications(SECONDS)
        assert (mountpoint / "new").read_bytes() == b"content"

    def test_another_file_under_the_name(self, mount, mountpoint, changing):
        assert (mountpoint / "file").read_bytes() == b"old"
        inode = changing.add("file", b"another")
        mount.invalidate_entry(1, "file")
        assert mount.flush_notifications(SECONDS)
        assert (mountpoint / "file").stat().st_ino == inode
        assert (mountpoint / "file").read_bytes() == b"another"

    def test_cached_listings_follow(self, mount, mountpoint, changing):
        assert os.listdir(mountpoint) == ["file"]
        changing.asked.clear()
        for _ in range(3):
            assert os.listdir(mountpoint) == ["file"]
        assert "readdir" not in changing.asked, "it is cached"
        changing.add("never looked up")
        mount.invalidate_entry(1, "never looked up")
        assert mount.flush_notifications(SECONDS)
        assert sorted(os.listdir(mountpoint)) == ["file", "never looked up"]
        del changing.names[1, "never looked up"]
        mount.invalidate_inode(1)
        assert mount.flush_notifications(SECONDS)
        assert os.listdir(mountpoint) == ["file"]

    def test_who_is_in_a_directory_stays_there(self, mount, mountpoint, changing):
        inode = changing.add("directory")
        changing.directories.add(inode)
        before = os.getcwd()
        os.chdir(mountpoint / "directory")
        try:
            mount.invalidate_entry(1, "directory")
            assert mount.flush_notifications(SECONDS)
            assert os.getcwd() == str(mountpoint / "directory")
        finally:
            os.chdir(before)


class Watch:
    """inotify(7) of one path."""

    def __init__(self, path, mask):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        assert self._libc.inotify_add_watch(self._file, os.fsencode(path), mask) >= 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._file)

    def events(self):
        """The masks of what has happened."""
        try:
            data = os.read(self._file, 4096)
        except BlockingIOError:
            return []
        found = []
        while data:
            _, mask, _, length = struct.unpack_from("iIII", data)
            found.append(mask)
            data = data[16 + length :]
        return found


class TestDeleted:
    def test_who_watches_is_told(self, mount, mountpoint, changing):
        with Watch(mountpoint / "file", IN_DELETE_SELF) as watch:
            mount.invalidate_entry(1, "file")
            assert mount.flush_notifications(SECONDS)
            assert (mountpoint / "file").exists()
            assert watch.events() == [], "that was no deletion"
            del changing.names[1, "file"]
            mount.invalidate_entry(1, "file", deleted=True)
            assert mount.flush_notifications(SECONDS)
            assert watch.events() == [IN_DELETE_SELF, IN_IGNORED]
        assert not (mountpoint / "file").exists()

    def test_an_open_file_has_no_name_left(self, mount, mountpoint, changing):
        with open(mountpoint / "file", "rb") as file:
            del changing.names[1, "file"]
            mount.invalidate_entry(1, "file", deleted=True)
            assert mount.flush_notifications(SECONDS)
            assert os.readlink(f"/proc/self/fd/{file.fileno()}").endswith("(deleted)")
            assert file.read() == b"old"

    def test_a_directory_and_what_was_in_it(self, mount, mountpoint, changing):
        directory = changing.add("directory")
        changing.directories.add(directory)
        changing.add("inside", b"1", directory)
        assert (mountpoint / "directory/inside").read_bytes() == b"1"
        with Watch(mountpoint / "directory", IN_DELETE_SELF) as watch:
            changing.names = {(1, "file"): 2}
            mount.invalidate_entry(directory, "inside", deleted=True)
            mount.invalidate_entry(1, "directory", deleted=True)
            assert mount.flush_notifications(SECONDS)
            assert watch.events() == [IN_DELETE_SELF, IN_IGNORED]
        assert os.listdir(mountpoint) == ["file"]

    def test_a_directory_of_which_the_kernel_knows_names(
        self, mount, mountpoint, changing
    ):
        directory = changing.add("directory")
        changing.directories.add(directory)
        changing.add("inside", b"1", directory)
        assert (mountpoint / "directory/inside").read_bytes() == b"1"
        with open(mountpoint / "directory/inside", "rb"):
            changing.names = {(1, "file"): 2}
            mount.invalidate_entry(1, "directory", deleted=True)
            assert mount.flush_notifications(SECONDS)
            assert not (mountpoint / "directory").exists()
        assert mount.statistics()["notifications"]["failed"] == 0

    def test_the_inode_may_be_told(self, mount, mountpoint, changing):
        with Watch(mountpoint / "file", IN_DELETE_SELF) as watch:
            mount.invalidate_entry(1, "file", deleted=True, inode=77)
            assert mount.flush_notifications(SECONDS)
            assert (mountpoint / "file").exists(), "that was another one"
            assert watch.events() == []
            mount.invalidate_entry(1, "file", deleted=True, inode=2)
            assert mount.flush_notifications(SECONDS)
            assert watch.events() == [IN_DELETE_SELF, IN_IGNORED]

    def test_a_name_from_a_listing(self, mounted, mountpoint):
        class Listing(Changing):
            readdirplus = True

            def readdir(self, inode, handle, offset, ctx):
                return [
                    fusesg.DirectoryEntry(
                        name, child, stat.S_IFREG, fusesg.Entry(self.attributes(child))
                    )
                    for (_, name), child in self.names.items()
                ]

        changing = Listing(file=b"old")
        with mounted(changing, **CACHED) as mount:
            assert [entry.stat().st_size for entry in os.scandir(mountpoint)] == [3]
            assert "lookup" not in changing.asked
            with Watch(mountpoint / "file", IN_DELETE_SELF) as watch:
                del changing.names[1, "file"]
                mount.invalidate_entry(1, "file", deleted=True)
                assert mount.flush_notifications(SECONDS)
                assert watch.events() == [IN_DELETE_SELF, IN_IGNORED]


class TestStore:
    def test_reading_asks_nobody(self, mounted, mountpoint):
        changing = Changing(file=b"x" * (2 * PAGE + 10))
        stored = os.urandom(2 * PAGE + 10)
        with mounted(changing, **CACHED) as mount:
            (mountpoint / "file").stat()
            mount.store(2, 0, stored)
            assert mount.flush_notifications(SECONDS)
            assert (mountpoint / "file").read_bytes() == stored
            assert "read" not in changing.asked

    def test_it_may_make_a_file_longer(self, mount, mountpoint, changing):
        assert (mountpoint / "file").stat().st_size == 3
        changing.contents[2] = b"old+more"
        mount.store(2, 0, memoryview(b"old+more"))
        assert mount.flush_notifications(SECONDS)
        assert (mountpoint / "file").read_bytes() == b"old+more"
        assert "read" not in changing.asked

    def test_the_data_is_copied(self, mounted, mountpoint):
        changing = Changing(file=b"x" * PAGE)
        data = bytearray(b"y" * PAGE)
        with mounted(changing, **CACHED) as mount:
            (mountpoint / "file").stat()
            mount.store(2, 0, data)
            data[:] = b"z" * PAGE
            assert mount.flush_notifications(SECONDS)
            assert (mountpoint / "file").read_bytes() == b"y" * PAGE

    def test_many_megabytes(self, mounted, mountpoint):
        size = 8 << 20
        changing = Changing(file=bytes(size))
        stored = os.urandom(size)
        with mounted(changing, **CACHED) as mount:
            (mountpoint / "file").stat()
            mount.store(2, 0, stored)
            assert mount.flush_notifications(SECONDS)
            assert (mountpoint / "file").read_bytes() == stored
            assert "read" not in changing.asked

    def test_what_is_no_data_is_refused(self, mount):
        with pytest.raises(TypeError, match="must be bytes or another buffer"):
            mount.store(2, 0, 7)


class Telling(Changing):
    """Tells of everything in each callback, while the kernel holds its locks."""

    def tell(self):
        for inode in (1, 2):
            self.mount.invalidate_inode(inode)
        for name in ("file", "new", "gone"):
            self.mount.invalidate_entry(1, name)
        self.mount.invalidate_entry(1, "gone", deleted=True)
        self.mount.store(2, 0, b"old")

    def lookup(self, parent, name, ctx):
        self.tell()
        return super().lookup(parent, name, ctx)

    def read(self, inode, handle, offset, size, ctx):
        self.tell()
        return super().read(inode, handle, offset, size, ctx)

    def readdir(self, inode, handle, offset, ctx):
        self.tell()
        return super().readdir(inode, handle, offset, ctx)

    def unlink(self, parent, name, ctx):
        self.tell()
        super().unlink(parent, name, ctx)
        self.mount.invalidate_entry(parent, name, deleted=True)

    def create(self, parent, name, mode, flags, ctx):
        inode = self.add(name)
        self.tell()
        return fusesg.Entry(self.attributes(inode)), None

    def write(self, inode, handle, offset, data, ctx):
        self.contents[inode] = self.contents[inode][:offset] + bytes(data)
        self.tell()
        return len(data)


class TestWhereItIsCalled:
    def test_in_the_callback_whose_locks_the_kernel_holds(self, mounted, mountpoint):
        changing = Telling(file=b"old", gone=b"")
        with mounted(changing, **CACHED) as mount:
            changing.mount = mount
            done = []

            def use():
                for _ in range(20):
                    assert (mountpoint / "file").read_bytes()[:3] == b"old"
                    os.listdir(mountpoint)
                    (mountpoint / "new").write_bytes(b"written")
                    (mountpoint / "new").unlink()
                done.append(True)

            users = [threading.Thread(target=use)]
            for user in users:
                user.start()
            for user in users:
                user.join(SECONDS)
            assert done == [True]
            assert mount.flush_notifications(SECONDS)
            assert mount.statistics()["notifications"]["failed"] == 0

    def test_in_a_coroutine_on_threads_and_in_order(self, mount, mountpoint, changing):
        assert (mountpoint / "file").read_bytes() == b"old"

        def change(number):
            changing.contents[2] = b"%08d" % number
            mount.invalidate_inode(2)

        threads = [threading.Thread(target=change, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        assert mount.flush_notifications(SECONDS)
        assert (mountpoint / "file").read_bytes() == changing.contents[2]

    def test_after_the_end(self, mounted, changing):
        with mounted(changing) as mount:
            pass
        mount.invalidate_inode(2)
        mount.invalidate_entry(1, "file")
        mount.invalidate_entry(1, "file", deleted=True)
        mount.store(2, 0, b"data")
        assert mount.flush_notifications(SECONDS)

    def test_in_a_forked_child(self, mount, mountpoint, changing):
        (mountpoint / "file").read_bytes()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                mount.invalidate_inode(2)
                mount.invalidate_entry(1, "file", deleted=True)
                mount.store(2, 0, b"data")
                status = 0 if mount.flush_notifications() else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        mount.flush_notifications(SECONDS)
        assert (mountpoint / "file").read_bytes() == b"old"

    def test_wrong_names_are_told(self, mount):
        with pytest.raises(ValueError, match="name"):
            mount.invalidate_entry(1, "a/b")
        with pytest.raises(TypeError):
            mount.invalidate_entry(1, 7)


def test_the_same_again_is_merged_while_the_kernel_is_busy(mounted, mountpoint):
    class Slow(Changing):
        def __init__(self):
            super().__init__(file=b"old")
            self.entered, self.leave = threading.Event(), threading.Event()

        def unlink(self, parent, name, ctx):
            self.entered.set()
            assert self.leave.wait(SECONDS)

    slow = Slow()
    with mounted(slow, **CACHED) as mount:
        (mountpoint / "file").read_bytes()
        unlinking = threading.Thread(target=os.unlink, args=(mountpoint / "file",))
        unlinking.start()
        assert slow.entered.wait(SECONDS)
        # the kernel holds the directory's lock, so the notifier waits for the callback
        for _ in range(1000):
            mount.invalidate_entry(1, "file")
        assert not mount.flush_notifications(0)
        slow.leave.set()
        unlinking.join(SECONDS)
        assert mount.flush_notifications(SECONDS)
        numbers = mount.statistics()["notifications"]
        assert numbers["merged"] >= 998
        assert numbers["waiting"] == numbers["dropped"] == numbers["failed"] == 0
