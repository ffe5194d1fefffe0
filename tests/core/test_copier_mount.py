"""Answers from files, pipes and sockets through a mount, and the counts they move."""

import contextlib
import errno
import itertools
import mmap
import os
import random
import socket
import stat
import threading

import pytest

import fusesg

DATA = random.Random(3).randbytes(1 << 20)
SIZE = 1 << 20
PAGE = 4096
NEVER = 2**32 - 1
ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)


class OneFile(fusesg.Filesystem):
    """`file`, whose content the test gives as a function of offset and size."""

    def __init__(self, answer, *, size=SIZE, direct_io=True):
        self.answer = answer
        self.opened = fusesg.Opened(None, direct_io=direct_io)
        self.file = fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o644, size=size)
        self.asked = threading.Semaphore(0)
        self.answered = threading.Semaphore(0)

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.file) if name == "file" else None

    def getattr(self, inode, handle, ctx):
        return ROOT if inode == 1 else self.file

    def open(self, inode, flags, ctx):
        return self.opened

    def read(self, inode, handle, offset, size, ctx):
        self.asked.release()
        return self.answer(offset, size)


class Sources:
    """Pipes and sockets that threads feed; everything is closed at the end."""

    def __init__(self):
        self._threads = []
        self._stack = contextlib.ExitStack()

    def pipe(self):
        """Both ends of a pipe, which stay open."""
        reader, writer = os.pipe()
        ends = os.fdopen(reader, "rb", 0), os.fdopen(writer, "wb", 0)
        return tuple(map(self._stack.enter_context, ends))

    def sockets(self):
        return tuple(map(self._stack.enter_context, socket.socketpair()))

    def feed(self, writer, data, piece=1 << 20):
        """Writes `data` piece by piece from a thread of its own, and closes."""

        def run():
            with writer, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                write = getattr(writer, "write", None) or writer.send
                view = memoryview(data)
                while view:
                    view = view[write(view[:piece]) :]

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()

    def stream(self, kind, data, length, piece=1 << 20):
        """The next `length` bytes of a new pipe or socket that carries `data`."""
        reader, writer = self.pipe() if kind == "pipe" else self.sockets()
        self.feed(writer, data, piece)
        make = fusesg.Pipe if kind == "pipe" else fusesg.Socket
        with reader:  # the answer has a duplicate
            return make(reader, length)

    def close(self):
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        self._stack.close()


@pytest.fixture
def sources(fuse_no_leaks):
    del fuse_no_leaks
    sources = Sources()
    yield sources
    sources.close()


@pytest.fixture
def file(mountpoint):
    """The opened `file`, closed before its mount is."""

    @contextlib.contextmanager
    def opened(flags=0):
        fd = os.open(mountpoint / "file", os.O_RDONLY | flags)
        try:
            yield fd
        finally:
            os.close(fd)

    return opened


def read(fd, size, offset=0):
    """Reads with one request: the memory begins on a page."""
    with mmap.mmap(-1, size) as memory:
        count = os.preadv(fd, [memory], offset)
        return memory[:count]


def backing_of(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return fusesg.Backing(path)


def moved(mount):
    """The counts, without those that are zero."""
    core = mount.statistics()["core"]
    packer, copier = core["packer"], core["copier"]
    counts = {name: packer[name] for name in ("segments", "calls", "reads")}
    names = ("messages", "sources", "bytes_spliced", "bytes_copied", "spliced")
    counts |= {name: copier[name] for name in names}
    counts |= copier["not_spliced"]
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("threshold", [0, NEVER])
def test_sixteen_adjacent_extents_are_one_call(mounted, file, tmp_path, threshold):
    backing = backing_of(tmp_path)
    pieces = [backing.extent(n * PAGE, PAGE) for n in range(16)]
    with mounted(OneFile(lambda *_: pieces), splice_threshold=threshold) as mount:
        with file() as fd:
            assert read(fd, 16 * PAGE) == DATA[: 16 * PAGE]
        way = (
            {"bytes_spliced": 16 * PAGE, "spliced": 1}
            if threshold == 0
            else {"bytes_copied": 16 * PAGE, "reads": 1}
        )
        expected = {"segments": 16, "calls": 1, "sources": 1, "messages": 1}
        assert moved(mount) == expected | way


@pytest.mark.parametrize("threshold", [0, NEVER])
def test_sixteen_scattered_extents_are_one_message_and_at_most_one_copy(
    mounted, file, tmp_path, threshold
):
    backing = backing_of(tmp_path)
    offsets = [(n * 7 % 16) * 40_960 for n in range(16)]
    pieces = [backing.extent(offset, 2 * PAGE) for offset in offsets]
    expected = b"".join(DATA[offset : offset + 2 * PAGE] for offset in offsets)
    with mounted(OneFile(lambda *_: pieces), splice_threshold=threshold) as mount:
        with file() as fd:
            assert read(fd, 32 * PAGE) == expected
        way = (
            {"bytes_spliced": 32 * PAGE, "spliced": 1}
            if threshold == 0
            else {"bytes_copied": 32 * PAGE, "reads": 16}
        )
        counts = {"segments": 16, "calls": 16, "sources": 16, "messages": 1}
        assert moved(mount) == counts | way


@pytest.mark.parametrize("length", [1024, 8192, 32_768])
def test_three_pipes_and_a_socket_are_one_message(mounted, file, sources, length):
    def answer(_offset, _size):
        kinds = ["pipe", "pipe", "socket", "pipe"]
        parts = [DATA[n * length : (n + 1) * length] for n in range(4)]
        return [
            sources.stream(kind, part, length)
            for kind, part in zip(kinds, parts, strict=True)
        ]

    with mounted(OneFile(answer)) as mount:
        with file() as fd:
            assert read(fd, 4 * length) == DATA[: 4 * length]
        way = (
            {"bytes_spliced": 4 * length, "spliced": 1}
            if 4 * length >= 32_768
            else {"bytes_copied": 4 * length}
        )
        counts = {"segments": 4, "calls": 4, "sources": 4, "messages": 1}
        assert moved(mount) == counts | way


@pytest.mark.parametrize("size", [PAGE, 65_536, 131_072, SIZE - PAGE, SIZE])
@pytest.mark.parametrize("threshold", [0, NEVER])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_stream_of_every_size_is_read_whole(
    mounted, file, sources, kind, size, threshold
):
    def answer(offset, wanted):
        return sources.stream(kind, DATA[offset : offset + wanted], wanted)

    with mounted(OneFile(answer), splice_threshold=threshold) as mount:
        with file() as fd:
            assert read(fd, size) == DATA[:size]
        counts = moved(mount)
        assert counts["bytes_spliced" if "spliced" in counts else "bytes_copied"]
        assert counts.get("bytes_spliced", 0) + counts.get("bytes_copied", 0) >= size
        pipes = mount.statistics()["core"]["copier"]["pipes"]
        assert pipes["discarded"] == 0


def random_answer(generator, sources, backing):
    """Any range of DATA, in pieces of every kind."""

    def piece(offset, length):
        data = DATA[offset : offset + length]
        kind = generator.choice(["pipe", "socket", "pipe", "extent", "bytes", "list"])
        if kind in ("pipe", "socket"):
            # more than is asked for: the rest is not consumed
            more = data + b"rest" * generator.randrange(2)
            size = generator.choice([100, 1500, PAGE, 1 << 20])
            return sources.stream(kind, more, length, max(size, length // 60))
        if kind == "extent":
            return backing.extent(offset, length)
        if kind == "list":
            half = length // 2
            second = backing.extent(offset + half, length - half)
            return [data[:half], (second, fusesg.Zeros(0))]
        return data

    def answer(offset, size):
        end = min(offset + size, SIZE)
        cuts = [generator.randrange(offset, end) for _ in range(generator.randrange(6))]
        borders = sorted({offset, *cuts, end})
        return [
            piece(start, stop - start) for start, stop in itertools.pairwise(borders)
        ]

    return answer


@pytest.mark.parametrize("flags", [0, os.O_DIRECT], ids=["buffered", "direct"])
@pytest.mark.parametrize("threshold", [0, 32_768])
def test_random_lists_are_their_bytes(
    mounted, file, sources, tmp_path, flags, threshold
):
    generator = random.Random(threshold + flags)
    # callbacks run in several threads
    answer = random_answer(generator, sources, backing_of(tmp_path))
    filesystem = OneFile(answer, direct_io=False)
    with mounted(filesystem, splice_threshold=threshold) as mount:
        for _ in range(4):
            with file(flags) as fd:
                content = bytearray()
                while len(content) < SIZE:
                    size = generator.randrange(1, 257) * PAGE
                    size = min(size, SIZE - len(content))
                    part = read(fd, size, len(content))
                    start = len(content)
                    assert part == DATA[start : start + len(part)]
                    assert part
                    content += part
    core = mount.statistics()["core"]
    assert core["copier"]["refused"] == 0
    assert core["copier"]["pipes"]["discarded"] == 0
    assert mount.statistics()["in_flight"] == 0


def test_a_message_pipe_that_fills_up_costs_a_copy_and_no_byte(mounted, file, sources):
    size = 131_072

    def answer(_offset, _size):
        return [
            sources.stream("pipe", DATA[:PAGE], PAGE),
            # one slot for each piece
            sources.stream("socket", DATA[PAGE:size], size - PAGE, 200),
        ]

    with mounted(OneFile(answer)) as mount:
        with file() as fd:
            assert read(fd, size) == DATA[:size]
        expected = {"segments": 2, "calls": 3, "sources": 2, "messages": 1}
        expected |= {"bytes_copied": size, "pipe_full": 1}
        assert moved(mount) == expected
        pipes = mount.statistics()["core"]["copier"]["pipes"]
        assert (pipes["made"], pipes["discarded"]) == (1, 0)


@pytest.mark.parametrize("threshold", [0, NEVER])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_slow_writer_is_waited_for(mounted, file, sources, kind, threshold):
    reader, writer = sources.pipe() if kind == "pipe" else sources.sockets()
    make = fusesg.Pipe if kind == "pipe" else fusesg.Socket
    filesystem = OneFile(lambda _offset, size: [b"head", make(reader, size - 4)])
    if threshold == 0:
        filesystem.answer = lambda _offset, size: make(reader, size)
    head = b"" if threshold == 0 else b"head"
    with mounted(filesystem, splice_threshold=threshold), file() as fd:
        results = []
        thread = threading.Thread(target=lambda: results.append(read(fd, 65_536)))
        thread.start()
        assert filesystem.asked.acquire(timeout=10)
        write = writer.write if kind == "pipe" else writer.sendall
        for start in range(0, 65_536, 1000):
            write(DATA[start : start + 1000])
        thread.join(20)
        assert results == [(head + DATA)[:65_536]]


@pytest.mark.parametrize("threshold", [0, NEVER])
def test_a_stream_that_ends_early_ends_the_answer(mounted, file, sources, threshold):
    reader, _writer = sources.pipe()
    _writer.write(b"untouched")

    def answer(_offset, _size):
        short = sources.stream("socket", DATA[:10_000], 40_000)
        return [short, fusesg.Pipe(reader, 9)]

    with mounted(OneFile(answer), splice_threshold=threshold), file() as fd:
        assert read(fd, 65_536) == DATA[:10_000]
    assert os.read(reader.fileno(), 100) == b"untouched"


def test_within_a_cached_file_what_a_stream_lacks_reads_as_zeros(
    mounted, file, sources
):
    def answer(offset, size):
        return [sources.stream("pipe", DATA[offset : offset + 5000], size)]

    filesystem = OneFile(answer, size=16_384, direct_io=False)
    with mounted(filesystem), file() as fd:
        content = os.pread(fd, 16_384, 0)
    assert content.startswith(DATA[:5000])
    assert not content[5000:].strip(b"\0")


@pytest.mark.parametrize("threshold", [0, NEVER])
def test_the_same_pipe_may_be_in_one_answer_twice(mounted, file, sources, threshold):
    reader, writer = sources.pipe()
    sources.feed(writer, DATA[:60_000], 7000)
    once = fusesg.Pipe(reader, 10_000)
    filesystem = OneFile(lambda *_: [once, once, fusesg.Pipe(reader, 5000), once])
    with mounted(filesystem, splice_threshold=threshold) as mount, file() as fd:
        assert read(fd, 131_072) == DATA[:35_000]
        assert moved(mount)["sources"] == 4
        # and in the next one
        assert read(fd, 131_072) == DATA[35_000:60_000]


def test_a_file_that_is_too_short_keeps_a_pipe_from_being_read(
    mounted, file, sources, tmp_path
):
    backing = backing_of(tmp_path)
    reader, writer = sources.pipe()
    writer.write(b"untouched")
    pieces = [backing.extent(SIZE - 10, 20), fusesg.Pipe(reader, 9)]
    with mounted(OneFile(lambda *_: pieces)), file() as fd:
        assert read(fd, PAGE) == DATA[-10:]
    assert os.read(reader.fileno(), 100) == b"untouched"


def test_a_pipe_without_writer_is_at_its_end(mounted, file, sources):
    reader, writer = sources.pipe()
    writer.close()
    filesystem = OneFile(lambda _offset, size: fusesg.Pipe(reader, size))
    with mounted(filesystem), file() as fd:
        assert read(fd, PAGE) == b""


@pytest.mark.parametrize("threshold", [0, NEVER])
def test_a_connection_that_breaks_is_an_error(mounted, file, sources, threshold):
    with socket.create_server(("127.0.0.1", 0)) as server:
        writer = socket.create_connection(server.getsockname())
        reader, _ = server.accept()
    with reader:
        reader.setblocking(False)
        reset_on_close = b"\1\0\0\0\0\0\0\0"
        writer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        writer.close()
        filesystem = OneFile(lambda _offset, size: fusesg.Socket(reader, size))
        with (
            mounted(filesystem, splice_threshold=threshold),
            file() as fd,
            pytest.raises(ConnectionResetError),
        ):
            read(fd, 65_536)


@pytest.mark.parametrize("blocking", [True, False])
def test_tcp_is_spliced_if_that_cannot_wait(mounted, file, blocking):
    with socket.create_server(("127.0.0.1", 0)) as server:
        writer = socket.create_connection(server.getsockname())
        reader, _ = server.accept()
    with reader, writer:
        reader.setblocking(blocking)
        writer.sendall(DATA[:40_000])
        filesystem = OneFile(lambda *_: fusesg.Socket(reader, 40_000))
        with mounted(filesystem) as mount:
            with file() as fd:
                assert read(fd, 65_536) == DATA[:40_000]
            counts = moved(mount)
        assert reader.getblocking() == blocking
    if blocking:
        assert (counts["blocking_socket"], counts["bytes_copied"]) == (1, 40_000)
    else:
        assert (counts["spliced"], counts["bytes_spliced"]) == (1, 40_000)


class Waiting(OneFile):
    """`file` waits for a pipe; `0`, `1`, … are there at once."""

    def __init__(self, reader):
        super().__init__(lambda _offset, size: fusesg.Pipe(reader, size))

    def lookup(self, parent, name, ctx):
        if name == "file":
            return fusesg.Entry(self.file)
        mode = stat.S_IFREG | 0o644
        attributes = fusesg.Attributes(inode=int(name) + 3, mode=mode, size=PAGE)
        return fusesg.Entry(attributes)

    def read(self, inode, handle, offset, size, ctx):
        if inode == 2:
            return super().read(inode, handle, offset, size, ctx)
        return DATA[:PAGE][offset : offset + size]


def start_reading(fd, size, results):
    def run():
        try:
            results.append(read(fd, size))
        except OSError as error:
            results.append(error.errno)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_reads_that_wait_for_a_pipe_stop_nothing_else(mounted, file, sources):
    reader, writer = sources.pipe()
    filesystem = Waiting(reader)
    results = []
    with mounted(filesystem) as mount:
        mountpoint = mount.path
        with file() as fd:
            threads = [start_reading(fd, PAGE, results) for _ in range(12)]
            for _ in threads:
                assert filesystem.asked.acquire(timeout=10)
            # all twelve wait; others are served, by callbacks too
            for number in range(5):
                path = os.path.join(mountpoint, str(number))
                with open(path, "rb", buffering=0) as other:
                    assert other.read() == DATA[:PAGE]
            assert not results
            writer.write(DATA[: 12 * PAGE])
            for thread in threads:
                thread.join(20)
    pages = {DATA[n * PAGE : (n + 1) * PAGE] for n in range(12)}
    assert set(results) == pages


CLIENT = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.pread(fd, int(sys.argv[2]), 0)
"""


@pytest.mark.parametrize("size", [PAGE, 131_072], ids=["copied", "spliced"])
def test_a_killed_reader_dies_and_the_mount_lives(
    mounted, file, mountpoint, sources, start_python, size
):
    reader, writer = sources.pipe()
    filesystem = Waiting(reader)
    with mounted(filesystem) as mount:
        child = start_python(CLIENT, mountpoint / "file", size)
        assert filesystem.asked.acquire(timeout=20)
        child.kill()
        assert child.wait(20) == -9
        # the pipe serves the next read
        writer.write(DATA[:PAGE])
        with file() as fd:
            assert read(fd, PAGE) == DATA[:PAGE]
    assert mount.statistics()["interrupted"] == 1
    assert mount.statistics()["in_flight"] == 0


@pytest.mark.parametrize("size", [PAGE, 131_072], ids=["copied", "spliced"])
def test_a_deadline_ends_the_wait(mounted, file, sources, size):
    reader, writer = sources.pipe()
    filesystem = Waiting(reader)
    with mounted(filesystem, request_timeout=0.2) as mount, file() as fd:
        with pytest.raises(TimeoutError) as info:
            read(fd, size)
        assert info.value.errno == errno.ETIMEDOUT
        # the pipe serves the next read
        writer.write(DATA[:PAGE])
        assert read(fd, PAGE) == DATA[:PAGE]
    assert mount.statistics()["timed_out"] == 1


@pytest.mark.parametrize("end", ["unmount", "abort"])
def test_the_end_of_the_mount_ends_the_wait(mounted, file, sources, end):
    reader, _writer = sources.pipe()
    filesystem = Waiting(reader)
    results = []
    with mounted(filesystem) as mount, file() as fd:
        threads = [start_reading(fd, size, results) for size in (PAGE, 131_072) * 2]
        for _ in threads:
            assert filesystem.asked.acquire(timeout=10)
        getattr(mount, end)()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
    assert len(results) == 4
    assert set(results) <= {errno.ECONNABORTED, errno.ENOTCONN, errno.ENODEV, errno.EIO}


def test_more_than_was_asked_for_consumes_nothing(mounted, file, sources, expect_log):
    expect_log("returned 9000 bytes; asked for were 4096")
    reader, writer = sources.pipe()
    writer.write(DATA[:9000])
    with (
        mounted(OneFile(lambda *_: fusesg.Pipe(reader, 9000))),
        file() as fd,
        pytest.raises(OSError, match=os.strerror(errno.EIO)),
    ):
        read(fd, PAGE)
    assert os.read(reader.fileno(), 10_000) == DATA[:9000]


def test_a_plan_for_a_write_has_no_streams(mounted, mountpoint, sources, expect_log):
    expect_log("write_plan returned")
    reader, _writer = sources.pipe()

    class Planned(OneFile):
        def setattr(self, inode, changes, handle, ctx):
            return self.file

        def write_plan(self, inode, handle, offset, size, ctx):
            return [fusesg.Pipe(reader, size)]

    with mounted(Planned(None)):
        fd = os.open(mountpoint / "file", os.O_WRONLY)
        try:
            with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                os.pwrite(fd, b"data", 0)
        finally:
            os.close(fd)


def test_many_answers_leave_nothing_in_pipes(mounted, file, sources):
    generator = random.Random(5)

    def answer(_offset, _size):
        size = generator.randrange(1, 20_000)
        kinds = generator.choices(["pipe", "socket"], k=3)
        return [sources.stream(kind, DATA[:size], 20_000 // 3) for kind in kinds]

    with mounted(OneFile(answer), splice_threshold=0) as mount, file() as fd:
        for _ in range(100):
            read(fd, 5 * PAGE)
    # descriptors that stay open are found by the fixture
    pipes = mount.statistics()["core"]["copier"]["pipes"]
    assert (pipes["discarded"], pipes["idle"]) == (0, 0)
