"""A process that does for this one what this one must not do itself."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    from types import TracebackType


class NoAnswerError(CommandError):
    """The process has not answered in time: it may wait for a mount that hangs."""


class Process:
    """A program that answers lines of JSON; it runs for the time of a `with` block.

    It runs on the CPUs on which its maker runs.

    Args:
        program: The file of the program; it is started by its path.
        timeout: How many seconds to wait for an answer; None is for ever.
    """

    def __init__(self, program: str, timeout: float | None = None) -> None:
        self._timeout = timeout
        # not a session of its own: Ctrl-Z and the end of a terminal are for both
        self._process = subprocess.Popen(
            [sys.executable, "-I", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def ask(self, **request: object) -> dict[str, Any]:
        """Sends a request and waits for its answer.

        Args:
            request: What becomes the line of JSON.

        Raises:
            CommandError: It did not work.
            NoAnswerError: It takes too long. The process waits on: the next answer is
                had by `answer`, once what it waits for has ended.
        """
        assert self._process.stdin is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise self._ended() from None
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Waits for the answer of what was asked; see `ask`."""
        stdout = self._process.stdout
        assert stdout is not None
        # there is never more than one line, so that none is in a buffer already
        if not select.select([stdout], [], [], self._timeout)[0]:
            raise NoAnswerError(f"no answer within {self._timeout:.1f} seconds")
        line = stdout.readline()
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        if error := answer.get("error"):
            raise CommandError(error)
        return answer

    def _ended(self) -> CommandError:
        status = self._process.wait()
        return CommandError(f"the process that measures ended with {status}")

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
