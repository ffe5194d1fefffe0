"""Reads that are answered with `Fetch` pieces, on a mount."""

from __future__ import annotations

import asyncio
import errno
import functools
import http.server
import os
import threading
import urllib.request

import pytest

import fusesg

SECONDS = 10.0
"""How long something may take that happens at once if it happens at all."""

PIECES = 16
PIECE = 4096
SIZE = PIECES * PIECE
CONTENT = b"".join(bytes([65 + number]) * PIECE for number in range(PIECES))


def piece(number):
    return CONTENT[number * PIECE : (number + 1) * PIECE]


def returning(data):
    return lambda: data


# All at once, and one answer


def test_16_pieces_are_16_parts_and_1_completion(answering, counts):
    # none returns before all have begun
    together = threading.Barrier(PIECES, timeout=SECONDS)

    def get(number):
        together.wait()
        return piece(number)

    def answer(offset, size):
        return [
            fusesg.Fetch(functools.partial(get, number), PIECE)
            for number in range(PIECES)
        ]

    with answering(answer) as file:
        assert file.read() == CONTENT
        assert file.completions() == counts(ios=1, parts=16)


@pytest.mark.parametrize("form", ["function", "lambda", "partial", "coroutine"])
def test_awaitables_are_awaited_together(answering, counts, form):
    together = asyncio.Barrier(PIECES)

    async def get(number=0):
        await asyncio.wait_for(together.wait(), SECONDS)
        return piece(number)

    def source(number):
        match form:
            case "function":

                async def function():
                    return await get(number)

                return function
            case "lambda":
                return lambda: get(number)
            case "partial":
                return functools.partial(get, number)
            case _:
                return get(number)

    def answer(offset, size):
        return [fusesg.Fetch(source(number), PIECE) for number in range(PIECES)]

    with answering(answer) as file:
        assert file.read() == CONTENT
        assert file.completions() == counts(ios=1, parts=16)


def test_all_awaitables_of_a_mount_share_one_loop_and_one_thread(answering):
    seen = set()

    async def get():
        seen.add((asyncio.get_running_loop(), threading.get_ident()))
        return b"x"

    with answering(lambda *_: [fusesg.Fetch(get, 1)] * 3) as file:
        assert [file.read(), file.read()] == [b"xxx"] * 2
    assert len(seen) == 1
    ((loop, _thread),) = seen
    assert loop.is_closed()


def test_reads_that_wait_for_awaitables_hold_no_thread(answering, threads):
    """Forty reads wait, with few readers and two threads for callbacks."""
    reads = 40
    waiting = threading.Semaphore(0)
    go_on = asyncio.Event()
    loops = []

    async def get():
        loops.append(asyncio.get_running_loop())
        waiting.release()
        await go_on.wait()
        return b"late"

    with answering(
        lambda *_: fusesg.Fetch(get, 4), max_python_threads=2, max_fetches=reads
    ) as file:
        results = [threads.submit(file.read) for _ in range(reads)]
        for _ in range(reads):
            assert waiting.acquire(timeout=SECONDS)
        # and others are served meanwhile
        assert os.stat(os.path.join(file.mount.path, "file")).st_size == SIZE
        statistics = file.mount.statistics()
        assert statistics["in_flight"] == reads
        assert statistics["python"]["threads"] <= 2
        assert statistics["python"]["fetches"]["running"] == reads
        loops[0].call_soon_threadsafe(go_on.set)
        assert {result.result(SECONDS) for result in results} == {b"late"}


# What goes in and what comes out


def test_pieces_and_segments_in_one_answer(answering, counts, tmp_path):
    path = tmp_path / "backing"
    path.write_bytes(CONTENT)
    backing = fusesg.Backing(path)
    answer = [
        b"head",
        fusesg.Fetch(returning(b"one"), 3),
        (backing.extent(PIECE, 5), fusesg.Zeros(2)),
        [fusesg.Fetch(returning(backing.extent(0, 2 * PIECE)), 2 * PIECE)],
        fusesg.SegmentList([b"tail"]),
    ]
    with answering(lambda *_: answer) as file:
        expected = b"headoneBBBBB\0\0" + CONTENT[: 2 * PIECE] + b"tail"
        assert file.read() == expected
        assert file.completions() == counts(ios=1, parts=2)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 50_000])
@pytest.mark.parametrize(
    "wrap",
    [
        bytes,
        bytearray,
        memoryview,
        fusesg.SegmentList,
        lambda data: [data[:1], data[1:]],
    ],
    ids=["bytes", "bytearray", "memoryview", "SegmentList", "list"],
)
def test_a_source_may_return_what_read_may(answering, wrap, size, asynchronous):
    async def get():
        return wrap(CONTENT[:size])

    source = get if asynchronous else returning(wrap(CONTENT[:size]))
    with answering(lambda *_: [b"<", fusesg.Fetch(source, size), b">"]) as file:
        assert file.read() == b"<" + CONTENT[:size] + b">"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_extents_of_a_file(answering, tmp_path, asynchronous):
    path = tmp_path / "backing"
    path.write_bytes(CONTENT)
    backing = fusesg.Backing(path)
    extents = [backing.extent(7, 5000), backing.extent(1, 1), backing.extent(0, 9)]

    async def get():
        return extents

    source = get if asynchronous else returning(extents)
    with answering(lambda *_: [fusesg.Fetch(source, 5010)] * 2) as file:
        once = CONTENT[7:5007] + CONTENT[1:2] + CONTENT[:9]
        assert file.read() == once * 2


@pytest.mark.parametrize("asynchronous", [False, True])
def test_pipes(answering, asynchronous):
    """In what a source returns, and beside it; the second comes out short."""
    pipes = [os.pipe() for _ in range(3)]
    for (_, writer), data in zip(pipes, (b"first", b"sec", b"third"), strict=True):
        os.write(writer, data)
        os.close(writer)

    async def get(number):
        return [b"<", fusesg.Pipe(pipes[number][0], 6)]

    def source(number):
        if asynchronous:
            return functools.partial(get, number)
        return returning([b"<", fusesg.Pipe(pipes[number][0], 6)])

    def answer(offset, size):
        return [
            fusesg.Pipe(pipes[0][0], 5),
            fusesg.Fetch(source(1), 7),
            fusesg.Fetch(source(2), 7),
        ]

    with answering(answer) as file:
        assert file.read() == b"first<sec"
    for reader, _ in pipes:
        os.close(reader)


def test_an_empty_fetch_is_not_carried_out(answering, counts):
    def fail():
        raise AssertionError

    async def never():
        raise AssertionError

    def answer(offset, size):
        return [fusesg.Fetch(fail, 0), b"data", fusesg.Fetch(never(), 0)]

    with answering(answer) as file:
        assert file.read() == b"data"
        assert file.completions() == counts()


# Holes


def test_a_short_piece_ends_the_answer(answering, counts):
    lengths = [PIECE, 100, PIECE]
    answer = [
        b"head",
        *(fusesg.Fetch(returning(CONTENT[:length]), PIECE) for length in lengths),
        b"tail",
    ]
    with answering(lambda *_: answer) as file:
        assert file.read() == b"head" + CONTENT[:PIECE] + CONTENT[:100]
        assert file.completions() == counts(ios=1, parts=3, holes=1)


def test_a_short_last_piece_is_the_end_of_the_file(answering):
    answer = [fusesg.Fetch(returning(data), 4) for data in (b"abcd", b"ef")]
    with answering(lambda *_: answer) as file:
        assert file.read() == b"abcdef"


def test_an_extent_past_the_end_of_its_file_is_short(answering, counts, tmp_path):
    path = tmp_path / "backing"
    path.write_bytes(b"0123456789")
    backing = fusesg.Backing(path)
    fetch = fusesg.Fetch(returning(backing.extent(4, 5000)), 5000)
    with answering(lambda *_: [fetch, b"tail"]) as file:
        assert file.read() == b"456789"
        assert file.completions() == counts(ios=1, parts=1, holes=1)


def test_nothing_at_all_is_the_end_of_the_file(answering):
    with answering(lambda *_: fusesg.Fetch(returning(b""), 10)) as file:
        assert file.read() == b""


# The bound


def test_no_more_functions_run_than_max_fetches(answering, counts, threads):
    bound = 3
    lock = threading.Lock()
    together = threading.Barrier(bound, timeout=SECONDS)
    running = most = 0

    def get(number):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()  # no fewer, either
        with lock:
            running -= 1
        return piece(number)

    def answer(offset, size):
        return [
            fusesg.Fetch(functools.partial(get, number), PIECE)
            for number in range(offset // PIECE, (offset + size) // PIECE)
        ]

    with answering(answer, max_fetches=bound) as file:
        # the bound is that of the mount: the pieces of two reads share it
        half = SIZE // 4 * 3
        first = threads.submit(file.read, 0, half)
        second = threads.submit(file.read, 0, half)
        assert first.result(SECONDS) == second.result(SECONDS) == CONTENT[:half]
        assert file.completions() == counts(ios=2, parts=24)
    assert most == bound


def test_no_more_awaitables_run_than_max_fetches(answering):
    bound = 4
    together = asyncio.Barrier(bound)
    running = most = 0

    async def get(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.wait_for(together.wait(), SECONDS)
        running -= 1
        return piece(number)

    def answer(offset, size):
        return [
            fusesg.Fetch(functools.partial(get, number), PIECE)
            for number in range(PIECES)
        ]

    with answering(answer, max_fetches=bound) as file:
        assert file.read() == CONTENT
    assert most == bound


# Errors


@pytest.mark.parametrize("asynchronous", [False, True])
def test_exceptions_are_answered_as_those_of_read(answering, counts, asynchronous):
    raised = []

    def raise_it():
        raise raised[-1]

    async def raise_it_later():
        raise raised[-1]

    source = raise_it_later if asynchronous else raise_it
    with answering(lambda *_: [b"head", fusesg.Fetch(source, 9)]) as file:
        for error, number in [
            (PermissionError(errno.EPERM, "no"), errno.EPERM),
            (FileNotFoundError(), errno.ENOENT),
            (TimeoutError(), errno.ETIMEDOUT),
            (NotImplementedError(), errno.EOPNOTSUPP),
            (MemoryError(), errno.ENOMEM),
        ]:
            raised.append(error)
            assert file.error() == number
        assert file.completions() == counts(ios=5, parts=5, errors=5)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("error", [ValueError, SystemExit, GeneratorExit])
def test_a_bug_is_logged_with_its_place(answering, fuse_log, asynchronous, error):
    async def later():
        raise error("the reason")

    def now():
        raise error("the reason")

    source = later if asynchronous else now
    answer = [fusesg.Fetch(returning(b"x"), 1), fusesg.Fetch(source, 9)]
    with answering(lambda *_: answer) as file:
        assert file.error() == errno.EIO
        text = fuse_log.wait_for(r"OneFile\.read: Fetch 2 of 2 raised; answered EIO")
        assert error.__name__ in text
        assert "the reason" in text
        # threads and loop are alive
        answer = [fusesg.Fetch(returning(b"x"), 1)] * 2
        assert file.read() == b"xx"


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        (b"12345", r"returned 5 bytes; its length is 4"),
        (fusesg.Zeros(1 << 40), r"returned \d+ bytes; its length is 4"),
        (None, r"returned no data: expected data .* got None"),
        ("text", r"returned no data: .* got str; encode it first"),
        (fusesg.Fetch(bytes, 1), r"returned no data: a Fetch is no data yet"),
    ],
    ids=["too long", "far too long", "None", "str", "Fetch"],
)
def test_a_wrong_result_is_eio(answering, expect_log, returned, problem, asynchronous):
    async def later():
        return returned

    source = later if asynchronous else returning(returned)
    expect_log(rf"OneFile\.read: Fetch 1 of 1 {problem}.*; answered EIO")
    with answering(lambda *_: [fusesg.Fetch(source, 4), b"tail"]) as file:
        assert file.error() == errno.EIO


def test_a_file_that_cannot_be_read_is_an_error_not_an_end(answering):
    """The first page of this process's memory is not mapped."""
    memory = fusesg.Backing("/proc/self/mem")
    fetch = fusesg.Fetch(returning([bytes(10), memory.extent(0, 10)]), 20)
    with answering(lambda *_: fetch) as file:
        assert file.error() == errno.EIO


def test_more_than_was_asked_for_is_eio(answering, counts, expect_log):
    expect_log(r"OneFile\.read returned 65537 bytes; asked for were 65536")
    answer = [b"x", fusesg.Fetch(bytes, SIZE)]
    with answering(lambda *_: answer) as file:
        assert file.error() == errno.EIO
        assert file.completions() == counts()


def test_the_first_error_wins_and_answers_at_once(answering, counts):
    """The function that still runs neither delays the answer nor changes it."""
    begun, failed = threading.Event(), threading.Event()
    ended = threading.Semaphore(0)

    def fails_later():
        begun.set()
        assert failed.wait(SECONDS)
        ended.release()
        raise PermissionError

    def fails():
        assert begun.wait(SECONDS)  # what has not begun never would
        raise FileNotFoundError

    answer = [fusesg.Fetch(fails_later, 1), fusesg.Fetch(fails, 1)]
    with answering(lambda *_: answer) as file:
        assert file.error() == errno.ENOENT
        assert file.completions() == counts(ios=1, parts=2, errors=1)
        failed.set()
        assert ended.acquire(timeout=SECONDS)


def test_an_error_keeps_the_rest_from_starting(answering, counts):
    begun = []

    def fails():
        raise FileNotFoundError

    def get(number):
        begun.append(number)
        return b"x"

    async def never():
        begun.append("never")

    def answer(offset, size):
        return [
            fusesg.Fetch(fails, 1),
            *(fusesg.Fetch(functools.partial(get, number), 1) for number in range(9)),
            fusesg.Fetch(never, 1),
            fusesg.Fetch(never(), 1),
        ]

    with answering(answer, max_fetches=1) as file:
        assert file.error() == errno.ENOENT
        assert file.completions() == counts(ios=1, parts=12, errors=1)
    assert begun == []


def test_an_error_cancels_what_is_awaited(answering):
    waiting = threading.Event()
    cancelled = threading.Event()

    def fails():
        assert waiting.wait(SECONDS)
        raise FileNotFoundError

    async def waits():
        waiting.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    answer = [fusesg.Fetch(waits, 1), fusesg.Fetch(fails, 1)]
    with answering(lambda *_: answer) as file:
        assert file.error() == errno.ENOENT
        assert cancelled.wait(SECONDS)


# An awaitable is for one answer


def test_an_awaitable_answers_one_read_only(answering, expect_log):
    async def get():
        return b"once"

    fetch = fusesg.Fetch(get(), 4)
    expect_log(r"OneFile\.read returned a Fetch of an awaitable for the second time")
    with answering(lambda *_: fetch) as file:
        assert file.read() == b"once"
        assert file.error() == errno.EIO


def test_a_function_is_called_for_each_read(answering):
    calls = []

    def get():
        calls.append(1)
        return str(len(calls)).encode()

    fetch = fusesg.Fetch(get, 1)
    with answering(lambda *_: fetch) as file:
        assert [file.read(), file.read()] == [b"1", b"2"]


def test_a_future_of_another_loop_is_eio(answering, expect_log):
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    expect_log(r"OneFile\.read: Fetch 1 of 1 raised; answered EIO")
    with answering(lambda *_: fusesg.Fetch(future, 4)) as file:
        assert file.error() == errno.EIO
    loop.close()


def test_the_loop_survives_what_a_coroutine_does_to_it(answering):
    async def stops():
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return b"stop"

    with answering(lambda *_: fusesg.Fetch(stops, 4)) as file:
        assert [file.read(), file.read()] == [b"stop"] * 2


# Nothing stays behind


def test_a_thousand_reads_leave_nothing(answering, threads, tmp_path):
    """With errors, holes and cancelled pieces among them."""
    path = tmp_path / "backing"
    path.write_bytes(CONTENT)
    numbers = iter(range(1000))

    def fails():
        raise FileNotFoundError

    backing = fusesg.Backing(path)

    async def later():
        await asyncio.sleep(0)
        return backing.extent(0, PIECE)

    sources = [returning(bytes(PIECE)), later, fails, returning(b"short"), later]

    def answer(offset, size):
        start = next(numbers)
        return [
            fusesg.Fetch(sources[(start + index) % 5], PIECE)
            for index in range(start % 4 + 1)
        ]

    def read(_):
        try:
            return len(file.read())
        except FileNotFoundError:
            return None

    with answering(answer, max_fetches=8) as file:
        list(threads.map(read, range(1000)))
        completions = file.completions()
        assert completions["ios"] == 1000
        assert completions["parts"] == 2500
        assert completions["cancelled"] == 0
        assert completions["errors"] > 0
        assert completions["holes"] > 0

        def rest():
            now = file.fetches()
            pool = now["pool"]
            # each page that was ever made shall lie in the pool again
            lent = pool["misses"] * PIECE - pool["bytes_idle"]
            return now["running"], now["queued"], lent

        # what was cancelled may still be on its way out, and pages go back after
        # the answer that they were in
        pause = threading.Event()
        for _ in range(1000):
            if rest() == (0, 0, 0):
                break
            pause.wait(SECONDS / 1000)
        assert rest() == (0, 0, 0)


# As it is meant to be used


class Ranges(http.server.BaseHTTPRequestHandler):
    """Serves ranges of `CONTENT`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        body = CONTENT[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_ranges_of_a_web_server(answering, counts):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    url = f"http://127.0.0.1:{server.server_port}/"

    def get(start, length):
        headers = {"Range": f"bytes={start}-{start + length - 1}"}
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return response.read()

    def answer(offset, size):
        chunk = 10_000
        end = min(offset + size, SIZE)
        return [
            fusesg.Fetch(functools.partial(get, start, n), n)
            for start in range(offset, end, chunk)
            for n in [min(chunk, end - start)]
        ]

    try:
        with answering(answer) as file:
            assert file.read() == CONTENT
            assert file.read(12_345, 20_000) == CONTENT[12_345:32_345]
            assert file.completions() == counts(ios=2, parts=9)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
