"""Unmounting: by us, by others, whatever is going on in the mount."""

import os
import subprocess

import pytest

MOUNTED = """
filesystem = Served()
mount = fusesg.mount(filesystem, mountpoint)
"""

UNMOUNT = """
started = time.monotonic()
result = outcome(mount.unmount)
took = time.monotonic() - started
assert took < 5, f"it took {took} s"
assert os.listdir(mountpoint) == [], "the path is not free"
say(result)
"""

BUSY = {
    "open file": 'file = open(path("text"), "rb"); file.read(1)',
    "working directory": "os.chdir(mountpoint)",
    "open directory": "directory = os.scandir(mountpoint); next(directory)",
    "mapped file": """
descriptor = os.open(path("text"), os.O_RDONLY)
os.pread(descriptor, 4096, 0)
mapped = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
os.close(descriptor)
mapped[0]
""",
    "file of another process": """
command = ["sh", "-c", f"cd {mountpoint}; exec 3<text; echo; cat; cat <&3"]
pipe, null = subprocess.PIPE, subprocess.DEVNULL
user = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null)
user.stdout.readline()
""",
    "callback that returns soon": """
start(lambda: open(path("waiting"), "rb").read())
filesystem.reading.wait()
threading.Timer(0.2, filesystem.go_on.set).start()
""",
}


@pytest.mark.parametrize("situation", BUSY)
def test_a_busy_mount_is_gone_soon(run_child, situation):
    result = run_child(f"{MOUNTED}\n{BUSY[situation]}\n{UNMOUNT}")
    assert (result.stdout, result.stderr) == ("None\n", "")


def test_a_callback_that_never_returns_is_left_behind(run_child):
    program = """
reader = start(lambda: say(outcome(os.read, os.open(path("waiting"), os.O_RDONLY), 9)))
filesystem.reading.wait()
started = time.monotonic()
try:
    mount.unmount()
except OSError as error:
    say(error)
reader.join()
# the place is free for the next
with fusesg.mount(Served(), mountpoint):
    say(os.listdir(mountpoint)[0])
say(time.monotonic() - started < 5)
"""
    result = run_child(MOUNTED + program)
    assert result.returncode == 0
    read, told, listed, was_quick = result.stdout.splitlines()
    assert read in {"ECONNABORTED", "ENOTCONN"}
    assert "is unmounted, but its server still runs" in told
    assert (listed, was_quick) == ("text", "True")


def test_unmounting_twice(run_child):
    result = run_child(MOUNTED + UNMOUNT + UNMOUNT)
    assert (result.stdout, result.stderr) == ("None\nNone\n", "")


def test_unmounting_from_a_callback(run_child):
    program = """
class Unmounting(Served):
    def getxattr(self, inode, name, ctx):
        mount.unmount()
        return b"unmounted"

mount = fusesg.mount(Unmounting(), mountpoint)
say(os.getxattr(path("text"), "user.x"))
say(mount.wait(10), os.listdir(mountpoint))
"""
    result = run_child(program)
    assert (result.stdout, result.stderr) == ("b'unmounted'\nTrue []\n", "")


def test_unmounting_while_another_thread_waits(run_child):
    program = """
waiting = threading.Thread(target=lambda: say(mount.wait()))
waiting.start()
mount.unmount()
waiting.join()
"""
    result = run_child(MOUNTED + program)
    assert (result.stdout, result.stderr) == ("True\n", "")


@pytest.mark.parametrize("command", ["umount", "umount -l", "fusermount3 -u"])
@pytest.mark.requires("root", "program fusermount3")
def test_an_outside_unmount_ends_the_mount(run_child, command):
    program = f"""
subprocess.run([*{command.split()!r}, mountpoint], check=True)
say(mount.wait(10), mount.is_alive)
"""
    result = run_child(MOUNTED + program + UNMOUNT)
    assert (result.stdout, result.stderr) == ("True False\nNone\n", "")


ENDS = {
    "unmount": ("mount.unmount()", 0),
    "return": ("", 0),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
}


@pytest.mark.parametrize("place", ["above", "instead"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.requires("root")
def test_what_somebody_else_mounted_there_is_left_alone(
    run_child, mountpoint, place, end
):
    code, status = ENDS[end]
    program = f"""
if {place!r} == "instead":
    subprocess.run(["umount", mountpoint], check=True)
subprocess.run(["mount", "-t", "tmpfs", "theirs", mountpoint], check=True)
open(path("theirs"), "w").close()
{code}
"""
    assert run_child(MOUNTED + program).returncode == status
    assert os.listdir(mountpoint) == ["theirs"]
    subprocess.run(["umount", mountpoint], check=True)


@pytest.mark.requires("root")  # others may not mount upon a mount of theirs
@pytest.mark.parametrize("end", ENDS)
def test_another_mount_of_ours_above_is_left_alone(
    start_child, mountpoint, gone, watcher, end
):
    code, status = ENDS[end]
    below = start_child(f"{MOUNTED}say('below')\nsys.stdin.read()\n{code}", stdin=-1)
    assert below.read_line() == "below"
    watcher_has_ended = watcher()
    above = start_child(f"{MOUNTED}say('above')\nsys.stdin.read()\n", stdin=-1)
    assert above.read_line() == "above"
    assert below.finish().returncode == status
    # only then is it certain that what was above kept it from doing anything
    watcher_has_ended()
    assert len((mountpoint / "text").read_bytes()) == 65536
    result = above.finish()
    assert (result.returncode, result.stderr) == (0, "")
    # nobody could take the one below from under the other
    subprocess.run(["umount", "-l", mountpoint], check=True)
    gone()
