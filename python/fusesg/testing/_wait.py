"""Waiting for what has no event: counters, the kernel, other processes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from fusesg._client import Client
    from fusesg._mount import Mount

T = TypeVar("T")

_PAUSE_SECONDS = 0.005


def wait_until(
    condition: Callable[[], T], timeout: float = 10.0, what: str | None = None
) -> T:
    """Waits until something is true; fails the test if that takes too long.

    ```python
    wait_until(lambda: operation_counts(mount)["release"] == 1)
    ```

    Args:
        condition: Is called again and again. What it raises ends the wait.
        timeout: Seconds.
        what: Says what is waited for, if it does not come.

    Returns:
        The first true value of `condition`.

    Raises:
        AssertionError: It did not come true in time.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            waited_for = what or getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(
                f"{waited_for} did not come true within {timeout} s: {value!r}"
            )
        pause.wait(_PAUSE_SECONDS)
    return value


def operation_counts(served: Mount | Client) -> Counter[str]:
    """How many requests of each operation have been answered so far.

    Args:
        served: A mount or a client.

    Returns:
        Numbers by the name of the operation ("lookup", "read" …); 0 for those that were
        never asked for.
    """
    operations = served.statistics()["operations"]
    return Counter({name: numbers["count"] for name, numbers in operations.items()})
