"""A tree that has one of everything a copy can get wrong, copied and compared."""

# ruff: noqa: S103 - permissive modes are what is copied

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sysconfig
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACE = "user."
"""Of extended attributes that everybody may set."""


@dataclass(frozen=True)
class Entry:
    """What is compared of a file; `None` where the type has no such thing."""

    mode: int
    owner: tuple[int, int]
    atime_ns: int | None
    mtime_ns: int
    size: int | None
    target: str | None
    twin: str
    """First name, in order, of the same inode: hard links have the same one."""
    xattrs: tuple[tuple[str, bytes], ...]
    sha256: bytes | None = None


def make(root: str, packages: list[str]) -> None:
    """Some packages of the standard library, and a directory of special cases."""
    os.mkdir(root)
    for package in packages:
        source = os.path.join(sysconfig.get_path("stdlib"), package)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, os.path.join(root, package), ignore=ignored)
    special = os.path.join(root, "special")
    os.mkdir(special)

    def path(name: str) -> str:
        return os.path.join(special, name)

    def file(name: str, data: bytes = b"content", mode: int = 0o644) -> str:
        with open(path(name), "xb") as opened:
            opened.write(data)
        os.chmod(path(name), mode)
        return path(name)

    file("empty", b"")
    file("large", bytes(range(256)) * 4 * 4097)  # 4 MiB and a bit: many requests
    file("read-only", mode=0o400)
    file("set-user-id", mode=0o4755)
    file("two\nlines and a \\ backslash")
    file("na\u00efve \u2603 snowman")
    file(os.fsdecode(b"not UTF-8: \xff\xfe"))
    file("x" * 255)
    with open(path("sparse"), "xb") as sparse:
        sparse.seek(3 << 20)
        sparse.write(b"after a hole")
    os.link(file("linked"), path("linked too"))
    os.link(path("linked"), path("linked as well"))
    os.symlink("linked", path("symlink"))
    os.symlink("/nowhere/\u2603", path("dangling symlink"))
    os.mkfifo(path("fifo"))
    os.mkdir(path("sticky"))
    os.chmod(path("sticky"), 0o1777)
    os.mkdir(path("set-group-id"))
    os.chmod(path("set-group-id"), 0o2755)
    os.makedirs(path("/".join(["deep"] * 20)))
    os.utime(file("before the epoch"), ns=(-1, -1_500_000_001))
    os.utime(file("far future"), ns=(4_000_000_000_123_456_789,) * 2)
    os.utime(path("symlink"), ns=(1, 987_654_321), follow_symlinks=False)
    if os.geteuid() == 0:
        os.chown(file("somebody else's"), 1234, 5678)
    _set_xattr(file("attributes"), "comment", b"bytes \x00\xff")
    _set_xattr(path("attributes"), "empty", b"")
    _set_xattr(path("sticky"), "on a directory", b"x" * 1000)


def _set_xattr(path: str, name: str, value: bytes) -> None:
    os.setxattr(path, NAMESPACE + name, value)


def describe(root: str, advance: Callable[[], None]) -> dict[str, Entry]:
    """What there is under a directory, the directory itself included as ".".

    All is looked at before anything is read, since reading changes access times.

    Args:
        root: The directory.
        advance: Called for each entry.
    """
    names = ["."]
    for parent, directories, files in os.walk(root):
        relative = os.path.relpath(parent, root)
        names += [
            os.path.normpath(f"{relative}/{name}") for name in directories + files
        ]
    names.sort()
    statuses = {name: os.lstat(os.path.join(root, name)) for name in names}
    twins: dict[tuple[int, int], str] = {}
    for name, status in statuses.items():
        twins.setdefault((status.st_dev, status.st_ino), name)
    entries = {}
    for name, status in statuses.items():
        twin = twins[status.st_dev, status.st_ino]
        entries[name] = _describe(os.path.join(root, name), status, twin)
        advance()
    return entries


def _describe(path: str, status: os.stat_result, twin: str) -> Entry:
    is_file = stat.S_ISREG(status.st_mode)
    is_link = stat.S_ISLNK(status.st_mode)
    has_xattrs = is_file or stat.S_ISDIR(status.st_mode)
    return Entry(
        mode=status.st_mode,
        owner=(status.st_uid, status.st_gid),
        # to list a directory, or follow a link, is to change its access time
        atime_ns=status.st_atime_ns if is_file else None,
        mtime_ns=status.st_mtime_ns,
        size=status.st_size if is_file or is_link else None,
        target=os.readlink(path) if is_link else None,
        twin=twin,
        xattrs=_xattrs(path) if has_xattrs else (),
        sha256=_sha256(path) if is_file else None,
    )


def _xattrs(path: str) -> tuple[tuple[str, bytes], ...]:
    names = sorted(name for name in os.listxattr(path) if name.startswith(NAMESPACE))
    return tuple((name, os.getxattr(path, name)) for name in names)


def _sha256(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def copy(
    source: str, entries: dict[str, Entry], target: str, advance: Callable[[], None]
) -> None:
    """Copies what `describe` found into an existing directory, with all its attributes.

    Args:
        source: The directory that was described.
        entries: What `describe` returned.
        target: An empty directory.
        advance: Called for each entry.
    """
    for name, entry in entries.items():
        path = os.path.join(target, name)
        if entry.twin != name:
            os.link(os.path.join(target, entry.twin), path, follow_symlinks=False)
        elif entry.target is not None:
            os.symlink(entry.target, path)
        elif stat.S_ISDIR(entry.mode):
            os.makedirs(path, exist_ok=name == ".")
        elif stat.S_ISFIFO(entry.mode):
            os.mkfifo(path)
        else:
            shutil.copyfile(os.path.join(source, name), path)
        advance()
    # Children before their directories, whose times they change. Attributes before the
    # mode, which may forbid to set them; the owner before it, too: chown clears set-id.
    for name, entry in reversed(entries.items()):
        path = os.path.join(target, name)
        for xattr, value in entry.xattrs:
            os.setxattr(path, xattr, value)
        if os.geteuid() == 0:
            os.lchown(path, *entry.owner)
        if entry.target is None:
            os.chmod(path, stat.S_IMODE(entry.mode))
        atime_ns = entry.mtime_ns if entry.atime_ns is None else entry.atime_ns
        os.utime(path, ns=(atime_ns, entry.mtime_ns), follow_symlinks=False)
