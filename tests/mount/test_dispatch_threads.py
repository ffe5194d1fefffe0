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
            assert mount.statistics()["python"]["threads"] >= 19
        finally:
            filesystem.go.set()
            for thread in threads:
                thread.join()
        assert results == [b"x" * 4096] * 20


def test_no_more_threads_than_allowed(mounted, mountpoint):
    filesystem = Blocking()
    results = []
    with mounted(filesystem, max_python_threads=3) as mount:
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
