"""Operations on open files: what a class is asked, and what the caller gets of it."""

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import struct
import threading

import pytest

import fusesg

FILE, FIFO = 11, 13
HANDLE = f"handle of {FILE}"
LIBC = ctypes.CDLL(None, use_errno=True)
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16


@pytest.fixture
def opened(recorded, mountpoint):
    """A descriptor of `file`, open for reading and writing."""
    fd = os.open(mountpoint / "file", os.O_RDWR)
    yield fd
    os.close(fd)


def call(function, *arguments):
    """Calls a function of the C library, as os does."""
    if (result := function(*arguments)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


@pytest.mark.parametrize(
    "flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_APPEND, os.O_RDWR | os.O_SYNC]
)
def test_open_gets_the_flags(recorded, mountpoint, flags):
    os.close(os.open(mountpoint / "file", flags))
    inode, asked = recorded.the_call("open").arguments
    mask = os.O_ACCMODE | os.O_APPEND | os.O_SYNC
    assert (inode, asked & mask) == (FILE, flags & mask)
    assert recorded.the_call("open").ctx.open_flags == asked


def test_read_gets_what_the_program_asked_for(recorded, opened):
    assert os.pread(opened, 1000, 50) == bytes(range(256))[50:] + bytes(
        range(256)
    ) * 3 + bytes(range(26))
    read = recorded.the_call("read")
    assert read.arguments == (FILE, HANDLE, 50, 1000)
    assert read.ctx.open_flags & os.O_ACCMODE == os.O_RDWR
    assert read.ctx.pid == threading.get_native_id()


def test_write_gets_the_bytes_and_may_take_fewer(recorded, opened):
    assert os.pwrite(opened, b"x" * 3000, 2**40) == 1000
    write = recorded.the_call("write")
    assert write.arguments == (FILE, HANDLE, 2**40, b"x" * 3000)
    assert write.ctx.open_flags & os.O_ACCMODE == os.O_RDWR
    assert not write.ctx.write_flags & fusesg.WRITE_CACHE


def test_the_lock_owner_is_the_same_for_all_that_one_process_does(recorded, opened):
    os.pread(opened, 1, 0)
    os.pwrite(opened, b"x", 0)
    os.close(os.dup(opened))
    owner = recorded.the_call("flush").ctx.lock_owner
    assert isinstance(owner, int)
    write = recorded.the_call("write")
    if write.ctx.write_flags & fusesg.WRITE_LOCKOWNER:
        assert write.ctx.lock_owner == owner
    else:
        assert write.ctx.lock_owner is None


def test_flush_comes_for_each_close_and_release_once(recorded, mountpoint):
    fd = os.open(mountpoint / "file", os.O_RDONLY)
    other = os.dup(fd)
    os.close(other)
    assert recorded.the_call("flush").arguments == (FILE, HANDLE)
    assert recorded.calls("release") == []
    os.close(fd)
    assert len(recorded.calls("flush")) == 2
    release = recorded.the_call("release")
    assert release.arguments == (FILE, HANDLE)
    assert release.ctx.open_flags & os.O_ACCMODE == os.O_RDONLY


def test_an_error_of_flush_is_that_of_close(mounted, mountpoint, recorder):
    def full(inode, handle, ctx):
        raise OSError(errno.ENOSPC, "full")

    recorder.flush = full
    with mounted(recorder):
        fd = os.open(mountpoint / "file", os.O_WRONLY)
        with pytest.raises(OSError, match="No space left"):
            os.close(fd)


@pytest.mark.parametrize(
    ("sync", "datasync"), [(os.fsync, False), (os.fdatasync, True)]
)
def test_fsync(recorded, opened, sync, datasync):
    sync(opened)
    assert recorded.the_call("fsync").arguments == (FILE, HANDLE, datasync)
    assert type(recorded.the_call("fsync").arguments[2]) is bool


@pytest.mark.parametrize("mode", [0, KEEP_SIZE, KEEP_SIZE | PUNCH_HOLE, ZERO_RANGE])
def test_fallocate(recorded, opened, mode):
    fallocate = LIBC.fallocate64
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    call(fallocate, opened, mode, 2**33, 4096)
    fallocated = recorded.the_call("fallocate")
    assert fallocated.arguments == (FILE, HANDLE, 2**33, 4096, mode)


@pytest.mark.parametrize("whence", [os.SEEK_DATA, os.SEEK_HOLE])
def test_lseek(recorded, opened, whence):
    assert os.lseek(opened, 100, whence) == 4096
    assert recorded.the_call("lseek").arguments == (FILE, HANDLE, 100, whence)


def test_copy_file_range(recorded, opened, mountpoint):
    target = os.open(mountpoint / "file", os.O_WRONLY)
    try:
        assert os.copy_file_range(opened, target, 500, 10, 8000) == 77
    finally:
        os.close(target)
    copied = recorded.the_call("copy_file_range")
    assert copied.arguments == (FILE, HANDLE, 10, FILE, HANDLE, 8000, 500, 0)


def test_bmap_is_not_asked_without_a_block_device(recorded, opened):
    fibmap = 1
    with contextlib.suppress(OSError):  # older kernels answer "block 0"
        fcntl.ioctl(opened, fibmap, struct.pack("i", 0))
    assert recorded.calls("bmap") == []


def test_ioctl_gets_the_data_and_answers_result_and_data(recorded, opened):
    read_and_write = 0xC008_7801  # _IOWR('x', 1, 8 bytes)
    data = bytearray(b"abcdefgh")
    assert fcntl.ioctl(opened, read_and_write, data) == 3
    assert bytes(data) == b"hgfedcba"
    asked = recorded.the_call("ioctl")
    assert asked.arguments == (FILE, HANDLE, read_and_write, b"abcdefgh", 8)


def test_poll_answers_now_and_wakes_later(recorded, opened):
    recorded.ready = select.POLLOUT
    poll = select.poll()
    poll.register(opened, select.POLLIN | select.POLLOUT)
    assert poll.poll(0) == [(opened, select.POLLOUT)]
    asked = recorded.calls("poll")[0]
    inode, handle, events, _ = asked.arguments
    assert (inode, handle) == (FILE, HANDLE)
    assert events & select.POLLIN
    poll.modify(opened, select.POLLIN)
    found = []
    waiting = threading.Thread(target=lambda: found.extend(poll.poll(10_000)))
    recorded.waiter = None
    recorded.forget_calls()
    waiting.start()
    recorded.wait_for("poll", 1)
    recorded.ready = select.POLLIN
    recorded.waiter.notify()
    waiting.join(10)
    assert found == [(opened, select.POLLIN)]


def test_who_only_looks_has_no_waiter(recorded, opened):
    select.select([opened], [], [], 0)
    assert recorded.calls("poll")[-1].arguments[3] is None


def test_getlk_answers_who_stands_in_the_way(recorded, opened):
    request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 5, 10, 0)
    found = struct.unpack("hhqqi4x", fcntl.fcntl(opened, fcntl.F_GETLK, request))
    inode, handle, lock = recorded.the_call("getlk").arguments
    assert (inode, handle) == (FILE, HANDLE)
    assert (lock.type, lock.start, lock.end) == (fcntl.F_WRLCK, 5, 14)
    kind, _, start, length, pid = found
    assert (kind, start, length, pid) == (fcntl.F_WRLCK, 10, 10, os.getpid())


@pytest.mark.parametrize("command", [fcntl.LOCK_EX, fcntl.LOCK_EX | fcntl.LOCK_NB])
def test_setlk(recorded, opened, command):
    fcntl.lockf(opened, command, 0, 7)
    asked = recorded.the_call("setlk")
    inode, handle, lock, waits = asked.arguments
    assert (inode, handle) == (FILE, HANDLE)
    assert not waits, "who wants to wait is made to by the core"
    expected = (fcntl.F_WRLCK, 7, fusesg.Lock.END_OF_FILE)
    assert (lock.type, lock.start, lock.end) == expected
    assert isinstance(asked.ctx.lock_owner, int)
    fcntl.lockf(opened, fcntl.LOCK_UN)
    assert recorded.calls("setlk")[1].arguments[2].type == fcntl.F_UNLCK


def test_locks_of_flock_stay_the_kernels(recorded, opened, mountpoint):
    fcntl.flock(opened, fcntl.LOCK_EX)
    other = os.open(mountpoint / "file", os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)
    assert recorded.calls("setlk") == []


def test_special_files_never_reach_the_class(recorded, mountpoint):
    os.close(os.open(mountpoint / "fifo", os.O_RDONLY | os.O_NONBLOCK))
    assert recorded.calls("open") == []


@pytest.mark.parametrize("handle", [None, 0, object(), [], "text", 2**100])
def test_a_handle_is_any_object_and_comes_back(mounted, mountpoint, recorder, handle):
    seen, released = [], threading.Event()

    def release(inode, handle, ctx):
        seen.append(handle)
        released.set()

    recorder.open = lambda inode, flags, ctx: handle
    recorder.read = lambda inode, handle, offset, size, ctx: seen.append(handle) or b""
    recorder.release = release
    with mounted(recorder):
        with open(mountpoint / "file", "rb", buffering=0) as file:
            file.read(1)
        assert released.wait(10)
    assert len(seen) == 2
    assert all(each is handle for each in seen)


def test_init_comes_first_and_destroy_last(mounted, mountpoint, recorder):
    events = []
    recorder.init = lambda: events.append("init")
    recorder.destroy = lambda: events.append("destroy")
    recorder.statfs = lambda inode, ctx: (
        events.append("statfs") or fusesg.FilesystemStatistics()
    )
    with mounted(recorder):
        os.statvfs(mountpoint)
    assert events == ["init", "statfs", "destroy"]
