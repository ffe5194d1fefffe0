"""Every setting of a mount has its effect on a real mount."""

import ctypes
import errno
import logging
import os
import re
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

import fusesg
from fusesg.testing import wait_until

CONTENT = bytes(range(256)) * 8192  # 2 MiB
LIBC = ctypes.CDLL(None, use_errno=True)


class Files(fusesg.Filesystem):
    """`file` with content, `null` (the device), `script`; what is asked is noted."""

    def __init__(self):
        uid = os.geteuid()
        self.attributes = {
            1: fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755),
            2: fusesg.Attributes(
                inode=2, mode=stat.S_IFREG | 0o600, size=len(CONTENT), uid=uid
            ),
            3: fusesg.Attributes(
                inode=3, mode=stat.S_IFCHR | 0o666, rdev=os.makedev(1, 3)
            ),
            4: fusesg.Attributes(inode=4, mode=stat.S_IFREG | 0o4755, size=18),
        }
        self.names = {"file": 2, "null": 3, "script": 4}
        self.opened = None
        self.asked = {"lookup": 0, "getattr": 0, "read": [], "write": [], "flags": []}
        self.changed = threading.Condition()
        self.running = self.most_running = 0
        self.gate = None

    def count(self, name):
        with self.changed:
            self.asked[name] += 1

    def lookup(self, parent, name, ctx):
        self.count("lookup")
        inode = self.names.get(name)
        return fusesg.Entry(self.attributes[inode]) if inode else None

    def getattr(self, inode, handle, ctx):
        self.count("getattr")
        return self.attributes[inode]

    def setattr(self, inode, changes, handle, ctx):
        self.attributes[inode] = changes.apply(self.attributes[inode])
        return self.attributes[inode]

    def open(self, inode, flags, ctx):
        self.asked["flags"].append(flags)
        return self.opened

    def read(self, inode, handle, offset, size, ctx):
        with self.changed:
            self.asked["read"].append(size)
            self.running += 1
            self.most_running = max(self.running, self.most_running)
            self.changed.notify_all()
        if self.gate:
            self.gate.wait(20)
        with self.changed:
            self.running -= 1
        content = CONTENT if inode == 2 else b"#!/bin/sh\nexit 7\n\n"
        return memoryview(content)[offset : offset + size]

    def write(self, inode, handle, offset, data, ctx):
        with self.changed:
            self.asked["write"].append((len(data), ctx.write_flags))
        return len(data)

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), 20)


@pytest.fixture
def files():
    return Files()


def mount_options(path):
    """The options of a mount and of its file system, source and type, by the kernel."""
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        for line in table:
            fields, _, rest = line.partition(" - ")
            _, _, _, _, where, options, *_ = fields.split(" ")
            if where == os.fspath(path):
                kind, source, more = rest.split()
                return {*options.split(","), *more.split(",")}, source, kind
    raise AssertionError(f"nothing is mounted at {path}")


# what fusermount3 grants to nobody else
FOR_ROOT = pytest.mark.requires("root")


@pytest.mark.parametrize(
    ("options", "present", "absent"),
    [
        ({}, {"nosuid", "nodev", "rw", "default_permissions"}, {"allow_other"}),
        pytest.param({"allow_other": True}, {"allow_other"}, set(), marks=FOR_ROOT),
        ({"default_permissions": False}, set(), {"default_permissions"}),
        ({"read_only": True}, {"ro"}, {"rw"}),
        pytest.param({"suid": True}, set(), {"nosuid"}, marks=FOR_ROOT),
        pytest.param({"dev": True}, set(), {"nodev"}, marks=FOR_ROOT),
        ({"exec": False}, {"noexec"}, set()),
        ({"noatime": True}, {"noatime"}, set()),
    ],
)
def test_mount_options(mounted, mountpoint, files, options, present, absent):
    with mounted(files, **options):
        found, _, _ = mount_options(mountpoint)
    assert present <= found
    assert not absent & found


def test_source_and_subtype(mounted, mountpoint, files):
    with mounted(files, source="a source", subtype="my-fs.2"):
        _, source, kind = mount_options(mountpoint)
    assert (source, kind) == (r"a\040source", "fuse.my-fs.2")


@pytest.mark.requires("root")
@pytest.mark.parametrize("allowed", [False, True])
def test_allow_other_lets_other_users_in(mounted, mountpoint, files, as_user, allowed):
    with mounted(files, allow_other=allowed):
        directory = os.open(mountpoint, os.O_PATH)
        try:

            def look():
                try:
                    return os.stat("file", dir_fd=directory).st_size
                except OSError as error:
                    return error.errno

            _, found = as_user(1234, 1234, look)
        finally:
            os.close(directory)
    assert found == (len(CONTENT) if allowed else errno.EACCES)


@pytest.mark.requires("root")
@pytest.mark.parametrize("checked", [True, False])
def test_default_permissions_checks_modes(mounted, mountpoint, files, as_user, checked):
    with mounted(files, allow_other=True, default_permissions=checked):
        directory = os.open(mountpoint, os.O_PATH)
        try:

            def opened():
                try:
                    fd = os.open("file", os.O_RDONLY, dir_fd=directory)
                except OSError as error:
                    return error.errno
                os.close(fd)
                return 0

            _, found = as_user(1234, 1234, opened)
        finally:
            os.close(directory)
    assert found == (errno.EACCES if checked else 0)


def test_read_only_refuses_before_the_class_is_asked(mounted, mountpoint, files):
    refused = pytest.raises(OSError, match="Read-only file system")
    with mounted(files, read_only=True), refused:
        os.truncate(mountpoint / "file", 0)
    assert files.attributes[2].size == len(CONTENT)


@pytest.mark.requires("root")
@pytest.mark.parametrize("allowed", [False, True])
def test_dev_lets_devices_be_opened(mounted, mountpoint, files, allowed):
    with mounted(files, dev=allowed):
        try:
            with open(mountpoint / "null", "wb") as null:
                assert null.write(b"x") == 1
            opened = True
        except PermissionError:
            opened = False
    assert opened is allowed


@pytest.mark.parametrize("allowed", [False, True])
def test_exec_lets_programs_run(mounted, mountpoint, files, allowed):
    with mounted(files, exec=allowed):
        try:
            # not by posix_spawn, which holds the GIL until the program is loaded
            status = subprocess.run(
                [mountpoint / "script"], cwd="/", check=False
            ).returncode
        except PermissionError:
            status = None
    assert status == (7 if allowed else None)


# What the kernel remembers


@pytest.mark.parametrize(("seconds", "expected"), [(0, 5), (60, 1)])
def test_entry_timeout(mounted, mountpoint, files, seconds, expected):
    with mounted(files, entry_timeout=seconds):
        for _ in range(5):
            os.stat(mountpoint / "file")
    assert files.asked["lookup"] == expected


@pytest.mark.parametrize("seconds", [0, 60])
def test_attribute_timeout(mounted, mountpoint, files, seconds):
    with mounted(files, entry_timeout=60, attribute_timeout=seconds):
        os.stat(mountpoint / "file")
        before = files.asked["getattr"]
        for _ in range(5):
            os.stat(mountpoint / "file")
        asked = files.asked["getattr"] - before
    assert asked == 0 if seconds else asked >= 5


@pytest.mark.parametrize(("seconds", "expected"), [(0, 5), (60, 1)])
def test_negative_timeout(mounted, mountpoint, files, seconds, expected):
    with mounted(files, negative_timeout=seconds):
        for _ in range(5):
            assert not (mountpoint / "missing").exists()
    assert files.asked["lookup"] == expected


def test_negative_timeout_holds_for_file_not_found_error_too(
    mounted, mountpoint, files
):
    def lookup(parent, name, ctx):
        files.count("lookup")
        raise FileNotFoundError

    files.lookup = lookup
    with mounted(files, negative_timeout=60):
        for _ in range(5):
            assert not (mountpoint / "missing").exists()
    assert files.asked["lookup"] == 1


def test_an_entry_has_timeouts_of_its_own(mounted, mountpoint, files):
    def lookup(parent, name, ctx):
        files.count("lookup")
        return fusesg.Entry(files.attributes[2], 0 if name == "file" else 60, 60)

    files.lookup = lookup
    with mounted(files, entry_timeout=30):
        for _ in range(5):
            os.stat(mountpoint / "file")
        assert files.asked["lookup"] == 5
        for _ in range(5):
            os.stat(mountpoint / "other")
        assert files.asked["lookup"] == 6


def test_an_entry_with_the_timeout_forever(mounted, mountpoint, files):
    files.lookup = lambda parent, name, ctx: (
        files.count("lookup") or fusesg.Entry(files.attributes[2], float("inf"))
    )
    with mounted(files, entry_timeout=0):
        for _ in range(5):
            os.stat(mountpoint / "file")
    assert files.asked["lookup"] == 1


@pytest.mark.parametrize("written_back", [False, True])
def test_writeback_cache_collects_writes(mounted, mountpoint, files, written_back):
    with mounted(files, writeback_cache=written_back):
        fd = os.open(mountpoint / "file", os.O_WRONLY)
        for _ in range(64):
            os.write(fd, b"x" * 64)
        os.close(fd)
    assert (len(files.asked["write"]) < 64) is written_back
    flags = {flag & fusesg.WRITE_CACHE for _, flag in files.asked["write"]}
    assert flags == ({fusesg.WRITE_CACHE} if written_back else {0})


# Requests


@pytest.mark.parametrize("size", [4096, 65_536, 1_040_384, 1 << 20])
def test_max_write_is_the_size_of_the_largest_request(mounted, mountpoint, files, size):
    files.opened = fusesg.Opened(None, direct_io=True)
    with mounted(files, max_write=size):
        fd = os.open(mountpoint / "file", os.O_RDWR)
        try:
            assert os.pwrite(fd, CONTENT, 0) == len(CONTENT)
            assert os.pread(fd, len(CONTENT), 0) == CONTENT
        finally:
            os.close(fd)
    assert max(length for length, _ in files.asked["write"]) == size
    assert max(files.asked["read"]) == size


def test_max_readahead_limits_cached_reads(mounted, mountpoint, files):
    def read_in_order():
        with open(mountpoint / "file", "rb", buffering=0) as file:
            while file.read(4096):
                pass

    with mounted(files, max_readahead=16_384):
        read_in_order()
    assert max(files.asked["read"]) <= 16_384
    files.asked["read"].clear()
    with mounted(files):
        read_in_order()
    assert max(files.asked["read"]) > 16_384


def connection_limits(mountpoint):
    """max_background and congestion_threshold as the kernel has them."""
    control = "/sys/fs/fuse/connections"
    if not os.listdir(control):
        LIBC.mount(b"fusectl", os.fsencode(control), b"fusectl", 0, None)
    directory = f"{control}/{os.minor(os.stat(mountpoint).st_dev)}"
    return tuple(
        int(Path(directory, name).read_text())
        for name in ("max_background", "congestion_threshold")
    )


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (128, 96)),
        ({"max_background": 12}, (12, 9)),
        ({"max_background": 500, "congestion_threshold": 5}, (500, 5)),
    ],
)
def test_max_background_and_congestion_threshold(
    mounted, mountpoint, files, options, expected
):
    with mounted(files, **options):
        assert connection_limits(mountpoint) == expected


# Threads


@pytest.mark.parametrize("count", [2, 7])
def test_reader_threads(mounted, files, count):
    def readers():
        tasks = Path("/proc/self/task").iterdir()
        names = [(task / "comm").read_text() for task in tasks]
        return sum(name.startswith("fuser-") for name in names)

    with mounted(files, reader_threads=count):
        # a thread gives itself its name, a moment after it was started
        deadline, pause = time.monotonic() + 10, threading.Event()
        while readers() != count and time.monotonic() < deadline:
            pause.wait(0.01)
        assert readers() == count


@pytest.mark.parametrize("limit", [1, 4])
def test_max_python_threads_bounds_the_callbacks_at_one_time(
    mounted, mountpoint, files, limit
):
    files.opened = fusesg.Opened(None, direct_io=True)
    files.gate = threading.Event()

    def read():
        with open(mountpoint / "file", "rb", buffering=0) as file:
            file.read(10)

    clients = [threading.Thread(target=read) for _ in range(20)]
    with mounted(files, max_python_threads=limit, reader_threads=2) as mount:
        for client in clients:
            client.start()
        files.wait_for(lambda files: files.running >= limit)
        files.gate.set()
        for client in clients:
            client.join(20)
        assert len(files.asked["read"]) == 20
        assert mount.statistics()["python"]["threads_peak"] <= limit
    # the readers run callbacks, too
    assert limit <= files.most_running <= limit + 2


# Time


def test_request_timeout_answers_in_place_of_the_callback(mounted, mountpoint, files):
    files.opened = fusesg.Opened(None, direct_io=True)
    files.gate = threading.Event()
    with mounted(files, request_timeout=0.2):
        fd = os.open(mountpoint / "file", os.O_RDONLY)
        try:
            start = time.monotonic()
            with pytest.raises(TimeoutError):
                os.read(fd, 10)
            assert 0.15 < time.monotonic() - start < 10
        finally:
            files.gate.set()
            os.close(fd)


def test_slow_request_warning_names_the_operation(mounted, mountpoint, files, fuse_log):
    files.opened = fusesg.Opened(None, direct_io=True)
    files.gate = threading.Event()
    with mounted(files, slow_request_warning=0.1):
        fd = os.open(mountpoint / "file", os.O_RDONLY)
        try:
            client = threading.Thread(target=lambda: os.read(fd, 10))
            client.start()
            fuse_log.wait_for(r"read.*0\.\d+ ?s|read.*\d+ ms")
            files.gate.set()
            client.join(20)
        finally:
            files.gate.set()
            os.close(fd)


def test_trace_logs_operations_and_answers(mounted, mountpoint, files, caplog):
    traced = caplog.at_level(logging.DEBUG, logger="fusesg.trace")
    with traced, mounted(files, trace=True):
        os.stat(mountpoint / "file")
        wait_until(lambda: re.search("lookup.*file", caplog.text))


# Of single files


def test_direct_io_of_one_open_file(mounted, mountpoint, files):
    for direct_io in (True, False):
        files.asked["read"].clear()
        files.opened = fusesg.Opened(None, direct_io=direct_io)
        with mounted(files):
            fd = os.open(mountpoint / "file", os.O_RDONLY)
            for _ in range(3):
                assert os.pread(fd, 100, 0) == CONTENT[:100]
            os.close(fd)
        # through the page cache it is read once, with what follows
        assert (files.asked["read"] == [100] * 3) is direct_io


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("how", ["Opened", "the class"])
def test_keep_cache(mounted, mountpoint, files, kept, how):
    if how == "Opened":
        files.opened = fusesg.Opened(None, keep_cache=kept)
    else:
        files.keep_cache = kept
    with mounted(files):
        for _ in range(3):
            (mountpoint / "file").read_bytes()
    assert sum(files.asked["read"]) // len(CONTENT) == (1 if kept else 3)


def test_nonseekable(mounted, mountpoint, files):
    files.opened = fusesg.Opened(None, nonseekable=True)
    with mounted(files):
        fd = os.open(mountpoint / "file", os.O_RDONLY)
        try:
            with pytest.raises(OSError, match="Illegal seek"):
                os.lseek(fd, 5, os.SEEK_SET)
        finally:
            os.close(fd)


@pytest.mark.parametrize("unwanted", [False, True])
def test_no_flush(mounted, mountpoint, files, unwanted):
    flushes = []
    files.flush = lambda inode, handle, ctx: flushes.append(inode)
    files.opened = fusesg.Opened(None, no_flush=unwanted)
    with mounted(files):
        (mountpoint / "file").read_bytes()
    assert flushes == ([] if unwanted else [2])


@pytest.mark.parametrize("cached", [False, True])
def test_cache_directory(mounted, mountpoint, files, cached):
    listings = []

    def readdir(inode, handle, offset, ctx):
        listings.append(offset)
        return [fusesg.DirectoryEntry("file", 2, stat.S_IFREG)]

    files.readdir = readdir
    files.opendir = lambda inode, flags, ctx: fusesg.Opened(
        None, cache_directory=cached, keep_cache=cached
    )
    with mounted(files):
        for _ in range(3):
            assert os.listdir(mountpoint) == ["file"]
    assert len(listings) == (1 if cached else 3)


@pytest.mark.parametrize("declared", [False, True])
def test_atomic_o_trunc(mounted, mountpoint, files, declared):
    files.atomic_o_trunc = declared
    with mounted(files):
        os.close(os.open(mountpoint / "file", os.O_WRONLY | os.O_TRUNC))
    assert bool(files.asked["flags"][0] & os.O_TRUNC) is declared
    assert (files.attributes[2].size == 0) is not declared


@pytest.mark.parametrize("declared", [False, True])
def test_cache_symlinks(mounted, mountpoint, files, declared):
    asked = []
    files.cache_symlinks = declared
    files.names["link"] = 5
    files.attributes[5] = fusesg.Attributes(inode=5, mode=stat.S_IFLNK | 0o777, size=4)
    files.readlink = lambda inode, ctx: asked.append(inode) or "file"
    with mounted(files):
        for _ in range(3):
            assert os.readlink(mountpoint / "link") == "file"
    assert len(asked) == (1 if declared else 3)


@pytest.mark.parametrize("name", ["read_only", "readdirplus", "keep_cache"])
def test_a_declaration_that_is_no_bool_is_refused(mountpoint, files, name):
    setattr(files, name, "yes")
    message = rf"Files\.{name} must be True or False, not str"
    with pytest.raises(TypeError, match=message):
        fusesg.mount(files, mountpoint)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_writes": 4096}, TypeError, "did you mean max_write"),
        ({"max_write": 4097}, ValueError, "from 4096 to 16777216 bytes in steps of"),
        ({"reader_threads": 1}, ValueError, "an integer from 2 to 256"),
        ({"threads": 3}, TypeError, "reader_threads .* max_python_threads"),
        ({"request_timeout": 0}, ValueError, "more than 0 .* or None for never"),
        (
            {"writeback_cache": True, "kernel_passthrough": True},
            ValueError,
            "exclude each other",
        ),
    ],
)
def test_mount_refuses_what_config_refuses(mountpoint, files, options, error, message):
    with pytest.raises(error, match=message):
        fusesg.mount(files, mountpoint, **options)


def test_a_single_file_may_be_mounted_over_a_file(mounted, tmp_path, files):
    target = tmp_path / "target"
    target.touch()
    files.attributes[1] = files.attributes[2]
    files.read = lambda inode, handle, offset, size, ctx: b"content"[offset:][:size]
    with mounted(files, at=target):
        assert target.read_bytes().startswith(b"content")
        assert target.stat().st_size == len(CONTENT)
    assert target.read_bytes() == b""


def test_options_of_mount_win_over_its_config(mounted, mountpoint, files):
    config = fusesg.Config(source="from config", subtype="kept")
    with mounted(files, config=config, source="from options"):
        _, source, kind = mount_options(mountpoint)
    assert (source, kind) == (r"from\040options", "fuse.kept")


@pytest.mark.parametrize("config", [{"allow_other": True}, "throughput", 5])
def test_a_config_that_is_none_is_refused(mountpoint, files, config):
    with pytest.raises(TypeError, match=r"config must be a Config, not .*Config\("):
        fusesg.mount(files, mountpoint, config)
    assert not os.path.ismount(mountpoint)
