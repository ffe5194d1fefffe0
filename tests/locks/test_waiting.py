"""Who waits for a lock waits in the core, and can always be ended."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import select
import signal
import threading

import pytest

from .lock_classes import SECONDS, Shared


@pytest.fixture
def shared():
    return Shared()


@pytest.fixture
def mount(mounted, shared, mountpoint):
    with mounted(shared) as mount:
        (mountpoint / "file").write_bytes(b"x" * 100)
        yield mount


@pytest.fixture
def file(mount, mountpoint):
    return mountpoint / "file"


@pytest.fixture
def check_that_it_is_handed_over(mount, wait_for_waiters):
    """From one program, which has the lock, to another, which waits for it."""

    def check(holder, waiter):
        waiter.ask("lock('write', wait=True)")
        wait_for_waiters(mount, 1)
        assert waiter.waits()
        assert holder.do("unlock()") == "unlocked"
        assert waiter.answer() == "locked"
        assert holder.do("lock('write')") == "refused"
        assert mount.statistics()["locks"]["waiting"] == 0

    return check


def test_it_gets_the_lock_when_that_is_released(
    program, file, check_that_it_is_handed_over
):
    holder, waiter = program(file), program(file)
    assert holder.do("lock('write')") == "locked"
    assert waiter.do("lock('write')") == "refused"
    check_that_it_is_handed_over(holder, waiter)


@pytest.mark.parametrize(
    "release",
    ["unlock()", "os.close(file)", "lock('read')", "os._exit(0)", "unlock(0, 50)"],
)
def test_whatever_releases_it(mount, program, file, wait_for_waiters, release):
    holder, waiter = program(file), program(file)
    assert holder.do("lock('write')") == "locked"
    waiter.ask("lock('read', 10, 10, wait=True)")
    wait_for_waiters(mount, 1)
    holder.ask(release)
    assert waiter.answer() == "locked"


def test_the_class_is_not_told_to_wait(mount, program, file, shared, wait_for_waiters):
    holder, waiter = program(file), program(file)
    holder.do("lock('write')")
    waiter.ask("lock('write', wait=True)")
    wait_for_waiters(mount, 1)
    holder.do("unlock()")
    assert waiter.answer() == "locked"
    assert not any(wait for _, wait in shared.calls)


def test_they_try_in_order_of_arrival(mount, program, file, shared, wait_for_waiters):
    holder = program(file)
    holder.do("lock('write')")
    waiters = [program(file) for _ in range(4)]
    for number, waiter in enumerate(waiters, 1):
        waiter.ask("lock('write', wait=True)")
        wait_for_waiters(mount, number)
    seen = len(shared.calls)
    shared.wait_for_call(lambda calls: len(calls) >= seen + 8)
    pids = [lock.pid for lock, _ in shared.calls[seen : seen + 8]]
    order = [waiter.pid for waiter in waiters]
    first = pids.index(order[0])
    assert pids[first : first + 4] == order
    holder.do("unlock()")
    while waiters:
        outputs = [waiter.child.stdout for waiter in waiters]
        ready = select.select(outputs, [], [], SECONDS)[0]
        (served,) = [waiter for waiter in waiters if waiter.child.stdout in ready]
        assert served.answer() == "locked"
        assert served.do("unlock()") == "unlocked"
        waiters.remove(served)


def test_who_waits_for_another_range_is_not_held_up(
    mount, program, file, wait_for_waiters
):
    holder, first, second = program(file), program(file), program(file)
    holder.do("lock('write', 0, 10)")
    holder.do("lock('write', 10, 10)")
    first.ask("lock('write', 0, 10, wait=True)")
    wait_for_waiters(mount, 1)
    second.ask("lock('write', 10, 10, wait=True)")
    wait_for_waiters(mount, 2)
    holder.do("unlock(10, 10)")
    assert second.answer() == "locked"
    assert first.waits()
    holder.do("unlock()")
    assert first.answer() == "locked"


def test_many_wait_and_all_is_served_meanwhile(
    mounted, mountpoint, start_python, wait_for_waiters
):
    """More of them than there are threads and requests."""
    with mounted(Shared(), max_python_threads=1, max_requests=16) as mount:
        path = mountpoint / "file"
        path.write_bytes(b"content")
        with open(path, "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            program = """
import fcntl, os, sys, threading
# F_OFD_SETLKW: each open file description is an owner of its own
import struct
def wait():
    file = os.open(sys.argv[1], os.O_RDWR)
    ask = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    fcntl.fcntl(file, fcntl.F_OFD_SETLKW, ask)
    os.close(file)
threads = [threading.Thread(target=wait) for _ in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("all had it")
"""
            child = start_python(program, path)
            wait_for_waiters(mount, 40)
            assert path.read_bytes() == b"content"
            (mountpoint / "another").write_bytes(b"works")
            fcntl.lockf(file, fcntl.LOCK_UN)
        assert child.read_line() == "all had it"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_can_be_killed(mount, program, file, shared, wait_for_waiters, number):
    holder, waiter, third = program(file), program(file), program(file)
    holder.do("lock('write')")
    waiter.do("signal.signal(signal.SIGINT, signal.SIG_DFL)")
    waiter.ask("lock('write', wait=True)")
    wait_for_waiters(mount, 1)
    waiter.child.send_signal(number)
    assert waiter.child.wait(SECONDS) == -number
    wait_for_waiters(mount, 0)
    assert mount.statistics()["interrupted"] == 1
    holder.do("unlock()")
    assert third.do("lock('write')") == "locked", "nothing was left to the dead"


def test_a_handled_signal_interrupts_it(mount, program, file, wait_for_waiters):
    """As alarm(2) is used to wait for a bounded time."""
    holder, waiter = program(file), program(file)
    holder.do("lock('write')")
    waiter.do(
        "signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw("
        "InterruptedError))"
    )
    waiter.ask("signal.setitimer(signal.ITIMER_REAL, 0.2), lock('write', wait=True)")
    assert waiter.answer() == "((0.0, 0.0), 'interrupted')"
    wait_for_waiters(mount, 0)


def test_two_who_wait_for_each_other_can_be_killed(
    mount, program, file, wait_for_waiters
):
    first, second = program(file), program(file)
    first.do("lock('write', 0, 1)")
    second.do("lock('write', 1, 1)")
    first.ask("lock('write', 1, 1, wait=True)")
    second.ask("lock('write', 0, 1, wait=True)")
    wait_for_waiters(mount, 2)
    first.child.kill()
    assert first.child.wait(SECONDS) == -signal.SIGKILL
    assert second.answer() == "locked"


def test_the_end_of_the_mount_ends_it(mounted, mountpoint, program, wait_for_waiters):
    shared = Shared()
    with mounted(shared) as mount:
        (mountpoint / "file").touch()
        holder, waiter = program(mountpoint / "file"), program(mountpoint / "file")
        holder.do("lock('write')")
        waiter.ask("lock('write', wait=True)")
        wait_for_waiters(mount, 1)
    assert waiter.child.wait(SECONDS) == 1
    assert f"[Errno {errno.ECONNABORTED}]" in waiter.child.stderr.read()


def test_deadlines_are_for_callbacks_and_not_for_who_waits(
    mounted, mountpoint, program, wait_for_waiters
):
    shared = Shared()
    options = {"request_timeout": 0.3, "slow_request_warning": 0.2}
    with mounted(shared, **options) as mount:
        path = mountpoint / "file"
        path.touch()
        holder, waiter = program(path), program(path)
        holder.do("lock('write')")
        waiter.ask("lock('write', wait=True)")
        # tries in between are young, however long it has been waiting
        shared.wait_for_call(lambda calls: len(calls) > 9)
        assert waiter.waits()
        holder.do("unlock()")
        assert waiter.answer() == "locked"
        assert mount.statistics()["timed_out"] == 0


def test_another_mount_of_the_same_object(
    mounted, mountpoint, tmp_path, program, wait_for_waiters
):
    other = tmp_path / "other"
    other.mkdir()
    shared = Shared()
    with mounted(shared) as first, mounted(shared, at=other):
        (other / "file").touch()
        waiter, holder = program(mountpoint / "file"), program(other / "file")
        assert holder.do("lock('write')") == "locked"
        assert waiter.do("lock('read')") == "refused"
        assert str(holder.pid) in waiter.do("who()")
        waiter.ask("lock('read', wait=True)")
        wait_for_waiters(first, 1)
        holder.do("unlock()")
        assert waiter.answer() == "locked"
        holder.end(), waiter.end()


def test_what_is_released_elsewhere_is_noticed(
    mount, program, file, shared, wait_for_waiters
):
    holder, waiter = program(file), program(file)
    holder.do("lock('write')")
    waiter.ask("lock('write', wait=True)")
    wait_for_waiters(mount, 1)
    with shared.locks._guard:
        shared.locks._held.clear()  # as a lease that ran out
    assert waiter.answer() == "locked"


def test_other_errors_are_answered_at_once(mounted, mountpoint, program):
    class Failing(Shared):
        error = errno.ENOLCK

        def setlk(self, inode, handle, lock, wait, ctx):
            raise OSError(self.error, "no")

    with mounted(Failing()):
        path = mountpoint / "file"
        path.touch()
        refused = pytest.raises(OSError, match=rf"\[Errno {errno.ENOLCK}\]")
        with open(path, "r+b") as file, refused:
            fcntl.lockf(file, fcntl.LOCK_EX)


def test_it_is_cancelled_while_it_is_tried(mounted, mountpoint, program):
    """The class sets the lock for one who is dead: it ends with its file."""
    entered, leave = threading.Event(), threading.Event()

    class Slow(Shared):
        slow = True

        def setlk(self, inode, handle, lock, wait, ctx):
            if self.slow and lock.type == fcntl.F_WRLCK:
                self.slow = False
                entered.set()
                assert leave.wait(SECONDS)
            super().setlk(inode, handle, lock, wait, ctx)

    slow = Slow()
    with mounted(slow):
        path = mountpoint / "file"
        path.touch()
        victim, other = program(path), program(path)
        victim.ask("lock('write', wait=True)")
        assert entered.wait(SECONDS)
        victim.child.kill()
        assert victim.child.wait(SECONDS) == -signal.SIGKILL
        leave.set()
        other.ask("lock('write', wait=True)")
        assert other.answer() == "locked"
        other.end()


# Classes whose setlk is a coroutine


class Async(Shared):
    """Asks for its locks, as one that keeps them in a database would."""

    async def getlk(self, inode, handle, lock, ctx):
        await asyncio.sleep(0)
        return super().getlk(inode, handle, lock, ctx)

    async def setlk(self, inode, handle, lock, wait, ctx):
        await asyncio.sleep(0)
        super().setlk(inode, handle, lock, wait, ctx)


class TestAsync:
    @pytest.fixture
    def shared(self):
        return Async()

    def test_who_waits_gets_the_lock(self, program, file, check_that_it_is_handed_over):
        holder, waiter = program(file), program(file)
        assert holder.do("lock('write')") == "locked"
        assert waiter.do("lock('write')") == "refused"
        assert str(holder.pid) in waiter.do("who()")
        check_that_it_is_handed_over(holder, waiter)

    def test_many_wait_and_the_loop_serves_meanwhile(
        self, mount, program, file, shared, wait_for_waiters
    ):
        holder, waiters = program(file), [program(file) for _ in range(4)]
        holder.do("lock('write')")
        for waiter in waiters:
            waiter.ask("lock('read', wait=True)")
        wait_for_waiters(mount, 4)
        assert not any(wait for _, wait in shared.calls), "the core waits"
        assert file.read_bytes() == b"x" * 100
        holder.do("unlock()")
        assert [waiter.answer() for waiter in waiters] == ["locked"] * 4

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_it_can_be_killed(self, mount, program, file, wait_for_waiters, number):
        holder, waiter, third = program(file), program(file), program(file)
        holder.do("lock('write')")
        waiter.ask("lock('write', wait=True)")
        wait_for_waiters(mount, 1)
        waiter.child.send_signal(number)
        assert waiter.child.wait(SECONDS) == -number
        wait_for_waiters(mount, 0)
        holder.do("unlock()")
        assert third.do("lock('write')") == "locked", "nothing was left to the dead"

    def test_it_is_killed_while_the_coroutine_runs(self, mounted, mountpoint, program):
        """The task is cancelled, and has set no lock."""
        entered, cancelled = threading.Event(), threading.Event()

        class Slow(Async):
            slow = True

            async def setlk(self, inode, handle, lock, wait, ctx):
                if self.slow and lock.type == fcntl.F_WRLCK:
                    self.slow = False
                    entered.set()
                    try:
                        await asyncio.Event().wait()
                    finally:
                        cancelled.set()
                await super().setlk(inode, handle, lock, wait, ctx)

        with mounted(Slow()) as mount:
            path = mountpoint / "file"
            path.touch()
            victim, other = program(path), program(path)
            victim.ask("lock('write', wait=True)")
            assert entered.wait(SECONDS)
            victim.child.kill()
            assert victim.child.wait(SECONDS) == -signal.SIGKILL
            assert cancelled.wait(SECONDS)
            assert other.do("lock('write')") == "locked"
            assert mount.statistics()["interrupted"] == 1
            other.end()
