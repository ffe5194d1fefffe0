"""On a single CPU one reader waits, and the others come when they are needed."""

import os
import subprocess
import threading

import pytest

import fusesg

SERIAL_REQUESTS = 500


@pytest.fixture
def one_cpu():
    return {"cpu_affinity": {min(os.sched_getaffinity(0))}, "attribute_timeout": 0}


def ask_one_after_the_other(path):
    """After the first few, only one reader waits for requests."""
    for _ in range(SERIAL_REQUESTS):
        os.stat(path)


class Stuck(fusesg.PathFilesystem):
    """A file whose reads wait until the test lets them go on, among others."""

    def __init__(self):
        self.inside = threading.Event()
        self.go = threading.Event()

    def getattr(self, path, handle, ctx):
        if path == "/":
            return fusesg.Attributes(mode=0o40755)
        return fusesg.Attributes(mode=0o100644, size=4096)

    def readdir(self, path, handle, offset, ctx):
        return ["stuck", "other"]

    def read(self, path, handle, offset, size, ctx):
        if path == "/stuck":
            self.inside.set()
            assert self.go.wait(30)
        return b"x" * size


def test_a_reader_that_is_stuck_is_relieved(mounted, tmp_path, mountpoint, one_cpu):
    # the outer mount's reader itself waits for the inner mount, in a system call
    inner = tmp_path / "inner"
    inner.mkdir()
    stuck = Stuck()
    with (
        mounted(stuck, at=inner),
        mounted(fusesg.Passthrough(inner), kernel_passthrough=False, **one_cpu),
    ):
        results = []

        def read():
            results.append((mountpoint / "stuck").read_bytes())

        reader = threading.Thread(target=read)
        try:
            for _ in range(3):
                ask_one_after_the_other(mountpoint / "other")
            reader.start()
            assert stuck.inside.wait(30)
            # nobody else would read these
            assert (mountpoint / "other").read_bytes() == b"x" * 4096
            ask_one_after_the_other(mountpoint / "other")
        finally:
            stuck.go.set()
            reader.join()
        assert results == [b"x" * 4096]
        ask_one_after_the_other(mountpoint / "other")


class Curious(Stuck):
    """Looks at itself through its own mount."""

    def read(self, path, handle, offset, size, ctx):
        return f"{os.stat(self.mountpoint / 'other').st_size:{size}}".encode()


def test_a_callback_may_use_its_own_mount(mounted, mountpoint, one_cpu):
    curious = Curious()
    curious.mountpoint = mountpoint
    with mounted(curious, **one_cpu):
        ask_one_after_the_other(mountpoint / "other")
        for _ in range(20):
            descriptor = os.open(mountpoint / "stuck", os.O_RDONLY | os.O_DIRECT)
            try:
                assert int(os.pread(descriptor, 4096, 0)) == 4096
            finally:
                os.close(descriptor)


def test_all_readers_end_with_the_mount(mounted, tmp_path, mountpoint, one_cpu):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").touch()
    with mounted(
        fusesg.Passthrough(tmp_path / "source"), reader_threads=4, **one_cpu
    ) as mount:
        ask_one_after_the_other(mountpoint / "file")
        subprocess.run(["umount", mountpoint], check=True)
        assert mount.wait(timeout=30)


class Forgetful(fusesg.Filesystem):
    """Any name is a file."""

    def __init__(self, names):
        self.left = names
        self.forgotten = threading.Event()

    def getattr(self, inode, handle, ctx):
        return fusesg.Attributes(inode=inode, mode=0o40755 if inode == 1 else 0o100644)

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.getattr(int(name), None, ctx), entry_timeout=600)

    def forget(self, inode, count):
        self.left -= 1
        # the kernel may keep one or two
        if self.left == 50:
            self.forgotten.set()


def test_a_batch_of_inodes_is_forgotten_at_once(mounted, mountpoint, one_cpu):
    names = [str(number) for number in range(2, 1002)]
    filesystem = Forgetful(len(names))
    with mounted(filesystem, **one_cpu) as mount:
        for name in names:
            os.stat(mountpoint / name)
        for name in names:
            mount.invalidate_entry(1, name, deleted=True)
        assert filesystem.forgotten.wait(30)
