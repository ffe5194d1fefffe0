"""The file systems in examples/ do what they show, on real mounts."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

import fusesg.examples
from fusesg.examples.hello import Hello
from fusesg.examples.memory import MemoryFilesystem
from fusesg.examples.shadow import Shadow
from fusesg.examples.tar import TarFilesystem

EXAMPLES = Path(__file__).parents[2] / "examples"


def fails(number):
    return pytest.raises(OSError, match=re.escape(f"[Errno {number}]"))


def test_the_package_has_the_examples():
    (packaged,) = fusesg.examples.__path__
    for path in EXAMPLES.glob("*.py"):
        assert (Path(packaged) / path.name).read_bytes() == path.read_bytes()


def test_the_readme_has_the_examples():
    readme = (EXAMPLES.parent / "README.md").read_text()
    for path in EXAMPLES.iterdir():
        if path.suffix == ".py" or (path / "pyproject.toml").exists():
            assert f"(examples/{path.name})" in readme


def test_examples_are_short():
    def lines(name):
        return len((EXAMPLES / name).read_text().splitlines())

    assert lines("tar.py") < 80
    assert lines("hello.py") < 30


def test_hello(mounted, mountpoint):
    with mounted(Hello()):
        assert os.listdir(mountpoint) == ["hello"]
        assert (mountpoint / "hello").read_bytes() == b"Hello from Python\n"
        with fails(errno.EROFS):
            (mountpoint / "new").touch()


def test_shadow(mounted, mountpoint, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "text").write_text("Some lower case.\n" * 10_000)
    with mounted(Shadow(os.fspath(source))):
        assert (mountpoint / "text").read_text() == "SOME LOWER CASE.\n" * 10_000
        (mountpoint / "new").write_text("written natively")
        assert (source / "new").read_text() == "written natively"


class TestTar:
    @pytest.fixture
    def tree(self, tmp_path):
        tree = tmp_path / "tree"
        (tree / "a/b").mkdir(parents=True)
        (tree / "a/b/file").write_bytes(os.urandom(300_000))
        (tree / "empty").touch()
        (tree / "link").symlink_to("a/b/file")
        os.link(tree / "a/b/file", tree / "a/twin")
        os.chmod(tree / "empty", 0o4711)
        os.utime(tree / "empty", (0, 1_000_000_000))
        return tree

    @pytest.mark.parametrize("prefix", ["", "./", "/", "deep/er/"])
    @pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    def test_shows_what_was_packed(
        self, mounted, mountpoint, tree, tmp_path, prefix, kind
    ):
        with tarfile.open(tmp_path / "x.tar", "w", format=kind) as tar:
            tar.add(tree, prefix or "./")
        with mounted(TarFilesystem(os.fspath(tmp_path / "x.tar"))):
            root = mountpoint / prefix.strip("/")
            assert sorted(os.listdir(root)) == ["a", "empty", "link"]
            content = (tree / "a/b/file").read_bytes()
            assert (root / "a/b/file").read_bytes() == content
            assert (root / "link").read_bytes() == content
            first, second = os.stat(root / "a/b/file"), os.stat(root / "a/twin")
            assert (first.st_ino, first.st_nlink) == (second.st_ino, 2)
            status = os.stat(root / "empty")
            assert (status.st_size, status.st_mtime) == (0, 1_000_000_000)
            assert stat.S_IMODE(status.st_mode) == 0o4711

    @pytest.mark.requires("program tar")
    def test_holes_of_sparse_members(self, mounted, mountpoint, tmp_path):
        with open(tmp_path / "sparse", "wb") as file:
            for offset in (0, 1 << 20, 3 << 20):
                file.seek(offset)
                file.write(os.urandom(5000))
            file.truncate(4 << 20)
        subprocess.run(
            ["tar", "--sparse", "-C", tmp_path, "-cf", tmp_path / "x.tar", "sparse"],
            check=True,
        )
        assert (tmp_path / "x.tar").stat().st_size < 1 << 20
        with mounted(TarFilesystem(os.fspath(tmp_path / "x.tar"))):
            found = (mountpoint / "sparse").read_bytes()
        assert found == (tmp_path / "sparse").read_bytes()


class TestMemory:
    @pytest.fixture
    def root(self, mounted, mountpoint):
        with mounted(MemoryFilesystem(), entry_timeout=0, attribute_timeout=0):
            yield mountpoint

    def test_files(self, root):
        path = root / "file"
        path.write_bytes(b"0123456789")
        with open(path, "r+b") as file:
            file.seek(8)
            file.write(b"abcd")
            file.truncate(11)
        assert path.read_bytes() == b"01234567abc"
        os.truncate(path, 20)
        assert path.read_bytes() == b"01234567abc" + bytes(9)
        with open(path, "ab") as file:
            file.write(b"!")
        assert path.stat().st_size == 21

    def test_directories(self, root):
        (root / "a/b").mkdir(parents=True)
        assert root.stat().st_nlink == 3
        with fails(errno.ENOTEMPTY):
            (root / "a").rmdir()
        (root / "a/b").rmdir()
        (root / "a").rmdir()
        assert os.listdir(root) == []
        assert root.stat().st_nlink == 2

    def test_rename(self, root):
        (root / "a").write_text("a")
        (root / "b").write_text("b")
        os.rename(root / "a", root / "b")
        assert os.listdir(root) == ["b"]
        assert (root / "b").read_text() == "a"
        (root / "d/e").mkdir(parents=True)
        os.rename(root / "d/e", root / "f")
        assert sorted(os.listdir(root)) == ["b", "d", "f"]
        assert (root / "d").stat().st_nlink == 2
        (root / "d/full").touch()
        with fails(errno.ENOTEMPTY):
            os.rename(root / "f", root / "d")

    @pytest.mark.requires("program mv")
    def test_rename_flags(self, root, run_python):
        (root / "a").write_text("a")
        (root / "b").write_text("b")
        program = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for flags in (1, 2):
    result = libc.renameat2(-100, b"a", -100, b"b", flags)
    print(result, os.strerror(ctypes.get_errno()) if result else "")
"""
        result = run_python(program, cwd=root)
        assert result.stdout == "-1 File exists\n0 \n"
        assert (root / "a").read_text() == "b"
        assert (root / "b").read_text() == "a"

    def test_links(self, root):
        (root / "a").write_text("shared")
        os.link(root / "a", root / "b")
        assert (root / "a").stat().st_nlink == 2
        (root / "a").unlink()
        assert (root / "b").read_text() == "shared"
        assert (root / "b").stat().st_nlink == 1
        os.symlink("b", root / "c")
        assert os.readlink(root / "c") == "b"
        assert (root / "c").lstat().st_size == 1
        assert (root / "c").read_text() == "shared"

    def test_open_while_removed(self, root):
        with open(root / "file", "w+") as file:
            file.write("still here")
            file.flush()
            (root / "file").unlink()
            assert os.listdir(root) == []
            file.seek(0)
            assert file.read() == "still here"
            assert os.fstat(file.fileno()).st_nlink == 0

    def test_attributes(self, root):
        path = root / "file"
        path.touch(mode=0o640)
        os.chmod(path, 0o4755)
        os.utime(path, ns=(123, -456))
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o4755
        assert (status.st_atime_ns, status.st_mtime_ns) == (123, -456)
        before = path.stat().st_ctime_ns
        os.chmod(path, 0o600)
        assert path.stat().st_ctime_ns >= before

    def test_xattrs(self, root):
        path = root / "file"
        path.touch()
        os.setxattr(path, "user.a", b"1\0")
        os.setxattr(path, "user.a", b"2", os.XATTR_REPLACE)
        with pytest.raises(FileExistsError):
            os.setxattr(path, "user.a", b"3", os.XATTR_CREATE)
        assert os.listxattr(path) == ["user.a"]
        assert os.getxattr(path, "user.a") == b"2"
        os.removexattr(path, "user.a")
        with fails(errno.ENODATA):
            os.getxattr(path, "user.a")

    def test_set_group_id_directory(self, root):
        directory = root / "shared"
        directory.mkdir()
        if os.geteuid() == 0:
            os.chown(directory, 0, 1234)
        os.chmod(directory, 0o2775)
        (directory / "sub").mkdir()
        (directory / "file").touch()
        assert (directory / "file").stat().st_gid == directory.stat().st_gid
        assert (directory / "sub").stat().st_mode & stat.S_ISGID

    def test_forgotten_inodes_are_gone(self, mounted, mountpoint):
        filesystem = MemoryFilesystem()
        with mounted(filesystem):
            for index in range(100):
                (mountpoint / str(index)).touch()
                (mountpoint / str(index)).unlink()
        assert list(filesystem._nodes) == [1]
