"""Nothing outlives a benchmark, however it ends."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks._mounted import Mounted
from benchmarks._workspace import remove_leftovers

SECONDS = 20

CLIENT = """
import sys
sys.path.append(sys.argv[1])
from benchmarks._mounted import Mounted
mounted = Mounted("native", size=4096)
print(mounted.path, flush=True)
sys.stdin.read()
"""


CRITERION = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
from benchmarks import _criterion
from benchmarks._processes import end_with_asv
end_with_asv()
_criterion.measured([Path(sys.argv[2])], warm_up=1, seconds=1)
"""

ASV = """
import subprocess, sys
subprocess.run([sys.executable, "-c", *sys.argv[1:]])
"""


def mounts():
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line.split()[4] for line in lines}


def wait_until(condition):
    """Until it holds, which is looked at whenever the table of mounts changes."""
    deadline = time.monotonic() + SECONDS
    with Path("/proc/self/mountinfo").open() as mountinfo:
        changed = select.poll()
        changed.register(mountinfo, select.POLLERR)
        while not condition():
            assert time.monotonic() < deadline, "it does not come true"
            changed.poll(50)


def test_mount_ends_with_its_block():
    with Mounted("native", size=4096) as mounted:
        path = mounted.path
        assert str(path) in mounts()
        assert len((path / "data").read_bytes()) == 4096
    assert str(path) not in mounts()
    assert not path.parent.exists()


def test_mount_ends_with_a_client_that_is_killed():
    root = Path(__file__).parents[2]
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with client:
        path = Path(client.stdout.readline().strip())
        assert str(path) in mounts()
        client.kill()
        client.wait()
        wait_until(lambda: str(path) not in mounts())
        wait_until(lambda: not path.parent.exists())


def test_programs_of_criterion_end_with_asv_that_is_killed(tmp_path):
    alive = tmp_path / "alive"  # it has a writer as long as the program lives
    os.mkfifo(alive)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nexec >{alive}\necho $$\nexec sleep 1000\n")
    program.chmod(0o755)
    root = Path(__file__).parents[2]
    asv = subprocess.Popen(
        [sys.executable, "-c", ASV, CRITERION, root, program],
        env=os.environ | {"ASV_PROJECT": "fusesg"},
    )
    with asv, alive.open() as output:
        pid = int(output.readline())
        asv.kill()
        is_over, _, _ = select.select([output], [], [], SECONDS)
        if not is_over:
            os.kill(pid, signal.SIGKILL)
        assert is_over, "the program goes on"
        assert output.read() == ""


def test_what_a_killed_server_leaves_is_removed_and_told():
    mounted = Mounted("native", size=4096)
    path = mounted.path
    os.kill(mounted._process.pid, signal.SIGKILL)
    mounted._process.wait()
    lines = remove_leftovers()
    mounted.close()
    assert f"removed what a killed benchmark has left: {path.parent}" in lines
    assert not path.parent.exists()
    wait_until(lambda: str(path) not in mounts())
    assert remove_leftovers() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a tmpfs")
def test_mount_that_is_left_is_unmounted():
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           stdout=subprocess.PIPE, check=True)  # fmt: skip
    directory = Path("/dev/shm") / f"fusesg-benchmark-{int(ended.stdout)}-left"
    (directory / "mnt").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "left", directory / "mnt"], check=True)
    lines = remove_leftovers()
    assert any(str(directory) in line for line in lines)
    assert str(directory / "mnt") not in mounts()
    assert not directory.exists()


def test_failure_to_mount_is_told(monkeypatch):
    with pytest.raises(RuntimeError, match="cannot mount: KeyError"):
        Mounted("unknown kind", size=4096)
    with pytest.raises(NotImplementedError, match="no_such_setting"):
        Mounted("native", size=4096, no_such_setting=1)
