"""Where the measured processes run."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def on_cpu(choice: str | None) -> Iterator[str]:
    """Keeps this thread, and all threads and processes it starts, on one CPU.

    The price of one request is mostly that of waking whoever serves it: some 10 us on
    the same CPU, several times as much on another one that sleeps. Left to the
    scheduler, ways that send many requests would look worse than they are, and
    differently each time.

    Args:
        choice: The number of the CPU, "none" to leave it to the scheduler; None is the
            last one of those allowed, since the first serves most interrupts.

    Yields:
        What was done, for the reader of the numbers.

    Raises:
        CommandError: There is no such CPU.
    """
    allowed = os.sched_getaffinity(0)
    cpus, where = choose(choice)
    os.sched_setaffinity(0, cpus)
    try:
        yield f"client and server on {where}"
    finally:
        os.sched_setaffinity(0, allowed)


def choose(choice: str | None) -> tuple[set[int], str]:
    """The CPUs that are meant, and what they are called; see `on_cpu`."""
    allowed = os.sched_getaffinity(0)
    if choice == "none":
        return allowed, "whatever CPU the scheduler chooses"
    try:
        cpu = max(allowed) if choice is None else int(choice)
    except ValueError:
        cpu = -1
    if cpu not in allowed:
        numbers = ", ".join(map(str, sorted(allowed)))
        raise CommandError(
            f"--cpu {choice}: expected none or a CPU of this machine: {numbers}"
        )
    return {cpu}, f"CPU {cpu}"
