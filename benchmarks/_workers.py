"""Starts the processes in which benchmarks run, and ends those that hang."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks._discovery import SUITES
from benchmarks._processes import main_of
from benchmarks._workspace import tell_leftovers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._discovery import Benchmark

_END_SECONDS = 20.0


@dataclass(frozen=True)
class Outcome:
    """What became of one run of a benchmark."""

    samples: tuple[float, ...] = ()
    error: str | None = None
    """Why it failed."""
    left_out: str | None = None
    """What the machine lacks for it."""


class Worker:
    """A process that runs one benchmark after another, for a `with` block.

    Args:
        effort: How much it measures; see `_settings.EFFORT`.
        site: A directory with the package to measure; None: what is installed.
        suites: The modules whose benchmarks it knows.
    """

    def __init__(
        self, effort: str, site: Path | None = None, suites: Sequence[str] = SUITES
    ) -> None:
        self._suites = suites
        self._environment = os.environ | {"FUSESG_BENCHMARKS": effort}
        if site:
            self._environment["PYTHONPATH"] = str(site)
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, benchmark: Benchmark, case: int) -> Outcome:
        """Runs a benchmark with one combination of its parameters.

        It never raises: what goes wrong is in the outcome, and the next run has a new
        process if it needs one.
        """
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        try:
            request = json.dumps([benchmark.name, case])
            process.stdin.write(request.encode() + b"\n")
            process.stdin.flush()
            line = self._line(process, benchmark.timeout)
        except TimeoutError:
            self._kill()
            return Outcome(
                error=f"no result within {benchmark.timeout:.0f} s: it hangs"
            )
        except BrokenPipeError:
            line = b""
        if not line:
            status = self._kill()
            return Outcome(error=f"its process has ended with status {status}")
        answer = json.loads(line)
        return Outcome(
            tuple(answer.get("samples", ())),
            answer.get("error") or answer.get("unsupported"),
            answer.get("not_here"),
        )

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            main_of("_worker", str(os.getpid()), *self._suites),
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # unbuffered, so that what select does not see is not there
            bufsize=0,
        )

    def _line(self, process: subprocess.Popen[bytes], timeout: float) -> bytes:
        """The next line, or what there is of it when the process ends."""
        assert process.stdout is not None
        deadline, line = time.monotonic() + timeout, b""
        while not line.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            if not select.select([process.stdout], [], [], left)[0]:
                raise TimeoutError
            piece = process.stdout.read(65536)
            if not piece:
                return b""
            line += piece
        return line

    def close(self) -> None:
        """Ends the process, which unmounts what it has mounted."""
        if not (process := self._process):
            return
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
        else:
            self._forget()

    def _kill(self) -> int:
        """Ends a process that does not answer, and what it has started."""
        process = self._process
        assert process is not None
        servers = _children(process.pid)
        process.kill()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            # it waits for a mount whose server waits for its end
            for pid in servers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
        status = process.returncode
        self._forget()
        tell_leftovers()
        return status

    def _forget(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _children(pid: int) -> list[int]:
    """Processes that a process has started, as long as it lives."""
    found = []
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in path.read_text(encoding="utf-8").split()]
    return found
