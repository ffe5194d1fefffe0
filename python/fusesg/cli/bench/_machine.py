"""The machine that numbers are of."""

from __future__ import annotations

import os
import platform
import time

import fusesg

_DISTURBING_SHARE = 0.05


def describe() -> dict[str, object]:
    """What numbers depend on."""
    return {
        "fusesg": fusesg.__version__,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


class Neighbours:
    """Watches, from now on, how much others than this process use the CPUs."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._used = _used()

    def note(self) -> list[str]:
        """A remark if it is so much that times are disturbed.

        Processes that this one has started count as others until they have ended.
        """
        available = (time.monotonic() - self._started) * (os.cpu_count() or 1)
        share = (_used() - self._used) / available
        if share < _DISTURBING_SHARE:
            return []
        return [
            f"others used {share:.0%} of the CPUs meanwhile: the times are disturbed"
        ]


def _used() -> float:
    """Seconds that CPUs have worked for others, and for children not yet ended."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _wait, *interrupts = file.readline().split()[1:9]
    ticks = sum(map(int, (user, nice, system, *interrupts)))
    ours = os.times()
    return ticks / os.sysconf("SC_CLK_TCK") - sum(ours[:4])


def _cpu() -> str:
    """Its name; not all architectures have one."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return "unknown"
