"""POSIX locks by a class mean what fcntl(2) says."""

from __future__ import annotations

import fcntl
import os
import struct

import pytest

import fusesg

from .lock_classes import SECONDS, Forwarding, Shared

READ, WRITE = fcntl.F_RDLCK, fcntl.F_WRLCK
END = fusesg.Lock.END_OF_FILE


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


def test_readers_share_and_writers_do_not(program, file):
    first, second = program(file), program(file)
    assert first.do("lock('read')") == "locked"
    assert second.do("lock('read')") == "locked"
    assert first.do("lock('write')") == "refused"
    assert second.do("unlock()") == "unlocked"
    assert first.do("lock('write')") == "locked", "upgraded"
    assert second.do("lock('read')") == "refused"
    assert first.do("lock('read')") == "locked", "downgraded"
    assert second.do("lock('read')") == "locked"


def test_ranges(program, file, shared):
    first, second = program(file), program(file)
    first.do("lock('write', 10, 20)")
    assert second.do("lock('write', 0, 10)") == "locked"
    assert second.do("lock('write', 29, 1)") == "refused"
    assert second.do("lock('write', 30, 0)") == "locked"
    first.do("unlock(15, 5)")
    assert shared.held() == [
        (WRITE, 0, 9),
        (WRITE, 10, 14),
        (WRITE, 20, 29),
        (WRITE, 30, END),
    ]
    assert second.do("lock('write', 15, 5)") == "locked"
    first.do("lock('read', 10, 5)")
    assert (READ, 10, 14) in shared.held()
    first.do("lock('write', 12, 1)")
    assert {(READ, 10, 11), (WRITE, 12, 12), (READ, 13, 14)} < set(shared.held())


def test_who_holds_it(program, file):
    first, second = program(file), program(file)
    first.do("lock('write', 10, 20)")
    expected = (fcntl.F_WRLCK, os.SEEK_SET, 10, 20, first.pid)
    assert second.do("who()") == str(expected)
    assert second.do("who(0, 10)[0]") == str(fcntl.F_UNLCK)
    assert first.do("who()[0]") == str(fcntl.F_UNLCK), "one's own is not in the way"


def test_closing_any_descriptor_drops_them_all(program, file, shared):
    first, second = program(file), program(file)
    first.do("lock('write')")
    first.do("os.close(os.open(sys.argv[1], os.O_RDONLY))")
    assert shared.held() == [], "before close returned"
    assert second.do("lock('write')") == "locked"


def test_the_end_of_a_process_drops_them(program, file, shared):
    first, second = program(file), program(file)
    first.do("lock('write', 0, 10)")
    second.do("lock('write', 20, 10)")
    first.child.kill()
    first.child.wait(SECONDS)
    assert second.do("lock('write', 0, 0)") == "locked"
    assert second.end() == 0
    assert shared.held() == []


def test_a_child_does_not_inherit_them_and_does_not_drop_them(program, file, shared):
    first = program(file)
    first.do("lock('write')")
    code = "(lambda child: os.waitpid(child, 0) if child else os._exit(0))(os.fork())"
    first.do(code)
    assert shared.held() == [(WRITE, 0, END)]


def test_another_program_drops_nothing(program, file, shared):
    first, second = program(file), program(file)
    first.do("lock('write')")
    second.do("os.close(file)")
    file.read_bytes()
    third = program(file)
    assert third.do("lock('read')") == "refused"


def test_locks_of_an_open_file_description_end_with_it(file, shared):
    everything = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    first, second = os.open(file, os.O_RDWR), os.open(file, os.O_RDWR)
    fcntl.fcntl(first, fcntl.F_OFD_SETLK, everything)
    with pytest.raises(BlockingIOError):
        fcntl.fcntl(second, fcntl.F_OFD_SETLK, everything)
    duplicate = os.dup(first)
    os.close(first)
    assert shared.held() == [(WRITE, 0, END)]
    os.close(duplicate)
    # the kernel does not wait for RELEASE
    shared.wait_for_call(lambda calls: calls[-1][0].type == fcntl.F_UNLCK)
    fcntl.fcntl(second, fcntl.F_OFD_SETLKW, everything)
    os.close(second)


def test_closing_a_file_without_locks_asks_nobody(file, shared):
    for _ in range(3):
        file.read_bytes()
    assert shared.calls == []


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("keep_cache", [False, True])
def test_a_class_without_open_and_flush(
    mounted, mountpoint, program, flush, keep_cache
):
    """Then, too, close(2) has to be told."""
    events = []

    class Plain(fusesg.Filesystem):
        locks = fusesg.LockTable()

        def lookup(self, parent, name, ctx):
            return fusesg.Entry(self.getattr(2, None, ctx)) if name == "file" else None

        def getattr(self, inode, handle, ctx):
            kind = 0o040777 if inode == 1 else 0o100666
            return fusesg.Attributes(inode=inode, mode=kind)

        def write(self, inode, handle, offset, data, ctx):
            return len(data)

        def getlk(self, inode, handle, lock, ctx):
            return self.locks.getlk(inode, lock, ctx)

        def setlk(self, inode, handle, lock, wait, ctx):
            events.append("unlock" if lock.type == fcntl.F_UNLCK else "lock")
            self.locks.setlk(inode, lock, ctx)

    Plain.keep_cache = keep_cache
    if flush:
        Plain.flush = lambda *_: events.append("flush")
        Plain.open = lambda *_: fusesg.Opened(None, no_flush=True)
    with mounted(Plain()):
        first, second = program(mountpoint / "file"), program(mountpoint / "file")
        assert first.do("lock('write')") == "locked"
        assert second.do("lock('write')") == "refused"
        del events[:]
        assert first.do("os.close(file)") == "None"
        assert events == (["flush", "unlock"] if flush else ["unlock"])
        assert second.do("lock('write')") == "locked"
        third = program(mountpoint / "file")
        assert third.do("os.close(file)") == "None"
        third.end()
        assert first.do("os.open(sys.argv[1], os.O_RDWR) == file") == "True"
        assert first.do("lock('write')") == "refused", "the third had no lock to drop"
        second.end(), first.end()


def test_a_class_that_forwards_to_the_backing_files(
    mounted, mountpoint, program, tmp_path, wait_for_waiters
):
    """Programs on the mount and on the source lock each other out, and wait."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    forwarding = Forwarding(os.fspath(source))
    with mounted(forwarding) as mount:
        outside, inside = program(source / "file"), program(mountpoint / "file")
        another = program(mountpoint / "file")
        assert outside.do("lock('write', 0, 10)") == "locked"
        assert inside.do("lock('write', 10, 10)") == "locked"
        assert another.do("lock('write', 10, 10)") == "refused"
        inside.ask("lock('write', 0, 10, wait=True)")
        wait_for_waiters(mount, 1)
        assert outside.do("unlock()") == "unlocked"
        assert inside.answer() == "locked"
        assert outside.do("lock('read')") == "refused"
        assert inside.end() == 0
        assert outside.do("lock('write')") == "locked"
        assert another.do("lock('read')") == "refused"
        another.end(), outside.end()
    forwarding.close()


def test_half_of_it_leaves_the_locks_to_the_kernel(mounted, mountpoint, program):
    class Half(fusesg.Memory):
        def setlk(self, inode, handle, lock, wait, ctx):
            raise AssertionError

    with mounted(Half()):
        (mountpoint / "file").touch()
        first, second = program(mountpoint / "file"), program(mountpoint / "file")
        assert first.do("lock('write')") == "locked"
        assert second.do("lock('write')") == "refused"
        first.end(), second.end()
