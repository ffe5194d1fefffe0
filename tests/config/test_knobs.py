"""What a mount says for all its files, directories and threads has its effect.

Settings that hold where the file system does not decide, of kernel and machine; the
others are in tests/inode_api/test_config.py.
"""

import errno
import os
import stat
import threading
from collections import Counter
from pathlib import Path

import pytest

import fusesg

SIZE = 4 << 20
NAMES = 5000


class Files(fusesg.Filesystem):
    """A file, a link and a directory; counts what is asked."""

    def __init__(self):
        uid = os.geteuid()
        self.attributes = {
            1: fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755, mtime_ns=1),
            2: fusesg.Attributes(
                inode=2, mode=stat.S_IFREG | 0o600, size=SIZE, uid=uid, mtime_ns=1
            ),
            3: fusesg.Attributes(inode=3, mode=stat.S_IFLNK | 0o777, size=4),
        }
        self.names = {"file": 2, "link": 3}
        self.handle = None
        self.asked = Counter()
        self.sizes = []
        self.both = threading.Barrier(2)

    def lookup(self, parent, name, ctx):
        inode = self.names.get(name)
        return fusesg.Entry(self.attributes[inode]) if inode else None

    def getattr(self, inode, handle, ctx):
        return self.attributes[inode]

    def open(self, inode, flags, ctx):
        return self.handle

    def opendir(self, inode, flags, ctx):
        return self.handle

    def readdir(self, inode, handle, offset, ctx):
        self.asked["readdir"] += 1
        return [
            fusesg.DirectoryEntry(name, inode, stat.S_IFREG)
            for name, inode in self.names.items()
        ]

    def readlink(self, inode, ctx):
        self.asked["readlink"] += 1
        return "file"

    def read(self, inode, handle, offset, size, ctx):
        self.sizes.append(size)
        return fusesg.Zeros(min(size, max(0, SIZE - offset)))

    def flush(self, inode, handle, ctx):
        self.asked["flush"] += 1

    def write(self, inode, handle, offset, data, ctx):
        # broken, and so an error, if the other write does not come meanwhile
        self.both.wait(1)
        return len(data)


@pytest.fixture
def files():
    return Files()


def read_twice(path):
    for _ in range(2):
        with open(path, "rb", buffering=0) as file:
            assert len(file.read(100)) == 100


# Of open files


@pytest.mark.parametrize("configured", [False, True])
@pytest.mark.parametrize("said", [None, False, True])
def test_direct_io(mounted, mountpoint, files, configured, said):
    files.handle = fusesg.Opened(None, direct_io=said)
    with mounted(files, direct_io=configured):
        read_twice(mountpoint / "file")
    expected = configured if said is None else said
    assert (files.sizes == [100, 100]) is expected


@pytest.mark.parametrize("configured", [False, True])
@pytest.mark.parametrize("said", [None, False, True])
def test_keep_cache(mounted, mountpoint, files, configured, said):
    files.handle = fusesg.Opened(None, keep_cache=said)
    with mounted(files, keep_cache=configured, attribute_timeout=60):
        read_twice(mountpoint / "file")
    # what was read ahead is there when it is read again
    expected = configured if said is None else said
    assert (sum(files.sizes) < 2 * 4096 + files.sizes[0]) is expected


def test_keep_cache_of_a_bare_handle(mounted, mountpoint, files):
    with mounted(files, keep_cache=True, attribute_timeout=60):
        read_twice(mountpoint / "file")
    assert len(files.sizes) == 1


@pytest.mark.parametrize("kept", [False, True])
def test_keep_cache_without_open_asks_for_no_open(mounted, mountpoint, kept):
    class NoOpen(Files):
        open = None

    with mounted(NoOpen(), keep_cache=kept, attribute_timeout=60) as mount:
        for _ in range(3):
            read_twice(mountpoint / "file")
    # the last answer is counted when it has been sent
    opens = mount.statistics()["operations"]["open"]["count"]
    assert opens == (1 if kept else 6)


def test_direct_io_holds_where_there_is_no_open(mounted, mountpoint):
    class NoOpen(Files):
        open = None
        keep_cache = True

    files = NoOpen()
    with mounted(files, direct_io=True):
        read_twice(mountpoint / "file")
    assert files.sizes == [100, 100]


@pytest.mark.parametrize("configured", [False, True])
@pytest.mark.parametrize("said", [None, True])
def test_no_flush(mounted, mountpoint, files, configured, said):
    files.handle = fusesg.Opened(None, no_flush=said)
    with mounted(files, no_flush=configured):
        read_twice(mountpoint / "file")
    assert files.asked["flush"] == (0 if configured or said else 2)


@pytest.mark.parametrize("parallel", [False, True])
def test_parallel_direct_writes(mounted, mountpoint, files, parallel, expect_log):
    if not parallel:
        expect_log("BrokenBarrierError")
    with mounted(files, direct_io=True, parallel_direct_writes=parallel):
        fd = os.open(mountpoint / "file", os.O_WRONLY)
        results = []

        def write(offset):
            try:
                results.append(os.pwrite(fd, b"x" * 4096, offset))
            except OSError as error:
                results.append(error.errno)

        writers = [threading.Thread(target=write, args=(n * 4096,)) for n in range(2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        os.close(fd)
    assert results == ([4096] * 2 if parallel else [errno.EIO] * 2)


def test_native_files_follow_the_mount(mounted, mountpoint, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(bytes(8192))
    for direct_io, expected in [(False, 1), (True, 4)]:
        with (
            mounted(fusesg.Passthrough(source), direct_io=direct_io) as mount,
            open(mountpoint / "file", "rb", buffering=0) as file,
        ):
            for _ in range(4):
                file.read(16)
        reads = mount.statistics()["operations"]["read"]["count"]
        assert reads == expected


# Of directories and links


@pytest.mark.parametrize("configured", [False, True])
@pytest.mark.parametrize("said", [None, False])
def test_cache_directories(mounted, mountpoint, files, configured, said):
    files.handle = fusesg.Opened(None, cache_directory=said)
    with mounted(files, cache_directories=configured, attribute_timeout=60):
        for _ in range(3):
            assert sorted(os.listdir(mountpoint)) == ["file", "link"]
    cached = configured and said is None
    # said of one flag: the other, to keep what was cached, still is the mount's
    assert files.asked["readdir"] == (1 if cached else 3)


def test_a_cached_directory_is_read_again_when_its_mtime_changes(
    mounted, mountpoint, files
):
    with mounted(files, cache_directories=True, attribute_timeout=60) as mount:
        os.listdir(mountpoint)
        files.names["new"] = 2
        assert "new" not in os.listdir(mountpoint)
        attributes = files.attributes[1]
        files.attributes[1] = fusesg.Attributes(
            inode=1, mode=attributes.mode, mtime_ns=10**9
        )
        mount.invalidate_inode(1, -1)
        files_seen = threading.Event()
        for _ in range(500):  # the invalidation has a thread of its own
            if "new" in os.listdir(mountpoint):
                break
            files_seen.wait(0.01)
        assert "new" in os.listdir(mountpoint)


@pytest.mark.parametrize("cached", [False, True])
def test_cache_symlinks(mounted, mountpoint, files, cached):
    with mounted(files, cache_symlinks=cached, entry_timeout=60):
        for _ in range(3):
            assert os.readlink(mountpoint / "link") == "file"
    assert files.asked["readlink"] == (1 if cached else 3)


@pytest.fixture
def many():
    tree = fusesg.Tree()
    for number in range(NAMES):
        tree.add_file(f"a-name-of-some-length-{number:05}", b"")
    return tree


def listing_requests(mount):
    operations = mount.statistics()["operations"]
    names = ("readdir", "readdirplus")
    return [operations[name]["count"] if name in operations else 0 for name in names]


def test_readdirplus(mounted, mountpoint, many):
    found = {}
    for when in ("auto", "always", "never"):
        with mounted(many, readdirplus=when) as mount:
            assert len(os.listdir(mountpoint)) == NAMES
        found[when] = listing_requests(mount)
    assert found["never"][1] == 0
    assert found["always"][0] == 0
    assert found["auto"][0] > 0
    assert found["auto"][1] > 0


@pytest.mark.requires("linux 6.16")
def test_directory_buffer(mounted, mountpoint, many):
    requests = []
    for size in (0, 32_768, 1 << 20):
        options = {"directory_buffer": size, "readdirplus": "never"}
        with mounted(many, **options) as mount:
            shown = os.stat(mountpoint).st_blksize
            assert shown == (size or 4096)
            assert len(os.listdir(mountpoint)) == NAMES
        requests.append(listing_requests(mount)[0])
    by_itself, as_by_itself, large = requests
    # 5000 names of 27 bytes, which programs get 48 bytes for
    assert min(by_itself, as_by_itself) >= 8
    assert large <= 3  # the last one finds nothing more


# Of the machine


@pytest.mark.requires("root")
@pytest.mark.parametrize("size", [None, 16_384, 131_072, 524_288, 1 << 20])
def test_max_readahead_may_be_more_than_the_kernel_offers(
    mounted, mountpoint, files, size
):
    offered = 131_072
    with mounted(files, max_readahead=size):
        device = os.stat(mountpoint).st_dev
        setting = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
        assert int(Path(setting).read_text()) * 1024 == (size or offered)
        (mountpoint / "file").read_bytes()
    assert (max(files.sizes) > offered) is ((size or 0) > offered)


def cpus_by_thread():
    found = {}
    for task in Path("/proc/self/task").iterdir():
        try:
            lines = (task / "status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        found[fields["Name"]] = fields["Cpus_allowed_list"]
    return found


def test_cpu_affinity_holds_for_readers_and_executors(mounted, mountpoint, files):
    cpu = max(os.sched_getaffinity(0))
    mine = os.sched_getaffinity(0)
    # the barrier needs both writers in callbacks, and more than the readers run them
    with mounted(
        files,
        cpu_affinity={cpu},
        reader_threads=2,
        direct_io=True,
        parallel_direct_writes=True,
    ):
        fd = os.open(mountpoint / "file", os.O_WRONLY)
        writers = [
            threading.Thread(target=os.pwrite, args=(fd, b"x", offset))
            for offset in range(2)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        os.close(fd)
        found = cpus_by_thread()
    serving = {
        name: cpus
        for name, cpus in found.items()
        if name.startswith(("fuser-", "fusesg-python"))
    }
    assert any(name.startswith("fusesg-python") for name in serving), found
    assert any(name.startswith("fuser-") for name in serving), found
    assert set(serving.values()) == {str(cpu)}
    # whoever mounts stays where it was
    assert os.sched_getaffinity(0) == mine


def test_a_cpu_that_is_not_there_is_refused(mountpoint, files):
    with pytest.raises(OSError, match="cpu_affinity: there is no CPU 1000 ") as caught:
        fusesg.mount(
            files, mountpoint, cpu_affinity={min(os.sched_getaffinity(0)), 1000}
        )
    assert caught.value.errno == errno.EINVAL
    assert not os.path.ismount(mountpoint)
