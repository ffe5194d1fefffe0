"""A process that serves a mount, and that is gone at the end whatever it does."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from fusesg.cli import _mount_table
from fusesg.cli._errors import CommandError
from fusesg.cli.bench.peers import _launch

if TYPE_CHECKING:
    from types import TracebackType

    from fusesg.cli.bench.peers._systems import Installed

_LOG_LINES = 3
_END_SECONDS = 0.5
_LIBFUSE = re.compile(r"/libfuse3?\.so\.(\d+\.[\d.]+)$", re.MULTILINE)


class Server:
    """Starts a system over a directory.

    Args:
        system: What to start.
        source: The directory it shows.
        mountpoint: An empty directory.
        log: A file for what it prints.
        timeout: How many seconds it may take to mount, and to end.
    """

    def __init__(
        self, system: Installed, source: str, mountpoint: str, log: str, timeout: float
    ) -> None:
        self._mountpoint = mountpoint
        self._log = log
        self._timeout = timeout
        launch = [sys.executable, "-I", _launch.__file__, str(os.getpid())]
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                [*launch, *system.command, source, mountpoint],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **system.environment},
                # Ctrl-C is for the benchmark, which ends this in its own way
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def wait_for_mount(self) -> None:
        """Waits until there is something at the mount point.

        Raises:
            CommandError: It ended before, or takes too long.
        """
        deadline = time.monotonic() + self._timeout
        with (
            open("/proc/self/mountinfo", "rb") as table,
            contextlib.ExitStack() as stack,
        ):
            process = os.pidfd_open(self.pid)
            stack.callback(os.close, process)
            changes = select.poll()
            # the table "has an exceptional condition" when a mount comes or goes
            changes.register(table, select.POLLPRI)
            changes.register(process, select.POLLIN)
            while not self._entry():
                left = deadline - time.monotonic()
                if self.has_ended:
                    raise CommandError(f"ended before it was mounted{self.last_words}")
                if left <= 0:
                    raise CommandError(
                        f"not mounted within {self._timeout:.1f} seconds"
                    )
                changes.poll(left * 1000)

    @property
    def has_ended(self) -> bool:
        """Whether it serves no more."""
        return self._process.poll() is not None

    def ends_now(self) -> bool:
        """Whether it serves no more, or is about to end.

        Its clients may be told so by the kernel a moment before it has ended.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        return self.has_ended

    @property
    def end(self) -> str:
        """How it has ended, for a message."""
        status = self._process.poll()
        if status is None:
            return "still running"
        if status < 0:
            return f"killed by {signal.Signals(-status).name}{self.last_words}"
        return f"ended with {status}{self.last_words}"

    @property
    def last_words(self) -> str:
        """The end of what it has printed, for a message."""
        with open(self._log, encoding="utf-8", errors="replace") as log:
            lines = log.read().splitlines()
        # of a traceback what it comes to
        told = [line for line in lines if line.strip() and not line[0].isspace()]
        told = [line for line in told if not line.startswith("Traceback ")]
        return ": " + " / ".join(told[-_LOG_LINES:]) if told else ""

    def libfuse(self) -> str:
        """The version of libfuse that it has loaded; empty if it has none."""
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/maps") as maps:
            if found := _LIBFUSE.search(maps.read()):
                return found[1]
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Unmounts and waits for its end; by force if it does not end."""
        if kind is None and not self.has_ended and (entry := self._entry()):
            with contextlib.suppress(CommandError):
                _mount_table.unmount(entry, lazy=False)
            if self._entry() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(self._timeout)
        self.abort()

    def abort(self) -> None:
        """Ends it at once: who waits for it gets an error, and the mount goes."""
        entry = self._entry()
        if not self.has_ended:
            # all of its session; without the last descriptor of /dev/fuse the
            # connection is aborted by the kernel
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        if entry is not None:
            # and if somebody else has that descriptor, too
            minor = entry.device.partition(":")[2]
            with (
                contextlib.suppress(OSError),
                open(f"/sys/fs/fuse/connections/{minor}/abort", "w") as file,
            ):
                file.write("1")
        self._process.wait()
        if entry is not None and self._entry():
            # an end of its own may be quicker
            with contextlib.suppress(CommandError):
                _mount_table.unmount(entry, lazy=True)

    def _entry(self) -> _mount_table.MountEntry | None:
        entry = _mount_table.find(self._mountpoint)
        return entry if entry and entry.is_fuse else None
