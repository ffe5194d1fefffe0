"""The request allocator and the page pools at work on a mount, by their numbers."""

import mmap
import os
import stat
import threading
import time

import fusesg

SECONDS = 20.0
PAGE = 4096
ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)


def eventually(condition):
    """Waits for numbers, which change without an event."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


class HeldReads(fusesg.Filesystem):
    """Files `a`, `b` and `c`; each read waits until it may go on."""

    def __init__(self):
        self.files = {
            name: fusesg.Attributes(inode=inode, mode=stat.S_IFREG | 0o644, size=PAGE)
            for inode, name in enumerate("abc", start=2)
        }
        self.reading = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.released = threading.Event()

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.files[name]) if name in self.files else None

    def getattr(self, inode, handle, ctx):
        return next((file for file in self.files.values() if file.inode == inode), ROOT)

    def open(self, inode, flags, ctx):
        return fusesg.Opened(None, direct_io=True)

    def read(self, inode, handle, offset, size, ctx):
        self.reading.release()
        assert self.go_on.acquire(timeout=SECONDS)
        return b"x"

    def flush(self, inode, handle, ctx):
        pass

    def release(self, inode, handle, ctx):
        self.released.set()


def test_a_file_closes_with_every_request_taken(mounted, mountpoint):
    files = HeldReads()
    timeouts = dict.fromkeys(("entry_timeout", "attribute_timeout"), SECONDS)
    with mounted(files, max_requests=1, **timeouts) as mount:

        def requests():
            return mount.statistics()["core"]["requests"]

        stuck, parked, closed = (
            os.open(mountpoint / name, os.O_RDONLY) for name in "abc"
        )
        readers = [
            threading.Thread(target=os.read, args=(descriptor, 1))
            for descriptor in (stuck, parked)
        ]
        readers[0].start()
        assert files.reading.acquire(timeout=SECONDS)
        before = requests()
        readers[1].start()
        eventually(lambda: requests()["waits"] == before["waits"] + 1)
        os.close(closed)
        assert files.released.wait(SECONDS)
        eventually(lambda: requests()["outstanding"] == 1)
        # one for its FLUSH and one for its RELEASE
        assert requests()["reserved_uses"] == before["reserved_uses"] + 2
        files.go_on.release(2)
        for reader in readers:
            reader.join(SECONDS)
            assert not reader.is_alive()
        for descriptor in (stuck, parked):
            os.close(descriptor)
        eventually(lambda: requests()["outstanding"] == 0)


def test_a_thousand_reads_share_what_is_given_back_when_idle(
    mounted, mountpoint, tmp_path
):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(os.urandom(256 * PAGE))
    with mounted(fusesg.Passthrough(source), splice_threshold=2**20) as mount:

        def numbers(part):
            return mount.statistics()["core"][part]

        descriptor = os.open(mountpoint / "file", os.O_RDONLY | os.O_DIRECT)
        with mmap.mmap(-1, PAGE) as page, mmap.mmap(-1, 200 * PAGE) as large:
            eventually(lambda: numbers("requests")["outstanding"] == 0)
            before = numbers("requests")
            for number in range(1000):
                assert os.preadv(descriptor, [page], number % 256 * PAGE) == PAGE
            eventually(lambda: numbers("requests")["outstanding"] == 0)
            after = numbers("requests")
            assert numbers("pool")["hits"] >= 990
            for name in ("allocated", "inline", "pages_requested", "pages_used"):
                assert after[name] - before[name] == 1000
            # a large buffer stays, until there has been no READ for a while
            assert os.preadv(descriptor, [large], 0) == 200 * PAGE
            assert numbers("requests")["heap"] == after["heap"] + 1
            assert (
                numbers("pool")["bytes_resident"] > numbers("pool")["bytes_low_water"]
            )
        os.close(descriptor)

        def is_trimmed():
            pool = numbers("pool")
            return (
                pool["bytes_idle"] == pool["bytes_resident"] <= pool["bytes_low_water"]
            )

        eventually(is_trimmed)
