"""The machine that numbers are of."""

from __future__ import annotations

import os
import platform

import fusesg

_BUSY_SHARE = 0.5  # of the CPUs


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


def busy(load: float) -> list[str]:
    """A remark if others use the machine.

    Args:
        load: The load average from before anything was measured.
    """
    if load < _BUSY_SHARE * (os.cpu_count() or 1):
        return []
    return [f"other programs used the machine (load {load:.1f}): times are disturbed"]


def _cpu() -> str:
    """Its name; not all architectures have one."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return "unknown"
