"""Names that are longer than a listing can show."""

import os
import stat

import pytest

import fusesg

LONGEST, TOO_LONG = "x" * 255, "x" * 256


class Anything(fusesg.Filesystem):
    """A directory that takes and finds whatever it is asked for, and notes it."""

    def __init__(self):
        self.names = []
        self.listed = []

    def entry(self, name, kind):
        self.names.append(name)
        return fusesg.Entry(fusesg.Attributes(inode=len(self.names) + 1, mode=kind))

    def getattr(self, inode, handle, ctx):
        kind = stat.S_IFDIR | 0o755 if inode == 1 else stat.S_IFREG | 0o644
        return fusesg.Attributes(inode=inode, mode=kind)

    def lookup(self, parent, name, ctx):
        self.names.append(name)
        return self.entry(name, stat.S_IFREG) if name == "file" else None

    def create(self, parent, name, mode, flags, ctx):
        return self.entry(name, stat.S_IFREG | 0o644), None

    def mknod(self, parent, name, mode, rdev, ctx):
        return self.entry(name, mode)

    def mkdir(self, parent, name, mode, ctx):
        return self.entry(name, stat.S_IFDIR | 0o755)

    def symlink(self, parent, name, target, ctx):
        return self.entry(name, stat.S_IFLNK | 0o777)

    def link(self, inode, new_parent, new_name, ctx):
        return self.entry(new_name, stat.S_IFREG)

    def unlink(self, parent, name, ctx):
        self.names.append(name)

    def rmdir(self, parent, name, ctx):
        self.names.append(name)

    def rename(self, parent, name, new_parent, new_name, flags, ctx):
        self.names.append(new_name)

    def readdir(self, inode, handle, offset, ctx):
        for name in self.listed:
            yield fusesg.DirectoryEntry(name, 2, stat.S_IFREG)


USES = {
    "lookup": os.stat,
    "create": lambda path: os.open(path, os.O_CREAT | os.O_WRONLY),
    "mknod": os.mkfifo,
    "mkdir": os.mkdir,
    "symlink": lambda path: os.symlink("target", path),
    "link": lambda path: os.link(path.parent / "file", path),
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "rename": lambda path: os.rename(path.parent / "file", path),
    "rename away": lambda path: os.rename(path, path.parent / "file"),
}


@pytest.mark.parametrize("use", USES)
def test_a_name_that_is_too_long_is_not_asked_for(mounted, mountpoint, use):
    filesystem = Anything()
    with mounted(filesystem):
        for name in (TOO_LONG, "ä" * 128, "x" * 4000):
            with pytest.raises(OSError, match="File name too long"):
                USES[use](mountpoint / name)
    assert set(filesystem.names) <= {"file"}


def test_the_longest_names_are(mounted, mountpoint):
    filesystem = Anything()
    with mounted(filesystem):
        os.mkdir(mountpoint / LONGEST)
        os.mkdir(mountpoint / ("ä" * 127))
        filesystem.listed = [LONGEST, "ä" * 127]
        assert os.listdir(mountpoint) == filesystem.listed
    assert {LONGEST, "ä" * 127} <= set(filesystem.names)


def test_a_client_is_refused_as_well():
    filesystem = Anything()
    with fusesg.Client(filesystem) as client:
        for use in (client.stat, client.mkdir, client.unlink):
            with pytest.raises(OSError, match="File name too long"):
                use(f"/{TOO_LONG}")
    assert not filesystem.names


def test_a_class_that_lists_one_is_told(mounted, mountpoint, expect_log):
    filesystem = Anything()
    filesystem.listed = ["good", TOO_LONG]
    expect_log(r"(?s)Anything\.readdir raised.*name has 256 bytes, at most 255")
    with mounted(filesystem):
        with pytest.raises(OSError, match="Input/output error"):
            os.listdir(mountpoint)
        filesystem.listed = ["good"]
        assert os.listdir(mountpoint) == ["good"]


def test_a_class_of_paths_that_lists_one_is_told(mounted, mountpoint, expect_log):
    class Paths(fusesg.PathFilesystem):
        def getattr(self, path, handle, ctx):
            return fusesg.Attributes(mode=stat.S_IFDIR | 0o755)

        def readdir(self, path, handle, offset, ctx):
            return ["good", "ä" * 128]

    expect_log(r"Paths\.readdir gave a name: .*has 256 bytes, at most 255")
    with (
        mounted(Paths()),
        pytest.raises(OSError, match="Input/output error"),
    ):
        os.listdir(mountpoint)
