"""Callbacks that use, through the mount, the very file whose request they carry out.

The kernel has that file locked until the answer, and no signal ends a wait for a lock.
"""

import re

import pytest

WAITED = r"waited for itself: .* answered EDEADLK"

PROGRAM = """
class Using(Served):
    used = []

    def use(self, call):
        if armed.is_set():
            try:
                call()
            except OSError as error:
                self.used.append(error.errno)
            else:
                self.used.append("success")

    def open(self, inode, flags, ctx):
        return None

    def read(self, inode, handle, offset, size, ctx):
        name = next(name for name, at in FILES.items() if at.inode == inode)
        self.use(lambda: reading(name, offset))
        return b"x" * size

    def write(self, inode, handle, offset, data, ctx):
        self.use(writing)
        return len(data)

    def setattr(self, inode, changes, handle, ctx):
        self.use(truncating)
        return changes.apply(self.getattr(inode, handle, ctx))

    def mkdir(self, parent, name, mode, ctx):
        self.use(listing)
        return fusesg.Entry(FILES["directory"])

from served import FILES

armed = threading.Event()
filesystem = Using()
with fusesg.mount(filesystem, mountpoint) as mount:
    text = os.open(path("text"), os.O_RDWR)
    mapped = os.open(path("mapped"), os.O_RDWR)
    root = os.open(mountpoint, os.O_RDONLY)
    armed.set()
    # a process of its own: what waits in the kernel is not what the watchdog looks for
    client = subprocess.run([sys.executable, "-c", CLIENT, mountpoint], timeout=60)
    armed.clear()
    os.close(root)
    os.close(mapped)
    os.close(text)
    say(os.statvfs(mountpoint).f_bsize > 0)
say(filesystem.used)
"""

USES = """
def reading(name, offset): return READ
def writing(): os.pwrite(text, b"x", 0)
def truncating(): os.ftruncate(text, 5)
def listing(): return os.listdir(root)
"""

CLIENT = """
import errno, os, sys
os.chdir(sys.argv[1])
try:
    CALL
except OSError as error:
    # the number has two names
    is_deadlock = error.errno == errno.EDEADLK
    os.write(1, b"EDEADLK\\n" if is_deadlock else repr(error).encode())
else:
    os.write(1, b"success\\n")
"""

OWN = "os.pread(text, 1, offset) and None"
OTHER = "os.pread({'text': mapped, 'mapped': text}[name], 1, 0) and None"

CASES = {
    "its pages": (OWN, "os.pread(os.open('text', os.O_RDONLY), 10, 0)"),
    "each other's pages": (OTHER, "os.pread(os.open('text', os.O_RDONLY), 10, 0)"),
    "the file it writes": (OWN, "os.pwrite(os.open('text', os.O_WRONLY), b'x', 0)"),
    "the file it truncates": (OWN, "os.truncate('text', 3)"),
    "the directory it changes": (OWN, "os.mkdir('new')"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_callback_that_waits_for_itself_is_answered(run_child, case):
    read, call = CASES[case]
    client = CLIENT.replace("CALL", call)
    program = USES.replace("READ", read) + f"CLIENT = {client!r}\n" + PROGRAM
    result = run_child(program, timeout=60)
    client, goes_on = result.stdout.splitlines()[:2]
    # of two that wait for each other one fails, and the kernel may ask the other again
    assert client == "EDEADLK" or (case == "each other's pages" and client == "success")
    assert goes_on == "True"
    assert result.returncode == 0
    assert re.search(WAITED, result.stderr)
