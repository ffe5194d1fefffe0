"""Where the POSIX cases run, and which of them do not apply there, and why."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import fusesg
from fusesg.examples.hello import Hello
from fusesg.examples.memory import MemoryFilesystem
from fusesg.examples.shadow import Shadow
from fusesg.examples.sqlite import SqliteFilesystem
from fusesg.examples.tar import TarFilesystem

from ..path_api.memory import PathMemory  # noqa: TID252 - tests are no package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITABLE = (
    "attributes",
    "directories",
    "files",
    "links",
    "locks",
    "mapping",
    "names",
    "renames",
    "sizes",
    "special",
    "xattrs",
)
"""The groups for file systems that can be written."""

READ_ONLY = ("readonly",)


class Overridden(fusesg.Passthrough):
    """A passthrough whose file bytes all go through Python."""

    def read(self, inode, handle, offset, size, ctx):
        return bytes(super().read(inode, handle, offset, size, ctx))

    def write(self, inode, handle, offset, data, ctx):
        return super().write(inode, handle, offset, bytes(data), ctx)


class Locking(fusesg.Memory):
    """Files in memory whose POSIX locks are a table of the class's own."""

    def __init__(self):
        super().__init__()
        self.table = fusesg.LockTable()

    def getlk(self, inode, handle, lock, ctx):
        return self.table.getlk(inode, lock, ctx)

    def setlk(self, inode, handle, lock, wait, ctx):
        self.table.setlk(inode, lock, ctx)


@dataclass(frozen=True)
class Target:
    """A kind of file system.

    `open(source, directory, mounted)` is a context manager that shows a file system at
    `directory`; `source` is an empty directory to keep its data in.
    """

    name: str
    open: Callable[..., contextlib.AbstractContextManager[Any]]
    groups: tuple[str, ...]
    without: dict[str, str] = field(default_factory=dict)
    """Cases, as group.case, that do not apply, and why."""


@contextlib.contextmanager
def _backing(source: Path, directory: Path, mounted: Any) -> Iterator[None]:
    """The oracle: what the cases are worth is what they find on a plain directory."""
    subprocess.run(["mount", "--bind", source, directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


@contextlib.contextmanager
def _read_only_backing(source: Path, directory: Path, mounted: Any) -> Iterator[None]:
    (source / "file").write_bytes(b"CONTENT")
    with _backing(source, directory, mounted):
        subprocess.run(["mount", "-o", "remount,bind,ro", directory], check=True)
        yield


def _mount(make: Callable[[Path], Any], **options: Any) -> Any:
    """A target that mounts what `make` returns for the source."""

    def open_(source: Path, directory: Path, mounted: Any) -> Any:
        return mounted(make(source), at=directory, **options)

    return open_


def _read_only_passthrough(source: Path) -> fusesg.Passthrough:
    (source / "file").write_bytes(b"CONTENT")
    return fusesg.Passthrough(os.fspath(source))


def _tar(source: Path) -> TarFilesystem:
    (source / "file").write_bytes(b"CONTENT")
    with tarfile.open(source / "archive.tar", "w") as archive:
        archive.add(source / "file", "file")
    return TarFilesystem(os.fspath(source / "archive.tar"))


def _encrypted(source: Path) -> fusesg.Passthrough:
    from fusesg.examples.encrypted import Encrypted  # noqa: PLC0415 - needs a package

    key = source.with_name("key")
    key.write_bytes(bytes(range(64)))
    return Encrypted(os.fspath(source), os.fspath(key))


def _sqlite(source: Path) -> SqliteFilesystem:
    return SqliteFilesystem(os.fspath(source / "files.db"))


def _asynchronous(base: type) -> type:
    """The same class with every method of its own as `async def`."""

    def __init__(self: Any) -> None:  # noqa: N807 - it becomes a method
        # its methods call each other
        self.plain = base()

    def later(name: str) -> Callable[..., Any]:
        async def called(self: Any, *arguments: Any) -> Any:
            await asyncio.sleep(0)
            return getattr(self.plain, name)(*arguments)

        return called

    operations = [name for name in vars(fusesg.Filesystem) if name in vars(base)]
    methods = {
        name: later(name) for name in operations if callable(getattr(base, name))
    }
    return type(f"Async{base.__name__}", (base,), methods | {"__init__": __init__})


class HelloAsFile(Hello):
    """The hello world under the name that the cases look for."""

    def lookup(self, parent, name, ctx):
        return super().lookup(parent, "hello" if name == "file" else "", ctx)

    def readdir(self, inode, handle, offset, ctx):
        return [
            fusesg.DirectoryEntry("file", entry.inode, entry.type)
            for entry in super().readdir(inode, handle, offset, ctx)
        ]


FUSE_TMPFILE = "O_TMPFILE needs FUSE_TMPFILE, which fuser 0.18.0 does not have"

BACKING_WITHOUT = {"xattrs.a_value_of_64_kib_is_kept": "ext4 has a block for them all"}

PASSTHROUGH_WITHOUT = BACKING_WITHOUT | {
    "links.a_temporary_file_needs_no_name": FUSE_TMPFILE
}

NO_FALLOCATE = "the example has no fallocate"
NO_HOLES = "the example does not tell of its holes"

MEMORY_EXAMPLE_WITHOUT = {
    "links.a_temporary_file_needs_no_name": FUSE_TMPFILE,
    "sizes.a_hole_takes_no_space": NO_HOLES,
    "sizes.allocation_can_keep_the_size": NO_FALLOCATE,
    "sizes.allocation_can_punch_holes": NO_FALLOCATE,
    "sizes.allocation_can_zero_a_range": NO_FALLOCATE,
    "sizes.allocation_extends_the_file": NO_FALLOCATE,
    "sizes.offsets_beyond_4_gib": "the example bounds the length of a file",
    "sizes.seek_finds_holes_and_data": NO_HOLES,
    "xattrs.unknown_namespaces_are_refused": "the example keeps any name",
}

ENCRYPTED_WITHOUT = PASSTHROUGH_WITHOUT | {
    f"sizes.allocation_{case}": "zeros within a sector would have to be encrypted"
    for case in ("can_punch_holes", "can_zero_a_range", "extends_the_file")
}

SQLITE_GROUPS = tuple(group for group in WRITABLE if group != "xattrs")
ONE_LINK = "a directory has one link, as on btrfs"
SQLITE_WITHOUT = {
    "directories.a_new_directory_is_empty": ONE_LINK,
    "directories.link_counts_count_subdirectories": ONE_LINK,
    "renames.exchange_across_directories_keeps_the_link_counts": ONE_LINK,
    "renames.moves_a_directory_with_what_is_in_it": ONE_LINK,
    "links.a_temporary_file_needs_no_name": FUSE_TMPFILE,
    "sizes.seek_finds_holes_and_data": NO_HOLES,
} | {
    f"sizes.allocation_{case}": NO_FALLOCATE
    for case in (
        "can_keep_the_size",
        "can_punch_holes",
        "can_zero_a_range",
        "extends_the_file",
    )
}

CONTENT = ("files", "links", "mapping", "renames", "sizes")
"""Groups that read and write files: by the others these are plain passthroughs."""

TARGETS = (
    Target("backing", _backing, WRITABLE, BACKING_WITHOUT),
    Target(
        "passthrough",
        _mount(lambda source: fusesg.Passthrough(os.fspath(source))),
        WRITABLE,
        PASSTHROUGH_WITHOUT,
    ),
    Target(
        "passthrough-by-kernel",
        _mount(
            lambda source: fusesg.Passthrough(os.fspath(source)),
            kernel_passthrough=True,
        ),
        CONTENT,
        PASSTHROUGH_WITHOUT,
    ),
    Target(
        "overridden",
        _mount(lambda source: Overridden(os.fspath(source))),
        WRITABLE,
        PASSTHROUGH_WITHOUT,
    ),
    Target(
        "shadow",
        _mount(lambda source: Shadow(os.fspath(source))),
        CONTENT,
        PASSTHROUGH_WITHOUT
        | {"files.programs_can_be_run": "a capitalised script is another program"},
    ),
    Target(
        "memory",
        _mount(lambda source: fusesg.Memory()),
        WRITABLE,
        {"links.a_temporary_file_needs_no_name": FUSE_TMPFILE},
    ),
    Target(
        "lock-table",
        _mount(lambda source: Locking()),
        ("files", "locks"),
    ),
    Target(
        "memory-example",
        _mount(lambda source: MemoryFilesystem()),
        WRITABLE,
        MEMORY_EXAMPLE_WITHOUT,
    ),
    Target(
        "path-memory",
        _mount(lambda source: PathMemory()),
        WRITABLE,
        MEMORY_EXAMPLE_WITHOUT,
    ),
    Target(
        "path-memory-unnumbered",
        _mount(lambda source: PathMemory(numbered=False)),
        ("files", "names", "renames", "sizes"),
        MEMORY_EXAMPLE_WITHOUT
        | {
            f"renames.{case}": "without inode numbers two names are two files"
            for case in ("onto_another_link_of_the_same_file_does_nothing",)
        },
    ),
    Target("encrypted", _mount(_encrypted), CONTENT, ENCRYPTED_WITHOUT),
    Target("sqlite", _mount(_sqlite), SQLITE_GROUPS, SQLITE_WITHOUT),
    Target(
        "memory-example-async",
        _mount(lambda source: _asynchronous(MemoryFilesystem)()),
        WRITABLE,
        MEMORY_EXAMPLE_WITHOUT,
    ),
    Target("read-only-backing", _read_only_backing, READ_ONLY),
    Target(
        "read-only-passthrough",
        _mount(_read_only_passthrough, read_only=True),
        READ_ONLY,
    ),
    Target("tar", _mount(_tar), READ_ONLY),
    Target("hello", _mount(lambda source: HelloAsFile()), READ_ONLY),
)
