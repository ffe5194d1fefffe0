"""POSIX ACLs of a class that keeps extended attributes, and no ACLs."""

import errno
import importlib.util
import os
import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pytest

import fusesg

ACLS = ["system.posix_acl_access", "system.posix_acl_default"]
# version 2; tag, permissions, id: what cp(1) makes of mode 0750
ACL_0750 = struct.pack(
    "<I HHI HHI HHI", 2, 1, 7, 0xFFFFFFFF, 4, 5, 0xFFFFFFFF, 32, 0, 0xFFFFFFFF
)


def example():
    path = Path(__file__).parents[2] / "examples" / "memory.py"
    spec = importlib.util.spec_from_file_location("memory_of_access_lists", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MemoryFilesystem()


class Attributes(fusesg.Passthrough):
    """Keeps extended attributes in a dict, whatever their names."""

    def __init__(self, source):
        super().__init__(source)
        self.xattrs = {}

    def setxattr(self, inode, name, value, flags, ctx):
        self.xattrs[inode, name] = bytes(value)

    def getxattr(self, inode, name, ctx):
        if (inode, name) not in self.xattrs:
            raise OSError(errno.ENODATA, name)
        return self.xattrs[inode, name]

    def listxattr(self, inode, ctx):
        return [name for number, name in self.xattrs if number == inode]

    def removexattr(self, inode, name, ctx):
        del self.xattrs[inode, name]


@pytest.fixture(params=["memory", "attributes"])
def root(request, mounted, mountpoint, source):
    filesystem = example() if request.param == "memory" else Attributes(source)
    with mounted(filesystem):
        yield mountpoint


@pytest.mark.parametrize("copy", [["cp", "-p"], ["cp", "-a"], ["mv"]])
@pytest.mark.parametrize("mode", [0o4751, 0o640])
def test_copies_keep_their_permission_bits(root, tmp_path, copy, mode):
    original = tmp_path / "original"
    original.write_bytes(b"content")
    original.chmod(mode)
    subprocess.run([*copy, original, root / "copy"], check=True)
    assert stat.S_IMODE((root / "copy").stat().st_mode) == mode
    assert (root / "copy").read_bytes() == b"content"


@pytest.mark.requires("root", "program setfacl")
def test_an_acl_is_not_lost_in_silence(root, tmp_path):
    original = tmp_path / "original"
    original.touch()
    subprocess.run(["setfacl", "-m", "u:1234:rw", original], check=True)
    copied = subprocess.run(
        ["cp", "-p", original, root / "copy"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert copied.returncode == 1
    assert "preserving permissions" in copied.stderr


@pytest.mark.parametrize("name", ACLS)
def test_acls_are_not_supported(root, name):
    directory = root / "directory"
    directory.mkdir()
    uses = [
        lambda: os.setxattr(directory, name, ACL_0750),
        lambda: os.getxattr(directory, name),
        lambda: os.removexattr(directory, name),
    ]
    for use in uses:
        with pytest.raises(OSError, match="not supported"):
            use()
    os.setxattr(directory, "user.a", b"1")
    assert os.listxattr(directory) == ["user.a"]


def test_acls_that_a_class_lists_are_not_shown(mounted, mountpoint, source):
    filesystem = Attributes(source)
    filesystem.listxattr = lambda inode, ctx: ["user.a", *ACLS, "user.b"]
    with mounted(filesystem):
        assert os.listxattr(mountpoint) == ["user.a", "user.b"]
    with fusesg.Client(filesystem) as client:
        assert client.listxattr("/") == ["user.a", "user.b"]
        with pytest.raises(OSError, match="not supported"):
            client.getxattr("/", ACLS[0])


@pytest.mark.requires("root", "program setfacl")
def test_who_keeps_acls_shows_them(mounted, mountpoint, source, tmp_path):
    (source / "file").touch(mode=0o600)
    subprocess.run(["setfacl", "-m", "u:1234:rw", source / "file"], check=True)
    with mounted(fusesg.Passthrough(source)):
        assert ACLS[0] in os.listxattr(mountpoint / "file")
        shutil.copy2(mountpoint / "file", tmp_path / "copy")
        assert os.getxattr(tmp_path / "copy", ACLS[0])
