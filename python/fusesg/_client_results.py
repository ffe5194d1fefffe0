"""What a client's methods return: the `os` module's result objects."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from fusesg import _core
    from fusesg._client import Client

_NANOSECONDS = 1_000_000_000


def stat_result(attributes: _core.Attributes, device: int) -> os.stat_result:
    """Attributes as `os.stat` returns them."""
    times = (attributes.atime_ns, attributes.mtime_ns, attributes.ctime_ns)
    whole = [time // _NANOSECONDS for time in times]
    rdev = attributes.rdev
    names = ("atime", "mtime", "ctime")
    return os.stat_result(
        (
            attributes.mode,
            attributes.inode,
            device,
            attributes.nlink,
            attributes.uid,
            attributes.gid,
            attributes.size,
            *whole,
        ),
        {
            **{
                f"st_{name}": time / _NANOSECONDS
                for name, time in zip(names, times, strict=True)
            },
            **{f"st_{name}_ns": time for name, time in zip(names, times, strict=True)},
            "st_blksize": attributes.blksize,
            "st_blocks": attributes.blocks,
            # the kernel's 32-bit encoding
            "st_rdev": os.makedev(
                (rdev & 0xFFF00) >> 8, (rdev & 0xFF) | ((rdev >> 12) & 0xFFF00)
            ),
        },
    )


def statvfs_result(numbers: _core.FilesystemStatistics) -> os.statvfs_result:
    """The numbers of a file system as `os.statvfs` returns them."""
    return os.statvfs_result(
        (
            numbers.block_size,
            numbers.fragment_size,
            numbers.blocks,
            numbers.blocks_free,
            numbers.blocks_available,
            numbers.files,
            numbers.files_free,
            numbers.files_available,
            0,
            numbers.name_max,
        )
    )


class ClientDirEntry:
    """An entry of a directory, like `os.DirEntry`."""

    def __init__(
        self,
        client: Client,
        directory: str,
        name: str,
        inode: int,
        kind: int,
        attributes: _core.Attributes | None,
    ) -> None:
        self._client = client
        self._inode = inode
        self._kind = kind
        self._listed = attributes
        self.name: str = name
        self.path: str = os.path.join(directory, name)

    def inode(self) -> int:
        """The inode number."""
        return self._inode

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """The attributes, as they were listed if they were."""
        if self._listed is None or (follow_symlinks and self.is_symlink()):
            return self._client.stat(self.path, follow_symlinks=follow_symlinks)
        return stat_result(self._listed, self._client._device)  # noqa: SLF001

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a directory, or a symbolic link that leads to one."""
        return self._is(stat.S_IFDIR, follow_symlinks)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a regular file, or a symbolic link that leads to one."""
        return self._is(stat.S_IFREG, follow_symlinks)

    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return self._type() == stat.S_IFLNK

    def _type(self) -> int:
        if not self._kind:  # a file system may list names only
            try:
                found = self._client.stat(self.path, follow_symlinks=False)
            except FileNotFoundError:
                return 0
            self._kind = stat.S_IFMT(found.st_mode)
        return self._kind

    def _is(self, kind: int, follow_symlinks: bool) -> bool:
        if not (follow_symlinks and self.is_symlink()):
            return self._type() == kind
        try:
            return stat.S_IFMT(self.stat().st_mode) == kind
        except FileNotFoundError:
            return False

    def __fspath__(self) -> str:
        return self.path

    def __repr__(self) -> str:
        return f"<ClientDirEntry {self.name!r}>"


class ClientDirIterator:
    """What `Client.scandir` returns: an iterator that may be used in a `with` block."""

    def __init__(self, entries: Sequence[ClientDirEntry]) -> None:
        self._entries = iter(entries)

    def close(self) -> None:
        """Ends the iteration; the directory was closed before."""
        self._entries = iter(())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ClientDirEntry:
        return next(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
