"""Fixtures for the path API."""

from __future__ import annotations

import threading
import time

import pytest

from .memory import PathMemory

UNCACHED = {"entry_timeout": 0, "attribute_timeout": 0}
"""With nothing cached every call arrives."""


@pytest.fixture(params=[True, False], ids=["numbered", "unnumbered"])
def memory(request):
    """A writable file system of paths, with inode numbers of its own and without."""
    return PathMemory(numbered=request.param)


def forgotten_but(mount, expected):
    """Has the kernel forget what is not in use, until so many paths are known.

    What was in use a moment ago, and what becomes of a callback whose caller is gone,
    no event tells.
    """
    deadline, pause = time.monotonic() + 10, threading.Event()
    while True:
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("2")
        if (found := mount.statistics()["python"]["paths"]) == expected:
            return
        assert time.monotonic() < deadline, f"{found} paths are known, not {expected}"
        pause.wait(0.01)
