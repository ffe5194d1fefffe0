"""A root has to be what the mount point is."""

import asyncio
import errno
import os
import signal
import stat
import threading

import pytest

import fusesg

DIRECTORY = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)
FILE = fusesg.Attributes(inode=1, mode=stat.S_IFREG | 0o644, size=4)


class OneFile(fusesg.Filesystem):
    """Has no names in it."""

    def getattr(self, inode, handle, ctx):
        return FILE

    def read(self, inode, handle, offset, size, ctx):
        return b"text"[offset : offset + size]


class OnePath(fusesg.PathFilesystem):
    def getattr(self, path, handle, ctx):
        return FILE

    def read(self, path, handle, offset, size, ctx):
        return b"text"[offset : offset + size]


class Later(OneFile):
    async def getattr(self, inode, handle, ctx):
        await asyncio.sleep(0)
        return FILE


class Names(fusesg.Filesystem):
    def getattr(self, inode, handle, ctx):
        return DIRECTORY

    def lookup(self, parent, name, ctx):
        return None


class Paths(fusesg.PathFilesystem):
    def getattr(self, path, handle, ctx):
        return DIRECTORY

    def readdir(self, path, handle, offset, ctx):
        return []


@pytest.fixture
def file(mountpoint):
    path = mountpoint / "file"
    path.write_text("hidden")
    return path


@pytest.mark.parametrize("kind", [OneFile, OnePath, Later])
def test_a_file_covers_a_file(mounted, file, kind):
    with mounted(kind(), at=file):
        assert file.read_text() == "text"
    assert file.read_text() == "hidden"


@pytest.mark.parametrize("kind", [OneFile, OnePath, Later])
def test_a_file_does_not_cover_a_directory(mountpoint, kind):
    with pytest.raises(
        OSError, match=rf"{kind.__name__} is a regular file.*touch"
    ) as raised:
        fusesg.mount(kind(), mountpoint)
    assert raised.value.errno == errno.EISDIR
    assert not os.path.ismount(mountpoint)


@pytest.mark.parametrize("kind", [Names, Paths, fusesg.Memory, fusesg.Tree])
def test_a_directory_does_not_cover_a_file(file, kind):
    with pytest.raises(
        OSError, match=rf"{kind.__name__} is a directory.*mkdir"
    ) as raised:
        fusesg.mount(kind(), file)
    assert raised.value.errno == errno.ENOTDIR
    assert file.read_text() == "hidden"


def test_a_root_that_cannot_be_told_of_yet_is_let_be(mounted, mountpoint):
    class Unsure(OneFile):
        known = None

        def getattr(self, inode, handle, ctx):
            if self.known is None:
                raise PermissionError
            return self.known

    filesystem = Unsure()
    with mounted(filesystem):
        filesystem.known = DIRECTORY
        assert stat.S_ISDIR(os.stat(mountpoint).st_mode)


async def mount_in_a_loop(kind, mountpoint):
    async with fusesg.mount(kind(), mountpoint):
        pytest.fail("it was mounted")


def test_in_the_loop_of_a_program(mountpoint):
    with pytest.raises(OSError, match="Later is a regular file"):
        asyncio.run(mount_in_a_loop(Later, mountpoint))
    assert not os.path.ismount(mountpoint)


def test_ctrl_c_ends_a_mount_whose_root_does_not_tell(mountpoint, expect_log):
    asked, go_on = threading.Event(), threading.Event()

    class Silent(OneFile):
        def getattr(self, inode, handle, ctx):
            asked.set()
            go_on.wait()
            return DIRECTORY

    def interrupt():
        asked.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    expect_log("is unmounted, but its server still runs: getattr")
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            fusesg.mount(Silent(), mountpoint)
        assert not os.path.ismount(mountpoint)
    finally:
        go_on.set()
        interrupter.join()
