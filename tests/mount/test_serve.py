"""`fusesg.serve` in the foreground, and the ways in which a process ends."""

from __future__ import annotations

import os
import signal

import pytest

import fusesg
from fusesg.examples.hello import Hello

HELLO = """
import os, signal, sys, threading
import fusesg
from fusesg.examples.hello import Hello
mountpoint = sys.argv[1]
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_unmounts_and_handlers_come_back(start_python, mountpoint, number):
    program = """
def before(number, frame): print("handled", number, flush=True)
signal.signal(signal.SIGTERM, before)
default = signal.getsignal(signal.SIGINT)
fusesg.serve(Hello(), mountpoint, on_ready=lambda mount: print(mount.path, flush=True))
assert signal.getsignal(signal.SIGINT) is default
signal.raise_signal(signal.SIGTERM)
"""
    child = start_python(HELLO + program, mountpoint)
    assert child.read_line() == str(mountpoint)
    assert (mountpoint / "hello").read_text() == "Hello from Python\n"
    child.send_signal(number)
    result = child.finish()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"handled {signal.SIGTERM.value}\n"
    assert not mountpoint.is_mount()


def test_an_unmount_ends_serve(start_python, mountpoint):
    program = (
        "fusesg.serve(Hello(), mountpoint, on_ready=lambda _: print(1, flush=True))"
    )
    child = start_python(HELLO + program, mountpoint)
    child.read_line()
    assert os.system(f"umount {mountpoint} || fusermount3 -u {mountpoint}") == 0
    result = child.finish()
    assert (result.returncode, result.stderr) == (0, "")


def test_a_second_signal_ends_a_busy_mount(
    start_python, mountpoint, wait_until_unmounted
):
    program = """
stuck = threading.Event()
class Stuck(Hello):
    def read(self, inode, handle, offset, size, ctx):
        print("reading", flush=True)
        stuck.wait()
try:
    fusesg.serve(Stuck(), mountpoint, on_ready=lambda _: print("ready", flush=True))
except OSError as error:
    print(error, flush=True)
"""
    reader_program = """
import sys
try:
    open(sys.argv[1]).read()
except OSError as error:
    print(error.errno)
"""
    child = start_python(HELLO + program, mountpoint)
    assert child.read_line() == "ready"
    reader = start_python(reader_program, mountpoint / "hello")
    assert child.read_line() == "reading"
    child.send_signal(signal.SIGTERM)
    wait_until_unmounted()
    child.send_signal(signal.SIGTERM)
    assert reader.finish().stdout.strip().isdigit()
    assert "its server still runs" in child.read_line()
    assert child.finish().returncode == 0


def test_a_signal_while_mounting_is_not_lost(start_python, mountpoint):
    program = """
class Interrupted(Hello):
    def init(self):
        os.kill(os.getpid(), signal.SIGTERM)
fusesg.serve(Interrupted(), mountpoint)
print("ended")
"""
    result = start_python(HELLO + program, mountpoint).finish()
    assert (result.returncode, result.stdout) == (0, "ended\n")
    assert not mountpoint.is_mount()


def test_serve_outside_of_the_main_thread(start_python, mountpoint):
    program = """
mounts = []
ready = threading.Event()
def on_ready(mount):
    mounts.append(mount)
    ready.set()
thread = threading.Thread(
    target=fusesg.serve, args=(Hello(), mountpoint), kwargs={"on_ready": on_ready}
)
thread.start()
ready.wait()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
mounts[0].unmount()
thread.join()
"""
    result = start_python(HELLO + program, mountpoint).finish()
    assert (result.returncode, result.stderr) == (0, "")


ENDINGS = {
    "return": ("", 0),
    "exception": ("raise SystemExit(3)", 3),
    "error": ("raise ValueError('as it should')", 1),
    "_exit": ("os._exit(4)", 4),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    "SIGSEGV": ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
}


@pytest.mark.parametrize("with_open_file", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_no_end_of_the_process_leaves_a_mount(
    start_python, mountpoint, ending, with_open_file, wait_until_unmounted
):
    code, status = ENDINGS[ending]
    program = f"""
mount = fusesg.mount(Hello(), mountpoint)
file = open(mountpoint + "/hello") if {with_open_file} else None
os.listdir(mountpoint)
{code}
"""
    child = start_python(HELLO + program, mountpoint)
    assert child.finish().returncode == status
    wait_until_unmounted()
    assert os.listdir(mountpoint) == []


def test_a_forked_child_leaves_the_mount_alone(start_python, mountpoint):
    program = """
mount = fusesg.mount(Hello(), mountpoint)
pid = os.fork()
if pid == 0:
    mount.unmount()
    assert not mount.is_alive
    sys.exit(0)  # with atexit, unlike os._exit
assert os.waitpid(pid, 0)[1] == 0
assert mount.is_alive
print(open(mountpoint + "/hello").read(), end="")
"""
    result = start_python(HELLO + program, mountpoint).finish()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "Hello from Python\n"
    assert not mountpoint.is_mount()


def test_the_end_is_quick(start_python, mountpoint):
    # registered before fusesg is imported, so run after what that registers
    before = """
import atexit, time
atexit.register(lambda: print(time.monotonic() - started))
"""
    program = """
mount = fusesg.mount(Hello(), mountpoint)
os.listdir(mountpoint)
started = time.monotonic()
"""
    result = start_python(before + HELLO + program, mountpoint).finish()
    assert (result.returncode, result.stderr) == (0, "")
    assert float(result.stdout) < 0.5  # no timeout was waited for


def test_errors_of_callbacks_are_seen_by_default(start_python, mountpoint):
    program = """
class Broken(Hello):
    def read(self, inode, handle, offset, size, ctx):
        raise ValueError("the class is broken")
with fusesg.mount(Broken(), mountpoint):
    try:
        open(mountpoint + "/hello").read()
    except OSError as error:
        print(error.errno)
"""
    result = start_python(HELLO + program, mountpoint).finish()
    assert (result.returncode, result.stdout) == (0, "5\n")
    assert "Broken.read raised" in result.stderr
    assert "ValueError: the class is broken" in result.stderr


def test_a_log_filter_that_blocks_delays_the_end_but_little(start_python, mountpoint):
    program = """
import logging
# not a handler: that would hold its lock, and logging waits for it without a bound
logging.getLogger("fusesg").addFilter(lambda record: threading.Event().wait())
class Broken(Hello):
    def read(self, inode, handle, offset, size, ctx):
        raise ValueError
with fusesg.mount(Broken(), mountpoint):
    for _ in range(3):
        try:
            open(mountpoint + "/hello").read()
        except OSError:
            pass
print("done")
"""
    result = start_python(HELLO + program, mountpoint).finish(timeout=15)
    assert (result.returncode, result.stdout) == (0, "done\n")


@pytest.mark.parametrize(
    ("point", "message"),
    [("", "the mount point is an empty path"), ("/proc", "the server itself needs")],
)
def test_a_mount_point_that_would_do_harm_is_refused(point, message):
    with pytest.raises(OSError, match=message):
        fusesg.mount(Hello(), point)
    assert os.path.exists("/proc/self/stat")
