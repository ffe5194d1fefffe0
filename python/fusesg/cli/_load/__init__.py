"""Processes that use mounted files for this one, which serves or watches the mounts."""

from __future__ import annotations

import dataclasses

from fusesg.cli._load import _names_program, _program
from fusesg.cli._load._process import NoAnswerError, Process
from fusesg.cli._load._program import Job

__all__ = ["Job", "Load", "NamesLoad", "NoAnswerError"]


class Load(Process):
    """A process that does I/O on mounted files; it runs for the time of a `with` block.

    It must not be a thread: what a client does would wait for the interpreter lock that
    the server needs to answer it. It runs on the CPUs on which its maker runs.

    Args:
        timeout: How many seconds to wait for an answer; None is for ever.
    """

    def __init__(self, timeout: float | None = None) -> None:
        super().__init__(_program.__file__, timeout)

    def seconds(self, job: Job, repetitions: int) -> float:
        """How long one repetition takes on average.

        Args:
            job: What to do.
            repetitions: How often, along the file and from its start again.

        Raises:
            CommandError: It did not work.
        """
        asked = {"job": dataclasses.asdict(job), "repetitions": repetitions}
        seconds: float = self.ask(**asked)["seconds"]
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
        asked = {"job": dataclasses.asdict(job), "offset": offset, "seed": seed}
        digest: str = self.ask(**asked)["digest"]
        return digest


class NamesLoad(Process):
    """A process that makes, finds and removes names; see `Load`.

    Args:
        timeout: How many seconds to wait for an answer; None is for ever.
    """

    def __init__(self, timeout: float | None = None) -> None:
        super().__init__(_names_program.__file__, timeout)

    def seconds(self, work: str, directory: str, count: int) -> float:
        """How long it takes for one name on average.

        Args:
            work: What to do: a key of `_names_program.WORKS`.
            directory: Where; all works but `create` find the names there, as
                `make_names` made them.
            count: How many names.

        Raises:
            CommandError: It did not work.
        """
        seconds: float = self.ask(work=work, directory=directory, count=count)[
            "seconds"
        ]
        return seconds

    def tree(self, directory: str) -> dict[str, str]:
        """What is below a directory.

        Args:
            directory: Where.

        Returns:
            For each name what it is: its type and mode, and the SHA-256 of a file's
            bytes or the target of a link.

        Raises:
            CommandError: It cannot be read.
        """
        tree: dict[str, str] = self.ask(tree=directory)["tree"]
        return tree

    def remove(self, directory: str) -> None:
        """Removes a directory and all that is in it.

        Args:
            directory: Which.

        Raises:
            CommandError: It cannot be removed.
        """
        self.ask(remove=directory)
