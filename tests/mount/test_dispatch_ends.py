"""However the process ends, or forks: no dead mount point, no hung process.

Each in a child process that has a file of its own mount open.
"""

import signal

import pytest

PROGRAM = """
import errno, mmap, os, stat, sys, threading, time, ctypes
import fusesg

class Files(fusesg.Filesystem):
    def getattr(self, inode, handle, ctx):
        if inode == 1:
            return fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)
        return fusesg.Attributes(inode=inode, mode=stat.S_IFREG | 0o644, size=4096)

    def lookup(self, parent, name, ctx):
        return fusesg.Entry(self.getattr({"file": 2, "stuck": 3}[name], None, ctx))

    def open(self, inode, flags, ctx):
        return object()

    def read(self, inode, handle, offset, size, ctx):
        if inode == 3:
            print("stuck", flush=True)
            time.sleep(1000)
        return b"x" * size

class Flushing(Files):
    def flush(self, inode, handle, ctx):
        pass

path = sys.argv[1]
"""

# In short naps: a signal that comes just before one begins is noticed when it ends.
SLEEP = "while True: time.sleep(0.1)"

ENDS = {
    "return": ("pass", 0),
    "exception": ("raise ValueError", 1),
    "sys.exit": ("sys.exit(4)", 4),
    "os._exit": ("os._exit(7)", 7),
    "SIGINT": (SLEEP, -signal.SIGINT),
    "SIGTERM": (SLEEP, -signal.SIGTERM),
    "SIGKILL": (SLEEP, -signal.SIGKILL),
}


@pytest.mark.parametrize("kind", ["Files", "Flushing"])
@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_the_process(
    start_python, mountpoint, end, kind, wait_until_unmounted
):
    statement, code = ENDS[end]
    child = start_python(
        PROGRAM
        + f"""
mount = fusesg.mount({kind}(), path)
file = open(path + "/file", "rb")
file.read(10)
print("ready", flush=True)
{statement}
""",
        mountpoint,
    )
    assert child.read_line() == "ready"
    if end.startswith("SIG"):
        child.send_signal(getattr(signal, end))
    assert child.finish(timeout=20).returncode == code
    wait_until_unmounted()


@pytest.mark.parametrize("end", ["return", "SIGINT", "SIGKILL"])
def test_the_end_of_the_process_with_a_stuck_callback(
    start_python, mountpoint, end, wait_until_unmounted
):
    statement, code = ENDS[end]
    child = start_python(
        PROGRAM
        + f"""
mount = fusesg.mount(Files(), path)
reader = threading.Thread(target=lambda: open(path + "/stuck").read(), daemon=True)
reader.start()
sys.stdin.readline()
{statement}
""",
        mountpoint,
        stdin=-1,
    )
    assert child.read_line() == "stuck"
    child.stdin.write("go on\n")
    child.stdin.flush()
    if end.startswith("SIG"):
        child.send_signal(getattr(signal, end))
    assert child.finish(timeout=30).returncode == code
    wait_until_unmounted()


def test_a_forked_child_harms_nothing(run_python, mountpoint):
    result = run_python(
        PROGRAM
        + """
mount = fusesg.mount(Files(), path)
pid = os.fork()
if pid == 0:
    mount.unmount()
    mount.abort()
    mount.invalidate_inode(1)
    assert not mount.is_alive and mount.wait(0)
    own = path + "-child"
    os.mkdir(own)
    with fusesg.mount(Files(), own):
        assert len(open(own + "/file").read()) == 4096
    assert len(open(path + "/file").read()) == 4096
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert mount.is_alive
assert len(open(path + "/file").read()) == 4096
mount.unmount()
print("fine")
""",
        mountpoint,
    )
    assert result.stdout == "fine\n", result.stderr


def test_a_mapped_file_of_ones_own_mount(run_python, mountpoint, wait_until_unmounted):
    """The page fault holds the GIL: the watchdog ends it by SIGBUS; nothing hangs."""
    result = run_python(
        PROGRAM
        + """
mount = fusesg.mount(Files(), path, watchdog_timeout=0.5)
file = open(path + "/file", "rb")
mapped = mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ)
mapped[0]
""",
        mountpoint,
        timeout=20,
    )
    assert result.returncode == -signal.SIGBUS
    wait_until_unmounted()


def test_calls_that_keep_the_gil_into_ones_own_mount(run_python, mountpoint):
    result = run_python(
        PROGRAM
        + """
libc = ctypes.PyDLL(None, use_errno=True)
with fusesg.mount(Files(), path, watchdog_timeout=0.5) as mount:
    os.stat(path + "/file")
    name = os.fsencode(path + "/file")
    mount.invalidate_entry(1, "file")
    mount.invalidate_inode(1)
    while libc.access(name, 0) == 0:
        mount.invalidate_inode(1)
    assert ctypes.get_errno() == errno.EIO
    try:
        ctypes.CDLL(path + "/file")
    except OSError:
        print("no library", flush=True)
    # the mount lives on
    assert len(open(path + "/file").read()) == 4096
""",
        mountpoint,
        timeout=30,
    )
    assert result.stdout == "no library\n", result.stderr
    assert "the GIL could not be had" in result.stderr
