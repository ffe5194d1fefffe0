"""Callbacks, threads, deadlines, and the end of a client."""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import fusesg

if TYPE_CHECKING:
    from collections.abc import Callable

    from fusesg.testing import FuseLog, MakeClient

SECONDS = 10.0


class Files(fusesg.Filesystem):
    """Files in one directory; what a test wants to happen, happens in `on`."""

    def __init__(self, **files: bytes) -> None:
        self.names = {name: inode for inode, name in enumerate(files, 2)}
        self.data = {self.names[name]: bytearray(data) for name, data in files.items()}
        self.on: dict[str, Callable[[], object]] = {}
        self.calls: list[str] = []
        self.lookups: dict[int, int] = {}
        self.contexts: list[fusesg.Context] = []
        self.threads: list[int] = []

    def _called(self, name: str, ctx: fusesg.Context | None = None) -> None:
        self.calls.append(name)
        self.threads.append(threading.get_ident())
        if ctx is not None:
            self.contexts.append(ctx)
        self.on.get(name, lambda: None)()

    def init(self) -> None:
        self._called("init")

    def destroy(self) -> None:
        self._called("destroy")

    def _attributes(self, inode: int) -> fusesg.Attributes:
        if inode == 1:
            return fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o777)
        size = len(self.data[inode])
        return fusesg.Attributes(inode=inode, mode=stat.S_IFREG | 0o666, size=size)

    def lookup(self, parent: int, name: str, ctx: fusesg.Context) -> Any:
        self._called("lookup", ctx)
        inode = self.names.get(name)
        if inode is None:
            return None
        self.lookups[inode] = self.lookups.get(inode, 0) + 1
        return fusesg.Entry(self._attributes(inode))

    def getattr(self, inode: int, handle: Any, ctx: fusesg.Context) -> Any:
        return self._attributes(inode)

    def open(self, inode: int, flags: int, ctx: fusesg.Context) -> Any:
        self._called("open", ctx)
        return object()

    def read(
        self, inode: int, handle: Any, offset: int, size: int, ctx: fusesg.Context
    ) -> Any:
        self._called("read", ctx)
        return bytes(self.data[inode][offset : offset + size])

    def write(
        self, inode: int, handle: Any, offset: int, data: Any, ctx: fusesg.Context
    ) -> int:
        self._called("write", ctx)
        self.data[inode][offset : offset + len(data)] = data
        return len(data)

    def flush(self, inode: int, handle: Any, ctx: fusesg.Context) -> None:
        self._called("flush", ctx)

    def release(self, inode: int, handle: Any, ctx: fusesg.Context) -> None:
        self._called("release", ctx)

    def readdir(self, inode: int, handle: Any, offset: int, ctx: fusesg.Context) -> Any:
        self._called("readdir", ctx)
        return [
            fusesg.DirectoryEntry(name, inode, stat.S_IFREG)
            for name, inode in self.names.items()
        ]


def test_the_calling_thread_runs_the_callbacks(fuse_client: MakeClient) -> None:
    files = Files(a=b"text")
    client = fuse_client(files, uid=12, gid=34)
    with client.open_file("a") as file:
        assert file.read() == b"text"
    assert set(files.threads) == {threading.get_ident()}
    assert files.calls == [
        "init", "lookup", "open", "read", "read", "flush", "release",
    ]  # fmt: skip
    context = files.contexts[0]
    assert (context.uid, context.gid, context.pid) == (
        12,
        34,
        threading.get_native_id(),
    )


def test_lookups_are_given_back(fuse_client: MakeClient) -> None:
    class Forgetting(Files):
        given_back = threading.Condition()

        def forget(self, inode: int, count: int) -> None:
            with self.given_back:
                self.lookups[inode] -= count
                self.given_back.notify_all()

    files = Forgetting(a=b"", b=b"")
    client = fuse_client(files)
    client.stat("a")
    fd = client.open("b")
    with files.given_back:
        assert files.given_back.wait_for(lambda: files.lookups == {2: 0, 3: 1}, SECONDS)
    client.close(fd)
    with files.given_back:
        assert files.given_back.wait_for(lambda: files.lookups == {2: 0, 3: 0}, SECONDS)


def test_a_callback_may_use_its_own_client(fuse_client: MakeClient) -> None:
    files = Files(a=b"outer", b=b"inner")
    client = fuse_client(files)
    outer, inner = client.open("a"), client.open("b")
    seen: list[bytes] = []

    def read_the_other() -> None:
        del files.on["read"]
        seen.append(client.pread(inner, 100, 0))

    files.on["read"] = read_the_other
    assert client.pread(outer, 100, 0) == b"outer"
    assert seen == [b"inner"]
    client.close(outer)
    client.close(inner)


def test_many_threads(fuse_client: MakeClient) -> None:
    files = Files(**{f"f{i}": bytes([i]) * 100 for i in range(8)})
    client = fuse_client(files)

    def use(i: int) -> None:
        for _ in range(50):
            fd = client.open(f"f{i}", os.O_RDWR)
            assert client.pread(fd, 100, 0) == bytes([i]) * 100
            assert client.pwrite(fd, bytes([i]), 5) == 1
            client.close(fd)

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(use, range(8)))
    assert client.statistics()["operations"]["open"]["count"] == 400


def test_exceptions_become_errors(fuse_client: MakeClient, fuse_log: FuseLog) -> None:
    files = Files(a=b"")
    client = fuse_client(files)

    def fail(error: BaseException) -> None:
        def raising() -> None:
            raise error

        files.on["lookup"] = raising

    fail(PermissionError())
    with pytest.raises(PermissionError) as raised:
        client.stat("a")
    assert raised.value.filename == "a"
    fail(OSError(errno.ENOSPC, "full"))
    with pytest.raises(OSError, match="No space left"):
        client.stat("a")
    fuse_log.expect("ZeroDivisionError")
    fail(ZeroDivisionError())
    with pytest.raises(OSError, match="Input/output error"):
        client.stat("a")


def test_init_may_fail() -> None:
    files = Files()

    def fail() -> None:
        raise ValueError("not today")

    files.on["init"] = fail
    with pytest.raises(ValueError, match="not today"):
        fusesg.Client(files)
    assert "destroy" not in files.calls


def test_closing_closes_what_is_open() -> None:
    files = Files(a=b"")
    client = fusesg.Client(files)
    client.open("a")
    client.close()
    assert files.calls[-3:] == ["flush", "release", "destroy"]
    assert client.closed
    client.close()
    assert files.calls.count("destroy") == 1
    with pytest.raises(OSError, match="the client is closed"):
        client.stat("a")


def test_flush_with_all_requests_stuck(fuse_client: MakeClient) -> None:
    files = Files(a=b"text")
    client = fuse_client(files, max_requests=1)
    fd = client.open("a")
    begun, leave = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert leave.wait(SECONDS)

    files.on["read"] = hold
    with ThreadPoolExecutor(2) as executor:
        one = executor.submit(client.pread, fd, 4, 0)
        assert begun.wait(SECONDS)
        other = executor.submit(client.pread, fd, 4, 0)
        while client.statistics()["core"]["requests"]["waits"] == 0:
            pass  # there is no event for somebody who waits
        client.close(fd)  # returns although the one request is taken and awaited
        assert files.calls.count("flush") == 1
        assert client.statistics()["core"]["requests"]["reserved_uses"] == 1
        leave.set()
        assert one.result(SECONDS) == other.result(SECONDS) == b"text"
    assert files.calls.count("release") == 1


def test_closing_the_client_ends_requests_under_way() -> None:
    files = Files(a=b"text")
    client = fusesg.Client(files, close_grace=0)
    fd = client.open("a")
    begun, leave = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert leave.wait(SECONDS)

    files.on["read"] = hold
    with ThreadPoolExecutor(1) as executor:
        # on a thread of the client's, whose caller can be told
        read = executor.submit(lambda: run(client.apread(fd, 4, 0)))
        assert begun.wait(SECONDS)
        closing = threading.Thread(target=client.close)
        closing.start()
        leave.set()
        closing.join(SECONDS)
        assert not closing.is_alive()
        assert isinstance(read.exception(SECONDS), OSError) or read.result() == b"text"
    assert files.calls[-1] == "destroy"


def run(awaitable: Any) -> Any:
    import asyncio  # noqa: PLC0415

    return asyncio.run(awaitable)


def test_a_callback_may_close_its_own_client(fuse_client: MakeClient) -> None:
    files = Files(a=b"text")
    client = fuse_client(files, close_grace=SECONDS)
    fd = client.open("a")
    files.on["read"] = client.close
    with pytest.raises(OSError, match="the client is closed"):
        client.pread(fd, 4, 0)
    assert client.closed


def test_absent_operations_are_what_the_kernel_makes_of_them(
    fuse_client: MakeClient,
) -> None:
    class Bare(fusesg.Filesystem):
        def getattr(self, inode: int, handle: Any, ctx: fusesg.Context) -> Any:
            mode = stat.S_IFDIR | 0o755 if inode == 1 else stat.S_IFREG | 0o644
            return fusesg.Attributes(inode=inode, mode=mode, size=5)

        def lookup(self, parent: int, name: str, ctx: fusesg.Context) -> Any:
            return fusesg.Entry(self.getattr(2, None, ctx)) if name == "a" else None

        def read(
            self, inode: int, handle: Any, offset: int, size: int, ctx: fusesg.Context
        ) -> bytes:
            return b"12345"[offset : offset + size]

    client = fuse_client(Bare())
    fd = client.open("a")
    assert client.read(fd, 10) == b"12345"
    client.fsync(fd)
    assert client.lseek(fd, 2, os.SEEK_DATA) == 2
    assert client.lseek(fd, 2, os.SEEK_HOLE) == 5
    with pytest.raises(OSError, match="not supported"):
        client.getxattr("a", "user.x")
    with pytest.raises(OSError, match="Read-only"):
        client.mkdir("b")
    assert client.statvfs("/").f_namemax == 255
    client.close(fd)
    numbers = client.statistics()["operations"]
    for name in ("fsync", "lseek", "getxattr"):
        assert numbers[name]["count"] == 1, f"{name} is not asked for again"


def test_a_signal_ends_the_wait(run_python: Callable[..., Any]) -> None:
    child = run_python(SIGNALLED)
    assert child.stdout.split() == ["interrupted", "ended"], child.stderr
    assert child.returncode == 0


SIGNALLED = """
import os, signal, stat, threading
import fusesg

class Slow(fusesg.Filesystem):
    def getattr(self, inode, handle, ctx):
        mode = stat.S_IFDIR | 0o755 if inode == 1 else stat.S_IFREG | 0o644
        return fusesg.Attributes(inode=inode, mode=mode, size=5)
    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.getattr(2, None, ctx))
    def read(self, inode, handle, offset, size, ctx):
        reader, writer = os.pipe()
        self.writer = writer  # never written to: the client waits for the pipe
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        return fusesg.Pipe(reader, size)

slow = Slow()
client = fusesg.Client(slow, close_grace=0)
fd = client.open("a")
try:
    client.pread(fd, 5, 0)
except KeyboardInterrupt:
    print("interrupted")
os.close(slow.writer)
client.close()
print("ended")
"""


def test_a_key_interrupts_the_program_and_not_the_callback(
    run_python: Callable[..., Any],
) -> None:
    """The callback runs in the program's main thread, where Python handles signals."""
    child = run_python(INTERRUPTED)
    assert child.stdout.split() == ["interrupted", "5"], child.stderr
    assert (child.returncode, child.stderr) == (0, "")


INTERRUPTED = """
import os, signal, stat
import fusesg

class Busy(fusesg.Filesystem):
    busy = True
    def getattr(self, inode, handle, ctx):
        while self.busy:
            Busy.busy = False
            os.kill(os.getpid(), signal.SIGINT)
        return fusesg.Attributes(inode=inode, mode=stat.S_IFDIR | 0o755, size=5)

with fusesg.Client(Busy()) as client:
    try:
        client.stat("/")
    except KeyboardInterrupt:
        print("interrupted")
    print(client.stat("/").st_size)
"""


def test_a_forked_child_leaves_the_client_alone(fuse_client: MakeClient) -> None:
    files = Files(a=b"text")
    client = fuse_client(files)
    fd = client.open("a")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            client.pread(fd, 1, 0)
        except OSError as error:
            os.write(writer, str(error.errno).encode())
        client.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reader, 10) == str(errno.EBADF).encode()
    os.close(reader)
    os.close(writer)
    assert client.pread(fd, 4, 0) == b"text"
    client.close(fd)


def test_a_child_may_have_a_client_of_its_own(run_python: Callable[..., Any]) -> None:
    child = run_python("""
import os
import fusesg
from fusesg.examples.hello import Hello
client = fusesg.Client(Hello())
client.listdir()
pid = os.fork()
with fusesg.Client(Hello()) as own:
    assert own.listdir() == ["hello"]
if pid:
    os.waitpid(pid, 0)
    assert client.listdir() == ["hello"]
    print("both")
""")
    assert child.stdout == "both\n", child.stderr


@pytest.mark.parametrize("end", ["pass", "raise SystemExit(3)", "1 / 0", "del client"])
def test_the_interpreter_may_end_with_an_open_client(
    run_python: Callable[..., Any], end: str
) -> None:
    child = run_python(f"""
import asyncio
import fusesg
from fusesg.examples.hello import Hello
class Told(Hello):
    def destroy(self):
        print("destroyed", flush=True)
client = fusesg.Client(Told())
fd = client.open("hello")
assert asyncio.run(client.apread(fd, 5, 0)) == b"Hello"
{end}
""")
    assert child.stdout == "destroyed\n", child.stderr
    assert child.returncode == {"pass": 0, "del client": 0, "1 / 0": 1}.get(end, 3)


@pytest.mark.requires("root")
def test_neither_root_nor_dev_fuse_is_needed(run_python: Callable[..., Any]) -> None:
    child = run_python("""
import os, tempfile
import fusesg
from fusesg.examples.hello import Hello

with tempfile.TemporaryDirectory() as directory:
    os.chmod(directory, 0o777)
    if pid := os.fork():
        assert os.waitpid(pid, 0)[1] == 0
        raise SystemExit
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
    with fusesg.Client(Hello()) as client:
        assert client.listdir() == ["hello"]
    with fusesg.Client(fusesg.Passthrough(directory)) as client:
        with client.open_file("file", "w") as file:
            file.write(b"text")
        assert client.stat("file").st_uid == 65534
        open_files = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(100)
                      if os.path.lexists(f"/proc/self/fd/{fd}")]
        assert "/dev/fuse" not in open_files
    with open(os.path.join(directory, "file"), "rb") as file:
        print(file.read(), flush=True)
    os._exit(0)
""")
    assert child.stdout == "b'text'\n", child.stderr


def test_deadlines_hold_in_process(fuse_client: MakeClient) -> None:
    reader, writer = os.pipe()

    class Slow(Files):
        def read(
            self, inode: int, handle: Any, offset: int, size: int, ctx: fusesg.Context
        ) -> Any:
            return fusesg.Pipe(reader, size)

    client = fuse_client(Slow(a=b""), request_timeout=0.001)
    fd = client.open("a")
    with pytest.raises(TimeoutError):
        client.pread(fd, 5, 0)
    assert client.statistics()["timed_out"] == 1
    client.close(fd)
    os.close(reader)
    os.close(writer)


def test_a_single_file(fuse_client: MakeClient) -> None:
    class Single(fusesg.Filesystem):
        def getattr(self, inode: int, handle: Any, ctx: fusesg.Context) -> Any:
            return fusesg.Attributes(inode=1, mode=stat.S_IFREG | 0o644, size=4)

        def read(
            self, inode: int, handle: Any, offset: int, size: int, ctx: fusesg.Context
        ) -> bytes:
            return b"text"[offset : offset + size]

    client = fuse_client(Single())
    with client.open_file("/") as file:
        assert file.read() == b"text"
    with pytest.raises(NotADirectoryError):
        client.listdir("/")


def test_the_signal_module_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    with fusesg.Client(Files()):
        assert signal.getsignal(signal.SIGINT) is before
