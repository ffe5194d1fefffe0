"""Use an installed wheel as users do: use_wheel.py PREFIX, in an empty directory.

Run by test-wheel.sh with the Python of an environment that has nothing but the wheel.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from stat import S_IFDIR, S_IFREG

import fusesg

PREFIX = Path(sys.argv[1])
NOT_NEEDED = ["cargo", "rustc", "cc", "gcc", "clang", "ld", "pip"]
TEXT = os.urandom(100_000)


class Single(fusesg.Filesystem):
    """A directory with one file, whose bytes lie in another one."""

    def __init__(self, path: Path) -> None:
        """Show the bytes of `path`."""
        self.data = fusesg.Backing(path)

    def getattr(
        self, inode: int, handle: object, ctx: fusesg.Context
    ) -> fusesg.Attributes:
        """Tell what the two inodes are like."""
        del handle, ctx
        if inode == fusesg.ROOT_INODE:
            return fusesg.Attributes(inode=inode, mode=S_IFDIR | 0o755)
        size = self.data.size
        return fusesg.Attributes(inode=inode, mode=S_IFREG | 0o444, size=size)

    def lookup(
        self, parent: int, name: str, ctx: fusesg.Context
    ) -> fusesg.Entry | None:
        """Find the file."""
        del parent
        return fusesg.Entry(self.getattr(2, None, ctx)) if name == "file" else None

    def readdir(
        self, inode: int, handle: object, offset: int, ctx: fusesg.Context
    ) -> list[fusesg.DirectoryEntry]:
        """List the file."""
        del inode, handle, offset, ctx
        return [fusesg.DirectoryEntry("file", 2, S_IFREG)]

    def read(
        self, inode: int, handle: object, offset: int, size: int, ctx: fusesg.Context
    ) -> fusesg.Extent:
        """Say where the bytes are."""
        del inode, handle, ctx
        return self.data.extent(offset, max(min(size, self.data.size - offset), 0))


def fusesg_command(*arguments: str | Path) -> str:
    """Run `fusesg` as a shell would; return what it prints."""
    done = subprocess.run(
        ["fusesg", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_environment() -> None:
    """Nothing but the wheel is there."""
    not_needed = [*NOT_NEEDED, *(["fusermount3"] if os.geteuid() == 0 else [])]
    found = [name for name in not_needed if shutil.which(name)]
    assert not found, found
    assert Path(fusesg.__file__).is_relative_to(PREFIX), fusesg.__file__
    assert importlib.metadata.version("fusesg") == fusesg.__version__
    assert [each.name for each in importlib.metadata.distributions()] == ["fusesg"]
    libraries = Path("/proc/self/maps").read_text()
    assert "_core.abi3.so" in libraries
    assert "libfuse" not in libraries


def main() -> None:
    """Mount a class, a directory and an archive, and let the demo compare the rest."""
    source, mountpoint = Path("source").absolute(), Path("mnt").absolute()
    source.mkdir()
    mountpoint.mkdir()
    (source / "file").write_bytes(TEXT)
    with tarfile.open("archive.tar", "w") as archive:
        archive.add(source / "file", "file")

    check_environment()

    with fusesg.mount(Single(source / "file"), mountpoint):
        assert os.listdir(mountpoint) == ["file"]
        assert (mountpoint / "file").read_bytes() == TEXT

    for what in (source, Path("archive.tar")):
        fusesg_command("mount", what, mountpoint)
        try:
            assert (mountpoint / "file").read_bytes() == TEXT
        finally:
            fusesg_command("umount", mountpoint)
    assert not os.listdir(mountpoint)

    print(fusesg_command("demo", "--quick").splitlines()[-1])
    print(f"fusesg {fusesg.__version__} works with Python {platform.python_version()}")


if __name__ == "__main__":
    main()
