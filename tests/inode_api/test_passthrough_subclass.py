"""Subclasses of Passthrough: single methods overridden, nothing else changed."""

import ctypes
import fcntl
import functools
import os
import stat
import threading
import time

import pytest

import fusesg

from .workout import METHODS, counting, outcome, workout

LIBC = ctypes.CDLL(None, use_errno=True)
MS_NOSUID, MS_NODEV, MS_REMOUNT = 2, 4, 32
SECONDS = 10.0
UNCACHED = {"entry_timeout": 0, "attribute_timeout": 0}

subclass = functools.partial(counting, fusesg.Passthrough)


# Behaviour


@pytest.fixture(scope="module")
def on_the_backing(tmp_path_factory):
    """What the workout sees without any mount."""
    return workout(tmp_path_factory.mktemp("oracle"))


@pytest.mark.parametrize("method", METHODS)
def test_overriding_one_method_changes_nothing(
    mounted, mountpoint, source, on_the_backing, method
):
    filesystem = subclass(method)(source)
    with mounted(filesystem, **UNCACHED):
        assert workout(mountpoint) == on_the_backing
        if method == "forget":
            forget_all(mountpoint)
    assert filesystem.called[method] > 0


@pytest.mark.parametrize("options", [{}, UNCACHED, {"writeback_cache": True}])
def test_overriding_all_methods_changes_nothing(
    mounted, mountpoint, source, on_the_backing, options
):
    filesystem = subclass(*METHODS)(source)
    with mounted(filesystem, **options):
        assert workout(mountpoint) == on_the_backing


def test_a_subclass_without_methods_never_enters_python(
    mounted, mountpoint, source, on_the_backing
):
    with mounted(subclass()(source)) as mount:
        assert workout(mountpoint) == on_the_backing
        assert mount.statistics()["python"]["handles"] == 0


def test_what_a_method_returns_is_what_is_seen(mounted, mountpoint, source):
    (source / "file").write_bytes(b"content")

    class Shout(fusesg.Passthrough):
        def read(self, inode, handle, offset, size, ctx):
            return bytes(super().read(inode, handle, offset, size, ctx)).upper()

    with mounted(Shout(source)):
        assert (mountpoint / "file").read_bytes() == b"CONTENT"


def test_a_copy_does_not_go_past_the_methods_that_decide_what_the_bytes_are(
    mounted, mountpoint, source
):
    (source / "file").write_bytes(b"content")

    class Shout(fusesg.Passthrough):
        def read(self, inode, handle, offset, size, ctx):
            return bytes(super().read(inode, handle, offset, size, ctx)).upper()

    class Rot(fusesg.Passthrough):
        def write(self, inode, handle, offset, data, ctx):
            turned = bytes(byte ^ 0xFF for byte in data)
            return super().write(inode, handle, offset, turned, ctx)

    for filesystem, expected in [
        (Shout(source), b"CONTENT"),
        (Rot(source), bytes(byte ^ 0xFF for byte in b"content")),
    ]:
        with (
            mounted(filesystem),
            open(mountpoint / "file", "rb", buffering=0) as file,
            open(mountpoint / "copy", "wb", buffering=0) as copy,
        ):
            assert os.copy_file_range(file.fileno(), copy.fileno(), 100) == 7
        assert (source / "copy").read_bytes() == expected


# Handles


def test_a_handle_of_ones_own_may_hold_the_native_one(mounted, mountpoint, source):
    (source / "file").write_bytes(b"content")

    class Wrapped(fusesg.Passthrough):
        def open(self, inode, flags, ctx):
            return {"native": super().open(inode, flags, ctx)}

        def read(self, inode, handle, offset, size, ctx):
            return super().read(inode, handle["native"], offset, size, ctx)

        def flush(self, inode, handle, ctx):
            super().flush(inode, handle["native"], ctx)

        def release(self, inode, handle, ctx):
            super().release(inode, handle["native"], ctx)

    with mounted(Wrapped(source)):
        assert (mountpoint / "file").read_bytes() == b"content"


def test_a_foreign_handle_needs_all_methods_that_use_it(
    mounted, mountpoint, source, expect_log
):
    (source / "file").write_bytes(b"content")

    class Foreign(fusesg.Passthrough):
        def open(self, inode, flags, ctx):
            return "a handle of its own"

    expect_log(r"native read cannot use: Foreign\.read must be overridden too")
    with mounted(Foreign(source)):
        fd = os.open(mountpoint / "file", os.O_RDONLY)
        try:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.read(fd, 10)
        finally:
            os.close(fd)


def test_a_handle_of_another_passthrough_is_not_mistaken_for_ones_own(
    mounted, mountpoint, source, tmp_path
):
    lower = tmp_path / "lower"
    lower.mkdir()
    (source / "file").write_bytes(b"upper")
    (lower / "file").write_bytes(b"lower")

    class Overlay(fusesg.Passthrough):
        def __init__(self):
            super().__init__(source)
            self.lower = fusesg.Passthrough(lower)

        def open(self, inode, flags, ctx):
            below = self.lower.lookup(1, "file", ctx)
            return self.lower.open(below.inode, flags, ctx)

        def read(self, inode, handle, offset, size, ctx):
            with pytest.raises(ValueError, match="opened by another file system"):
                super().read(inode, handle, offset, size, ctx)
            return self.lower.read(inode, handle, offset, size, ctx)

    with mounted(Overlay()):
        kept = os.open(mountpoint / "file", os.O_RDONLY)
        assert (mountpoint / "file").read_bytes() == b"lower"
        os.close(kept)


def test_a_file_system_may_use_a_passthrough_without_being_one(
    mounted, mountpoint, source
):
    (source / "file").write_bytes(b"content")

    class Wrapper(fusesg.Filesystem):
        def __init__(self):
            inner = fusesg.Passthrough(source)
            self.lookup, self.getattr, self.forget = (
                inner.lookup,
                inner.getattr,
                inner.forget,
            )
            self.open, self.read, self.release = inner.open, inner.read, inner.release

    with mounted(Wrapper()):
        assert (mountpoint / "file").read_bytes() == b"content"


def test_one_native_handle_is_for_one_open(mounted, mountpoint, source, expect_log):
    (source / "file").write_bytes(b"content")

    class Cached(fusesg.Passthrough):
        kept = None

        def open(self, inode, flags, ctx):
            self.kept = self.kept or super().open(inode, flags, ctx)
            return self.kept

    expect_log(r"Cached\.open returned a native handle for the second time")
    with mounted(Cached(source)), open(mountpoint / "file", "rb") as file:
        with pytest.raises(OSError, match="Input/output error"):
            os.open(mountpoint / "file", os.O_RDONLY)
        assert file.read() == b"content"


def test_a_handle_that_was_opened_and_not_returned_is_closed(
    mounted, mountpoint, source
):
    (source / "file").write_bytes(b"content")

    class Changed(fusesg.Passthrough):
        def open(self, inode, flags, ctx):
            super().open(inode, flags, ctx)
            raise PermissionError

    with mounted(Changed(source)):
        for _ in range(3):
            with pytest.raises(PermissionError):
                os.open(mountpoint / "file", os.O_RDONLY)
        wait_until(lambda: not descriptors(source, path_only=False))


# Lookups


def descriptors(source, *, path_only=True):
    """Descriptors of this process below `source`; O_PATH ones, or the others."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
            flags = fcntl.fcntl(int(descriptor), fcntl.F_GETFL)
        except OSError:
            continue
        if target.startswith(f"{source}/") and bool(flags & os.O_PATH) is path_only:
            found.append(target)
    return found


def wait_until(condition):
    """The kernel tells of closed files and forgotten inodes when it pleases."""
    deadline, pause = time.monotonic() + SECONDS, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        pause.wait(0.005)


def forget_all(mountpoint):
    """Makes the kernel forget what it has cached of one mount."""
    flags = MS_REMOUNT | MS_NOSUID | MS_NODEV
    if LIBC.mount(None, os.fsencode(mountpoint), None, flags, None) != 0:
        raise OSError(ctypes.get_errno(), "remount")


def listing(self, inode, handle, offset, ctx):
    """readdir with attributes, from lookups."""
    for entry in fusesg.Passthrough.readdir(self, inode, handle, offset, ctx):
        if entry.name in {".", ".."}:
            yield entry
        elif found := self.lookup(inode, entry.name, ctx):
            yield fusesg.DirectoryEntry.of(entry.name, found, entry.next_offset)


def without_positions(self, inode, handle, offset, ctx):
    for entry in listing(self, inode, handle, offset, ctx):
        if entry.name not in {".", ".."}:
            yield fusesg.DirectoryEntry.of(entry.name, entry.entry)


def cached_lookup(self, parent, name, ctx):
    """Returns the same Entry again and again."""
    known = self.__dict__.setdefault("known", {})
    if (parent, name) not in known:
        known[parent, name] = fusesg.Passthrough.lookup(self, parent, name, ctx)
    return known[parent, name]


COUNTED = {
    "native": subclass(),
    "lookup": subclass("lookup"),
    "lookup and forget": subclass("lookup", "forget"),
    "all": subclass(*METHODS),
    "readdir": subclass("readdir"),
    "readdirplus": subclass("lookup", readdir=listing, readdirplus=True),
    "readdirplus, snapshots": subclass(readdir=without_positions, readdirplus=True),
    "readdirplus and forget": subclass("forget", readdir=listing, readdirplus=True),
}


def use_names(top):
    for number in range(20):
        (top / f"file-{number}").write_bytes(b"x")
        os.link(top / f"file-{number}", top / f"hard-{number}")
    (top / "dir").mkdir()
    os.symlink("file-1", top / "link")
    for _ in range(3):
        for entry in os.scandir(top):
            entry.stat()
    os.rename(top / "file-0", top / "dir" / "moved")
    assert len(os.listdir(top)) == 41
    # through what a listing told of, not through a lookup
    assert (top / "file-7").read_bytes() == b"x"


@pytest.mark.parametrize("kind", COUNTED)
@pytest.mark.parametrize("options", [{}, UNCACHED, {"entry_timeout": 60}])
def test_every_lookup_is_given_back(mounted, mountpoint, source, kind, options):
    with mounted(COUNTED[kind](source), **options):
        use_names(mountpoint)
        wait_until(lambda: descriptors(source))
        forget_all(mountpoint)
        wait_until(lambda: not descriptors(source))
        # and all is found again
        assert (mountpoint / "dir" / "moved").read_bytes() == b"x"


def test_an_entry_that_is_refused_is_given_back(
    mounted, mountpoint, source, expect_log
):
    (source / "file").write_bytes(b"x")

    class Refused(fusesg.Passthrough):
        def mkdir(self, parent, name, mode, ctx):
            super().mkdir(parent, name, mode, ctx)
            return super().lookup(parent, "file", ctx)

    expect_log(
        r"Refused\.mkdir returned the entry of a regular file, not of a directory"
    )
    with mounted(Refused(source)):
        with pytest.raises(OSError, match="Input/output error"):
            os.mkdir(mountpoint / "dir")
        forget_all(mountpoint)
        wait_until(lambda: not descriptors(source))


def test_an_entry_may_be_kept_and_returned_again(mounted, mountpoint, source):
    (source / "file").write_bytes(b"content")
    filesystem = subclass(lookup=cached_lookup)(source)
    with mounted(filesystem, **UNCACHED):
        for _ in range(3):
            assert (mountpoint / "file").read_bytes() == b"content"
            forget_all(mountpoint)
        # still known, because the class keeps the entry
        assert descriptors(source) == [f"{source}/file"]
        filesystem.known.clear()
        wait_until(lambda: not descriptors(source))


def test_an_entry_kept_by_a_listing_that_is_not_read_on_is_given_back(
    mounted, mountpoint, source
):
    for number in range(300):
        (source / f"file-{number:0100}").touch()
    kind = subclass(readdir=without_positions, readdirplus=True)
    with mounted(kind(source)):
        iterator = os.scandir(mountpoint)
        next(iterator)
        iterator.close()
        forget_all(mountpoint)
        wait_until(lambda: not descriptors(source))


def test_who_keeps_only_the_number_finds_it_stale(source):
    (source / "file").touch()
    filesystem = fusesg.Passthrough(source)
    ctx = fusesg.Context()
    inode = filesystem.lookup(1, "file", ctx).inode
    assert outcome(filesystem.getattr, inode, None, ctx) == "ESTALE"
    kept = filesystem.lookup(1, "file", ctx)
    assert filesystem.getattr(inode, None, ctx).mode == stat.S_IFREG | 0o644
    assert kept.inode == inode
