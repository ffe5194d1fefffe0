"""The smallest file system of paths, wherever a file system can be used."""

import errno
import os
import stat
import subprocess
import sys

import pytest

import fusesg

HELLO = """
import stat, fusesg

class Hello(fusesg.PathFilesystem):
    def getattr(self, path, handle, ctx):
        if path == "/":
            return fusesg.Attributes(mode=stat.S_IFDIR | 0o755)
        if path == "/hello":
            return fusesg.Attributes(mode=stat.S_IFREG | 0o444, size=6)
        return None

    def readdir(self, path, handle, offset, ctx):
        return ["hello"]

    def read(self, path, handle, offset, size, ctx):
        return b"hello\\n"[offset : offset + size]
"""


@pytest.fixture
def hello():
    assert len(HELLO.strip().splitlines()) == 15
    namespace = {}
    exec(HELLO, namespace)
    return namespace["Hello"]()


def test_three_methods_are_a_file_system(mounted, mountpoint, hello):
    with mounted(hello):
        assert os.listdir(mountpoint) == ["hello"]
        assert (mountpoint / "hello").read_text() == "hello\n"
        assert (mountpoint / "hello").stat().st_size == 6
        (entry,) = os.scandir(mountpoint)
        assert entry.is_file()
        assert not entry.is_dir()
        with pytest.raises(FileNotFoundError):
            (mountpoint / "missing").stat()
        with pytest.raises(NotADirectoryError):
            (mountpoint / "hello" / "below").stat()
        with pytest.raises(OSError, match="Read-only") as raised:
            (mountpoint / "new").write_text("")
        assert raised.value.errno == errno.EROFS


def test_programs_can_be_told_no_types(mounted, mountpoint, hello):
    with mounted(hello):
        found = subprocess.run(
            ["find", mountpoint, "-type", "f"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert found.stdout.split() == [str(mountpoint / "hello")]
        assert found.stderr == ""


@pytest.mark.parametrize("plus", [True, False])
def test_names_without_types_go_either_way(mounted, mountpoint, hello, plus):
    type(hello).readdirplus = plus
    names = [f"n{number}" for number in range(3000)]
    hello.readdir = lambda path, handle, offset, ctx: names
    with mounted(hello) as mount:
        assert os.listdir(mountpoint) == names
    # a request may be counted a moment after its answer has arrived
    assert ("readdirplus" in mount.statistics()["operations"]) == plus


def test_it_can_be_used_without_a_mount(hello):
    with fusesg.Client(hello) as client:
        assert client.listdir("/") == ["hello"]
        with client.open_file("/hello") as file:
            assert file.read() == b"hello\n"
        (entry,) = client.scandir("/")
        assert entry.is_file()
        assert not entry.is_symlink()
        with pytest.raises(FileNotFoundError):
            client.stat("/missing")


def test_it_can_be_mounted_by_the_command(tmp_path, mountpoint, fuse_no_leaks):
    del fuse_no_leaks
    module = tmp_path / "paths.py"
    module.write_text(HELLO)
    command = [sys.executable, "-m", "fusesg"]
    source = f"{module}:Hello"
    subprocess.run([*command, "mount", source, mountpoint], check=True)
    try:
        assert (mountpoint / "hello").read_text() == "hello\n"
    finally:
        subprocess.run([*command, "umount", mountpoint], check=True)


def test_a_file_can_be_the_root(tmp_path, mounted):
    class Single(fusesg.PathFilesystem):
        def getattr(self, path, handle, ctx):
            assert path == "/"
            return fusesg.Attributes(mode=stat.S_IFREG | 0o444, size=3)

        def read(self, path, handle, offset, size, ctx):
            return b"abc"[offset : offset + size]

    place = tmp_path / "file"
    place.write_text("")
    with mounted(Single(), at=place):
        assert place.read_bytes() == b"abc"


def test_getattr_is_needed(mountpoint):
    class Nothing(fusesg.PathFilesystem):
        def readdir(self, path, handle, offset, ctx):
            return []

    with pytest.raises(TypeError, match="Nothing has no getattr method"):
        fusesg.mount(Nothing(), mountpoint)


def test_paths_and_a_native_file_system_do_not_mix(mountpoint):
    class Both(fusesg.PathFilesystem, fusesg.Memory):
        pass

    with pytest.raises(TypeError, match="of paths and derives from a native one"):
        fusesg.mount(Both(), mountpoint)


def test_methods_of_the_base_class_count_as_absent(hello):
    with pytest.raises(OSError, match="PathFilesystem has no readlink") as raised:
        hello.readlink("/hello", None)
    assert raised.value.errno == errno.ENOSYS
    assert hello.flush("/hello", None, None) is None
