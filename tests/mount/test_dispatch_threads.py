"""Callbacks that block, touch their own mount or end it: nothing else stops."""

import os
import stat
import subprocess
import threading
import time

import pytest

import fusesg

ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)


def entry(inode, size=4096):
    attributes = fusesg.Attributes(inode=inode, mode=stat.S_IFREG | 0o644, size=size)
    return fusesg.Entry(attributes, entry_timeout=0, attribute_timeout=0)


class Numbered(fusesg.Filesystem):
    """Every number is a file."""

    def getattr(self, inode, handle, ctx):
        return ROOT if inode == 1 else entry(inode).attributes

    def lookup(self, parent, name, ctx):
        return entry(int(name) + 2)


def read(path, results):
    with open(path, "rb") as file:
        results.append(file.read())


def start_reading(mountpoint, numbers, results):
    threads = [
        threading.Thread(target=read, args=(mountpoint / str(number), results))
        for number in numbers
    ]
    for thread in threads:
        thread.start()
    return threads


class Blocking(Numbered):
    """Reads wait until the test lets them go on."""

    def __init__(self):
        self.inside = threading.Semaphore(0)
        self.go = threading.Event()

    def read(self, inode, handle, offset, size, ctx):
        self.inside.release()
        assert self.go.wait(30)
        return b"x" * size


def test_blocked_callbacks_stop_nothing(mounted, mountpoint):
    filesystem = Blocking()
    results = []
    with mounted(filesystem) as mount:
        threads = start_reading(mountpoint, range(20), results)
        try:
            for _ in range(20):
                assert filesystem.inside.acquire(timeout=10)
            # all 20 are inside read at the same time, and others are still served
            assert os.stat(mountpoint / "99").st_ino == 101
            readers = fusesg.Config().reader_threads
            assert mount.statistics()["python"]["threads"] >= 20 - (readers - 1)
        finally:
            filesystem.go.set()
            for thread in threads:
                thread.join()
        assert results == [b"x" * 4096] * 20


def test_no_more_threads_than_allowed(mounted, mountpoint):
    filesystem = Blocking()
    results = []
    with mounted(filesystem, max_python_threads=3, reader_threads=2) as mount:
        threads = start_reading(mountpoint, range(10), results)
        # one reader and three executors
        for _ in range(4):
            assert filesystem.inside.acquire(timeout=10)
        assert not filesystem.inside.acquire(timeout=0.2)
        filesystem.go.set()
        for thread in threads:
            thread.join()
        assert mount.statistics()["python"]["threads_peak"] == 3
    assert len(results) == 10


def test_a_callback_may_use_its_own_mount(mounted, mountpoint):
    class Recursive(Numbered):
        def lookup(self, parent, name, ctx):
            number = int(name)
            if number:
                os.stat(mountpoint / str(number - 1))
            return entry(number + 2)

    with mounted(Recursive()):
        assert os.stat(mountpoint / "25").st_ino == 27


def read_page(path, offset):
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.pread(fd, 4096, offset)
    finally:
        os.close(fd)


class Computing(Numbered):
    """Reads keep the GIL, and say what they read; those of file 0 ask another one."""

    mountpoint = None

    def lookup(self, parent, name, ctx):
        return entry(int(name) + 2, size=64 * 4096)

    def open(self, inode, flags, ctx):
        return fusesg.Opened(None, direct_io=True)

    def read(self, inode, handle, offset, size, ctx):
        if inode == 2:
            return read_page(self.mountpoint / "1", offset)
        sum(range(2000))
        return b"%4096d" % (inode * 1_000_000 + offset)


def test_callbacks_that_want_the_gil_are_run_by_one_reader(mounted, mountpoint):
    filesystem = Computing()
    filesystem.mountpoint = mountpoint
    wrong, ended = [], threading.Event()

    def go_on_reading(number):
        fd = os.open(mountpoint / str(number), os.O_RDONLY)
        try:
            while not ended.is_set() and not wrong:
                for page in range(64):
                    offset = page * 4096
                    data = os.pread(fd, 4096, offset)
                    if int(data) != (number + 2) * 1_000_000 + offset:
                        wrong.append(data)
        finally:
            os.close(fd)

    with mounted(filesystem, reader_threads=6) as mount:
        threads = [
            threading.Thread(target=go_on_reading, args=(number,))
            for number in range(1, 9)
        ]
        for thread in threads:
            thread.start()
        try:
            deadline, pause = time.monotonic() + 60, threading.Event()
            while mount.statistics()["python"]["combined"] < 1000:
                assert time.monotonic() < deadline
                pause.wait(0.01)
            # and one that waits for another is not left behind it
            for _ in range(20):
                assert int(read_page(mountpoint / "0", 4096)) == 3_004_096
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        numbers = mount.statistics()
        assert numbers["python"]["combined"] <= numbers["python"]["callbacks"]
    assert wrong == []


def test_unmounting_leaves_a_stuck_callback_behind(mounted, mountpoint):
    filesystem = Blocking()
    thread = threading.Thread(target=_read_and_fail, args=(mountpoint / "1",))
    with mounted(filesystem, at=mountpoint) as mount:
        thread.start()
        assert filesystem.inside.acquire(timeout=10)
        start = time.monotonic()
        try:
            with pytest.raises(OSError, match="still runs"):
                mount.unmount()
            assert time.monotonic() - start < 15
            assert not os.path.ismount(mountpoint)
            # who waits for the callback is sent away by the end of the connection
            thread.join(10)
            assert not thread.is_alive()
        finally:
            filesystem.go.set()
        assert mount.wait(10)


def _read_and_fail(path):
    try:
        with open(path, "rb") as file:
            file.read()
    except OSError:
        return


def test_a_callback_may_unmount(mounted, mountpoint):
    class Leaving(Numbered):
        def lookup(self, parent, name, ctx):
            self.mount.unmount()
            return entry(2)

    filesystem = Leaving()
    with mounted(filesystem) as mount:
        filesystem.mount = mount
        assert os.stat(mountpoint / "1").st_ino == 2
        assert mount.wait(10)
        filesystem.mount = None


@pytest.mark.requires("root")  # to drop caches
def test_forget_comes_batched_and_counts(mounted, mountpoint):
    class Counting(Numbered):
        def __init__(self):
            self.lookups = 0
            self.forgotten = 0
            self.changed = threading.Condition()

        def lookup(self, parent, name, ctx):
            self.lookups += 1
            return entry(int(name) + 2)

        def forget(self, inode, count):
            with self.changed:
                self.forgotten += count
                self.changed.notify()

    filesystem = Counting()
    with mounted(filesystem) as mount:
        for number in range(50):
            os.stat(mountpoint / str(number))
            mount.invalidate_entry(1, str(number))
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("2")
        with filesystem.changed:
            assert filesystem.changed.wait_for(
                lambda: filesystem.forgotten == filesystem.lookups, 10
            )


def test_handles_die_also_without_release(mounted, mountpoint):
    class Handles(Numbered):
        def __init__(self):
            self.dead = threading.Event()

        def open(self, inode, flags, ctx):
            dead = self.dead

            class Handle:
                def __del__(self):
                    dead.set()

            return Handle()

        def read(self, inode, handle, offset, size, ctx):
            assert type(handle).__name__ == "Handle"
            return b""

    filesystem = Handles()
    with mounted(filesystem) as mount:
        with open(mountpoint / "1", "rb") as file:
            file.read()
            assert mount.statistics()["python"]["handles"] == 1
            assert not filesystem.dead.is_set()
        assert filesystem.dead.wait(10)
        assert mount.statistics()["python"]["handles"] == 0


def test_a_stuck_callback_does_not_keep_a_mount_that_was_unmounted(
    mounted, mountpoint, expect_log
):
    expect_log("is unmounted, but its server still runs: a callback")
    filesystem = Blocking()
    with mounted(filesystem) as mount:
        reader = subprocess.Popen(["cat", mountpoint / "7"])
        try:
            assert filesystem.inside.acquire(timeout=10)
            reader.kill()
            reader.wait()
            subprocess.run(["umount", "--lazy", mountpoint], check=True)
            # although nobody has let the callback go on
            assert mount.wait(timeout=30)
        finally:
            filesystem.go.set()
