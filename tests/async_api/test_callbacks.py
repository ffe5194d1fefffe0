"""What a callback may be, do and come to."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import os
import sqlite3
import stat
import sys
import threading

import pytest

import fusesg

from .conftest import CONTENT, FILE, SECONDS, Files, errno_of, off_loop, read

ENTRY = fusesg.DirectoryEntry("file", FILE, stat.S_IFREG)


class Reading(Files):
    """Files of which a test decides what `read` is."""

    def __init__(self, function):
        super().__init__()
        self.read = function


def reading(function):
    """A file system whose file is what a coroutine function returns."""

    async def read(inode, handle, offset, size, ctx):
        return await function()

    return Reading(read)


# What a callback may be


class Custom:
    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return b"custom"


class Callable:
    async def __call__(self, inode, handle, offset, size, ctx):
        await asyncio.sleep(0)
        return b"callable"


async def with_one_more(one_more, inode, handle, offset, size, ctx):
    await asyncio.sleep(0)
    return one_more


def returning_coroutine(inode, handle, offset, size, ctx):
    async def answer():
        await asyncio.sleep(0)
        return threading.current_thread().name.encode()

    return answer()


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (lambda *_: Custom(), b"custom"),
        (Callable(), b"callable"),
        (functools.partial(with_one_more, b"partial"), b"partial"),
        (returning_coroutine, b"fusesg-asyncio"),
    ],
    ids=["awaitable", "callable", "partial", "plain-def"],
)
def test_anything_that_can_be_awaited(mounted, mountpoint, function, answer):
    with mounted(Reading(function)):
        assert read(mountpoint / "file") == answer


def test_a_future_of_the_loop(run, mountpoint, served):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def answer(*_):
            loop.call_soon_threadsafe(future.set_result, b"future")
            return future

        async with served(Reading(answer)):
            assert await off_loop(read, mountpoint / "file") == b"future"

    run(main)


def test_an_awaitable_of_another_loop_is_an_error(mounted, mountpoint, fuse_log):
    loop = asyncio.new_event_loop()
    try:
        with mounted(Reading(lambda *_: loop.create_future())):
            assert errno_of(read, mountpoint / "file") == "EIO"
            fuse_log.wait_for(r"Reading\.read raised(?s:.*)a different loop")
    finally:
        loop.close()


def test_plain_methods_do_not_run_in_the_loop(run, mountpoint, served):
    class Mixed(Files):
        async def read(self, inode, handle, offset, size, ctx):
            threads.add(threading.get_ident())
            return CONTENT

        def statfs(self, inode, ctx):
            others.add(threading.get_ident())
            return fusesg.FilesystemStatistics(blocks=7)

        def getattr(self, inode, handle, ctx):
            others.add(threading.get_ident())
            return self.attributes[inode]

    threads, others = set(), set()

    async def main():
        async with served(Mixed(), attribute_timeout=0):
            assert await off_loop(read, mountpoint / "file") == CONTENT
            # these are answered although the loop is blocked
            assert os.statvfs(mountpoint).f_blocks == 7
        assert threads == {threading.get_ident()}
        assert others
        assert others.isdisjoint(threads)

    run(main)


# Listings


class Listing(Files):
    """How many entries were asked for, and that the generator was closed."""

    def __init__(self, count):
        super().__init__()
        self.count = count
        self.asked = 0
        self.closed = 0

    def entry(self, index):
        return fusesg.DirectoryEntry(f"name-{index:05}", index + 10, stat.S_IFREG)


class Generated(Listing):
    async def readdir(self, inode, handle, offset, ctx):
        try:
            for index in range(self.count):
                await asyncio.sleep(0)
                self.asked += 1
                yield self.entry(index)
        finally:
            self.closed += 1


class Positioned(Listing):
    async def readdir(self, inode, handle, offset, ctx):
        try:
            index = offset
            while index < self.count:
                self.asked += 1
                index += 1
                yield fusesg.DirectoryEntry(
                    f"name-{index - 1:05}", index + 10, stat.S_IFREG, next_offset=index
                )
        finally:
            self.closed += 1


class Returned(Listing):
    async def readdir(self, inode, handle, offset, ctx):
        async def generate():
            for index in range(self.count):
                yield self.entry(index)

        await asyncio.sleep(0)
        return generate()


@pytest.mark.parametrize("count", [0, 3, 5000])
@pytest.mark.parametrize("kind", [Generated, Positioned, Returned])
def test_readdir_may_be_an_asynchronous_generator(mounted, mountpoint, kind, count):
    filesystem = kind(count)
    with mounted(filesystem):
        expected = [f"name-{index:05}" for index in range(count)]
        assert sorted(os.listdir(mountpoint)) == expected
    if kind is Generated:
        assert (filesystem.asked, filesystem.closed) == (count, 1)
    if kind is Positioned:
        assert filesystem.asked >= count
        assert filesystem.closed


def test_an_endless_listing_with_positions_is_read_as_far_as_needed(
    mounted, mountpoint
):
    filesystem = Positioned(2**31)
    with mounted(filesystem):
        with os.scandir(mountpoint) as entries:
            assert next(entries).name == "name-00000"
        assert filesystem.asked < 100_000


def test_a_generator_that_fails_halfway(mounted, mountpoint, fuse_log):
    class Failing(Files):
        async def readdir(self, inode, handle, offset, ctx):
            yield ENTRY
            raise ValueError("halfway")

    with mounted(Failing()):
        assert errno_of(os.listdir, mountpoint) == "EIO"
        fuse_log.wait_for(r"Failing\.readdir raised(?s:.*)halfway")


def test_listxattr_may_be_an_asynchronous_generator(mounted, mountpoint):
    class Attributed(Files):
        async def listxattr(self, inode, ctx):
            for name in ("user.one", "user.two"):
                await asyncio.sleep(0)
                yield name

    with mounted(Attributed()):
        assert os.listxattr(mountpoint / "file") == ["user.one", "user.two"]


# What a callback may use


def test_timeouts(run, mountpoint, served):
    """In the first step of a task, and in later ones."""

    async def answer():
        answers = []
        for seconds, limit in [(0, SECONDS), (SECONDS, 0.01), (SECONDS, 0.01)]:
            try:
                async with asyncio.timeout(limit):
                    await asyncio.sleep(seconds)
                    answers.append("done")
            except TimeoutError:
                answers.append("late")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(-1):
                await asyncio.sleep(SECONDS)
        return " ".join(answers).encode()

    async def main():
        async with served(reading(answer)):
            assert await off_loop(read, mountpoint / "file") == b"done late late"

    run(main)


def test_a_timeout_that_is_not_caught(run, mountpoint, served):
    async def answer():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(SECONDS)

    async def main():
        async with served(reading(answer)):
            assert await off_loop(errno_of, read, mountpoint / "file") == "ETIMEDOUT"

    run(main)


def test_task_groups(run, mountpoint, served):
    async def part(text):
        await asyncio.sleep(0)
        return text

    async def failing():
        raise ZeroDivisionError

    async def answer():
        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(part(text)) for text in (b"a", b"b", b"c")]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(failing())
                await asyncio.sleep(SECONDS)
        except* ZeroDivisionError:
            parts.append(await asyncio.gather(part(b"d")))
        return b"".join(part.result() for part in parts[:3]) + parts[3][0]

    async def main():
        async with served(reading(answer)):
            assert await off_loop(read, mountpoint / "file") == b"abcd"

    run(main)


def test_each_request_has_a_task_of_its_own(run, mountpoint, served):
    async def answer():
        first = asyncio.current_task()
        seen.append(first)
        await asyncio.sleep(0)
        assert asyncio.current_task() is first
        assert first in asyncio.all_tasks()
        assert first.get_name() == "Reading.read"
        # it is shown as what it runs
        assert "read" in repr(first)
        assert first.get_stack()
        return CONTENT

    async def at_once():
        seen.append(asyncio.current_task())
        return CONTENT

    seen = []

    async def main():
        for function in (answer, at_once):
            async with served(reading(function)):
                for _ in range(3):
                    assert await off_loop(read, mountpoint / "file") == CONTENT
        assert len(set(seen)) == len(seen) == 6
        # those that ended at once, too
        assert all(task.done() and task.exception() is None for task in seen)

    run(main)


def test_a_task_that_is_cancelled_in_its_first_step(run, mountpoint, served):
    """Before the task itself knows that it waits, and for what."""

    async def answer():
        task = asyncio.current_task()
        asyncio.get_running_loop().call_soon(task.cancel)
        waiting = asyncio.get_running_loop().create_future()
        waited.append(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            return b"cancelled"

    waited = []

    async def main():
        async with served(reading(answer)):
            assert await off_loop(read, mountpoint / "file") == b"cancelled"
            assert waited[0].cancelled()

    run(main)


def test_a_task_factory_is_used(mountpoint, served):
    async def main():
        def factory(loop, coroutine, **options):
            task = asyncio.Task(coroutine, loop=loop, **options)
            made.append(task)
            return task

        asyncio.get_running_loop().set_task_factory(factory)
        async with served(Files()):
            assert await off_loop(read, mountpoint / "file") == CONTENT
        assert "Files.read" in [task.get_name() for task in made]

    made = []
    asyncio.run(main())


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        data = bytes(range(256))[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def http_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_http_client(run, mountpoint, served):
    httpx = pytest.importorskip("httpx")

    class Remote(Files):
        async def init(self):
            self.client = httpx.AsyncClient()

        async def destroy(self):
            await self.client.aclose()

        async def read(self, inode, handle, offset, size, ctx):
            headers = {"Range": f"bytes={offset}-{offset + size - 1}"}
            response = await self.client.get(url, headers=headers)
            return response.content

    async def main():
        async with served(Remote()):
            reads = [off_loop(read, mountpoint / "file", n) for n in range(1, 20)]
            expected = [bytes(range(n)) for n in range(1, 20)]
            assert await asyncio.gather(*reads) == expected

    with http_server() as url:
        run(main)


def test_sqlite_through_a_thread(run, mountpoint, served, tmp_path):
    class Stored(Files):
        async def init(self):
            self.database = sqlite3.connect(
                tmp_path / "database", check_same_thread=False
            )
            self.lock = asyncio.Lock()
            await self.execute("CREATE TABLE file (data BLOB)")
            await self.execute("INSERT INTO file VALUES (?)", b"stored")

        async def destroy(self):
            self.database.close()

        async def execute(self, statement, *arguments):
            async with self.lock:
                return await asyncio.to_thread(self._execute, statement, arguments)

        def _execute(self, statement, arguments):
            with self.database:
                return self.database.execute(statement, arguments).fetchall()

        async def read(self, inode, handle, offset, size, ctx):
            [(data,)] = await self.execute("SELECT data FROM file")
            return data[offset : offset + size]

        async def write(self, inode, handle, offset, data, ctx):
            [(old,)] = await self.execute("SELECT data FROM file")
            new = old[:offset] + data.tobytes() + old[offset + len(data) :]
            await self.execute("UPDATE file SET data = ?", new)
            return len(data)

    def use():
        fd = os.open(mountpoint / "file", os.O_RDWR)
        try:
            assert os.pread(fd, 100, 0) == b"stored"
            assert os.pwrite(fd, b"!!", 2) == 2
            assert os.pread(fd, 100, 0) == b"st!!ed"
        finally:
            os.close(fd)

    async def main():
        async with served(Stored()):
            await off_loop(use)

    run(main)


def test_data_of_a_write_stays_valid(run, mountpoint, served):
    class Kept(Files):
        async def write(self, inode, handle, offset, data, ctx):
            await asyncio.sleep(0)
            kept.append(data)
            return len(data)

    def use():
        fd = os.open(mountpoint / "file", os.O_WRONLY)
        try:
            for index in range(20):
                os.pwrite(fd, bytes([index]) * 4096, 0)
        finally:
            os.close(fd)

    kept = []

    async def main():
        async with served(Kept()):
            await off_loop(use)
            assert [bytes(data) for data in kept] == [
                bytes([index]) * 4096 for index in range(20)
            ]
        kept.clear()

    run(main)


@pytest.mark.parametrize("method", ["write", "write_plan"])
def test_writes(mounted, mountpoint, tmp_path, method):
    (tmp_path / "backing").write_bytes(b"." * 10)
    backing = fusesg.Backing(tmp_path / "backing", writable=True)
    target = os.open(tmp_path / "backing", os.O_WRONLY)

    async def write(inode, handle, offset, data, ctx):
        await asyncio.sleep(0)
        return os.pwrite(target, data, offset)

    async def write_plan(inode, handle, offset, size, ctx):
        await asyncio.sleep(0)
        return backing.extent(offset, size)

    filesystem = Files()
    setattr(filesystem, method, {"write": write, "write_plan": write_plan}[method])
    with mounted(filesystem):
        fd = os.open(mountpoint / "file", os.O_WRONLY)
        try:
            assert os.pwrite(fd, b"four", 3) == 4
        finally:
            os.close(fd)
    os.close(target)
    assert (tmp_path / "backing").read_bytes() == b"...four..."


def test_segments_are_read_for_it(run, mountpoint, served, tmp_path):
    (tmp_path / "backing").write_bytes(b"0123456789" * 1000)
    backing = fusesg.Backing(tmp_path / "backing")

    async def answer():
        await asyncio.sleep(0)
        return [backing.extent(0, 4), fusesg.Zeros(2), b"+", backing.extent(5, 2)]

    async def main():
        async with served(reading(answer)):
            assert await off_loop(read, mountpoint / "file") == b"0123\0\0+56"

    run(main)


def test_fetches_of_an_async_method(run, mountpoint, served):
    """All kinds of sources, those that are awaited in the running loop."""

    async def main():
        here = asyncio.get_running_loop()

        async def piece(text):
            assert asyncio.get_running_loop() is here
            await asyncio.sleep(0)
            return text

        async def answer():
            await asyncio.sleep(0)
            return [
                fusesg.Fetch(piece(b"a"), 1),
                b"-",
                fusesg.Fetch(functools.partial(piece, b"b"), 1),
                fusesg.Fetch(lambda: piece(b"c"), 1),
                fusesg.Fetch(lambda: b"d", 1),
                fusesg.Fetch(asyncio.ensure_future(piece(b"e")), 1),
            ]

        async with served(reading(answer)) as mount:
            for _ in range(5):
                assert await off_loop(read, mountpoint / "file") == b"a-bcde"
            assert mount.statistics()["python"]["fetches"]["running"] == 0

    run(main)


def test_the_loop_goes_on_while_extents_are_read(run, mountpoint, served, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    fifo = os.open(tmp_path / "fifo", os.O_RDWR)

    async def answer():
        return fusesg.Pipe(fifo, 4)

    async def main():
        async with served(reading(answer)):
            waiting = asyncio.create_task(off_loop(read, mountpoint / "file"))
            # the loop answers others although this pipe has nothing
            await off_loop(os.stat, mountpoint / "file")
            os.write(fifo, b"four")
            assert await waiting == b"four"

    try:
        run(main)
    finally:
        os.close(fifo)


# What a callback may come to


RAISED = {
    FileNotFoundError: "ENOENT",
    PermissionError: "EACCES",
    TimeoutError: "ETIMEDOUT",
    NotImplementedError: "ENOTSUP",
    asyncio.CancelledError: "EIO",
    KeyboardInterrupt: "EIO",
    MemoryError: "ENOMEM",
    ZeroDivisionError: "EIO",
    SystemExit: "EIO",
    GeneratorExit: "EIO",
    StopAsyncIteration: "EIO",
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("error", RAISED)
def test_an_exception_is_an_errno(mounted, mountpoint, fuse_log, error, late):
    class Raising(Files):
        async def getattr(self, inode, handle, ctx):
            if late:
                await asyncio.sleep(0)
            if inode == FILE:
                raise error
            return await super().getattr(inode, handle, ctx)

    if RAISED[error] == "EIO":
        fuse_log.expect(rf"Raising\.getattr raised(?s:.*){error.__name__}")
    with mounted(Raising()):
        assert errno_of(os.stat, mountpoint / "file") == RAISED[error]
        # the loop goes on
        os.listdir(mountpoint)


def test_no_task_complains_that_nobody_took_its_exception(
    run, mountpoint, served, fuse_log
):
    async def answer():
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def main():
        complaints = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        async with served(reading(answer)):
            assert await off_loop(errno_of, read, mountpoint / "file") == "EIO"
        assert not complaints

    fuse_log.expect("ZeroDivisionError")
    run(main)
    assert sys.exc_info() == (None, None, None)


def test_no_wake_up_is_lost(mounted, mountpoint):
    """Callbacks that end at once, so that the loop sleeps and is woken all the time."""

    def use():
        fd = os.open(mountpoint / "file", os.O_RDONLY)
        try:
            for _ in range(3000):
                assert os.pread(fd, 100, 0) == CONTENT
        finally:
            os.close(fd)
        done.append(None)

    done = []
    with mounted(Files()):
        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * SECONDS)
        assert len(done) == len(threads)


def test_many_at_a_time(run, mountpoint, served):
    """All wait at the same time, without a thread for any of them."""

    async def answer():
        waiting.append(None)
        if len(waiting) == 30:
            go_on.set()
        await go_on.wait()
        return CONTENT

    waiting = []
    go_on = asyncio.Event()

    def use():
        with contextlib.ExitStack() as stack:
            threads = []
            for _ in range(30):
                thread = threading.Thread(target=use_one)
                thread.start()
                stack.callback(thread.join)
                threads.append(thread)

    def use_one():
        results.append(read(mountpoint / "file"))

    results = []

    async def main():
        async with served(reading(answer)) as mount:
            await off_loop(use)
            assert results == [CONTENT] * 30
            assert mount.statistics()["python"]["threads_peak"] <= 1
            assert mount.statistics()["python"]["event_loop"] == {
                "tasks": 0,
                "queued": 0,
            }

    run(main)
