"""Two ways of doing the same I/O, and how a way is run, checked and counted."""

from __future__ import annotations

import abc
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    import fusesg
    from fusesg.cli._load import Job, Load

_SETTLE_SECONDS = 2.0
SEED = 5


@dataclass(frozen=True)
class Counts:
    """What one I/O cost, or all of them so far."""

    requests: int
    pages: int
    spliced: int = 0
    """Bytes that went through a pipe rather than a buffer of the server."""
    moved: int | None = None
    """Pages that the kernel has taken from the file behind; None: not looked at."""

    def __sub__(self, other: Counts) -> Counts:
        return Counts(
            self.requests - other.requests,
            self.pages - other.pages,
            self.spliced - other.spliced,
        )


class Way(abc.ABC):
    """One way of doing an I/O again and again.

    Args:
        label: What it is, in a word or two.
    """

    def __init__(self, label: str) -> None:
        self.label = label

    @abc.abstractmethod
    def check(self) -> None:
        """Does it once and looks at the bytes.

        Raises:
            CommandError: They are wrong, or it does not work.
        """

    @abc.abstractmethod
    def seconds(self, repetitions: int) -> float:
        """How long it takes, on average over the repetitions."""

    @abc.abstractmethod
    def counts(self) -> Counts:
        """What it has cost so far, together with whatever shares its file system."""

    def cost(self) -> Counts:
        """What it costs once."""
        before = self.counts()
        self.seconds(1)
        return self.counts() - before


class MountWay(Way):
    """A way through a kernel mount, with another process as the client.

    Args:
        label: What it is.
        load: The client.
        mount: What serves it.
        job: What the client does.
        content: The bytes of the file at an offset, without the mount.
    """

    def __init__(
        self,
        label: str,
        load: Load,
        mount: fusesg.Mount,
        job: Job,
        content: Callable[[int, int], bytes],
    ) -> None:
        super().__init__(label)
        self._load = load
        self._mount = mount
        self._job = job
        self._content = content

    def check(self) -> None:
        """Compares with the file behind; see `Way.check`."""
        job, offset = self._job, 0
        digest = self._load.digest(job, offset, SEED)
        content = self._content(offset, job.size)
        if hashlib.sha256(content).hexdigest() != digest:
            raise CommandError(
                f"{job.operation} of {job.segments} x {job.segment} bytes, "
                f"{self.label}: the bytes are not those of the file"
            )

    def seconds(self, repetitions: int) -> float:
        """As the client measured it; see `Way.seconds`."""
        return self._load.seconds(self._job, repetitions)

    def counts(self) -> Counts:
        """As the mount counted it; see `Way.counts`."""
        statistics = settled(self._mount.statistics)
        return counts_of(statistics, self._job.operation)


def settled(statistics: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The statistics once what has been answered has also been counted."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while statistics()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.0005)
    return statistics()


def counts_of(statistics: dict[str, Any], operation: str) -> Counts:
    """What a mount or a client has counted for an operation."""
    core = statistics["core"]
    return Counts(
        requests=statistics["operations"].get(operation, {}).get("count", 0),
        pages=core["requests"]["pages_requested"],
        spliced=core["copier"]["bytes_spliced"],
    )


@dataclass(frozen=True)
class Case:
    """What becomes a row; see `Row` for the fields of the same name."""

    group: str
    name: str
    mode: str
    before: Way
    after: Way
    bytes: int
    pages_needed: int
    series: str | None = None
    parameter: int | None = None
    contiguous: Way | None = None
    expected: dict[str, int] | None = None
    """What must be counted, by the names of the row's fields."""

    @property
    def ways(self) -> list[Way]:
        """All that is to be measured for it."""
        return [way for way in (self.before, self.after, self.contiguous) if way]
