"""A client that is killed while its request is served by a callback that takes long."""

import signal

import pytest

SLOW = """
class Slow(Served):
    operation = None

    def __init__(self):
        super().__init__()
        self.forgotten = threading.Semaphore(0)
        self.released = threading.Semaphore(0)
        self.contexts = []

    def wait(self, operation, ctx):
        if operation == self.operation:
            self.contexts.append(ctx)
            self.reading.set()
            self.go_on.wait()

    def lookup(self, parent, name, ctx):
        self.wait("lookup", ctx)
        if name == "new":
            return None
        return super().lookup(parent, name, ctx)

    def getattr(self, inode, handle, ctx):
        if inode == 2:
            self.wait("getattr", ctx)
        return super().getattr(inode, handle, ctx)

    def open(self, inode, flags, ctx):
        self.wait("open", ctx)
        return fusesg.Opened("handle", direct_io=True)

    def create(self, parent, name, mode, flags, ctx):
        self.wait("create", ctx)
        return fusesg.Entry(FILES["text"]), "handle"

    def mkdir(self, parent, name, mode, ctx):
        self.wait("mkdir", ctx)
        return fusesg.Entry(FILES["directory"])

    def read(self, inode, handle, offset, size, ctx):
        self.wait("read", ctx)
        return bytes(size)

    def write(self, inode, handle, offset, data, ctx):
        self.wait("write", ctx)
        return len(data)

    def readdir(self, inode, handle, offset, ctx):
        self.wait("readdir", ctx)
        return super().readdir(inode, handle, offset, ctx)

    def getxattr(self, inode, name, ctx):
        self.wait("getxattr", ctx)
        return b"value"

    def release(self, inode, handle, ctx):
        self.released.release()

    def forget(self, inode, count):
        self.forgotten.release()

from served import FILES
filesystem = Slow()
"""

CLIENTS = {
    "lookup": "cat text",
    "getattr": "stat text",
    "open": "cat text",
    "create": "touch new",
    "mkdir": "mkdir new",
    "read": "cat text",
    "write": "dd if=/dev/zero of=text bs=4096 count=1 conv=notrunc",
    "readdir": "ls",
    "getxattr": "getfattr -n user.x text",
}

ORDERS = [(operation, "SIGKILL") for operation in CLIENTS]
ORDERS += [("read", "SIGTERM"), ("read", "SIGINT"), ("lookup", "SIGHUP")]


@pytest.mark.parametrize(("operation", "number"), ORDERS)
@pytest.mark.requires("program getfattr")
def test_it_dies_at_once(run_child, operation, number):
    expected = -getattr(signal, number)
    program = f"""
with fusesg.mount(filesystem, mountpoint, attribute_timeout=0) as mount:
    directory = os.open(mountpoint, os.O_RDONLY)
    filesystem.operation = {operation!r}
    client = subprocess.Popen(
        {CLIENTS[operation].split()!r}, cwd=mountpoint, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    assert filesystem.reading.wait(10)
    (ctx,) = filesystem.contexts
    say(ctx.cancelled)
    began = time.monotonic()
    client.send_signal(signal.{number})
    say(client.wait(5))
    took = time.monotonic() - began
    assert took < 1.5, f"it took {{took}} s"
    while not ctx.cancelled:
        assert time.monotonic() - began < 5
    filesystem.operation = None
    filesystem.go_on.set()
    # the late answer leaves no trace: what it handed out is taken back
    if {operation!r} in ("lookup", "create", "mkdir"):
        say("forgotten", filesystem.forgotten.acquire(timeout=10))
    if {operation!r} in ("open", "create"):
        say("released", filesystem.released.acquire(timeout=10))
    say(mount.statistics()["interrupted"])
    os.close(directory)
"""
    result = run_child(SLOW + program)
    assert (result.returncode, result.stderr) == (0, "")
    taken_back = {
        "lookup": "forgotten True\n",
        "mkdir": "forgotten True\n",
        "create": "forgotten True\nreleased True\n",
        "open": "released True\n",
    }
    told = taken_back.get(operation, "")
    assert result.stdout == f"False\n{expected}\n{told}1\n"


def test_a_handled_signal_is_no_reason(run_child):
    """A client that survives the signal gets its answer."""
    program = """
client_program = '''
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: None)
print(len(os.read(os.open(sys.argv[1], os.O_RDONLY), 9)))
'''
with fusesg.mount(filesystem, mountpoint, slow_request_warning=0.3) as mount:
    filesystem.operation = "read"
    client = subprocess.Popen([sys.executable, "-c", client_program, path("text")])
    assert filesystem.reading.wait(10)
    client.send_signal(signal.SIGUSR1)
    # the warning tells that the client has been looked at meanwhile
    while not warned.wait(0.1):
        assert client.poll() is None
    say(filesystem.contexts[0].cancelled)
    filesystem.go_on.set()
    say(client.wait(5))
"""
    handler = """
import logging
warned = threading.Event()
logging.getLogger("fusesg").addFilter(lambda record: warned.set())
"""
    result = run_child(SLOW + handler + program)
    assert result.stdout == "False\n9\n0\n", result.stderr


def test_request_timeout_answers_etimedout(run_child):
    program = """
filesystem.operation = "getxattr"
with fusesg.mount(filesystem, mountpoint, request_timeout=0.3) as mount:
    say(outcome(os.getxattr, path("text"), "user.x"))
    say(filesystem.contexts[0].cancelled, mount.statistics()["timed_out"])
    filesystem.go_on.set()
"""
    result = run_child(SLOW + program)
    assert (result.stdout, result.stderr) == ("ETIMEDOUT\nTrue 1\n", "")


def test_a_slow_request_is_named_once_with_its_age(
    mounted, mountpoint, fuse_log, run_child
):
    program = """
import logging
warned = threading.Event()
logging.getLogger("fusesg").addFilter(lambda record: warned.set() or True)
filesystem.operation = "getxattr"
with fusesg.mount(filesystem, mountpoint, slow_request_warning=0.2) as mount:
    caller = start(os.getxattr, path("text"), "user.x")
    assert warned.wait(10)
    filesystem.go_on.set()
    caller.join()
"""
    result = run_child(SLOW + program)
    (line,) = result.stderr.splitlines()
    assert line.startswith("getxattr (request ")
    assert line.endswith("has been served for 0.2 s") or "for 0." in line
