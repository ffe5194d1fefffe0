"""Archives as file systems, without extracting them.

```python
with fusesg.mount(fusesg.archive.open_archive("data.tar"), "/mnt"):
    ...
```

The members become files that point into the archive: nothing is copied, and reads go
the way of all extents. `fusesg mount ARCHIVE.tar MNT` does the same from a shell.

The kernel keeps what it has read. Large members that are read once, in large pieces,
come up to one and a half times as fast past its cache (`direct_io=True`).
"""

from __future__ import annotations

import logging
import os
import stat
import tarfile
import time
import zipfile
from typing import TYPE_CHECKING, Any

from fusesg._core import Backing, SegmentList, Zeros
from fusesg._tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    StrPath: TypeAlias = str | os.PathLike[str]

_logger = logging.getLogger("fusesg")

__all__ = ["ArchiveError", "open_archive", "open_tar", "open_zip"]

_ZIP_LOCAL_HEADER = 30  # bytes before the name, the lengths of name and extra last
_ZIP_UNIX = 3


class ArchiveError(ValueError):
    """What the archive is, or why it cannot be mounted."""


def open_archive(path: StrPath) -> Tree:
    """A tar or zip archive as a tree.

    Args:
        path: The archive, which must not change as long as the tree is in use.

    Returns:
        The tree, ready to be mounted or to be added to.

    Raises:
        ArchiveError: It is no archive, is compressed or is damaged.
        OSError: It cannot be read.
    """
    if zipfile.is_zipfile(path):
        return open_zip(path)
    return open_tar(path)


def open_tar(path: StrPath) -> Tree:
    """An uncompressed tar archive as a tree, as `tar -x` would extract it.

    Of members of the same name the last counts. Hard links, sparse files and extended
    attributes are there; devices, FIFOs and names that lead out of the archive (`..`)
    are left out, and the log tells how many.

    Args:
        path: The archive, which must not change as long as the tree is in use.

    Returns:
        The tree, ready to be mounted or to be added to.

    Raises:
        ArchiveError: It is no tar archive, is compressed or is damaged.
        OSError: It cannot be read.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            members = archive.getmembers()
    except tarfile.TarError as error:
        raise ArchiveError(f"{os.fspath(path)}: {_why_no_tar(path, error)}") from None
    return _Loader(path).tar(members)


def open_zip(path: StrPath) -> Tree:
    """A zip archive as a tree; its members must be stored without compression.

    Args:
        path: The archive, which must not change as long as the tree is in use.

    Returns:
        The tree, ready to be mounted or to be added to.

    Raises:
        ArchiveError: It is no zip archive, has members that are compressed or
            encrypted, or is damaged.
        OSError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"{os.fspath(path)}: {error}") from None
    if hidden := [member for member in members if _is_hidden(member)]:
        raise ArchiveError(
            f"{os.fspath(path)}: {len(hidden)} of {len(members)} members are "
            f"compressed or encrypted ({hidden[0].filename!r} is the first); only "
            "stored ones can be mounted, as zip -0 makes them"
        )
    return _Loader(path).zip(members)


def _why_no_tar(path: StrPath, error: tarfile.TarError) -> str:
    try:
        with tarfile.open(path, "r:*"):
            return "the archive is compressed; decompress it to mount it"
    except (tarfile.TarError, EOFError):
        return f"not a tar or zip archive ({error})"


def _is_hidden(member: zipfile.ZipInfo) -> bool:
    encrypted = 1
    return bool(
        member.compress_type != zipfile.ZIP_STORED or member.flag_bits & encrypted
    )


def _names(path: str) -> tuple[str, ...] | None:
    """The names that a member's path consists of; None if it leads out."""
    names = tuple(name for name in path.split("/") if name not in {"", "."})
    return None if ".." in names else names


class _Loader:
    """One archive on its way into a tree."""

    def __init__(self, path: StrPath) -> None:
        self._path = os.fspath(path)
        self._backing = Backing(path)
        self._size = self._backing.size
        self._left_out: list[str] = []

    # tar

    def tar(self, members: Iterable[tarfile.TarInfo]) -> Tree:
        # the last of a name counts, and what is below something that is no directory
        # is not there
        last: dict[tuple[str, ...], tarfile.TarInfo] = {}
        root: dict[str, int] = {}
        for member in members:
            names = _names(member.name)
            known = member.isreg() or member.isdir() or member.issym() or member.islnk()
            if names is None or not known:
                self._left_out.append(member.name)
            elif names:
                # moved to the end: what a link leads to comes before it
                last.pop(names, None)
                last[names] = member
            elif member.isdir():
                root = {"mode": stat.S_IMODE(member.mode), **self._of_tar(member)}
        tree = Tree(**root)
        for names, member in last.items():
            try:
                self._add_tar(tree, "/".join(names), member)
            except (FileNotFoundError, FileExistsError, NotADirectoryError):
                self._left_out.append(member.name)
        return self._loaded(tree)

    def _add_tar(self, tree: Tree, path: str, member: tarfile.TarInfo) -> None:
        if member.islnk():
            target = _names(member.linkname)
            if target is None:
                raise FileNotFoundError(member.linkname)
            tree.add_link(path, "/".join(target))
            return
        mode, xattrs = stat.S_IMODE(member.mode), _tar_xattrs(member)
        attributes = self._of_tar(member)
        if member.isdir():
            tree.add_directory(path, mode=mode, xattrs=xattrs, **attributes)
        elif member.issym():
            tree.add_symlink(path, member.linkname, xattrs=xattrs, **attributes)
        else:
            data = self._tar_data(member)
            tree.add_file(path, data, mode=mode, xattrs=xattrs, **attributes)

    def _tar_data(self, member: tarfile.TarInfo) -> SegmentList:
        source, data = member.offset_data, SegmentList()
        # a list of pairs, which the stubs of the standard library do not know
        pieces: Any = member.sparse or [(0, member.size)]
        for offset, length in pieces:
            data += Zeros(offset - len(data))  # a hole of a sparse file
            data += self._extent(member.name, source, length)
            source += length
        return data + Zeros(member.size - len(data))

    @staticmethod
    def _of_tar(member: tarfile.TarInfo) -> dict[str, int]:
        mtime_ns = int(member.mtime * 10**9)
        return {"uid": member.uid, "gid": member.gid, "mtime_ns": mtime_ns}

    # zip

    def zip(self, members: Iterable[zipfile.ZipInfo]) -> Tree:
        tree = Tree()
        last: dict[tuple[str, ...], zipfile.ZipInfo] = {}
        for member in members:
            names = _names(member.filename)
            if names is None:
                self._left_out.append(member.filename)
            elif names:
                last.pop(names, None)
                last[names] = member
        with open(self._path, "rb") as archive:
            for names, member in last.items():
                extent = self._zip_data(archive.fileno(), member)
                try:
                    self._add_zip(tree, "/".join(names), member, extent)
                except (FileExistsError, NotADirectoryError):
                    self._left_out.append(member.filename)
        return self._loaded(tree)

    def _add_zip(
        self, tree: Tree, path: str, member: zipfile.ZipInfo, data: SegmentList
    ) -> None:
        mode = member.external_attr >> 16 if member.create_system == _ZIP_UNIX else 0
        # the format has local time, without a zone
        local = time.mktime((*member.date_time, 0, 0, -1))
        mtime_ns = int(local) * 10**9
        permissions = stat.S_IMODE(mode) or (0o755 if member.is_dir() else 0o644)
        if member.is_dir():
            tree.add_directory(path, mode=permissions, mtime_ns=mtime_ns)
        elif stat.S_ISLNK(mode):
            tree.add_symlink(path, bytes(data), mtime_ns=mtime_ns)
        else:
            tree.add_file(path, data, mode=permissions, mtime_ns=mtime_ns)

    def _zip_data(self, archive: int, member: zipfile.ZipInfo) -> SegmentList:
        at = member.header_offset  # negative in an archive of which a part is missing
        header = os.pread(archive, _ZIP_LOCAL_HEADER, at) if at >= 0 else b""
        if len(header) < _ZIP_LOCAL_HEADER or not header.startswith(b"PK\3\4"):
            raise ArchiveError(f"{self._path}: {member.filename!r} has no header")
        lengths = int.from_bytes(header[26:28], "little")
        lengths += int.from_bytes(header[28:30], "little")
        start = member.header_offset + _ZIP_LOCAL_HEADER + lengths
        return self._extent(member.filename, start, member.file_size)

    # both

    def _extent(self, name: str, offset: int, length: int) -> SegmentList:
        if offset + length > self._size:
            raise ArchiveError(
                f"{self._path}: {name!r} goes on after the archive's end"
            )
        return SegmentList(self._backing.extent(offset, length))

    def _loaded(self, tree: Tree) -> Tree:
        if self._left_out:
            _logger.warning(
                "%s: %d members are left out, for they are devices, or their names "
                "lead out of the archive or through a file; the first is %r",
                self._path,
                len(self._left_out),
                self._left_out[0],
            )
        return tree


def _tar_xattrs(member: tarfile.TarInfo) -> dict[str, bytes] | None:
    """Extended attributes as GNU tar and bsdtar write them."""
    prefix = "SCHILY.xattr."
    found = {
        key.removeprefix(prefix): value.encode(errors="surrogateescape")
        for key, value in member.pax_headers.items()
        if key.startswith(prefix)
    }
    return found or None
