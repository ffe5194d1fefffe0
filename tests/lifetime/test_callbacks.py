"""Callbacks that misbehave: the one request suffers, the mount goes on."""

import pytest

MISDEEDS = {
    "sys.exit(1)": "EIO",
    "raise KeyboardInterrupt": "EIO",
    "raise GeneratorExit": "EIO",
    "self.getxattr(inode, name, ctx)": "EIO",  # for ever deeper
    "bytearray(1 << 62)": "ENOMEM",
    "list(memoryview(bytes(8)).cast('Q'))[9]": "EIO",
    "del self.__class__.getxattr; raise StopIteration": "EIO",
    "threading.current_thread().join()": "EIO",  # RuntimeError: it would be for ever
    "return inode": "EIO",
}


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_a_misdeed_costs_one_request(run_child, misdeed):
    program = f"""
class Bad(Served):
    def getxattr(self, inode, name, ctx):
        {misdeed}

with fusesg.mount(Bad(), mountpoint):
    say(outcome(os.getxattr, path("text"), "user.x"))
    say(len(open(path("text"), "rb").read()))
"""
    result = run_child(program)
    assert result.stdout == f"{MISDEEDS[misdeed]}\n65536\n"
    assert result.returncode == 0, result.stderr
    assert ("Bad.getxattr" in result.stderr) == (MISDEEDS[misdeed] == "EIO")


def test_exit_in_a_callback_ends_everything(run_child, gone):
    program = """
class Exiting(Served):
    def getxattr(self, inode, name, ctx):
        os._exit(7)

mount = fusesg.mount(Exiting(), mountpoint)
client = subprocess.Popen(["getfattr", "-n", "user.x", path("text")])
client.wait()
"""
    assert run_child(program).returncode == 7
    gone()


USES = {
    "stat": "os.stat(path('text')).st_size",
    "open": "os.close(os.open(path('text'), os.O_RDONLY))",
    "listdir": "len(os.listdir(mountpoint))",
    "read": "len(open(path('text'), 'rb').read())",
    "xattr": "os.getxattr(path('text'), 'user.inner')",
}

CALLERS = {
    "lookup": "os.stat(path('new'))",
    "getattr": "os.stat(path('text'))",
    "open": "os.open(path('text'), os.O_RDONLY)",
    "read": "os.pread(os.open(path('waiting'), os.O_RDONLY), 9, 0)",
    "write": "os.pwrite(os.open(path('waiting'), os.O_WRONLY), b'text', 0)",
    "readdir": "os.listdir(path('directory'))",
    "getxattr": "os.getxattr(path('text'), 'user.outer')",
}


@pytest.mark.parametrize("operation", CALLERS)
def test_a_callback_may_use_its_own_mount(run_child, operation):
    """From within each kind of operation, in every way, with nothing cached."""
    program = f"""
class Using(Served):
    inside = False
    used = []

    def getxattr(self, inode, name, ctx):
        return name.encode()

    def release(self, inode, handle, ctx):
        pass

def wrapped(operation, original):
    def method(self, *arguments):
        if not self.inside and armed.is_set():
            Using.inside = True
            Using.used = {list(USES.values())!r}
            Using.used = [eval(use) for use in Using.used]
        return original(self, *arguments)
    return method

armed = threading.Event()
setattr(Using, {operation!r}, wrapped({operation!r}, getattr(Using, {operation!r})))
filesystem = Using()
filesystem.go_on.set()
with fusesg.mount(filesystem, mountpoint, entry_timeout=0, attribute_timeout=0):
    armed.set()
    outcome(lambda: {CALLERS[operation]})
    say(Using.used)
"""
    result = run_child(program)
    assert result.stdout == "[65536, None, 5, 65536, b'user.inner']\n", result.stderr


def test_blocked_callbacks_stop_nobody(run_child):
    """64 at once, which is `max_python_threads`; readers count besides."""
    program = """
class Counting(Served):
    def __init__(self):
        super().__init__()
        self.blocked = threading.Semaphore(0)

    def getxattr(self, inode, name, ctx):
        self.blocked.release()
        self.go_on.wait()
        return name.encode()

filesystem = Counting()
os_threads = []
with fusesg.mount(filesystem, mountpoint):
    results = []
    for number in range(64):
        call = lambda name: results.append(os.getxattr(path("text"), name))
        os_threads.append(start(call, f"user.{number}"))
    for _ in range(64):
        assert filesystem.blocked.acquire(timeout=10)
    say(len(open(path("text"), "rb").read()), len(os.listdir(mountpoint)))
    filesystem.go_on.set()
    for thread in os_threads:
        thread.join(10)
    say(len(set(results)))
"""
    result = run_child(program)
    assert (result.stdout, result.stderr) == ("65536 5\n64\n", "")


def test_native_operations_go_on_while_every_callback_blocks(run_child, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"native")
    program = """
class Shadow(fusesg.Passthrough):
    blocked = threading.Semaphore(0)
    go_on = threading.Event()

    def statfs(self, inode, ctx):
        self.blocked.release()
        self.go_on.wait()
        return super().statfs(inode, ctx)

with fusesg.mount(Shadow(sys.argv[2]), mountpoint, max_python_threads=4) as mount:
    callers = [start(os.statvfs, mountpoint) for _ in range(12)]
    for _ in range(4):
        assert Shadow.blocked.acquire(timeout=10)
    with open(path("new"), "wb") as file:
        file.write(b"x" * 100_000)
    say(open(path("file"), "rb").read(), os.stat(path("new")).st_size)
    say(sorted(os.listdir(mountpoint)))
    Shadow.go_on.set()
    for caller in callers:
        caller.join()
"""
    result = run_child(program, source)
    assert result.stderr == ""
    assert result.stdout == "b'native' 100000\n['file', 'new']\n"
