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


HEALTHY = """
import asyncio

class Using(Served):
    # the thread that has handed the read of `text` to the event loop
    thread = None

    def open(self, inode, flags, ctx):
        return fusesg.Opened(None, direct_io=inode == FILES["mapped"].inode)

    def read(self, inode, handle, offset, size, ctx):
        here = threading.get_native_id()
        if inode == FILES["text"].inode:
            self.thread = here
            return self.later(size)
        if inode == FILES["mapped"].inode and here == self.thread:
            blocked.set()
            return os.pread(text, 1, 0)
        if inode == FILES["waiting"].inode:
            try:
                os.pread(waiting, 1, 0)
            finally:
                ended.set()
        return b"y" * size

    async def later(self, size):
        begun.set()
        await asyncio.to_thread(ended.wait)
        return b"x" * size

from served import FILES

begun, blocked, ended = threading.Event(), threading.Event(), threading.Event()

def client(name, until=b""):
    program = READER.replace("NAME", name).replace("UNTIL", repr(until))
    command = [sys.executable, "-c", program, mountpoint]
    return subprocess.Popen(command, stdout=subprocess.PIPE)

with fusesg.mount(Using(), mountpoint):
    text = os.open(path("text"), os.O_RDONLY)
    waiting = os.open(path("waiting"), os.O_RDONLY)
    clients = [client("text")]
    begun.wait()
    clients.append(client("mapped", b"x"))
    blocked.wait()
    # this one is seen, and so the others have been looked at as often
    clients.append(client("waiting"))
    for each in clients:
        say(each.communicate(timeout=60)[0].decode().strip())
    os.close(waiting)
    os.close(text)
"""

READER = """
import os, sys
fd = os.open(sys.argv[1] + "/NAME", os.O_RDONLY)
try:
    while not (data := os.pread(fd, 1, 0)).startswith(UNTIL):
        pass
except OSError as error:
    print(error.strerror)
else:
    print(data.decode())
"""


def test_a_thread_that_has_handed_its_request_on_may_wait_for_it(run_child):
    result = run_child(f"READER = {READER!r}\n{HEALTHY}", timeout=60)
    assert result.stdout.splitlines()[:2] == ["x", "x"]
    assert result.returncode == 0
    # `waiting`, which the kernel may ask again, and no other
    answered = re.findall(r"of inode (\d+) waited for itself", result.stderr)
    assert set(answered) == {"4"}
