"""Tree: what is put into it is what a mount shows, without Python."""

import errno
import mmap
import os
import random
import stat
import subprocess
import sys

import pytest

import fusesg

DATA = random.Random(16).randbytes(600_000)
TIME = 1_234_567_890_123_456_789


@pytest.fixture
def path(tmp_path):
    (tmp_path / "data").write_bytes(DATA)
    return tmp_path / "data"


@pytest.fixture
def tree():
    return fusesg.Tree(mode=0o750, uid=7, gid=8, mtime_ns=TIME)


# What it shows


def test_files_are_their_segments(mounted, mountpoint, path):
    tree, backing = fusesg.Tree(), fusesg.Backing(path)
    pieces = [b"start", backing.extent(100, 300_000), fusesg.Zeros(70_000), DATA[:9999]]
    content = {
        "empty": b"",
        "small": b"bytes",
        "extent": DATA[5:500_005],
        "pieces": b"start" + DATA[100:300_100] + bytes(70_000) + DATA[:9999],
    }
    tree.add_file("empty", b"")
    tree.add_file("small", b"bytes")
    tree.add_file("extent", backing.extent(5, 500_000))
    tree.add_file("pieces", pieces)
    with mounted(tree):
        for name, expected in content.items():
            shown = mountpoint / name
            assert shown.read_bytes() == expected
            assert shown.stat().st_size == len(expected)
            with open(shown, "rb") as file:
                for offset in (0, 4, 5, 4097, 300_001, len(expected)):
                    found = os.pread(file.fileno(), 9000, offset)
                    assert found == expected[offset : offset + 9000]
                if expected:
                    with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                        assert mapped[:] == expected


def test_attributes(mounted, mountpoint, tree):
    one = tree.add_file("one", b"12345", mode=0o4711, uid=1, gid=2, mtime_ns=-5)
    tree.add_file("two", b"", atime_ns=TIME + 1, ctime_ns=TIME + 2)
    tree.add_directory("directory", mode=stat.S_IFDIR | 0o1777)
    tree.add_symlink("link", "some/where\udcff")
    with mounted(tree, suid=True):
        found = os.stat(mountpoint / "one")
        assert (found.st_ino, found.st_size, found.st_blocks) == (one, 5, 1)
        assert (found.st_mode, found.st_nlink) == (stat.S_IFREG | 0o4711, 1)
        assert (found.st_uid, found.st_gid) == (1, 2)
        assert (found.st_mtime_ns, found.st_atime_ns, found.st_ctime_ns) == (-5,) * 3
        found = os.stat(mountpoint / "two")
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (7, 8, 0o644)
        times = (found.st_mtime_ns, found.st_atime_ns, found.st_ctime_ns)
        assert times == (TIME, TIME + 1, TIME + 2)
        found = os.stat(mountpoint / "directory")
        assert (found.st_mode, found.st_nlink) == (stat.S_IFDIR | 0o1777, 2)
        found = os.lstat(mountpoint / "link")
        assert stat.S_ISLNK(found.st_mode)
        assert os.readlink(mountpoint / "link") == "some/where\udcff"
        assert found.st_size == len(os.fsencode("some/where\udcff"))
        root = os.stat(mountpoint)
        assert (root.st_ino, root.st_mode, root.st_uid, root.st_gid, root.st_nlink) == (
            (1, stat.S_IFDIR | 0o750, 7, 8, 3)
        )
        space = os.statvfs(mountpoint)
        assert (space.f_files, space.f_bfree, space.f_namemax) == (5, 0, 255)


def test_directories_on_the_way(mounted, mountpoint, tree):
    tree.add_file("/a/b/c/file", b"1")
    tree.add_directory("a/b", mode=0o700, uid=99, mtime_ns=5)
    tree.add_file("a/b/d/file", b"2")
    with pytest.raises(FileExistsError):
        tree.add_directory("a/b")
    with mounted(tree):
        implied, told = os.stat(mountpoint / "a"), os.stat(mountpoint / "a/b")
        assert (implied.st_mode & 0o777, implied.st_uid) == (0o750, 7)
        assert implied.st_mtime_ns == TIME
        assert (told.st_mode & 0o777, told.st_uid, told.st_mtime_ns) == (0o700, 99, 5)
        assert (implied.st_nlink, told.st_nlink) == (3, 4)
        assert (mountpoint / "a/b/c/file").read_bytes() == b"1"
        assert (mountpoint / "a/b/d/file").read_bytes() == b"2"


def test_links(mounted, mountpoint, tree):
    tree.add_file("first", b"content")
    tree.add_symlink("symlink", "first")
    numbers = {tree.add_link("sub/second", "first"), tree.add_link("third", "/first")}
    tree.add_link("symlink2", "symlink")
    with mounted(tree):
        found = os.stat(mountpoint / "sub/second")
        assert numbers == {found.st_ino}
        assert found.st_nlink == 3
        assert os.path.samefile(mountpoint / "first", mountpoint / "third")
        assert os.readlink(mountpoint / "symlink2") == "first"
        assert os.lstat(mountpoint / "symlink2").st_nlink == 2


def test_extended_attributes(mounted, mountpoint, tree):
    tree.add_file("with", b"", xattrs={"user.one": b"1", "user.\udcff": b"\0\xff"})
    tree.add_file("without", b"")
    tree.add_directory("directory", xattrs={"user.d": bytearray(b"x" * 60_000)})
    with mounted(tree):
        assert set(os.listxattr(mountpoint / "with")) == {"user.one", "user.\udcff"}
        assert os.getxattr(mountpoint / "with", "user.\udcff") == b"\0\xff"
        assert os.getxattr(mountpoint / "directory", "user.d") == b"x" * 60_000
        assert os.listxattr(mountpoint / "without") == []
        with pytest.raises(OSError, match=os.strerror(errno.ENODATA)):
            os.getxattr(mountpoint / "without", "user.one")
        with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
            os.setxattr(mountpoint / "without", "user.one", b"")


def test_holes(mounted, mountpoint, tree):
    tree.add_file("holes", [b"x" * 4096, fusesg.Zeros(1 << 40), b"y"])
    tree.add_file("plain", b"x" * 5000)
    with mounted(tree), open(mountpoint / "holes", "rb") as file:
        size = 4096 + (1 << 40) + 1
        assert os.lseek(file.fileno(), 0, os.SEEK_HOLE) == 4096
        assert os.lseek(file.fileno(), 5000, os.SEEK_DATA) == size - 1
        assert os.fstat(file.fileno()).st_blocks == 9
        assert os.pread(file.fileno(), 10, size - 3) == b"\0\0y"
        with open(mountpoint / "plain", "rb") as plain:
            assert os.lseek(plain.fileno(), 7, os.SEEK_DATA) == 7
            assert os.lseek(plain.fileno(), 7, os.SEEK_HOLE) == 5000


def test_no_python_runs_and_nothing_is_asked_twice(mounted, mountpoint, path):
    tree, backing = fusesg.Tree(), fusesg.Backing(path)
    tree.extend((f"d/{n}", backing.extent(n, 1000)) for n in range(100))
    with mounted(tree) as mount:
        for _ in range(3):
            for n in range(100):
                shown = mountpoint / f"d/{n}"
                assert shown.read_bytes() == DATA[n : n + 1000]
                assert shown.stat().st_size == 1000
                assert not (mountpoint / f"no {n}").exists()
            assert len(os.listdir(mountpoint / "d")) == 100
    counts = mount.statistics()
    operations = {name: of["count"] for name, of in counts["operations"].items()}
    assert counts["python"]["callbacks"] == 0
    assert operations["lookup"] <= 201
    assert operations["read"] <= 100
    assert operations["open"] == 1
    assert operations.get("getattr", 0) <= 1


# Listings


def test_listings_have_all_names_in_order(mounted, mountpoint, tree):
    names = [f"{n:04}-" + "x" * (n % 200) for n in range(5000)]
    random.Random(3).shuffle(names)
    for name in names:
        tree.add_file(f"many/{name}", b"")
        tree.add_file(f"more/{name}", b"")
    with mounted(tree):
        for directory in ("many", "more"):
            with os.scandir(mountpoint / directory) as entries:
                found = [(entry.name, entry.inode()) for entry in entries]
            assert [name for name, _ in found] == names
            for name, inode in found[::500]:
                assert (mountpoint / directory / name).stat().st_ino == inode


def test_without_a_mount_and_by_position(tree):
    for n in range(10):
        tree.add_file(f"d/{n}", bytes([n]))
    with fusesg.Client(tree) as client:
        assert sorted(client.listdir("/d")) == [str(n) for n in range(10)]
        with client.open_file("/d/7", "rb") as file:
            assert file.read() == b"\7"


# What cannot be added


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "is empty"),
        ("/", "is empty"),
        ("a//b", "without a name"),
        ("a/", "without a name"),
        ("a/./b", r'"\." or "\.\."'),
        ("..", r'"\." or "\.\."'),
        ("a/" + "x" * 256, "255 bytes"),
        ("ä" * 128, "255 bytes"),
        ("a\0b", "NUL"),
        (b"a\0b", "NUL"),
    ],
)
def test_bad_paths(tree, path, message):
    for add in (
        lambda: tree.add_file(path, b""),
        lambda: tree.add_directory(path),
        lambda: tree.add_symlink(path, "x"),
        lambda: tree.extend([(path, b"")]),
    ):
        with pytest.raises(ValueError, match=message):
            add()
    assert len(tree) == 1


def test_what_is_there_already(tree):
    tree.add_file("file", b"")
    tree.add_directory("directory")
    for path in ("file", "directory"):
        with pytest.raises(FileExistsError) as caught:
            tree.add_file(path, b"")
        assert caught.value.filename == path
        with pytest.raises(FileExistsError):
            tree.add_symlink(path, "x")
        with pytest.raises(FileExistsError):
            tree.add_link(path, "file")
    with pytest.raises(FileExistsError):
        tree.add_directory("file")
    with pytest.raises(NotADirectoryError):
        tree.add_file("file/below", b"")
    with pytest.raises(NotADirectoryError):
        tree.add_directory("file/below/that")
    with pytest.raises(FileNotFoundError) as caught:
        tree.add_link("new", "missing")
    assert caught.value.filename == "missing"
    with pytest.raises(IsADirectoryError):
        tree.add_link("new", "directory")
    assert len(tree) == 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"mode": stat.S_IFDIR | 0o755}, ValueError, "another kind"),
        ({"mode": -1}, ValueError, "mode"),
        ({"uid": 1 << 32}, ValueError, "uid"),
        ({"mtime_ns": 1.5}, TypeError, "mtime_ns"),
        ({"xattrs": ["user.x"]}, TypeError, "mapping"),
        ({"xattrs": {"user.x": "text"}}, TypeError, "bytes"),
        ({"xattrs": {"": b""}}, ValueError, "name"),
        ({"xattrs": {"user.x": bytes(65537)}}, ValueError, "65536"),
    ],
)
def test_wrong_attributes(tree, arguments, error, message):
    with pytest.raises(error, match=message):
        tree.add_file("file", b"", **arguments)
    assert len(tree) == 1


@pytest.mark.parametrize(
    "item", ["text", ("path",), (1, 2, 3, 4, 5, 6, 7), ["path", b""], None]
)
def test_wrong_items(tree, item):
    with pytest.raises(TypeError, match="extend: expected tuples"):
        tree.extend([item])


def test_wrong_content(tree):
    with pytest.raises(TypeError, match="encode"):
        tree.add_file("file", "text")
    reader, writer = os.pipe()
    with pytest.raises(TypeError, match="Pipe"):
        tree.add_file("file", fusesg.Pipe(reader, 10))
    os.close(reader)
    os.close(writer)
    with pytest.raises(ValueError, match="1 … 4095"):
        tree.add_symlink("link", "x" * 4096)


def test_tuples_may_be_short(mounted, mountpoint, tree):
    tree.extend([("a", b"1"), ("b", b"2", 0o600), ("c", b"3", None, 5, 6, 7)])
    with mounted(tree):
        modes = [os.stat(mountpoint / name).st_mode & 0o777 for name in "abc"]
        assert modes == [0o644, 0o600, 0o644]
        found = os.stat(mountpoint / "c")
        assert (found.st_uid, found.st_gid, found.st_mtime_ns) == (5, 6, 7)


def test_a_mounted_tree_is_finished(mounted, mountpoint, tree):
    tree.add_file("file", b"content")
    for _ in range(2):  # and may be mounted again
        with mounted(tree):
            assert (mountpoint / "file").read_bytes() == b"content"
            with pytest.raises(RuntimeError, match="finished"):
                tree.add_file("more", b"")
    with pytest.raises(RuntimeError, match="finished"):
        tree.extend([("more", b"")])


def test_a_generator_may_use_the_tree(tree):
    def files():
        for n in range(3):
            yield f"generated/{n}", b""
            tree.add_file(f"beside/{n}", b"")

    tree.extend(files())
    assert len(tree) == 9


# Subclasses


def test_single_operations_can_be_overridden(mounted, mountpoint):
    class Shouting(fusesg.Tree):
        def __init__(self, word):
            super().__init__()
            self.word = word
            self.add_file("file", b"content")

        def lookup(self, parent, name, ctx):
            return super().lookup(parent, name.lower(), ctx)

        def open(self, inode, flags, ctx):
            return super().open(inode, flags, ctx)

        def read(self, inode, handle, offset, size, ctx):
            return bytes(super().read(inode, handle, offset, size, ctx)).upper()

        def getxattr(self, inode, name, ctx):
            return self.word

    with mounted(Shouting(b"word")):
        assert (mountpoint / "FILE").read_bytes() == b"CONTENT"
        assert os.getxattr(mountpoint / "file", "user.any") == b"word"
        assert not (mountpoint / "other").exists()
        assert os.listdir(mountpoint) == ["file"]


def test_a_forgotten_constructor_is_told():
    class Forgetful(fusesg.Tree):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match=r"super\(\).__init__"):
        Forgetful().add_file("file", b"")


def test_its_repr_tells_how_large_it_is(tree):
    tree.add_file("file", b"")
    assert "of 2 inodes" in repr(tree)


# Size

MANY = """
import fusesg

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

COUNT = 200_000
backing = fusesg.Backing("/proc/self/exe")
tree = fusesg.Tree()
paths = [f"{n // 1000:03}/{n:020}" for n in range(COUNT)]
before = resident()
tree.extend((path, backing.extent(n, 10)) for n, path in enumerate(paths))
print((resident() - before) / COUNT - 20)
"""


def test_a_file_takes_less_than_300_bytes():
    result = subprocess.run(
        [sys.executable, "-c", MANY], capture_output=True, text=True, check=True
    )
    assert 0 < float(result.stdout) < 300
