"""The README's hello world does what the README says, on a real mount."""

from __future__ import annotations

import contextlib
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (Path(__file__).parent.parent / "README.md").read_text()
START_TIMEOUT = 30  # seconds


def blocks(language: str, section: str) -> list[str]:
    """Return the code blocks of one language in one section of the README."""
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


HELLO, PLAN = blocks("python", "Hello, world")
CONSOLE = blocks("console", "Hello, world")[0]
SERVE = 'fusesg.serve(Hello(), "mnt")\n'


def is_mounted(path: Path) -> bool:
    """Ask the kernel, not the mount: a dead or hung one could not answer."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return any(line.split()[4] == str(path) for line in mounts)


@contextlib.contextmanager
def served(program: str, directory: Path) -> Iterator[Path]:
    """Run `program` in `directory`, yield its mount when it is there, then Ctrl-C."""
    (directory / "mnt").mkdir()
    (directory / "hello.py").write_text(program)
    mountpoint = directory / "mnt"
    deadline = time.monotonic() + START_TIMEOUT
    with (
        Path("/proc/self/mountinfo").open() as mountinfo,
        subprocess.Popen([sys.executable, "hello.py"], cwd=directory) as server,
    ):
        try:
            # The kernel announces a change of the mounts as an error condition.
            changed = select.poll()
            changed.register(mountinfo, select.POLLERR)
            while not is_mounted(mountpoint):
                assert server.poll() is None, f"ended with {server.returncode}"
                assert time.monotonic() < deadline, "not mounted in time"
                changed.poll(100)
            yield mountpoint
            server.send_signal(signal.SIGINT)
            server.wait(START_TIMEOUT)
            assert not is_mounted(mountpoint)
        finally:
            server.kill()
            if is_mounted(mountpoint):
                subprocess.run(["umount", "-l", mountpoint], check=False)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(HELLO, id="bytes"),
        pytest.param(
            HELLO.replace(SERVE, PLAN + SERVE.replace("Hello", "Plan")), id="plan"
        ),
    ],
)
def test_hello_world(program: str, tmp_path: Path) -> None:
    promised = re.search(r"^\$ cat mnt/hello\n(.*\n)", CONSOLE, re.MULTILINE)
    assert promised
    (tmp_path / "hello.txt").write_text(promised[1])
    with served(program, tmp_path) as mountpoint:
        assert (mountpoint / "hello").read_text() == promised[1]
        assert [path.name for path in mountpoint.iterdir()] == ["hello"]
        assert not (mountpoint / "other").exists()


def test_hello_world_is_short() -> None:
    assert len([line for line in HELLO.splitlines() if line]) <= 15
    assert SERVE in HELLO
