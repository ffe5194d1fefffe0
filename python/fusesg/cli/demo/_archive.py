"""Part 1: the standard library in a tar, read back through a mount of the tar."""

from __future__ import annotations

import hashlib
import os
import sysconfig
import tarfile
import time
from typing import IO

import fusesg
from fusesg.cli._progress import Progress
from fusesg.cli.demo._outcome import Outcome
from fusesg.examples.tar import TarFilesystem

_CHUNK = 1 << 20
_QUICK_PACKAGES = {"asyncio", "collections", "email", "encodings", "json"}
_NOT_STANDARD = {"site-packages", "dist-packages"}


def run(directory: str, *, quick: bool) -> Outcome:
    """Packs, mounts, compares.

    Args:
        directory: Where temporary files go.
        quick: Only some packages.

    Returns:
        The members of the tar that are different in the mount.
    """
    archive = os.path.join(directory, "stdlib.tar")
    mountpoint = os.path.join(directory, "tar")
    os.mkdir(mountpoint)
    _pack(sysconfig.get_path("stdlib"), archive, quick=quick)
    started = time.monotonic()
    filesystem = TarFilesystem(archive)
    with fusesg.mount(filesystem, mountpoint, read_only=True):
        print(f"Indexed and mounted in {time.monotonic() - started:.1f} s")
        outcome = _compare(archive, mountpoint)
    os.rmdir(mountpoint)
    os.unlink(archive)
    return outcome


def _pack(library: str, archive: str, *, quick: bool) -> None:
    names = []
    for parent, directories, files in os.walk(library):
        if parent == library:
            keep = _QUICK_PACKAGES if quick else set(directories) - _NOT_STANDARD
            directories[:] = sorted(keep & set(directories))
        relative = os.path.relpath(parent, library)
        names += [
            os.path.normpath(f"{relative}/{name}") for name in directories + files
        ]
    with (
        Progress("Packing", len(names), "files and directories") as progress,
        tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(names):
            tar.add(os.path.join(library, name), name, recursive=False)
            progress.advance()


def _compare(archive: str, mountpoint: str) -> Outcome:
    """Each member with what the mount shows, and no more names there than members."""
    differences = []
    size = 0
    with tarfile.open(archive, "r:") as tar:
        members = tar.getmembers()
        with Progress("Comparing SHA-256", len(members), "members") as progress:
            for member in members:
                path = os.path.join(mountpoint, member.name)
                if not _is_equal(tar, member, path):
                    differences.append(f"{member.name} in the tar and in the mount")
                size += member.size
                progress.advance()
    shown = {
        os.path.relpath(os.path.join(parent, name), mountpoint)
        for parent, directories, files in os.walk(mountpoint)
        for name in directories + files
    }
    packed = {member.name for member in members}
    differences += [f"{name} only in the tar or the mount" for name in shown ^ packed]
    print(f"{size / 1e6:.0f} MB read through the kernel")
    return Outcome(f"{len(members)} members of the tar", differences)


def _is_equal(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> bool:
    status = os.lstat(path)
    if status.st_mode & 0o7777 != member.mode & 0o7777:
        return False
    if member.issym():
        return os.readlink(path) == member.linkname
    if member.isdir():
        return os.path.isdir(path)
    expected = tar.extractfile(member)
    if expected is None:
        return False
    with expected, open(path, "rb", buffering=0) as file:
        return _sha256(expected) == _sha256(file)


def _sha256(file: IO[bytes]) -> bytes:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.digest()
