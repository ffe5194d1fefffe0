"""What a program sees where a class has no method, and that the kernel stops asking."""

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import stat

import pytest

import fusesg

LIBC = ctypes.CDLL(None, use_errno=True)
CONTENT = b"content of the file"
NAMES = {"file": 2, "dir": 3, "link": 4}
ATTRIBUTES = {
    1: fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755),
    2: fusesg.Attributes(inode=2, mode=stat.S_IFREG | 0o644, size=len(CONTENT)),
    3: fusesg.Attributes(inode=3, mode=stat.S_IFDIR | 0o755),
    4: fusesg.Attributes(inode=4, mode=stat.S_IFLNK | 0o777),
}


class Least(fusesg.Filesystem):
    """What every file system has to have."""

    def lookup(self, parent, name, ctx):
        inode = NAMES.get(name) if parent == 1 else None
        return fusesg.Entry(ATTRIBUTES[inode]) if inode else None

    def getattr(self, inode, handle, ctx):
        return ATTRIBUTES[inode]

    def read(self, inode, handle, offset, size, ctx):
        return CONTENT[offset : offset + size]


class Writable(Least):
    """One modifying method, so that the others are refused one by one."""

    def write(self, inode, handle, offset, data, ctx):
        return len(data)


@contextlib.contextmanager
def opened(path, flags=os.O_RDWR):
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def refused(expected, function, *arguments):
    with pytest.raises(OSError, match=f"Errno {expected}]"):
        function(*arguments)


def requests(mount, operation):
    """How many came to the mount, which has ended, answered by whomever."""
    return mount.statistics()["operations"].get(operation, {"count": 0})["count"]


def call(function, *arguments):
    if (result := function(*arguments)) < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def renameat2(mnt, source, target, flags=0):
    paths = os.fsencode(mnt / source), os.fsencode(mnt / target)
    call(LIBC.renameat2, -100, paths[0], -100, paths[1], flags)


def setattr_(mnt):
    os.utime(mnt / "file", (1, 2))


def fallocate(mnt):
    with opened(mnt / "file") as file:
        call(LIBC.fallocate, file, 0, ctypes.c_long(0), ctypes.c_long(1))


def fsync(mnt):
    with opened(mnt / "file") as file:
        os.fsync(file)


def fsyncdir(mnt):
    with opened(mnt / "dir", os.O_RDONLY) as directory:
        os.fsync(directory)


def write(mnt):
    with opened(mnt / "file", os.O_WRONLY) as file:
        os.pwrite(file, b"x", 0)


MODIFICATIONS = {
    "mkdir": lambda mnt: os.mkdir(mnt / "new"),
    "mknod": lambda mnt: os.mkfifo(mnt / "new"),
    "create": lambda mnt: os.close(os.open(mnt / "new", os.O_CREAT | os.O_WRONLY)),
    "unlink": lambda mnt: os.unlink(mnt / "file"),
    "rmdir": lambda mnt: os.rmdir(mnt / "dir"),
    "rename": lambda mnt: renameat2(mnt, "file", "new"),
    "setattr": setattr_,
    "symlink": lambda mnt: os.symlink("to", mnt / "new"),
    "link": lambda mnt: os.link(mnt / "file", mnt / "new"),
}


@pytest.mark.parametrize("operation", [*MODIFICATIONS, "write"])
def test_a_class_that_modifies_nothing_is_mounted_read_only(
    mounted, mountpoint, operation
):
    modify = MODIFICATIONS.get(operation, write)
    with mounted(Least()):
        assert os.statvfs(mountpoint).f_flag & os.ST_RDONLY
        refused(errno.EROFS, modify, mountpoint)


@pytest.mark.parametrize("operation", MODIFICATIONS)
def test_a_class_that_modifies_something_refuses_the_rest(
    mounted, mountpoint, operation
):
    with mounted(Writable()):
        assert not os.statvfs(mountpoint).f_flag & os.ST_RDONLY
        for _ in range(2):
            refused(errno.EPERM, MODIFICATIONS[operation], mountpoint)


def test_write_is_refused_where_something_else_modifies(mounted, mountpoint):
    class Maker(Least):
        def mkdir(self, parent, name, mode, ctx):
            raise AssertionError

    with mounted(Maker()), pytest.raises(PermissionError) as raised:
        write(mountpoint)
    assert raised.value.errno == errno.EPERM


@pytest.mark.parametrize("method", ["setxattr", "removexattr", "fallocate"])
def test_any_method_that_modifies_makes_the_mount_writable(mounted, mountpoint, method):
    filesystem = Least()
    setattr(filesystem, method, lambda *_: None)
    with mounted(filesystem):
        assert not os.statvfs(mountpoint).f_flag & os.ST_RDONLY
        with pytest.raises(PermissionError):
            os.mkdir(mountpoint / "new")


@pytest.mark.parametrize(
    ("base", "declared", "read_only"),
    [
        (Writable, True, True),
        (Writable, False, False),
        # there is nothing to modify it with
        (Least, False, True),
    ],
)
def test_read_only_can_be_declared(mounted, mountpoint, base, declared, read_only):
    class Declared(base):
        read_only = declared

    with mounted(Declared()):
        assert bool(os.statvfs(mountpoint).f_flag & os.ST_RDONLY) is read_only
        expected = errno.EROFS if read_only else errno.EPERM
        refused(expected, os.mkdir, mountpoint / "new")


def test_create_falls_back_to_mknod_and_open(mounted, mountpoint):
    class Maker(Writable):
        made = ()

        def mknod(self, parent, name, mode, rdev, ctx):
            self.made += ((name, mode),)
            return fusesg.Entry(
                fusesg.Attributes(inode=9, mode=mode, size=len(CONTENT)), 60, 60
            )

    maker = Maker()
    with mounted(maker):
        for name in ("one", "two"):
            fd = os.open(mountpoint / name, os.O_CREAT | os.O_RDWR, 0o600)
            assert os.pread(fd, 100, 0) == CONTENT
            os.close(fd)
    assert maker.made == (("one", stat.S_IFREG | 0o600), ("two", stat.S_IFREG | 0o600))


def test_open_succeeds_and_the_handle_is_none(mounted, mountpoint):
    class Reader(Least):
        handles = ()

        def read(self, inode, handle, offset, size, ctx):
            self.handles += (handle,)
            return super().read(inode, handle, offset, size, ctx)

    reader = Reader()
    with mounted(reader):
        assert (mountpoint / "file").read_bytes() == CONTENT
    assert set(reader.handles) == {None}


def test_opendir_succeeds_and_the_handle_is_none(mounted, mountpoint):
    class Lister(Least):
        handles = ()

        def readdir(self, inode, handle, offset, ctx):
            self.handles += (handle,)
            return []

    lister = Lister()
    with mounted(lister):
        assert os.listdir(mountpoint) == []
    assert lister.handles == (None,)


def lseek(mnt):
    with opened(mnt / "file", os.O_RDONLY) as file:
        assert os.lseek(file, 5, os.SEEK_DATA) == 5
        assert os.lseek(file, 5, os.SEEK_HOLE) == len(CONTENT)
        with pytest.raises(OSError, match="No such device or address"):
            os.lseek(file, len(CONTENT), os.SEEK_DATA)


def poll(mnt):
    with opened(mnt / "file", os.O_RDONLY) as file:
        readable, writable, _ = select.select([file], [file], [], 10)
    assert readable == writable == [file]


def copy_file_range(mnt):
    with opened(mnt / "file") as source, opened(mnt / "file") as target:
        copied = os.copy_file_range(source, target, 5, 0, 100)
    assert copied == 5


UNSUPPORTED = errno.EOPNOTSUPP

ASKED_ONCE = {
    "flush": lambda mnt: (mnt / "file").read_bytes(),
    "fsync": fsync,
    "fsyncdir": fsyncdir,
    "getxattr": lambda mnt: refused(UNSUPPORTED, os.getxattr, mnt / "file", "user.a"),
    "setxattr": lambda mnt: refused(
        UNSUPPORTED, os.setxattr, mnt / "file", "user.a", b""
    ),
    "listxattr": lambda mnt: refused(UNSUPPORTED, os.listxattr, mnt / "file"),
    "removexattr": lambda mnt: refused(
        UNSUPPORTED, os.removexattr, mnt / "file", "user.a"
    ),
    "fallocate": lambda mnt: refused(UNSUPPORTED, fallocate, mnt),
    "lseek": lseek,
    "poll": poll,
    "copy_file_range": copy_file_range,
}


@pytest.mark.parametrize("operation", ASKED_ONCE)
def test_the_kernel_asks_once_and_then_does_without(mounted, mountpoint, operation):
    with mounted(Writable()) as mount:
        for _ in range(3):
            ASKED_ONCE[operation](mountpoint)
    # no FLUSH at all: the open file says that it needs none
    assert requests(mount, operation) == (0 if operation == "flush" else 1)


def test_access_is_asked_once_and_allowed(mounted, mountpoint):
    with mounted(Writable(), default_permissions=False) as mount:
        for _ in range(3):
            assert os.access(mountpoint / "file", os.R_OK | os.W_OK)
    assert requests(mount, "access") == 1


def test_locks_without_methods_are_the_kernels(mounted, mountpoint):
    path = mountpoint / "file"
    with mounted(Writable()) as mount, opened(path) as one, opened(path) as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        refused(errno.EAGAIN, fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(one, fcntl.LOCK_EX)
    assert requests(mount, "setlk") == requests(mount, "getlk") == 0


@pytest.mark.parametrize("method", ["getlk", "setlk"])
def test_locks_with_one_method_of_two_are_the_kernels(mounted, mountpoint, method):
    filesystem = Writable()

    def never(*_):
        raise AssertionError

    setattr(filesystem, method, never)
    with mounted(filesystem), opened(mountpoint / "file") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)


def test_ioctl_is_no_terminal(mounted, mountpoint):
    with mounted(Least()), opened(mountpoint / "file", os.O_RDONLY) as file:
        assert not os.isatty(file)
        refused(errno.ENOTTY, fcntl.ioctl, file, 0x7801)


def test_statfs_is_plausible(mounted, mountpoint):
    with mounted(Least()):
        seen = os.statvfs(mountpoint)
    assert seen.f_bsize >= 512
    assert seen.f_frsize >= 512
    assert seen.f_namemax == 255


def test_readlink_is_invalid(mounted, mountpoint):
    with mounted(Least()):
        refused(errno.EINVAL, os.readlink, mountpoint / "link")


@pytest.mark.parametrize(
    ("method", "use"),
    [
        ("lookup", lambda mnt: os.stat(mnt / "file")),
        ("readdir", os.listdir),
        ("read", lambda mnt: (mnt / "file").read_bytes()),
    ],
)
def test_what_every_file_system_needs_is_told_as_missing(
    mounted, mountpoint, method, use
):
    filesystem = Least()
    setattr(filesystem, method, None)
    with mounted(filesystem):
        refused(errno.ENOSYS, use, mountpoint)


def test_a_class_without_getattr_is_refused(mountpoint):
    with pytest.raises(TypeError, match="Filesystem has no getattr method"):
        fusesg.mount(fusesg.Filesystem(), mountpoint)


def test_super_of_an_absent_method_is_enosys():
    filesystem = fusesg.Filesystem()
    with pytest.raises(OSError, match="mkdir") as raised:
        filesystem.mkdir(1, "new", 0o755, fusesg.Context())
    assert raised.value.errno == errno.ENOSYS
