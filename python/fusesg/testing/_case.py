"""What one test uses of fusesg, and its end."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fusesg._client import Client
from fusesg._config import Config, effective
from fusesg._mount import Mount, mount
from fusesg.testing import _mounts
from fusesg.testing._client import leaks
from fusesg.testing._hang import (
    awaited_callbacks,
    is_asynchronous,
    running_callbacks,
)
from fusesg.testing._leftovers import LeakCheck
from fusesg.testing._log import FuseLog
from fusesg.testing._process import Processes
from fusesg.testing._wait import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SLOW = re.compile(r"\w+ \(request \d+\) has been served for .* s")
"""What the core logs of a request that takes longer than `slow_request_warning`."""


@dataclass
class Limits:
    """What the configuration of pytest says."""

    time_limit: float | None = 30.0
    settle_time: float = 5.0
    ignored_leaks: list[str] = field(default_factory=list)


@dataclass
class _Mounted:
    filesystem: object
    mount: Mount
    is_limited: bool
    """Whether its requests have the test's time limit, not one of their own."""

    @property
    def is_mounted(self) -> bool:
        """Whether it is now; one for a running event loop may be still to come."""
        try:
            return self.mount.is_alive
        except RuntimeError:
            return False

    def callbacks(self) -> list[str]:
        """Where its callbacks are."""
        running = running_callbacks(self.filesystem)
        if is_asynchronous(self.filesystem):
            running += awaited_callbacks(self.filesystem, self.mount.loop)
        return running


class Case:
    """Makes what a test asks for, and ends all of it.

    Everything is ended in the order in which nothing hides anything: users of the
    mounts, then the mounts, then what is left in the process and in the log.

    Args:
        directory: The test's own, for mount points and programs.
        limits: How long things may take.
    """

    def __init__(self, directory: Path, limits: Limits) -> None:
        self._directory = directory
        self._limits = limits
        self._clients: list[Client] = []
        self._mounts: list[_Mounted] = []
        self._foreign = set(_mounts.below(directory))
        self._leak_check: LeakCheck | None = None
        self.log = FuseLog(self._heard)
        self.processes = Processes(directory)
        self.hang: str | None = None
        """What hung, once the mounts were aborted for it."""

    def leak_check(self) -> LeakCheck:
        """Remembers what there is now, once; at the end there must be nothing more."""
        if self._leak_check is None:
            self._foreign |= set(_mounts.below(self._directory))
            self._leak_check = LeakCheck(
                self._directory,
                settle_time=self._limits.settle_time,
                ignored=self._limits.ignored_leaks,
            )
        return self._leak_check

    def client(self, filesystem: object, **options: Any) -> Client:  # noqa: ANN401
        """A client that is closed at the end."""
        client = Client(filesystem, **options)
        self._clients.append(client)
        return client

    def mount(
        self,
        filesystem: Any,  # noqa: ANN401 - whatever `fusesg.mount` takes
        mountpoint: str | os.PathLike[str] | None,
        config: Config | None,
        options: dict[str, Any],
    ) -> Mount:
        """A mount that is unmounted at the end."""
        config = effective(config, options)
        is_limited = (
            "slow_request_warning" not in options
            and config.slow_request_warning == Config().slow_request_warning
        )
        if is_limited:
            # the core tells of slow requests without the interpreter lock
            config = config.replace(slow_request_warning=self._limits.time_limit)
        if config.source == Config().source:
            config = config.replace(source=_mounts.source())
        made = mount(filesystem, mountpoint or self._new_directory(), config)
        self._mounts.append(_Mounted(filesystem, made, is_limited))
        return made

    def _new_directory(self) -> str:
        number = 1
        while True:
            path = self._directory / (f"mnt{number}" if number > 1 else "mnt")
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return os.fspath(path)
            number += 1

    def _heard(self, message: str) -> None:
        """Ends the mounts of a request that hangs, so that the test goes on."""
        if self.hang or not _SLOW.fullmatch(message) or self.log.is_expected(message):
            return
        hanging = [
            each
            for each in self._mounts
            if each.is_limited
            and each.is_mounted
            and each.mount.statistics()["in_flight"]
        ]
        if not hanging:
            return
        callbacks = [callback for each in hanging for callback in each.callbacks()]
        lines = [f"hung: {message}; the mount was aborted", *callbacks]
        self.hang = "\n".join(lines)
        for each in hanging:
            each.mount.abort()

    def finish(self, *, is_judged: bool) -> list[str]:
        """Ends everything.

        Args:
            is_judged: Whether it matters what is left. It does not for a test that
                failed or hung: nobody came to clear up.

        Returns:
            What should have been gone, or should not have been logged; a line each.
        """
        findings = [leak for client in self._clients for leak in leaks(client)]
        for client in self._clients:
            client.close()
        self.processes.kill()
        if is_judged:
            findings += self._held()
        findings += self._unmount()
        for path in _mounts.force_unmount(self._directory, but=self._foreign):
            if self._leak_check is not None:
                findings.append(f"mount {path}")
        # only now: a process may have waited for a mount
        findings += self.processes.reap(self._limits.settle_time)
        if not is_judged:
            return []
        if self._leak_check is not None:
            findings += self._leak_check.findings()
        findings = [f"left behind: {line}" for line in findings]
        return findings + self.log.findings(self._limits.settle_time)

    def _unmount(self) -> list[str]:
        """Unmounts all and lets go of them: descriptors may live as long as they do."""
        findings = []
        while self._mounts:
            each = self._mounts.pop()
            try:
                if each.is_mounted:
                    each.mount.unmount()
            except OSError as error:
                findings.append(f"{each.mount!r}: {error}")
        return findings

    def _held(self) -> Iterator[str]:
        """What users of the mounts have not given back, of those that are mounted."""
        deadline = time.monotonic() + self._limits.settle_time
        for each in self._mounts:
            if each.is_mounted:
                # handles are released some time after the file was closed
                with contextlib.suppress(AssertionError):
                    wait_until(
                        lambda: not _held(each.mount),  # noqa: B023 - called here
                        max(0.0, deadline - time.monotonic()),
                    )
                yield from _held(each.mount)


def _held(mount: Mount) -> list[str]:
    statistics = mount.statistics()
    pool, written = statistics["core"]["pool"], statistics["python"]["write_pool"]
    held = {
        "open handles": statistics["python"]["handles"],
        "requests without an answer": statistics["in_flight"],
        "callbacks that nobody waits for": statistics["given_up"]["running"],
        "bytes of pages": pool["bytes_resident"] - pool["bytes_idle"],
        "bytes of written data": written["bytes_resident"] - written["bytes_idle"],
    }
    return [f"{mount!r}: {count} {what}" for what, count in held.items() if count]


@contextlib.contextmanager
def observed(case: Case) -> Iterator[None]:
    """The time of a test, in which the case hears the log."""
    logger = logging.getLogger("fusesg")
    logger.addHandler(case.log)
    try:
        yield
    finally:
        logger.removeHandler(case.log)
