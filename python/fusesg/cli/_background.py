"""Going on in the background, once it is known that all is well."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from fusesg import _logging
from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

_READY = b"ready"


def run(
    serve: Callable[[Callable[[], None]], None],
    explain: Callable[[Exception], str],
    log: int | None,
) -> int:
    """Runs `serve` in a daemon; returns when that has called its argument, or failed.

    The process forks before `serve` has made a thread or a mount: neither survives a
    fork. It forks twice, so that the daemon, in a session of its own but not leading
    it, can never get a controlling terminal. Until it is ready the daemon keeps the
    working directory and stderr, since the file system may be given relative paths and
    have something to say.

    Args:
        serve: Serves until the end, and calls its argument when it is ready.
        explain: What to tell of an exception that `serve` raised.
        log: Descriptor that becomes stdout and stderr of the daemon; None is
            /dev/null.

    Returns:
        The exit status: of the command, and, at its end, of the daemon.

    Raises:
        CommandError: The daemon failed before it was ready; the text is its own.
    """
    assert threading.active_count() == 1, "threads do not survive a fork"
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child != 0:
        os.close(writer)
        os.waitpid(child, 0)
        return _wait(reader)
    os.close(reader)
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    return _serve(serve, explain, log, writer)


def _wait(reader: int) -> int:
    """Of the command: waits until the daemon is ready or has ended."""
    with open(reader, "rb") as pipe:
        report = pipe.read()
    if report == _READY:
        return 0
    text = report.decode(errors="replace")
    raise CommandError(
        text or "the server ended before the mount was ready; was it killed?"
    )


def _serve(
    serve: Callable[[Callable[[], None]], None],
    explain: Callable[[Exception], str],
    log: int | None,
    writer: int,
) -> int:
    """Of the daemon: serves to the end."""
    ready = False

    def on_ready() -> None:
        nonlocal ready
        _logging.flush()  # what was said of the mount, while there is a terminal
        _detach(log)
        ready = True
        # fails if the command was interrupted: then nobody wants the mount any more
        os.write(writer, _READY)
        os.close(writer)

    try:
        serve(on_ready)
    except Exception as error:  # noqa: BLE001 - told, and ends the daemon
        if ready:
            print(explain(error), file=sys.stderr)
        else:
            os.write(writer, explain(error).encode(errors="backslashreplace"))
            os.close(writer)
        return 1
    return 0


def _detach(log: int | None) -> None:
    """Keeps nothing busy any more: no directory, no terminal."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(null, 0)
    os.dup2(null if log is None else log, 1)
    os.dup2(null if log is None else log, 2)
    os.close(null)
    if log is not None:
        os.close(log)
