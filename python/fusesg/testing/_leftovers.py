"""What a test leaves behind in its process and in the kernel."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import threading
import time
from pathlib import Path

_KINDS = ("thread", "descriptor", "process")


class LeakCheck:
    """What the fixture `fuse_no_leaks` is: what there was before a test, and after.

    Args:
        directory: The test's own; processes that have it among their arguments count.
        settle_time: Seconds for which something may go on to exist.
        ignored: Regular expressions for what may be left behind.
    """

    def __init__(
        self,
        directory: Path,
        *,
        settle_time: float = 5.0,
        ignored: list[str] | None = None,
    ) -> None:
        self._directory = directory
        self._settle_time = settle_time
        self._ignored = list(ignored or [])
        self._before = self._now()

    def ignore(self, pattern: str) -> None:
        """Lets something be left behind.

        Args:
            pattern: A regular expression for the line that names it, such as
                "thread .*: tqdm".
        """
        self._ignored.append(pattern)

    def findings(self) -> list[str]:
        """What there is now that was not there before, a line each.

        What has been ended stays in /proc for a moment, and the kernel has no event for
        when it goes; so this waits as long as it may.
        """
        deadline = time.monotonic() + self._settle_time
        pause = threading.Event()
        while (found := self._new()) and time.monotonic() < deadline:
            # closes what only a cycle of references holds, such as an exception and
            # the object whose method raised it; a thread may have been in it until now
            gc.collect()
            pause.wait(0.01)
        return found

    def _new(self) -> list[str]:
        now = self._now()
        found = [
            f"{kind} {key}: {now[kind][key]}".removesuffix(": ")
            for kind in _KINDS
            for key in sorted(now[kind].keys() - self._before[kind].keys())
        ]
        return [
            line
            for line in found
            if not any(re.search(pattern, line) for pattern in self._ignored)
        ]

    def _now(self) -> dict[str, dict[str, str]]:
        return {
            "thread": _threads(),
            "descriptor": _descriptors(),
            "process": _processes(os.fsencode(self._directory)),
        }


def _threads() -> dict[str, str]:
    """Names by thread id: Python's where it knows the thread, else the kernel's."""
    names = {str(thread.native_id): thread.name for thread in threading.enumerate()}
    found = {}
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            comm = Path(f"/proc/self/task/{task}/comm").read_text().strip()
            found[task] = names.get(task, comm)
    return found


def _descriptors() -> dict[str, str]:
    """Open descriptors, each together with what it is: numbers are used again."""
    found = {}
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listed the directory
            target = os.readlink(f"/proc/self/fd/{descriptor}")
            # what pytest itself opens to capture output
            if "/proc/" not in target and "(deleted)" not in target:
                found[f"{descriptor} -> {target}"] = ""
    return found


def _processes(directory: bytes) -> dict[str, str]:
    """Children, and processes that serve or watch a mount below the directory."""
    found = {}
    me = str(os.getpid())
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            status = Path(f"/proc/{pid}/stat").read_text()
            name, _, fields = status.partition("(")[2].rpartition(")")
            state, parent = fields.split()[:2]
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if pid != me and (parent == me or directory in command):
                text = command.replace(b"\0", b" ").decode(errors="replace").strip()
                found[pid] = f"{name} (nobody waited for it)" if state == "Z" else text
    return found
