"""select, poll and epoll on files of a class that says when they are ready."""

from __future__ import annotations

import gc
import os
import select
import stat
import threading

import pytest

import fusesg

SECONDS = 10.0
MILLISECONDS = 10_000


class Queue(fusesg.Filesystem):
    """`queue` has what was put into it, and can be read while there is something."""

    def __init__(self):
        self.changed = threading.Condition()
        self.waiters = set()
        self.messages = []
        self.polls = 0

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.getattr(2, None, ctx)) if name == "queue" else None

    def getattr(self, inode, handle, ctx):
        if inode == 1:
            return fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)
        return fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o644)

    def open(self, inode, flags, ctx):
        return fusesg.Opened(object(), direct_io=True)

    def read(self, inode, handle, offset, size, ctx):
        with self.changed:
            return self.messages.pop(0) if self.messages else b""

    def poll(self, inode, handle, events, waiter, ctx):
        with self.changed:
            if waiter is not None:
                self.waiters.add(waiter)
            self.polls += 1
            self.changed.notify_all()
            return select.POLLIN if self.messages else 0

    def release(self, inode, handle, ctx):
        pass

    def put(self, message):
        with self.changed:
            self.messages.append(message)
            waiters, self.waiters = self.waiters, set()
        for waiter in waiters:
            waiter.notify()

    def wait_for_waiters(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.waiters) >= count, SECONDS)


@pytest.fixture
def queue(mounted, mountpoint):
    queue = Queue()
    with mounted(queue) as queue.mount:
        yield queue


@pytest.fixture
def file(queue, mountpoint):
    with open(mountpoint / "queue", "rb", buffering=0) as file:
        yield file


def by_select(file):
    return bool(select.select([file], [], [], SECONDS)[0])


def by_poll(file):
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return poll.poll(MILLISECONDS) == [(file.fileno(), select.POLLIN)]


def by_epoll(file, flags=0):
    with select.epoll() as epoll:
        epoll.register(file, select.EPOLLIN | flags)
        return epoll.poll(SECONDS) == [(file.fileno(), select.EPOLLIN)]


def by_edge(file):
    return by_epoll(file, select.EPOLLET)


class Waiting(threading.Thread):
    def __init__(self, wait, file):
        super().__init__(daemon=True)
        self.found = None
        self._wait, self._file = wait, file
        self.start()

    def run(self):
        self.found = self._wait(self._file)

    def woken(self):
        self.join(SECONDS)
        return self.found


@pytest.mark.parametrize("wait", [by_select, by_poll, by_epoll, by_edge])
def test_who_waits_is_woken(queue, file, wait):
    waiting = Waiting(wait, file)
    queue.wait_for_waiters(1)
    queue.put(b"message")
    assert waiting.woken()
    assert file.read(100) == b"message"


@pytest.mark.parametrize("wait", [by_select, by_poll, by_epoll, by_edge])
def test_who_comes_late_need_not_wait(queue, file, wait):
    queue.put(b"message")
    assert wait(file)


def test_edges_come_again(queue, file):
    with select.epoll() as epoll:
        epoll.register(file, select.EPOLLIN | select.EPOLLET)
        for number in range(10):
            queue.wait_for_waiters(1)
            queue.put(b"%d" % number)
            assert epoll.poll(SECONDS) == [(file.fileno(), select.EPOLLIN)]
            assert file.read(100) == b"%d" % number
            assert epoll.poll(0) == []


def test_many_are_woken(queue, mountpoint):
    files = [open(mountpoint / "queue", "rb", buffering=0) for _ in range(50)]  # noqa: SIM115
    try:
        waiting = [Waiting(by_poll, file) for file in files]
        queue.wait_for_waiters(50)
        queue.put(b"message")
        assert all(each.woken() for each in waiting)
    finally:
        for file in files:
            file.close()


def test_several_who_wait_for_one_open_file(queue, file):
    waiting = [Waiting(by_poll, file) for _ in range(5)]
    with queue.changed:
        assert queue.changed.wait_for(lambda: queue.polls >= 5, SECONDS)
        assert len(queue.waiters) == 1, "waiters of one open file are equal"
    queue.put(b"message")
    assert all(each.woken() for each in waiting)


def test_waiters_of_different_files_and_mounts_differ(
    queue, mounted, mountpoint, tmp_path
):
    other = tmp_path / "other"
    other.mkdir()
    found = set()
    with mounted(queue, at=other):
        paths = [mountpoint / "queue", mountpoint / "queue", other / "queue"]
        files = [open(path, "rb", buffering=0) for path in paths]  # noqa: SIM115
        waiting = [Waiting(by_poll, file) for file in files]
        queue.wait_for_waiters(3)
        with queue.changed:
            found |= queue.waiters
        queue.put(b"message")
        assert all(each.woken() for each in waiting)
        for file in files:
            file.close()
    assert len(found) == 3
    assert found.pop() != "something else"


def test_a_waiter_outlives_its_file_and_its_mount(mounted, mountpoint):
    queue = Queue()
    with mounted(queue) as mount:
        with open(mountpoint / "queue", "rb", buffering=0) as file:
            waiting = Waiting(by_poll, file)
            queue.wait_for_waiters(1)
            (waiter,) = queue.waiters
            queue.put(b"message")
            assert waiting.woken()
        ignored = mount.statistics()["notifications"]["ignored"]
        waiter.notify()
        assert mount.flush_notifications(SECONDS)
        # the kernel forgets a closed file when it has released it, or just before
        assert mount.statistics()["notifications"]["ignored"] in (ignored, ignored + 1)
    del queue
    gc.collect()
    waiter.notify()


def test_notify_in_a_callback(mounted, mountpoint):
    class Echo(Queue):
        def write(self, inode, handle, offset, data, ctx):
            self.put(bytes(data))
            return len(data)

    echo = Echo()
    with mounted(echo), open(mountpoint / "queue", "r+b", buffering=0) as file:
        waiting = Waiting(by_edge, file)
        echo.wait_for_waiters(1)
        os.write(file.fileno(), b"echo")
        assert waiting.woken()
        assert file.read(10) == b"echo"


def test_notify_in_a_forked_child_does_nothing(queue, file):
    waiting = Waiting(by_poll, file)
    queue.wait_for_waiters(1)
    (waiter,) = queue.waiters
    child = os.fork()
    if child == 0:
        waiter.notify()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert waiting.is_alive()
    queue.put(b"message")
    assert waiting.woken()


def test_who_is_woken_reads_what_was_invalidated_before(mounted, mountpoint):
    """The order of the two calls is the order in which they act."""

    class Cached(Queue):
        content = b"0"

        def getattr(self, inode, handle, ctx):
            attributes = super().getattr(inode, handle, ctx)
            if inode == 1:
                return attributes
            return fusesg.Attributes(inode=2, mode=attributes.mode, size=1)

        def open(self, inode, flags, ctx):
            return fusesg.Opened(object(), keep_cache=True)

        def read(self, inode, handle, offset, size, ctx):
            return self.content[offset : offset + size]

    cached = Cached()
    with (
        mounted(cached, attribute_timeout=3600) as mount,
        open(mountpoint / "queue", "rb", buffering=0) as file,
        select.epoll() as epoll,
    ):
        assert os.pread(file.fileno(), 10, 0) == b"0"
        epoll.register(file, select.EPOLLIN | select.EPOLLET)
        assert epoll.poll(0) == []
        for number in range(1, 10):
            cached.wait_for_waiters(1)
            cached.content = b"%d" % number
            mount.invalidate_inode(2)
            cached.put(b"")
            assert epoll.poll(SECONDS)
            assert os.pread(file.fileno(), 10, 0) == b"%d" % number
            cached.messages.clear()
