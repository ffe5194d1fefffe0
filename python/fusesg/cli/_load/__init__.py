"""A process that does I/O on mounted files for this one, which serves them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from fusesg.cli._errors import CommandError
from fusesg.cli._load import _program
from fusesg.cli._load._program import Job

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Job", "Load"]


class Load:
    """The process; it runs for the time of a `with` block.

    It must not be a thread: what a client does would wait for the interpreter lock that
    the server needs to answer it. It runs on the CPUs on which its maker runs.
    """

    def __init__(self) -> None:
        # not a session of its own: Ctrl-Z and the end of a terminal are for both
        self._process = subprocess.Popen(
            [sys.executable, "-I", _program.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, job: Job, repetitions: int) -> float:
        """How long one repetition takes on average.

        Args:
            job: What to do.
            repetitions: How often, along the file and from its start again.

        Raises:
            CommandError: It did not work.
        """
        seconds: float = self._ask(job, repetitions=repetitions)["seconds"]
        return seconds

    def digest(self, job: Job, offset: int, seed: int) -> str:
        """Does it once.

        Args:
            job: What to do.
            offset: Where in the file.
            seed: For the random bytes that are in the buffer before.

        Returns:
            The SHA-256 of what is in the buffer then.

        Raises:
            CommandError: It did not work.
        """
        digest: str = self._ask(job, offset=offset, seed=seed)["digest"]
        return digest

    def _ask(self, job: Job, **request: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request["job"] = dataclasses.asdict(job)
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self._process.wait()
            raise CommandError(f"the process that measures ended with {status}")
        answer: dict[str, Any] = json.loads(line)
        if error := answer.get("error"):
            raise CommandError(error)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()  # it may wait for a mount that nobody serves
        with self._process:  # closes the pipes, at which it ends, and waits
            pass
