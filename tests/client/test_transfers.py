"""Requests, pages and bytes: exact counts, and random I/O against a model."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import functools
import mmap
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusesg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fusesg.testing import MakeClient

PAGE = 4096


def pages(count: int) -> mmap.mmap:
    """Memory that begins at a page boundary."""
    return mmap.mmap(-1, count * PAGE)


def content(size: int) -> bytes:
    return bytes((i * 7 + i // PAGE) % 256 for i in range(size))


class Numbers:
    """What a block of code changes in a client's statistics."""

    def __init__(self, client: fusesg.Client) -> None:
        self._client = client
        self._before = client.statistics()

    def operations(self, name: str) -> int:
        def count(statistics: dict[str, Any]) -> int:
            found: int = statistics["operations"].get(name, {"count": 0})["count"]
            return found

        return count(self._client.statistics()) - count(self._before)

    def core(self, part: str, name: str) -> int:
        after = self._client.statistics()["core"][part][name]
        difference: int = after - self._before["core"][part][name]
        return difference


@pytest.fixture
def source(source: Path) -> Path:
    (source / "file").write_bytes(content(64 * PAGE))
    return source


@pytest.mark.parametrize(("packing", "requests"), [("request", 1), ("segment", 32)])
def test_readv_of_32_pages(
    fuse_client: MakeClient, source: Path, packing: str, requests: int
) -> None:
    client = fuse_client(fusesg.Passthrough(source), packing=packing)
    fd = client.open("file")
    with pages(32) as memory, memoryview(memory) as view:
        buffers = [view[i * PAGE : (i + 1) * PAGE] for i in range(32)]
        numbers = Numbers(client)
        assert client.readv(fd, buffers) == 32 * PAGE
        assert bytes(view) == content(32 * PAGE)
        assert numbers.operations("read") == requests
        assert numbers.core("requests", "pages_requested") == 32
        assert numbers.core("requests", "pages_used") == 32
        assert numbers.core("copier", "bytes_spliced") == 32 * PAGE
        assert numbers.core("copier", "bytes_copied") == 0
        for buffer in buffers:
            buffer.release()
    client.close(fd)


@pytest.mark.parametrize(("packing", "requests"), [("request", 1), ("segment", 32)])
def test_writev_of_32_pages(
    fuse_client: MakeClient, source: Path, packing: str, requests: int
) -> None:
    client = fuse_client(fusesg.Passthrough(source), packing=packing)
    fd = client.create("new")
    with pages(32) as memory, memoryview(memory) as view:
        memory.write(content(32 * PAGE))
        buffers = [view[i * PAGE : (i + 1) * PAGE] for i in range(32)]
        numbers = Numbers(client)
        assert client.writev(fd, buffers) == 32 * PAGE
        assert numbers.operations("write") == requests
        assert numbers.core("requests", "pages_requested") == 32
        assert numbers.core("requests", "pages_used") == 32
        # a WRITE is one piece: buffers that share one are copied together
        joined = 32 * PAGE if packing == "request" else 0
        assert numbers.core("packer", "bytes_joined") == joined
        for buffer in buffers:
            buffer.release()
    client.close(fd)
    assert (source / "new").read_bytes() == content(32 * PAGE)


def test_small_buffers_are_written_from_the_pages_they_are_in(
    fuse_client: MakeClient, source: Path
) -> None:
    client = fuse_client(fusesg.Passthrough(source))
    fd = client.create("new")
    with pages(64) as memory, memoryview(memory) as view:
        memory.write(data := content(64 * PAGE))
        buffers = [view[i * PAGE + 9 : i * PAGE + 1009] for i in range(64)]
        numbers = Numbers(client)
        assert client.writev(fd, buffers) == 64 * 1000
        assert numbers.operations("write") == 1
        # copies of them would lie across the boundaries of other pages
        assert numbers.core("requests", "pages_requested") == 64
        for buffer in buffers:
            buffer.release()
        assert client.writev(fd, [bytearray(), b"", b"end"]) == 3
    client.close(fd)
    written = b"".join(data[i * PAGE + 9 :][:1000] for i in range(64))
    assert (source / "new").read_bytes() == written + b"end"


def test_a_buffer_that_is_not_at_a_page_boundary_costs_a_page_more(
    fuse_client: MakeClient, source: Path
) -> None:
    client = fuse_client(fusesg.Passthrough(source), max_pages=32)
    fd = client.open("file")
    with pages(33) as memory, memoryview(memory) as view:
        numbers = Numbers(client)
        with view[16 : 16 + 32 * PAGE] as buffer:
            assert client.preadv(fd, [buffer], 0) == 32 * PAGE
            assert bytes(buffer) == content(32 * PAGE)
        assert numbers.operations("read") == 2
        assert numbers.core("requests", "pages_requested") == 33
        assert numbers.core("requests", "pages_used") == 33
    client.close(fd)


@pytest.mark.parametrize("page_size", [4096, 16384, 65536])
def test_the_page_size_decides_how_many_pages_a_request_needs(
    fuse_client: MakeClient, source: Path, page_size: int
) -> None:
    client = fuse_client(fusesg.Passthrough(source), page_size=page_size)
    fd = client.open("file")
    memory = bytearray(40 * PAGE)
    with memoryview(memory) as view:
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        segments = [(100, 3 * PAGE), (5 * PAGE, 1), (9 * PAGE + 7, 20 * PAGE)]
        needed = sum(
            (start + place + size - 1) // page_size - (start + place) // page_size + 1
            for place, size in segments
        )
        numbers = Numbers(client)
        buffers = [view[place : place + size] for place, size in segments]
        total = sum(size for _, size in segments)
        assert client.preadv(fd, buffers, 0) == total
        assert b"".join(buffers) == content(total)
        assert numbers.operations("read") == 1
        assert numbers.core("requests", "pages_requested") == needed
        # through the client's own pages: cut where the file's pages are
        assert client.pread(fd, 30000, 10000) == content(40000)[10000:]
        pages = 39999 // page_size - 10000 // page_size + 1
        assert numbers.core("requests", "pages_requested") == needed + pages
        for buffer in buffers:
            buffer.release()
    client.close(fd)


@pytest.mark.parametrize("page_size", [0, 1, 2048, 4097, 131072])
def test_a_page_size_that_no_kernel_has_is_refused(page_size: int) -> None:
    with pytest.raises(ValueError, match=f"page_size={page_size} is none of"):
        fusesg.Client(fusesg.Memory(), page_size=page_size)


def test_a_thousand_reads_take_their_page_from_the_pool(
    fuse_client: MakeClient, source: Path
) -> None:
    client = fuse_client(fusesg.Passthrough(source))
    fd = client.open("file")
    expected = content(64 * PAGE)
    numbers = Numbers(client)
    for i in range(1000):
        offset = i % 64 * PAGE
        assert client.pread(fd, PAGE, offset) == expected[offset : offset + PAGE]
    assert numbers.core("pool", "hits") >= 990
    assert numbers.core("requests", "pages_requested") == 1000
    pool = client.statistics()["core"]["pool"]
    assert pool["bytes_resident"] <= pool["bytes_low_water"]
    client.close(fd)


def test_all_requests_of_an_io_are_counted_by_one_completion(
    fuse_client: MakeClient, source: Path
) -> None:
    client = fuse_client(
        fusesg.Passthrough(source), asynchronous=True, max_read=4 * PAGE
    )
    fd = client.open("file")
    numbers = Numbers(client)
    assert client.pread(fd, 64 * PAGE, 0) == content(64 * PAGE)
    assert numbers.operations("read") == 16
    assert numbers.core("completions", "ios") == 1
    assert numbers.core("completions", "parts") == 16
    # no more is asked for than there is, up to a whole request
    assert client.pread(fd, 1 << 30, 60 * PAGE) == content(64 * PAGE)[60 * PAGE :]
    assert numbers.operations("read") == 17
    # past the end of the file there is a hole, and nothing behind it counts
    assert len(client.pread(fd, 64 * PAGE, 60 * PAGE + 5)) == 4 * PAGE - 5
    assert numbers.core("completions", "holes") == 1
    client.close(fd)


class Answers(fusesg.Filesystem):
    """One file whose reads are answered by a function."""

    def __init__(self, size: int = 1 << 20) -> None:
        self.size = size
        self.calls: list[tuple[int, int]] = []
        self.answer: Any = lambda offset, size: bytes(size)
        self.taken: Any = lambda offset, data: len(data)

    def lookup(self, parent: int, name: str, ctx: fusesg.Context) -> Any:
        return fusesg.Entry(self.getattr(2, None, ctx)) if name == "file" else None

    def getattr(self, inode: int, handle: Any, ctx: fusesg.Context) -> Any:
        mode = stat.S_IFDIR | 0o755 if inode == 1 else stat.S_IFREG | 0o666
        return fusesg.Attributes(inode=inode, mode=mode, size=self.size)

    def read(
        self, inode: int, handle: Any, offset: int, size: int, ctx: fusesg.Context
    ) -> Any:
        self.calls.append((offset, size))
        return self.answer(offset, size)

    def write(
        self, inode: int, handle: Any, offset: int, data: Any, ctx: fusesg.Context
    ) -> int:
        self.calls.append((offset, len(data)))
        taken: int = self.taken(offset, data)
        return taken


@pytest.fixture
def answers() -> Answers:
    return Answers()


def test_pieces_of_all_kinds_arrive_in_order(
    fuse_client: MakeClient, answers: Answers, source: Path
) -> None:
    backing = fusesg.Backing(source / "file")
    expected = b"head" + content(PAGE) + bytes(100) + b"tail"
    answers.answer = lambda offset, size: [
        b"head", backing.extent(0, PAGE), fusesg.Zeros(100), b"tail"
    ]  # fmt: skip
    client = fuse_client(answers)
    fd = client.open("file")
    numbers = Numbers(client)
    assert client.pread(fd, 2 * PAGE, 0) == expected
    assert numbers.core("copier", "bytes_spliced") == PAGE
    assert numbers.core("copier", "bytes_copied") == 8
    assert numbers.core("copier", "bytes_filled") == 100
    buffers = [bytearray(3), bytearray(PAGE), bytearray(1000)]
    assert client.preadv(fd, buffers, 0) == len(expected)
    assert b"".join(buffers)[: len(expected)] == expected
    client.close(fd)


def test_pipes_and_sockets_answer_reads(
    fuse_client: MakeClient, answers: Answers
) -> None:
    import socket  # noqa: PLC0415

    def answer(offset: int, size: int) -> Any:
        parts: list[Any] = []
        for text in (b"one" * 1000, b"two" * 1000, b"three" * 1000):
            reader, writer = os.pipe()
            os.write(writer, text)
            os.close(writer)
            parts.append(fusesg.Pipe(reader, len(text)))
            os.close(reader)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(b"four" * 1000)
            parts.append(fusesg.Socket(ours, 4000))
        return parts

    answers.answer = answer
    client = fuse_client(answers)
    fd = client.open("file")
    numbers = Numbers(client)
    expected = b"one" * 1000 + b"two" * 1000 + b"three" * 1000 + b"four" * 1000
    assert client.pread(fd, 1 << 16, 0) == expected
    assert numbers.core("copier", "bytes_spliced") == len(expected)
    assert numbers.core("packer", "segments") == 4
    assert numbers.core("packer", "calls") == 4
    assert numbers.core("copier", "sources") == 4
    assert numbers.core("copier", "copies") == 1
    client.close(fd)


@pytest.mark.parametrize(
    ("step", "calls"), [(PAGE, 1), (2 * PAGE, 16)], ids=["adjacent", "scattered"]
)
@pytest.mark.parametrize("direct", [False, True])
def test_sixteen_extents_are_as_many_calls_as_places(
    fuse_client: MakeClient,
    answers: Answers,
    source: Path,
    step: int,
    calls: int,
    direct: bool,
) -> None:
    backing = fusesg.Backing(source / "file")
    answers.answer = lambda offset, size: [
        backing.extent(number * step, PAGE) for number in range(16)
    ]
    whole = content(64 * PAGE)
    expected = b"".join(whole[number * step :][:PAGE] for number in range(16))
    client = fuse_client(answers)
    fd = client.open("file")
    numbers = Numbers(client)
    if direct:
        buffer = bytearray(16 * PAGE)
        assert client.preadv(fd, [buffer], 0) == len(buffer)
        assert buffer == expected
    else:
        assert client.pread(fd, 16 * PAGE, 0) == expected
    assert numbers.core("packer", "segments") == 16
    assert numbers.core("packer", "calls") == calls
    assert numbers.core("copier", "sources") == calls
    assert numbers.core("copier", "copies") == 1
    assert numbers.core("copier", "bytes_spliced") == 16 * PAGE
    assert numbers.core("copier", "bytes_copied") == 0
    client.close(fd)


def test_sixteen_fetches_are_one_answer(
    fuse_client: MakeClient, answers: Answers
) -> None:
    import threading  # noqa: PLC0415

    together = threading.Barrier(16, timeout=10)

    def fetch(number: int) -> bytes:
        together.wait()
        return bytes([number]) * PAGE

    answers.answer = lambda offset, size: [
        fusesg.Fetch(functools.partial(fetch, number), PAGE) for number in range(16)
    ]
    client = fuse_client(answers)
    fd = client.open("file")
    numbers = Numbers(client)
    expected = b"".join(bytes([number]) * PAGE for number in range(16))
    assert client.pread(fd, 16 * PAGE, 0) == expected
    assert numbers.operations("read") == 1
    counted = client.statistics()["fetches"]["completions"]
    assert (counted["ios"], counted["parts"]) == (1, 16)
    client.close(fd)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_too_much_and_too_little(
    fuse_client: MakeClient, answers: Answers, fuse_log: Any, asynchronous: bool
) -> None:
    fuse_log.expect("11 bytes.*10 were asked for|returned 11 bytes")
    client = fuse_client(answers, asynchronous=asynchronous, max_read=PAGE)
    fd = client.open("file", os.O_RDWR)
    answers.answer = lambda offset, size: bytes(11)
    with pytest.raises(OSError, match="Input/output error"):
        client.pread(fd, 10, 0)
    answers.answer = lambda offset, size: bytes(size if offset == 0 else 10)
    assert len(client.pread(fd, 4 * PAGE, 0)) == PAGE + 10
    answers.taken = lambda offset, data: 3
    if asynchronous:
        with pytest.raises(OSError, match="Input/output error"):
            client.pwrite(fd, b"12345", 0)
    else:
        assert client.pwrite(fd, b"12345", 0) == 3
    fuse_log.expect("took none of 5 bytes")
    answers.taken = lambda offset, data: 0
    with pytest.raises(OSError, match="Input/output error"):
        client.pwrite(fd, b"12345", 0)
    client.close(fd)


def test_progress_wins_over_a_late_error(
    fuse_client: MakeClient, answers: Answers
) -> None:
    client = fuse_client(answers, max_read=PAGE)
    fd = client.open("file")

    def answer(offset: int, size: int) -> bytes:
        if offset >= 2 * PAGE:
            raise PermissionError
        return bytes(size)

    answers.answer = answer
    assert len(client.pread(fd, 4 * PAGE, 0)) == 2 * PAGE
    assert client.preadv(fd, [bytearray(4 * PAGE)], 0) == 2 * PAGE
    with pytest.raises(PermissionError):
        client.pread(fd, PAGE, 2 * PAGE)
    client.close(fd)


def test_arguments_are_named(fuse_client: MakeClient, answers: Answers) -> None:
    client = fuse_client(answers)
    fd = client.open("file", os.O_RDWR)
    with pytest.raises(OSError, match="offset=-1 is not within"):
        client.pread(fd, 1, -1)
    with pytest.raises(OSError, match="n=-1 is not within"):
        client.read(fd, -1)
    with pytest.raises(OSError, match=r"offset=.* is not within"):
        client.pwrite(fd, b"", 1 << 63)
    with pytest.raises(OSError, match="Invalid argument"):
        client.pread(fd, 2, (1 << 63) - 1)
    with pytest.raises(TypeError, match=r"buffers\[1\]: bytes is read-only"):
        client.readv(fd, [bytearray(1), b"x"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"buffers\[0\]: expected a writable buffer"):
        client.readv(fd, [1])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="buffers: expected a sequence of buffers"):
        client.readv(fd, bytearray(4))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="data: expected bytes"):
        client.write(fd, "text")  # type: ignore[arg-type]
    memory = bytearray(10)
    with (
        memoryview(memory) as view,
        pytest.raises(ValueError, match="two of the buffers overlap"),
    ):
        client.readv(fd, [view[:6], view[5:]])
    with pytest.raises(OSError, match="buffers: 1025 of them") as too_many:
        client.readv(fd, [bytearray(1) for _ in range(1025)])
    assert too_many.value.errno == errno.EINVAL
    last = 2**63 - 1
    for past_the_end in (
        lambda: client.preadv(fd, [bytearray(2)], last),
        lambda: client.pwritev(fd, [b"x", b"y"], last),
        lambda: client.pwrite(fd, b"xy", last),
    ):
        with pytest.raises(OSError, match=f"offset={last} and 2 bytes") as past:
            past_the_end()
        assert past.value.errno == errno.EINVAL
    assert client.readv(fd, []) == 0
    assert client.readv(fd, [bytearray(), bytearray()]) == 0
    assert client.read(fd, 0) == b""
    assert answers.calls == []
    memory.append(1)  # no buffer is held any more
    client.close(fd)


# Random I/O


class Memory(Answers):
    """A file in memory: the obvious implementation, and the model."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self.data = bytearray(data)
        self.answer = lambda offset, size: bytes(self.data[offset : offset + size])
        self.taken = self._take

    def _take(self, offset: int, data: Any) -> int:
        self.data[len(self.data) :] = bytes(max(0, offset - len(self.data)))
        self.data[offset : offset + len(data)] = data
        self.size = len(self.data)
        return len(data)


SIZES = st.one_of(
    st.integers(0, 3),
    st.integers(0, 3 * PAGE),
    st.sampled_from([PAGE - 1, PAGE, PAGE + 1, 2 * PAGE]),
)
LIMITS = st.fixed_dictionaries(
    {
        "page_size": st.sampled_from([PAGE, 4 * PAGE, 16 * PAGE]),
        "max_pages": st.integers(1, 6),
        "max_read": st.sampled_from([PAGE, PAGE + 1, 3 * PAGE]),
        "max_write": st.sampled_from([PAGE, PAGE + 1, 3 * PAGE]),
        "packing": st.sampled_from(["request", "segment"]),
        "asynchronous": st.booleans(),
        "max_background": st.integers(1, 4),
        "max_requests": st.integers(1, 8),
    }
)


@settings(deadline=None, max_examples=150)
@given(
    limits=LIMITS,
    sizes=st.lists(SIZES, max_size=8),
    places=st.lists(st.integers(0, PAGE - 1), min_size=8, max_size=8),
    offset=SIZES,
    length=st.integers(0, 5 * PAGE),
    writes=st.booleans(),
)
def test_random_vectors_are_what_the_model_says(
    limits: dict[str, Any],
    sizes: list[int],
    places: list[int],
    offset: int,
    length: int,
    writes: bool,
) -> None:
    data = os.urandom(length)
    filesystem = Memory(data)
    # room around each segment, which must stay as it is
    memories = [
        bytearray(os.urandom(place + size + 64))
        for size, place in zip(sizes, places, strict=False)
    ]
    before = [bytes(memory) for memory in memories]
    views = [
        memoryview(memory)[place : place + size]
        for memory, size, place in zip(memories, sizes, places, strict=False)
    ]
    with fusesg.Client(filesystem, **limits) as client:
        fd = client.open("file", os.O_RDWR)
        if writes:
            sent = b"".join(views)
            assert client.pwritev(fd, views, offset) == len(sent)
            model = bytearray(data)
            if sent:
                model.extend(bytes(max(0, offset - len(model))))
                model[offset : offset + len(sent)] = sent
            assert filesystem.data == model
            assert [bytes(memory) for memory in memories] == before
        else:
            expected = data[offset : offset + sum(sizes)]
            assert client.preadv(fd, views, offset) == len(expected)
            rest = expected
            for memory, size, place, was in zip(
                memories, sizes, places, before, strict=False
            ):
                now, rest = rest[:size], rest[size:]
                assert memory[place : place + len(now)] == now
                assert memory[:place] == was[:place]
                if size == len(now):
                    assert memory[place + size :] == was[place + size :]
            assert client.pread(fd, sum(sizes), offset) == expected
        limit = limits["max_write" if writes else "max_read"]
        assert all(size <= limit for _, size in filesystem.calls)
        client.close(fd)
        core = client.statistics()["core"]
        assert core["requests"]["outstanding"] == 0
        assert core["requests"]["pages_requested"] == core["requests"]["pages_used"]
        assert core["pool"]["bytes_resident"] == core["pool"]["bytes_idle"]


# asyncio


def test_awaited_reads_run_at_the_same_time(
    fuse_client: MakeClient, answers: Answers
) -> None:
    import threading  # noqa: PLC0415

    together = threading.Barrier(8, timeout=10)

    def answer(offset: int, size: int) -> bytes:
        together.wait()
        return offset.to_bytes(size, "big")

    answers.answer = answer
    client = fuse_client(answers)
    fd = client.open("file")

    async def read_all() -> list[bytes]:
        return await asyncio.gather(*(client.apread(fd, 4, i) for i in range(8)))

    assert asyncio.run(read_all()) == [i.to_bytes(4, "big") for i in range(8)]
    client.close(fd)


def test_awaited_vectors(fuse_client: MakeClient, source: Path) -> None:
    client = fuse_client(fusesg.Passthrough(source), asynchronous=True)
    fd = client.open("file", os.O_RDWR)

    async def use() -> None:
        buffers = [bytearray(10), bytearray(PAGE)]
        assert await client.apreadv(fd, buffers, 5) == 10 + PAGE
        assert b"".join(buffers) == content(64 * PAGE)[5 : 15 + PAGE]
        for buffer in buffers:
            buffer.append(0)  # they are the caller's again
        assert await client.apwritev(fd, [b"abc", b"def"], 1) == 6
        assert await client.apwrite(fd, b"g", 7) == 1
        assert await client.apread(fd, 9, 0) == b"\0abcdefg" + content(9)[8:]
        with pytest.raises(OSError, match="Bad file descriptor"):
            await client.apread(fd + 1, 1, 0)
        with pytest.raises(OSError, match="offset=-1"):
            await client.apread(fd, 1, -1)

    asyncio.run(use())
    client.close(fd)


@pytest.fixture
def held(answers: Answers) -> Iterator[tuple[Any, Any]]:
    """Reads that have begun, and leave to end."""
    import threading  # noqa: PLC0415

    begun, leave = threading.Semaphore(0), threading.Event()

    def answer(offset: int, size: int) -> bytes:
        begun.release()
        leave.wait(10)
        return bytes(size)

    answers.answer = answer
    yield begun, leave
    leave.set()


def test_a_cancelled_read_that_has_not_begun_does_not_begin(
    fuse_client: MakeClient, answers: Answers, held: tuple[Any, Any]
) -> None:
    begun, leave = held
    client = fuse_client(answers, max_background=1)
    fd = client.open("file")

    async def use() -> None:
        first = asyncio.create_task(client.apread(fd, 1, 0))
        await asyncio.to_thread(begun.acquire)
        second = asyncio.create_task(client.apread(fd, 1, 100))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        leave.set()
        assert await first == b"\0"
        assert await client.apread(fd, 1, 200) == b"\0"

    asyncio.run(use())
    assert [offset for offset, _ in answers.calls] == [0, 200]
    client.close(fd)
