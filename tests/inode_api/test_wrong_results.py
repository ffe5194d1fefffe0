"""What a class must not return: EIO, a line that says why, and the mount goes on."""

import contextlib
import errno
import fcntl
import os
import select
import stat
import struct

import pytest

import fusesg

FILE, DIRECTORY = 2, 3
HUGE, TOO_HUGE = 2**63, 2**200


def attributes(inode, mode, size=0):
    return fusesg.Attributes(inode=inode, mode=mode, size=size)


ATTRIBUTES = {
    1: attributes(1, stat.S_IFDIR | 0o755),
    FILE: attributes(FILE, stat.S_IFREG | 0o644, 4096),
    DIRECTORY: attributes(DIRECTORY, stat.S_IFDIR | 0o755),
    4: attributes(4, stat.S_IFLNK | 0o777),
}
NAMES = {"file": FILE, "dir": DIRECTORY, "link": 4}


def no(*_):
    return None


class Rubbish(fusesg.Filesystem):
    """Right in all, until a test puts one method in its place."""

    def lookup(self, parent, name, ctx):
        inode = NAMES.get(name)
        return fusesg.Entry(ATTRIBUTES[inode], 0, 0) if inode else None

    def getattr(self, inode, handle, ctx):
        return ATTRIBUTES[inode]

    def open(self, inode, flags, ctx):
        return fusesg.Opened(None, direct_io=True)

    def getxattr(self, inode, name, ctx):  # the kernel looks for capabilities
        raise OSError(errno.ENODATA, name)

    read = write = readdir = no
    setattr = mknod = mkdir = symlink = link = create = no
    access = statfs = readlink = no
    listxattr = no
    lseek = copy_file_range = ioctl = poll = getlk = setlk = no


def opened(path, use, flags=os.O_RDWR):
    fd = os.open(path, flags)
    try:
        return use(fd)
    finally:
        os.close(fd)


def getlk(fd):
    request = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    return fcntl.fcntl(fd, fcntl.F_GETLK, request)


USES = {
    "lookup": lambda mnt: os.stat(mnt / "name"),
    "getattr": os.stat,
    "setattr": lambda mnt: os.chmod(mnt / "file", 0o600),
    "readlink": lambda mnt: os.readlink(mnt / "link"),
    "statfs": os.statvfs,
    "mknod": lambda mnt: os.mkfifo(mnt / "new"),
    "mkdir": lambda mnt: os.mkdir(mnt / "new"),
    "symlink": lambda mnt: os.symlink("to", mnt / "new"),
    "link": lambda mnt: os.link(mnt / "file", mnt / "new"),
    "create": lambda mnt: os.open(mnt / "new", os.O_CREAT | os.O_RDWR),
    "read": lambda mnt: opened(mnt / "file", lambda fd: os.pread(fd, 100, 0)),
    "write": lambda mnt: opened(mnt / "file", lambda fd: os.pwrite(fd, b"four", 0)),
    "lseek": lambda mnt: opened(mnt / "file", lambda fd: os.lseek(fd, 0, os.SEEK_DATA)),
    "copy_file_range": lambda mnt: opened(
        mnt / "file", lambda fd: os.copy_file_range(fd, fd, 10, 0, 100)
    ),
    "ioctl": lambda mnt: opened(
        mnt / "file", lambda fd: fcntl.ioctl(fd, 0x8008_7801, bytes(8))
    ),
    "getlk": lambda mnt: opened(mnt / "file", getlk),
    "readdir": os.listdir,
    "getxattr": lambda mnt: os.getxattr(mnt / "file", "user.name"),
    "listxattr": lambda mnt: os.listxattr(mnt / "file"),
}

ENTRY = fusesg.Entry(ATTRIBUTES[FILE])
ENTRY_OF_ROOT = fusesg.Entry(ATTRIBUTES[1])
ENTRY_WITHOUT = fusesg.Entry(attributes(0, stat.S_IFREG | 0o644))


def entries(*names):
    return [fusesg.DirectoryEntry(name, 5, stat.S_IFREG) for name in names]


def raising_halfway(*_):
    yield from entries("one")
    raise ValueError("halfway")


def mixed(*_):
    yield fusesg.DirectoryEntry("one", 5, stat.S_IFREG, next_offset=1)
    yield fusesg.DirectoryEntry("two", 6, stat.S_IFREG)


def in_a_circle(inode, handle, offset, ctx):
    following = {0: 7, 7: 3, 3: 9, 9: 3}
    while True:
        offset = following[offset]
        yield fusesg.DirectoryEntry("name", 5, stat.S_IFREG, next_offset=offset)


def unmoved(inode, handle, offset, ctx):
    yield fusesg.DirectoryEntry("name", 5, stat.S_IFREG, next_offset=max(offset, 4))


class Unprintable:
    def __repr__(self):
        raise ValueError("no repr")


class BadIterator:
    def __iter__(self):
        return self

    def __next__(self):
        return "name"


# method, what it returns, what the log says of it besides Class.method
WRONG = [
    ("lookup", 0, r"returned 0 \(int\); expected an Entry or None"),
    ("lookup", ATTRIBUTES[FILE], r"returned Attributes\(.*expected an Entry or None"),
    ("lookup", Unprintable(), r"returned <unprintable> \(Unprintable\)"),
    ("lookup", (Unprintable(),), r"returned <unprintable> \(tuple\)"),
    ("lookup", ENTRY_OF_ROOT, "inode 1, which is the root"),
    ("lookup", ENTRY_WITHOUT, "inode 0; a name that does not exist is answered None"),
    ("getattr", None, r"returned None; expected Attributes"),
    ("getattr", ENTRY, "expected Attributes"),
    (
        "getattr",
        ATTRIBUTES[FILE],
        "returned a Regular for the root; it must be a Directory",
    ),
    ("setattr", None, "expected Attributes"),
    ("readlink", None, "expected a str of 1 to 4095 bytes"),
    ("readlink", "", "expected a str of 1 to 4095 bytes"),
    ("readlink", "x" * 4096, "expected a str of 1 to 4095 bytes"),
    ("readlink", "with\0NUL", "expected a str of 1 to 4095 bytes"),
    ("readlink", 5, "expected a str of 1 to 4095 bytes"),
    ("statfs", None, "expected FilesystemStatistics"),
    ("statfs", os.statvfs("/"), "expected FilesystemStatistics"),
    ("mknod", None, "expected an Entry"),
    ("mknod", ENTRY, "returned the entry of a regular file, not of a FIFO"),
    ("mkdir", None, "expected an Entry"),
    ("mkdir", 0, r"returned 0 \(int\); expected an Entry"),
    ("setattr", 0, r"returned 0 \(int\); expected Attributes"),
    ("mkdir", ENTRY, "returned the entry of a regular file, not of a directory"),
    ("symlink", None, "expected an Entry"),
    ("symlink", ENTRY, "returned the entry of a regular file, not of a symbolic link"),
    ("link", None, "expected an Entry"),
    ("link", ENTRY_OF_ROOT, "inode 1, which is the root"),
    ("create", None, r"expected \(Entry, handle\)"),
    ("create", ENTRY, r"expected \(Entry, handle\)"),
    ("create", (ENTRY,), r"expected \(Entry, handle\)"),
    ("create", [ENTRY, None], r"expected \(Entry, handle\)"),
    ("create", (None, ENTRY), "expected an Entry, then a handle"),
    (
        "create",
        (fusesg.Entry(ATTRIBUTES[DIRECTORY]), None),
        "returned the entry of a directory, not of a regular file",
    ),
    ("read", None, r"returned no data: .*return b\"\" at the end"),
    ("read", "text", "returned no data: .*encode it first"),
    ("read", 5, "returned no data: .*a Fetch, or a list of these.*got int"),
    ("read", [b"x", None], "returned no data"),
    ("read", b"x" * 101, "returned 101 bytes; asked for were 100"),
    ("read", fusesg.Zeros(2**60), "asked for were 100"),
    ("read", memoryview(b"x" * 200)[::2], "not contiguous"),
    ("write", None, "expected an int from 0 to 4"),
    ("write", 5, "returned 5 .*expected an int from 0 to 4"),
    ("write", -1, "expected an int from 0 to 4"),
    ("write", TOO_HUGE, "expected an int from 0 to 4"),
    ("write", 4.0, "expected an int from 0 to 4"),
    ("write", "4", "expected an int from 0 to 4"),
    ("write", True, r"returned True \(bool\); expected an int from 0 to 4"),
    ("lseek", None, "expected an int"),
    ("lseek", False, r"returned False \(bool\); expected an int"),
    ("lseek", -1, "expected an int"),
    ("lseek", HUGE, "expected an int"),
    ("copy_file_range", 11, "expected an int from 0 to 10"),
    ("copy_file_range", None, "expected an int from 0 to 10"),
    ("ioctl", None, r"expected bytes or \(int, bytes\), at most 8 bytes"),
    ("ioctl", b"x" * 9, "at most 8 bytes"),
    ("ioctl", (1, "text"), "at most 8 bytes"),
    ("getlk", None, "expected a Lock"),
    ("getxattr", None, "expected bytes"),
    ("getxattr", "text", "expected bytes"),
    ("listxattr", None, "expected an iterable of str"),
    ("listxattr", "text", "expected an iterable of str"),
    ("listxattr", [""], "expected an iterable of str"),
    ("listxattr", ["with\0NUL"], "expected an iterable of str"),
    ("listxattr", [5], "expected an iterable of str"),
    ("readdir", None, "expected an iterable of DirectoryEntry"),
    ("readdir", 5, "expected an iterable of DirectoryEntry"),
    ("readdir", ["name"], r"returned 'name' \(str\); expected entries that are"),
    ("readdir", "text", "expected entries that are DirectoryEntry"),
    ("readdir", [None], "expected entries that are DirectoryEntry"),
    (
        "readdir",
        [fusesg.DirectoryEntry("name", 0, stat.S_IFREG)],
        "expected entries with an inode above 0",
    ),
    ("readdir", [("name", ENTRY)], "expected entries that are DirectoryEntry"),
    ("readdir", BadIterator(), "expected entries that are DirectoryEntry"),
]


@pytest.mark.parametrize(
    ("method", "returned", "logged"),
    WRONG,
    ids=[f"{method}-{type(returned).__name__}" for method, returned, _ in WRONG],
)
def test_a_wrong_result_is_eio_and_named_in_the_log(
    mounted, mountpoint, fuse_log, method, returned, logged
):
    filesystem = Rubbish()
    right, is_wrong = getattr(filesystem, method), True
    setattr(filesystem, method, lambda *args: returned if is_wrong else right(*args))
    with mounted(filesystem):
        with pytest.raises(OSError, match="Input/output error"):
            USES[method](mountpoint)
        fuse_log.wait_for(rf"^Rubbish\.{method} (?s:.*)({logged})")
        is_wrong = False
        assert os.stat(mountpoint / "file").st_ino == FILE


def locked(fd):
    fcntl.lockf(fd, fcntl.LOCK_EX)


# methods that have nothing to tell, and how they are called
NOTHING = {
    "unlink": lambda mnt: os.unlink(mnt / "file"),
    "rmdir": lambda mnt: os.rmdir(mnt / "dir"),
    "rename": lambda mnt: os.rename(mnt / "file", mnt / "new"),
    "access": lambda mnt: os.chdir(mnt / "dir"),
    "setxattr": lambda mnt: os.setxattr(mnt / "file", "user.name", b""),
    "removexattr": lambda mnt: os.removexattr(mnt / "file", "user.name"),
    "fsync": lambda mnt: opened(mnt / "file", os.fsync),
    "flush": lambda mnt: opened(mnt / "file", lambda _: None),
    "fallocate": lambda mnt: opened(
        mnt / "file", lambda fd: os.posix_fallocate(fd, 0, 9000)
    ),
    "setlk": lambda mnt: opened(mnt / "file", locked),
}


@pytest.mark.parametrize("returned", [0, -errno.EACCES, False, True])
@pytest.mark.parametrize("method", NOTHING)
def test_a_number_is_no_success(mounted, mountpoint, fuse_log, method, returned):
    """As C has it, and fusepy; os.access() says no by False."""
    filesystem = Rubbish()
    setattr(filesystem, method, lambda *_: returned)
    with mounted(filesystem, default_permissions=False):
        with pytest.raises(OSError, match="Input/output error"):
            NOTHING[method](mountpoint)
        fuse_log.wait_for(
            rf"^Rubbish\.{method} returned {returned} \(\w+\); expected None"
        )


@pytest.mark.parametrize("method", ["write", "write_plan"])
def test_a_write_of_nothing_is_told_once(mounted, mountpoint, fuse_log, method):
    class Buffered(Rubbish):
        open = no

    filesystem = Buffered()
    nothing = {"write": 0, "write_plan": []}[method]
    setattr(filesystem, method, lambda *_: nothing)
    with mounted(filesystem) as mount:
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                opened(mountpoint / "file", lambda fd: os.pwrite(fd, b"four", 0))
        assert mount.statistics()["operations"]["write"]["count"] == 2
        fuse_log.wait_for(
            rf"^Buffered\.{method} took none of \d+ bytes.* how many .*OSError\(errno"
        )
    assert len([line for line in fuse_log.messages if "took none of" in line]) == 1


RAISING = {
    "readdir, halfway": ("readdir", raising_halfway, "ValueError: halfway"),
    "readdir, mixed": ("readdir", mixed, "next_offset with some entries and not"),
    "readdir, in a circle": ("readdir", in_a_circle, "next_offset=.* must lead on"),
    "readdir, unmoved": ("readdir", unmoved, "next_offset=4 .* must lead on"),
    "listxattr, halfway": ("listxattr", raising_halfway, "expected an iterable of str"),
}


@pytest.mark.parametrize(
    ("method", "function", "logged"), RAISING.values(), ids=list(RAISING)
)
def test_an_iterable_may_fail_late(
    mounted, mountpoint, fuse_log, method, function, logged
):
    filesystem = Rubbish()
    setattr(filesystem, method, function)
    with mounted(filesystem):
        with pytest.raises(OSError, match="Input/output error"):
            USES[method](mountpoint)
        fuse_log.wait_for(rf"Rubbish\.{method}(?s:.*){logged}")
        os.stat(mountpoint / "file")


@pytest.mark.parametrize("events", [None, -1, TOO_HUGE, "text"])
def test_a_wrong_result_of_poll_is_an_error_event(
    mounted, mountpoint, fuse_log, events
):
    filesystem = Rubbish()
    filesystem.poll = lambda *_: events
    with mounted(filesystem):
        fd = os.open(mountpoint / "file", os.O_RDONLY)
        try:
            poll = select.poll()
            poll.register(fd)
            assert poll.poll(0) == [(fd, select.POLLERR)]
        finally:
            os.close(fd)
        fuse_log.wait_for(r"Rubbish\.poll.*expected an int")


@pytest.mark.parametrize(
    "name", ["", "a/b", "with\0NUL", "x" * 256, "ä" * 128, 5, None]
)
def test_impossible_names_cannot_be_entries(name):
    with pytest.raises((ValueError, TypeError), match="name"):
        fusesg.DirectoryEntry(name, 5, stat.S_IFREG)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("name", -1, stat.S_IFREG), "inode=-1 is not within"),
        (("name", TOO_HUGE, stat.S_IFREG), "inode=.* is not within"),
        (("name", 5, 0o644), "names no file type"),
        (("name", 5, stat.S_IFREG, None, 0), "next_offset=0 is not within"),
        (("name", 5, stat.S_IFREG, None, HUGE), "next_offset=.* is not within"),
    ],
)
def test_impossible_numbers_cannot_be_entries(arguments, message):
    with pytest.raises(ValueError, match=message):
        fusesg.DirectoryEntry(*arguments)


def test_what_raises_while_it_is_shown_harms_nobody(mounted, mountpoint, fuse_log):
    class Unprintable:
        def __repr__(self):
            raise SystemExit

    filesystem = Rubbish()
    filesystem.statfs = lambda *_: Unprintable()
    with mounted(filesystem):
        with pytest.raises(OSError, match="Input/output error"):
            os.statvfs(mountpoint)
        fuse_log.wait_for(r"Rubbish\.statfs returned .*Unprintable.*answered EIO")
        os.stat(mountpoint / "file")


def test_a_file_that_changes_its_type_is_an_error_for_itself_only(mounted, mountpoint):
    class Changing(Rubbish):
        now = ATTRIBUTES[FILE]

        def getattr(self, inode, handle, ctx):
            return self.now if inode == FILE else ATTRIBUTES[inode]

    filesystem = Changing()
    with mounted(filesystem, entry_timeout=0, attribute_timeout=0):
        fd = os.open(mountpoint / "file", os.O_RDONLY)
        try:
            filesystem.now = ATTRIBUTES[DIRECTORY]
            with pytest.raises(OSError, match="Input/output error"):
                os.fstat(fd)
        finally:
            with contextlib.suppress(OSError):  # the inode is a bad one now
                os.close(fd)
        assert os.stat(mountpoint / "dir").st_ino == DIRECTORY


def test_what_a_method_that_returns_nothing_returns_is_ignored(mounted, mountpoint):
    filesystem = Rubbish()
    for method in ("unlink", "rmdir", "rename", "setxattr", "fsync", "flush"):
        setattr(filesystem, method, lambda *_: "whatever")
    with mounted(filesystem):
        os.unlink(mountpoint / "file")
        os.rmdir(mountpoint / "dir")
        os.setxattr(mountpoint / "file", "user.name", b"")
        opened(mountpoint / "file", os.fsync)
