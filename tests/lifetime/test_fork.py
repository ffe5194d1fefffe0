"""fork, multiprocessing and subprocess while something is mounted: all harmless."""

import os
import signal
import subprocess

import pytest

MOUNTED = "mount = fusesg.mount(Served(), mountpoint)\n"

CHILD_ENDS = {
    "os._exit": "os._exit(0)",
    "sys.exit": "sys.exit(0)",  # with atexit
    "exec": "os.execvp('true', ['true'])",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("end", CHILD_ENDS)
def test_a_forked_child_that_ends_leaves_the_mount_alone(run_child, gone, end):
    program = f"""
pid = os.fork()
if pid == 0:
    {CHILD_ENDS[end]}
os.waitpid(pid, 0)
assert mount.is_alive
say(len(open(path("text"), "rb").read()))
mount.unmount()
"""
    result = run_child(MOUNTED + program)
    assert (result.returncode, result.stdout, result.stderr) == (0, "65536\n", "")
    gone()


@pytest.mark.parametrize("end", ["pass", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_parent_that_ends_takes_its_mount_along_though_a_child_lives(
    start_child, gone, end
):
    program = f"""
file = open(path("text"), "rb")
pid = os.fork()
if pid == 0:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.read(0, 1)
    os._exit(0)
say(pid)
{end}
"""
    parent = start_child(MOUNTED + program, stdin=subprocess.PIPE)
    survivor = os.pidfd_open(int(parent.read_line()))
    try:
        parent.wait(timeout=10)
        gone()
        signal.pidfd_send_signal(survivor, 0)  # lives
    finally:
        parent.communicate(timeout=10)
        os.close(survivor)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(run_child, gone, method):
    program = f"""
import multiprocessing

def read(number):
    with open(path("text"), "rb") as file:
        return len(file.read())

if __name__ == "__main__":
    mount = fusesg.mount(Served(), mountpoint)
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        say(pool.map(read, range(4)))
    say(mount.is_alive, read(0))
"""
    result = run_child(program)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{[65536] * 4}\nTrue 65536\n"
    gone()


def test_a_forked_child_may_mount_itself(run_child, gone, mountpoint):
    own = mountpoint.with_name("own")
    own.mkdir()
    program = """
pid = os.fork()
if pid == 0:
    with fusesg.mount(Served(), sys.argv[2]) as own:
        say(len(open(own.path + "/text", "rb").read()))
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
say(mount.is_alive)
"""
    result = run_child(MOUNTED + program, own)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "65536\nTrue\n"
    gone(own)
    gone()


def test_a_started_program_inherits_nothing(run_child):
    program = """
def inherited():
    code = "import os; print(os.listdir('/proc/self/fd'))"
    return subprocess.check_output([sys.executable, "-c", code], close_fds=False)

before = inherited()
with fusesg.mount(Served(), mountpoint):
    os.listdir(mountpoint)
    say(inherited() == before)
"""
    result = run_child(program)
    assert (result.stdout, result.stderr) == ("True\n", "")
