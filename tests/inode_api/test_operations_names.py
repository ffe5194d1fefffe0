"""Operations on names: what a class is asked, and what the caller gets of it."""

import ctypes
import os
import socket
import stat

import pytest

import fusesg

MADE, DIRECTORY, FILE = 100, 10, 11
LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100


def test_lookup_gets_parent_and_name_and_its_entry_is_what_stat_shows(
    recorded, mountpoint
):
    found = os.stat(mountpoint / "file")
    call = recorded.calls("lookup")[0]
    assert call.arguments == (1, "file")
    assert type(call.arguments[0]) is int
    assert type(call.arguments[1]) is str
    attributes = call.result.attributes
    assert (found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns) == (
        attributes.inode,
        attributes.mode,
        attributes.size,
        attributes.mtime_ns,
    )


@pytest.mark.parametrize("name", [b"\xff\xfe", "ä€𝄞".encode(), b"a\nb", b"x" * 255])
def test_names_are_any_bytes(recorded, mountpoint, name):
    with pytest.raises(FileNotFoundError):
        os.stat(os.fsencode(mountpoint) + b"/" + name)
    assert recorded.the_call("lookup").arguments == (1, os.fsdecode(name))


def test_lookup_of_none_does_not_exist(recorded, mountpoint):
    with pytest.raises(FileNotFoundError):
        os.stat(mountpoint / "nothing")
    assert recorded.the_call("lookup").result is None


def test_lookup_below_a_directory_has_its_inode_as_parent(recorded, mountpoint):
    with pytest.raises(FileNotFoundError):
        os.stat(mountpoint / "dir" / "nothing")
    assert recorded.calls("lookup")[-1].arguments == (DIRECTORY, "nothing")


def test_forget_gives_back_as_many_lookups_as_were_answered(recorded, mountpoint):
    for _ in range(5):
        os.stat(mountpoint / "file")
    found = len([c for c in recorded.calls("lookup") if c.arguments == (1, "file")])
    os.unlink(mountpoint / "file")  # nothing holds the inode in the kernel any more
    found = len([c for c in recorded.calls("lookup") if c.arguments == (1, "file")])
    assert found >= 5
    call = recorded.the_call("forget")
    assert call.arguments == (FILE, found)
    assert call.ctx is None


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    ("kind", "device"),
    [
        (stat.S_IFIFO, 0),
        (stat.S_IFSOCK, 0),
        (stat.S_IFCHR, os.makedev(5, 1)),
        (stat.S_IFBLK, os.makedev(300, 70_000)),
    ],
)
def test_mknod(recorded, mountpoint, kind, device):
    before = os.umask(0o027)
    try:
        os.mknod(mountpoint / "node", kind | 0o666, device)
    finally:
        os.umask(before)
    call = recorded.the_call("mknod")
    assert call.arguments == (1, "node", kind | 0o640, device)
    assert call.ctx.umask == 0o027
    recorded.names["node"] = MADE
    made = os.stat(mountpoint / "node")
    assert (made.st_mode, made.st_rdev) == (kind | 0o640, device)


def test_a_socket_is_made_by_mknod(recorded, mountpoint):
    with socket.socket(socket.AF_UNIX) as server:
        directory = os.open(mountpoint, os.O_PATH)
        try:
            server.bind(f"/proc/self/fd/{directory}/socket")
        finally:
            os.close(directory)
    parent, name, mode, _ = recorded.the_call("mknod").arguments
    assert (parent, name, stat.S_ISSOCK(mode)) == (1, "socket", True)


def test_mkdir(recorded, mountpoint):
    before = os.umask(0o022)
    try:
        os.mkdir(mountpoint / "new", 0o1775)
    finally:
        os.umask(before)
    call = recorded.the_call("mkdir")
    assert call.arguments == (1, "new", 0o1755)
    assert call.ctx.umask == 0o022


def test_symlink(recorded, mountpoint):
    os.symlink(b"\xff/to", mountpoint / "new")
    assert recorded.the_call("symlink").arguments == (1, "new", "\udcff/to")


def test_link(recorded, mountpoint):
    os.link(mountpoint / "file", mountpoint / "dir" / "new")
    assert recorded.the_call("link").arguments == (FILE, DIRECTORY, "new")


def test_unlink(recorded, mountpoint):
    os.unlink(mountpoint / "file")
    call = recorded.the_call("unlink")
    assert call.arguments == (1, "file")
    assert call.result is None


def test_rmdir(recorded, mountpoint):
    os.rmdir(mountpoint / "dir")
    assert recorded.the_call("rmdir").arguments == (1, "dir")


@pytest.mark.parametrize(
    ("flags", "target"),
    [
        (0, "new"),
        (fusesg.RENAME_NOREPLACE, "new"),
        (fusesg.RENAME_EXCHANGE, "link"),
    ],
)
def test_rename(recorded, mountpoint, flags, target):
    source, to = os.fsencode(mountpoint / "file"), os.fsencode(mountpoint / target)
    assert LIBC.renameat2(AT_FDCWD, source, AT_FDCWD, to, flags) == 0
    assert recorded.the_call("rename").arguments == (1, "file", 1, target, flags)


def test_rename_into_another_directory(recorded, mountpoint):
    os.rename(mountpoint / "file", mountpoint / "dir" / "new")
    call = recorded.the_call("rename")
    assert call.arguments == (1, "file", DIRECTORY, "new", 0)


def test_create(recorded, mountpoint):
    before = os.umask(0o007)
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND
        fd = os.open(mountpoint / "new", flags, 0o666)
    finally:
        os.umask(before)
    assert os.fstat(fd).st_ino == MADE
    os.close(fd)
    call = recorded.the_call("create")
    parent, name, mode, asked = call.arguments
    assert (parent, name, mode) == (1, "new", stat.S_IFREG | 0o660)
    assert asked & (os.O_ACCMODE | os.O_APPEND) == os.O_RDWR | os.O_APPEND
    assert asked & os.O_EXCL
    assert call.ctx.umask == 0o007
    assert recorded.the_call("release").arguments == (MADE, f"handle of {MADE}")


def test_who_asks_is_in_the_context(recorded, mountpoint, as_user):
    directory = os.open(mountpoint, os.O_PATH)
    try:
        thread, _ = as_user(1234, 4321, lambda: os.mkdir("new", dir_fd=directory))
    finally:
        os.close(directory)
    ctx = recorded.the_call("mkdir").ctx
    assert (ctx.uid, ctx.gid, ctx.pid) == (1234, 4321, thread)
    assert ctx.unique > 0
    assert ctx.lock_owner is None
    assert ctx.open_flags == ctx.write_flags == 0
    assert ctx.cancelled is False


def test_every_request_has_its_own_number(recorded, mountpoint):
    for _ in range(10):
        os.stat(mountpoint / "file")
    numbers = [call.ctx.unique for call in recorded.calls("lookup")]
    assert len(set(numbers)) == len(numbers)
