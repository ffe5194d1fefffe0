"""A thread that holds the GIL and waits for its own mount, and what only looks so."""

import signal

import pytest

MOUNTED = """
filesystem = Served()
mount = fusesg.mount(filesystem, mountpoint, watchdog_timeout=0.5)
"""

HOLDERS = {
    "page fault": """
descriptor = os.open(path("text"), os.O_RDONLY)
mapped = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
mapped[0]
""",
    "read through ctypes": """
libc = ctypes.PyDLL(None, use_errno=True)
descriptor = os.open(path("waiting"), os.O_RDONLY)
filesystem.go_on.set()
buffer = ctypes.create_string_buffer(9)
assert libc.read(descriptor, buffer, 9) == -1
say(errno.errorcode[ctypes.get_errno()])
""",
    "open through ctypes": """
libc = ctypes.PyDLL(None, use_errno=True)
assert libc.open(os.fsencode(path("text")), os.O_RDONLY) == -1
say(errno.errorcode[ctypes.get_errno()])
""",
    "posix_spawn": """
try:
    os.posix_spawn(path("text"), ["text"], {})
except OSError as error:
    say(errno.errorcode[error.errno])
""",
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_gil_and_ones_own_mount_are_no_deadlock(run_child, gone, holder):
    result = run_child(MOUNTED + HOLDERS[holder])
    if holder == "page fault":
        assert result.returncode == -signal.SIGBUS
    else:
        assert (result.returncode, result.stdout) == (0, "EIO\n")
        assert "the GIL could not be had" in result.stderr
        assert "waits for" in result.stderr
    gone()


def test_the_mount_lives_on(run_child):
    program = """
libc = ctypes.PyDLL(None, use_errno=True)
say(libc.open(os.fsencode(path("text")), os.O_RDONLY))
say(mount.is_alive, len(open(path("text"), "rb").read()))
"""
    result = run_child(MOUNTED + program)
    assert result.stdout == "-1\nTrue 65536\n"


def test_a_long_hold_of_the_gil_is_no_deadlock(run_child):
    """Another process waits meanwhile, and is served when the GIL is free again."""
    program = """
libc = ctypes.PyDLL(None)
client = subprocess.Popen(["cat", path("text")], stdout=subprocess.PIPE)
libc.usleep(2_500_000)
say(len(client.stdout.read()), client.wait())
"""
    result = run_child(MOUNTED + program)
    assert (result.stdout, result.stderr) == ("65536 0\n", "")


def test_a_wait_for_something_else_is_no_deadlock(run_child):
    """A callback that blocks, and releases the GIL as all blocking calls do."""
    program = """
reader = start(lambda: say(len(open(path("blocked"), "rb").read())))
filesystem.reading.wait()
threading.Timer(1.5, filesystem.go_on.set).start()
reader.join()
"""
    result = run_child(MOUNTED + program)
    assert (result.stdout, result.stderr) == ("65536\n", "")


def test_what_mount_asks_before_it_returns_is_watched(run_child):
    """Whether the root is a directory, of a class whose methods do not tell."""
    program = """
libc = ctypes.PyDLL(None, use_errno=True)
found = []

class Root(fusesg.Filesystem):
    def getattr(self, inode, handle, ctx):
        if not found:
            found.append(None)
            found[0] = libc.open(os.fsencode(mountpoint), os.O_RDONLY)
            say(errno.errorcode[ctypes.get_errno()])
        return fusesg.Attributes(inode=1, mode=stat.S_IFDIR | 0o755)

with fusesg.mount(Root(), mountpoint, watchdog_timeout=0.5) as mount:
    say(found, mount.is_alive)
"""
    result = run_child(program)
    assert result.stdout == "EIO\n[-1] True\n", result.stderr
