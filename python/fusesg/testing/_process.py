"""Programs in processes of their own, as the users of a mount."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = 30.0


class Process(subprocess.Popen[str]):
    """A Python program that was started by `fuse_process`.

    ```python
    def test_two_writers(fuse_mount, fuse_process):
        mount = fuse_mount(Journal())
        writer = fuse_process("import sys; print('a', file=open(sys.argv[1], 'a'))",
                              f"{mount.path}/journal")
        assert writer.finish().returncode == 0
    ```

    It is a `subprocess.Popen` with its output as text in pipes and nothing as its
    input, in a session of its own; the options of `Popen` change that. It is killed at
    the end of the test.
    """

    def read_line(self, timeout: float = _SECONDS) -> str:
        """A line that the program prints, without its end; empty if it ended.

        Args:
            timeout: Seconds after which the test fails.
        """
        assert self.stdout is not None
        readable, _, _ = select.select([self.stdout], [], [], timeout)
        assert readable, f"the process printed nothing for {timeout} s"
        return self.stdout.readline().rstrip("\n")

    def finish(self, timeout: float = _SECONDS) -> subprocess.CompletedProcess[str]:
        """Waits for its end.

        Args:
            timeout: Seconds after which the test fails; the message tells where each of
                its threads is, in Python and in the kernel.

        Returns:
            Its return code and all that it printed.
        """
        try:
            output, errors = self.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            threads = _threads_of_session(self.pid)
            self.send_signal(signal.SIGABRT)  # faulthandler prints where it hangs
            with contextlib.suppress(subprocess.TimeoutExpired):
                output, errors = self.communicate(timeout=5)
                pytest.fail(f"the process hung:\n{output}\n{errors}\n{threads}")
            pytest.fail(f"the process hung and could not be ended:\n{threads}")
        return subprocess.CompletedProcess(self.args, self.returncode, output, errors)


class Processes:
    """The processes of one test.

    Args:
        directory: Where the programs are put.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[Process] = []

    def start(
        self,
        program: str | Path,
        *arguments: object,
        **options: Any,  # noqa: ANN401 - those of Popen
    ) -> Process:
        """Starts a program, given as code or as a file."""
        if isinstance(program, str):
            path = self._directory / f"program-{len(self._started)}.py"
            path.write_text(program)
        else:
            path = program
        process = Process(
            [sys.executable, "-X", "faulthandler", path, *map(str, arguments)],
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                "start_new_session": True,
                **options,
            },
        )
        self._started.append(process)
        return process

    def kill(self) -> None:
        """Kills them and what they have started."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def reap(self, timeout: float) -> Sequence[str]:
        """Waits for those that were killed; what does not end, a line each."""
        found = []
        for process in self._started:
            try:
                process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                found.append(
                    f"process {process.pid} cannot be killed: {process.args!r}"
                )
        return found


def _threads_of_session(session: int) -> str:
    """What every thread of a session's processes does in the kernel, a line each."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != session:
                continue
            for thread in (process / "task").iterdir():
                name, place, status = (
                    (thread / file).read_text().strip()
                    for file in ("comm", "wchan", "stat")
                )
                state = status.rpartition(")")[2].split()[0]
                lines.append(f"{process.name}/{thread.name} {name} {state} {place}")
    return "\n".join(lines)
