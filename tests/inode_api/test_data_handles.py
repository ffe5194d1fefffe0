"""BackingHandle, SegmentHandle and BytesHandle: files that Python is not asked for."""

import errno
import mmap
import os
import random
import stat

import pytest

import fusesg
from fusesg.testing import wait_until

from .conftest import Recorder

DATA = random.Random(6).randbytes(1_000_003)
SIZE = len(DATA)
OFFSETS = [(0, 10), (4095, 2), (4096, 131072), (777_777, 999_999), (1_000_002, 10)]
FORBIDDEN = ["read", "write", "lseek", "fsync", "flush", "fallocate", "release"]
ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o777)


class Opens(Recorder):
    """Every method there is; `file` opens as the test says."""

    def __init__(self, handle, size=SIZE):
        super().__init__()
        self.handle, self.wanted_flags = handle, []
        self.resize(size)

    def resize(self, size):
        self.attributes[11] = self.attributes[11].replace(size=size)

    def open(self, inode, flags, ctx):
        self.wanted_flags.append(flags)
        return self.handle(flags) if callable(self.handle) else self.handle

    def create(self, parent, name, mode, flags, ctx):
        return self.made(stat.S_IFREG, mode), self.handle

    def assert_not_asked(self):
        assert [name for name in FORBIDDEN if self.calls(name)] == []


class Bare(fusesg.Filesystem):
    """Only what a file system of such handles needs."""

    def __init__(self, handle, size=SIZE):
        self.handle = handle
        self.file = fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o666, size=size)

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.file) if name == "file" else None

    def getattr(self, inode, handle, ctx):
        return ROOT if inode == 1 else self.file

    def open(self, inode, flags, ctx):
        return self.handle(flags) if callable(self.handle) else self.handle


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "backing"
    path.write_bytes(b"before" + DATA + b"after")
    return path


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "whole"
    path.write_bytes(DATA)
    return path


def three_kinds(path):
    backing = fusesg.Backing(path)
    pieces = fusesg.SegmentList([DATA[:5000], backing.extent(5006, 400_000)])
    return {
        "backing": fusesg.BackingHandle(backing, 6, len(DATA)),
        "segments": fusesg.SegmentHandle(pieces + DATA[405_000:]),
        "bytes": fusesg.BytesHandle(bytearray(DATA)),
    }


def read_in_all_ways(path):
    found = {}
    with open(path, "rb", buffering=0) as file:
        for offset, size in OFFSETS:
            found[offset, size] = os.pread(file.fileno(), size, offset)
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            found["mapped"] = mapped[:]
    direct = os.open(path, os.O_RDONLY | os.O_DIRECT)
    with mmap.mmap(-1, 1 << 20) as aligned:
        found["direct"] = aligned[: os.preadv(direct, [aligned], 0)]
    os.close(direct)
    found["all"] = path.read_bytes()
    return found


EXPECTED = {(at, size): DATA[at : at + size] for at, size in OFFSETS} | {
    "mapped": DATA,
    "direct": DATA,
    "all": DATA,
}


@pytest.mark.parametrize("kind", ["backing", "segments", "bytes"])
@pytest.mark.parametrize("opened", [False, True], ids=["bare", "Opened"])
def test_reads_are_the_bytes_and_no_python_runs(
    mounted, mountpoint, path, kind, opened
):
    handle = three_kinds(path)[kind]
    filesystem = Opens(fusesg.Opened(handle, keep_cache=True) if opened else handle)
    with mounted(filesystem) as mount:
        assert read_in_all_ways(mountpoint / "file") == EXPECTED
    counts = mount.statistics()
    operations = {name: of["count"] for name, of in counts["operations"].items()}
    natively = sum(operations.pop(name, 0) for name in FORBIDDEN)
    assert natively > operations["open"] > 0
    assert counts["python"]["callbacks"] <= sum(operations.values())
    filesystem.assert_not_asked()


@pytest.mark.parametrize("kind", ["backing", "segments", "bytes"])
def test_a_class_needs_no_read(mounted, mountpoint, path, kind):
    with mounted(Bare(three_kinds(path)[kind])):
        assert read_in_all_ways(mountpoint / "file") == EXPECTED
        with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
            os.open(mountpoint / "file", os.O_RDWR)


def test_getattr_gets_the_very_handle(mounted, mountpoint, path):
    handle = three_kinds(path)["bytes"]
    seen = []

    class Watching(Bare):
        def getattr(self, inode, handle, ctx):
            seen.append(handle)
            return super().getattr(inode, handle, ctx)

    with (
        mounted(Watching(handle), attribute_timeout=0),
        open(mountpoint / "file", "rb") as file,
    ):
        os.fstat(file.fileno())
        assert os.pread(file.fileno(), 3, 0) == DATA[:3]
    assert any(one is handle for one in seen)


def test_writes_go_to_the_backing(mounted, mountpoint, whole):
    handle = fusesg.BackingHandle(fusesg.Backing(whole, writable=True))
    filesystem = Opens(handle)
    with mounted(filesystem):
        with open(mountpoint / "file", "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), b"written", 4090)
            os.fdatasync(file.fileno())
            assert os.pread(file.fileno(), 7, 4090) == b"written"
            os.posix_fallocate(file.fileno(), len(DATA), 4096)
            filesystem.resize(len(DATA) + 4096)
        with open(mountpoint / "file", "ab", buffering=0) as file:
            file.write(b"end")
        direct = os.open(mountpoint / "file", os.O_RDWR | os.O_DIRECT)
        with mmap.mmap(-1, 4096) as page:
            page[:] = b"\1" * 4096
            assert os.pwrite(direct, page, 8192) == 4096
        os.close(direct)
        with (
            open(mountpoint / "file", "r+b") as file,
            mmap.mmap(file.fileno(), 100_000) as mapped,
        ):
            mapped[50_000:50_006] = b"mapped"
    found = whole.read_bytes()
    expected = bytearray(DATA + bytes(4096) + b"end")
    expected[4090:4097] = b"written"
    expected[8192 : 8192 + 4096] = b"\1" * 4096
    expected[50_000:50_006] = b"mapped"
    assert found == bytes(expected)
    filesystem.assert_not_asked()


def test_created_files_are_written_without_python(mounted, mountpoint, tmp_path):
    (tmp_path / "backing").touch()
    handle = fusesg.BackingHandle(fusesg.Backing(tmp_path / "backing", writable=True))
    filesystem = Opens(handle)
    with mounted(filesystem):
        (mountpoint / "new").write_bytes(DATA)
    assert (tmp_path / "backing").read_bytes() == DATA
    filesystem.assert_not_asked()


def test_writing_needs_no_write_but_the_will(mounted, mountpoint, whole):
    filesystem = Bare(fusesg.BackingHandle(fusesg.Backing(whole, writable=True)))
    filesystem.read_only = False
    with mounted(filesystem):
        with open(mountpoint / "file", "r+b", buffering=0) as file:
            file.write(b"new")
            os.fsync(file.fileno())
        # another handle has no write
        filesystem.handle = "my own"
        with (
            open(mountpoint / "file", "r+b", buffering=0) as file,
            pytest.raises(PermissionError),
        ):
            file.write(b"more")
    assert whole.read_bytes() == b"new" + DATA[3:]


@pytest.mark.parametrize(
    ("kind", "number"),
    [("backing", errno.EBADF), ("segments", errno.EROFS), ("bytes", errno.EROFS)],
)
def test_what_cannot_be_written(mounted, mountpoint, path, kind, number):
    filesystem = Opens(three_kinds(path)[kind])
    with (
        mounted(filesystem),
        open(mountpoint / "file", "r+b", buffering=0) as file,
    ):
        with pytest.raises(OSError, match=os.strerror(number)):
            file.write(b"x")
        with pytest.raises(OSError, match=os.strerror(number)):
            os.posix_fallocate(file.fileno(), 0, 10)
        os.fsync(file.fileno())
    filesystem.assert_not_asked()
    assert path.read_bytes() == b"before" + DATA + b"after"


def test_a_window_is_full(mounted, mountpoint, path):
    backing = fusesg.Backing(path, writable=True)
    filesystem = Opens(fusesg.BackingHandle(backing, 6, 10), size=10)
    with (
        mounted(filesystem),
        open(mountpoint / "file", "r+b", buffering=0) as file,
    ):
        os.pwrite(file.fileno(), b"wxyz", 6)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            os.pwrite(file.fileno(), b"x", 10)
    assert path.read_bytes()[:18] == b"before" + DATA[:6] + b"wxyz" + DATA[10:12]


def test_holes_are_found(mounted, mountpoint, tmp_path):
    sparse = tmp_path / "sparse"
    with open(sparse, "wb") as file:
        file.write(b"x" * 4096)
        file.seek(1 << 20)
        file.write(b"y" * 4096)
    size = (1 << 20) + 4096
    backing = fusesg.BackingHandle(fusesg.Backing(sparse))
    zeros = fusesg.Zeros((1 << 20) - 4096)
    segments = fusesg.SegmentHandle(
        fusesg.SegmentList([b"x" * 4096, zeros, b"y" * 4096])
    )
    for handle in (backing, segments):
        filesystem = Opens(handle, size=size)
        with mounted(filesystem):
            with open(mountpoint / "file", "rb") as file:
                seek = file.fileno()
                assert os.lseek(seek, 0, os.SEEK_HOLE) == 4096
                assert os.lseek(seek, 5000, os.SEEK_DATA) == 1 << 20
                assert os.lseek(seek, 1 << 20, os.SEEK_HOLE) == size
                with pytest.raises(OSError, match=os.strerror(errno.ENXIO)):
                    os.lseek(seek, size, os.SEEK_DATA)
            assert (mountpoint / "file").read_bytes() == sparse.read_bytes()
        filesystem.assert_not_asked()


def test_a_handle_of_ones_own_is_asked_beside(mounted, mountpoint, path):
    handles = iter([three_kinds(path)["bytes"], "my own"])
    filesystem = Opens(lambda flags: next(handles))
    with mounted(filesystem):
        with open(mountpoint / "file", "rb") as native:
            assert native.read(5) == DATA[:5]
        with open(mountpoint / "file", "rb") as own:
            own.read()
    filesystem.wait_for("release", 1)
    assert {call.arguments[1] for call in filesystem.calls("read")} == {"my own"}
    assert [call.arguments[1] for call in filesystem.calls("release")] == ["my own"]


def test_fsync_of_other_files_does_not_switch_it_off(mounted, mountpoint, whole):
    handles = iter(
        ["my own", fusesg.BackingHandle(fusesg.Backing(whole, writable=True))]
    )

    class Writes(Bare):
        def write(self, inode, handle, offset, data, ctx):
            return len(data)

    with mounted(Writes(lambda flags: next(handles))) as mount:
        for _ in range(2):
            with open(mountpoint / "file", "r+b", buffering=0) as file:
                os.fsync(file.fileno())
    assert mount.statistics()["operations"]["fsync"]["count"] == 2


def test_handles_go_with_their_files(mounted, mountpoint):
    buffer = bytearray(DATA)
    filesystem = Bare(fusesg.BytesHandle(buffer))
    with mounted(filesystem) as mount:
        assert (mountpoint / "file").read_bytes() == DATA
        with open(mountpoint / "file", "rb"):
            # RELEASE of the one before comes when the kernel likes
            wait_until(lambda: mount.statistics()["python"]["handles"] == 1)
    filesystem.handle = None
    assert mount.statistics()["python"]["handles"] == 0


def test_a_subclass_of_a_native_one(mounted, mountpoint, whole):
    class Replacing(fusesg.Memory):
        def open(self, inode, flags, ctx):
            if flags & os.O_ACCMODE == os.O_RDONLY:
                return fusesg.BackingHandle(fusesg.Backing(whole))
            return super().open(inode, flags, ctx)

    with mounted(Replacing()) as mount:
        (mountpoint / "file").write_bytes(bytes(len(DATA)))
        assert (mountpoint / "file").read_bytes() == DATA
        (mountpoint / "copy").touch()
        with (
            open(mountpoint / "file", "rb") as source,
            open(mountpoint / "copy", "wb") as target,
        ):
            copied = os.copy_file_range(source.fileno(), target.fileno(), 5000)
        assert copied > 0
        operations = mount.statistics()["operations"]
        assert operations["read"]["count"] > 0


def test_without_a_mount(path):
    for handle in three_kinds(path).values():
        filesystem = Opens(handle)
        with fusesg.Client(filesystem) as client:
            with client.open_file("/file", "rb") as file:
                assert file.read() == DATA
            assert client.statistics()["handles"] == 0
        filesystem.assert_not_asked()


# By the kernel alone

BY_KERNEL = {"kernel_passthrough": True}


@pytest.mark.requires("root", "linux 6.9")
@pytest.mark.parametrize("classes", [Bare, Opens])
def test_the_kernel_reads_by_itself(mounted, mountpoint, whole, classes):
    filesystem = classes(fusesg.BackingHandle(fusesg.Backing(whole)))
    with mounted(filesystem, **BY_KERNEL) as mount:
        assert read_in_all_ways(mountpoint / "file") == EXPECTED
        assert "read" not in mount.statistics()["operations"]


@pytest.mark.requires("root", "linux 6.9")
def test_the_kernel_writes_by_itself(mounted, mountpoint, whole):
    handle = fusesg.BackingHandle(fusesg.Backing(whole, writable=True))
    with mounted(Opens(handle), **BY_KERNEL) as mount:
        with open(mountpoint / "file", "r+b") as file:
            file.write(b"new")
        assert "write" not in mount.statistics()["operations"]
    assert whole.read_bytes() == b"new" + DATA[3:]


@pytest.mark.requires("root", "linux 6.9")
def test_the_kernel_is_not_asked_for_a_part(mounted, mountpoint, path):
    with mounted(Opens(three_kinds(path)["backing"]), **BY_KERNEL) as mount:
        assert read_in_all_ways(mountpoint / "file") == EXPECTED
        assert "read" in mount.statistics()["operations"]


@pytest.mark.requires("root", "linux 6.9")
def test_a_file_that_must_not_be_written_stays_so(
    mounted, mountpoint, whole, expect_log
):
    expect_log("EBUSY")
    with (
        mounted(Opens(fusesg.BackingHandle(fusesg.Backing(whole))), **BY_KERNEL),
        open(mountpoint / "file", "rb"),
    ):
        for _ in range(2):  # logged once
            with pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
                os.open(mountpoint / "file", os.O_RDWR)
    assert whole.read_bytes() == DATA


@pytest.mark.requires("root", "linux 6.9")
def test_cached_and_passed_opens_do_not_mix(
    mounted, mountpoint, whole, tmp_path, expect_log
):
    expect_log("open already without it")
    (tmp_path / "other").write_bytes(b"other" * 1000)
    one = fusesg.BackingHandle(fusesg.Backing(whole))
    handles = iter([fusesg.BytesHandle(DATA), one, one])
    filesystem = Bare(lambda flags: next(handles))
    with mounted(filesystem, **BY_KERNEL) as mount:
        with open(mountpoint / "file", "rb"):
            for _ in range(2):
                assert (mountpoint / "file").read_bytes() == DATA
        assert mount.statistics()["operations"]["open"]["count"] == 3
        assert mount.statistics()["operations"]["read"]["count"] > 0
    assert not list(handles)


@pytest.mark.requires("root", "linux 6.9")
def test_another_file_is_refused_while_the_kernel_has_one(
    mounted, mountpoint, whole, tmp_path, expect_log
):
    expect_log("EBUSY")
    (tmp_path / "other").write_bytes(b"other" * 1000)
    one = fusesg.BackingHandle(fusesg.Backing(whole))
    other = fusesg.BackingHandle(fusesg.Backing(tmp_path / "other"))
    handles = iter([one, other, fusesg.BytesHandle(b"x"), one, other])
    filesystem = Bare(lambda flags: next(handles))
    with mounted(filesystem, **BY_KERNEL) as mount:
        with open(mountpoint / "file", "rb"):
            for _ in range(2):
                with pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
                    os.open(mountpoint / "file", os.O_RDONLY)
            assert (mountpoint / "file").read_bytes() == DATA
            wait_until(lambda: mount.statistics()["python"]["handles"] == 1)
        filesystem.file = filesystem.file.replace(size=5000)
        mount.invalidate_inode(2)
    assert mount.statistics()["python"]["handles"] == 0


@pytest.mark.requires("root", "linux 6.9")
def test_a_stacked_file_system_is_too_deep(mounted, mountpoint, tmp_path, expect_log):
    expect_log("stacked file system")
    below = tmp_path / "below"
    below.mkdir()
    with (
        # one that may itself pass files to the kernel counts as a layer
        fusesg.mount(Bare(fusesg.BytesHandle(DATA)), below, **BY_KERNEL),
        mounted(
            Bare(lambda flags: fusesg.BackingHandle(fusesg.Backing(below / "file"))),
            **BY_KERNEL,
        ) as mount,
    ):
        for _ in range(2):
            assert (mountpoint / "file").read_bytes() == DATA
        assert mount.statistics()["operations"]["read"]["count"] > 0


# The objects


def window(offset, length):
    return fusesg.BackingHandle(fusesg.Backing("/dev/zero"), offset, length)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fusesg.BackingHandle("path"), TypeError, "expected a Backing"),
        (lambda: window(-1, 1), ValueError, "offset"),
        (lambda: window(1, 1 << 63), ValueError, "length"),
        (lambda: fusesg.SegmentHandle("text"), TypeError, "encode"),
        (lambda: fusesg.BytesHandle("text"), TypeError, "buffer"),
        (lambda: fusesg.BytesHandle(memoryview(b"abcd")[::2]), BufferError, "contig"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_what_they_show(path):
    backing = fusesg.Backing(path)
    handle = fusesg.BackingHandle(backing, 6, 10)
    assert (handle.backing, handle.offset, handle.length) == (backing, 6, 10)
    assert repr(handle) == f"BackingHandle({backing!r}, offset=6, length=10)"
    assert fusesg.BackingHandle(backing).length is None
    assert len(fusesg.SegmentHandle([b"ab", fusesg.Zeros(3)])) == 5
    assert repr(fusesg.BytesHandle(b"abc")) == "<fusesg.BytesHandle of 3 bytes>"
