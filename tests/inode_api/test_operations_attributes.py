"""Operations on attributes: what a class is asked, and what the caller gets of it."""

import errno
import os
import stat

import pytest

import fusesg

FILE, LINK = 11, 12
DAY = 86_400 * 10**9


def test_getattr_without_a_handle(recorded, mountpoint):
    os.stat(mountpoint)
    call = recorded.calls("getattr")[0]
    assert call.arguments == (1, None)


def test_getattr_of_an_open_file_has_its_handle(recorded, mountpoint):
    fd = os.open(mountpoint / "file", os.O_RDONLY)
    recorded.forget_calls()
    assert os.lseek(fd, 0, os.SEEK_END) == recorded.attributes[FILE].size
    os.close(fd)
    assert recorded.calls("getattr")[0].arguments == (FILE, f"handle of {FILE}")


def test_every_attribute_is_seen(recorded, mountpoint):
    recorded.attributes[FILE] = shown = fusesg.Attributes(
        inode=FILE,
        mode=stat.S_IFREG | 0o4751,
        size=2**40 + 1,
        nlink=7,
        uid=2**31 + 5,
        gid=77,
        blocks=2**33,
        blksize=65536,
        atime_ns=-5 * DAY - 1,
        mtime_ns=2**33 * 10**9 + 999_999_999,
        ctime_ns=123_456_789,
    )
    seen = os.stat(mountpoint / "file")
    assert (
        seen.st_ino,
        seen.st_mode,
        seen.st_size,
        seen.st_nlink,
        seen.st_uid,
        seen.st_gid,
        seen.st_blocks,
        seen.st_blksize,
        seen.st_atime_ns,
        seen.st_mtime_ns,
        seen.st_ctime_ns,
    ) == (
        shown.inode,
        shown.mode,
        shown.size,
        shown.nlink,
        shown.uid,
        shown.gid,
        shown.blocks,
        shown.blksize,
        shown.atime_ns,
        shown.mtime_ns,
        shown.ctime_ns,
    )


CHANGES = {
    "chmod": (lambda path: os.chmod(path, 0o640), {"mode": 0o640}),
    "chown both": (lambda path: os.chown(path, 12, 34), {"uid": 12, "gid": 34}),
    "chown user": (lambda path: os.chown(path, 12, -1), {"uid": 12}),
    "chown group": (lambda path: os.chown(path, -1, 34), {"gid": 34}),
    "utime": (
        lambda path: os.utime(path, ns=(-DAY, DAY + 1)),
        {"atime_ns": -DAY, "mtime_ns": DAY + 1},
    ),
    "utime now": (os.utime, {"atime_ns": fusesg.NOW, "mtime_ns": fusesg.NOW}),
}


@pytest.mark.requires("root")
@pytest.mark.parametrize(("change", "fields"), CHANGES.values(), ids=list(CHANGES))
def test_setattr_names_what_changes_and_nothing_else(
    recorded, mountpoint, change, fields
):
    change(mountpoint / "file")
    call = recorded.the_call("setattr")
    inode, changes, handle = call.arguments
    assert (inode, handle) == (FILE, None)
    if "mode" in fields:
        assert stat.S_IMODE(changes.mode) == fields["mode"]
    else:
        assert changes.mode is None
    names = ("uid", "gid", "size", "atime_ns", "mtime_ns")
    seen = {name: getattr(changes, name) for name in names}
    assert seen == {name: fields.get(name) for name in names}
    assert changes.kill_suid_sgid is False
    # what the class returned is what is seen, at once
    assert os.stat(mountpoint / "file").st_ctime_ns == 42


def test_truncate_has_no_handle_and_ftruncate_has_one(recorded, mountpoint):
    os.truncate(mountpoint / "file", 5)
    assert recorded.the_call("setattr").arguments[2] is None
    recorded.forget_calls()
    fd = os.open(mountpoint / "file", os.O_RDWR)
    os.ftruncate(fd, 7)
    assert os.fstat(fd).st_size == 7
    os.close(fd)
    _, changes, handle = recorded.the_call("setattr").arguments
    assert (changes.size, handle) == (7, f"handle of {FILE}")


def test_readlink(recorded, mountpoint):
    assert os.readlink(os.fsencode(mountpoint / "link")) == b"target/\xff"
    assert recorded.the_call("readlink").arguments == (LINK,)


def test_access_is_asked_where_the_kernel_does_not_decide(
    mounted, mountpoint, recorder
):
    with mounted(recorder, default_permissions=False):
        assert os.access(mountpoint / "file", os.R_OK | os.X_OK)
        assert not os.access(mountpoint / "file", os.W_OK)
        asked = [
            c.arguments for c in recorder.calls("access") if c.arguments[0] == FILE
        ]
    # refusing is not recorded: the method raised
    assert asked == [(FILE, os.R_OK | os.X_OK)]


def test_statfs(recorded, mountpoint):
    seen = os.statvfs(mountpoint)
    assert recorded.the_call("statfs").arguments == (1,)
    assert (
        seen.f_bsize,
        seen.f_frsize,
        seen.f_blocks,
        seen.f_bfree,
        seen.f_bavail,
        seen.f_files,
        seen.f_ffree,
        seen.f_namemax,
    ) == (8192, 1024, 1000, 900, 800, 700, 600, 100)


def test_getxattr(recorded, mountpoint):
    assert os.getxattr(mountpoint / "file", b"user.\xff") == b"value of user.\xff"
    # once for the value; sizes are the core's work
    assert {c.arguments for c in recorded.calls("getxattr")} == {(FILE, "user.\udcff")}


@pytest.mark.parametrize("value", [b"", b"value \0 with NUL", b"x" * 65536])
@pytest.mark.parametrize("flags", [0, os.XATTR_CREATE, os.XATTR_REPLACE])
def test_setxattr(recorded, mountpoint, value, flags):
    os.setxattr(mountpoint / "file", "user.name", value, flags)
    call = recorded.the_call("setxattr")
    assert call.arguments == (FILE, "user.name", value, flags)
    assert type(call.arguments[2]) is bytes


def test_listxattr(recorded, mountpoint):
    names = os.listxattr(mountpoint / "file")
    assert names == ["user.one", "user.\udcfe"]
    assert {call.arguments for call in recorded.calls("listxattr")} == {(FILE,)}


def test_removexattr(recorded, mountpoint):
    os.removexattr(mountpoint / "file", "user.name")
    assert recorded.the_call("removexattr").arguments == (FILE, "user.name")


@pytest.mark.parametrize(("length", "error"), [(65536, None), (65537, errno.E2BIG)])
def test_a_value_is_as_long_as_the_kernel_takes(
    mounted, mountpoint, recorder, length, error
):
    recorder.getxattr = lambda inode, name, ctx: b"v" * length
    with mounted(recorder):
        if error is None:
            assert os.getxattr(mountpoint / "file", "user.long") == b"v" * length
        else:
            with pytest.raises(OSError, match=f"Errno {error}]"):
                os.getxattr(mountpoint / "file", "user.long")
