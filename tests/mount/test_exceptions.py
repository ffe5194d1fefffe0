"""Each row of the table of exceptions: what the caller sees, what the log says."""

import asyncio
import errno
import os
import stat
import threading

import pytest

import fusesg

ROOT = fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)


class Raising(fusesg.Filesystem):
    """Lookups raise what the test wants."""

    error = None

    def getattr(self, inode, handle, ctx):
        return ROOT

    def lookup(self, parent, name, ctx):
        raise self.error


class Unprintable(Exception):  # noqa: N818 - the name says what is wrong with it
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


class Oddity(OSError):  # noqa: N818 - likewise
    """An OSError whose errno is no number."""

    errno = "odd"


def errno_seen(mountpoint):
    try:
        os.stat(mountpoint / "name")
    except OSError as error:
        return errno.errorcode[error.errno]
    return pytest.fail("stat succeeded")


EXPECTED = [
    (FileNotFoundError(errno.ENOENT, "no"), "ENOENT"),
    (OSError(errno.EDQUOT, "full"), "EDQUOT"),
    (OSError(errno.ERFKILL, "not in our own table"), "ERFKILL"),
    (FileNotFoundError(), "ENOENT"),
    (FileNotFoundError("a text only"), "ENOENT"),
    (PermissionError(), "EACCES"),
    (FileExistsError(), "EEXIST"),
    (IsADirectoryError(), "EISDIR"),
    (NotADirectoryError(), "ENOTDIR"),
    (TimeoutError(), "ETIMEDOUT"),
    (InterruptedError(), "EINTR"),
    (BlockingIOError(), "EAGAIN"),
    (BrokenPipeError(), "EPIPE"),
    (ChildProcessError(), "ECHILD"),
    (ProcessLookupError(), "ESRCH"),
    (ConnectionAbortedError(), "ECONNABORTED"),
    (ConnectionRefusedError(), "ECONNREFUSED"),
    (ConnectionResetError(), "ECONNRESET"),
    (NotImplementedError(), "EOPNOTSUPP"),
    (MemoryError(), "ENOMEM"),
]


@pytest.mark.parametrize(
    ("error", "name"), EXPECTED, ids=[repr(error) for error, _ in EXPECTED]
)
def test_expected_errors_are_answered_as_they_are(mounted, mountpoint, error, name):
    filesystem = Raising()
    filesystem.error = error
    with mounted(filesystem):
        seen = errno_seen(mountpoint)
    # one number has two names
    assert getattr(errno, seen) == getattr(errno, name)


UNEXPECTED = [
    (ValueError("a mistake"), "ValueError: a mistake"),
    (OSError(), r"raised an OSError without an errno \(give it one: OSError\("),
    (OSError("a text only"), "without an errno .*OSError: a text only"),
    (
        OSError(errno.ENOSYS, "not here"),
        r"raised ENOSYS, .* never to ask again \(raise .*EOPNOTSUPP.*not here",
    ),
    (OSError(0, "nothing"), "raised an OSError whose errno is no int from 1 to 511;"),
    (OSError(512, "not for user space"), "not for user space"),
    (OSError(2**70, "huge"), "huge"),
    (OSError(-errno.ENOENT, "negative"), "negative"),
    (Oddity(errno.ENOENT, "odd"), "whose errno is no int from 1 to 511;.*odd"),
    (SystemExit(3), "SystemExit: 3"),
    (KeyboardInterrupt("a key"), "KeyboardInterrupt: a key"),
    (asyncio.CancelledError("a task"), "CancelledError: a task"),
    (GeneratorExit(), "GeneratorExit"),
    (RecursionError("deep"), "RecursionError: deep"),
    (Unprintable(), "Unprintable"),
    (ExceptionGroup("several", [OSError(errno.ENOENT, "one")]), "several"),
    (ValueError("long " * 1_000_000), "bytes left out"),
]


@pytest.mark.parametrize(
    ("error", "logged"),
    UNEXPECTED,
    ids=[f"{type(error).__name__}-{logged}" for error, logged in UNEXPECTED],
)
def test_mistakes_are_answered_eio_and_logged(
    mounted, mountpoint, expect_log, error, logged
):
    filesystem = Raising()
    filesystem.error = error
    expect_log(rf"(?s)lookup.*{logged}")
    with mounted(filesystem):
        assert errno_seen(mountpoint) == "EIO"
        # and the mount goes on serving
        assert stat.S_ISDIR(os.stat(mountpoint).st_mode)


def test_the_log_has_the_traceback(mounted, mountpoint, fuse_log):
    class Broken(Raising):
        def lookup(self, parent, name, ctx):
            return {}[name]

    with mounted(Broken()):
        assert errno_seen(mountpoint) == "EIO"
        text = fuse_log.wait_for("KeyError")
    assert "Broken" in text
    assert "return {}[name]" in text


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError]
)
def test_who_was_killed_is_not_told_of_in_the_log(
    mounted, mountpoint, start_python, error
):
    """The callback ends by what it raises when it learns that nobody waits."""

    class Leaving(Raising):
        def lookup(self, parent, name, ctx):
            began.set()
            while not ctx.cancelled:
                pause.wait(0.001)
            ended.set()
            raise error

    began, ended, pause = (threading.Event() for _ in range(3))
    with mounted(Leaving()) as mount:
        child = start_python(
            "import os, sys; os.stat(sys.argv[1])", mountpoint / "name"
        )
        assert began.wait(10)
        child.kill()
        assert ended.wait(10)
        assert mount.statistics()["interrupted"] == 1
