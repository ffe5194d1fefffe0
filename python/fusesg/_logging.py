"""From the core's log queue to the module logging.

Threads that serve requests must never wait for a log handler: it may block, need the
interpreter lock, or write into the very mount. So the core puts records into a bounded
queue, and a daemon thread of this module hands them to the logger `fusesg` and its
children.

No handler is installed. An application that configures logging gets the records like
all others; in one that does not, the module logging prints warnings and errors to
stderr by itself, so that a broken callback is seen. (A NullHandler, usual in libraries,
would suppress just that.)
"""

from __future__ import annotations

import logging
import os
import threading
import traceback

from fusesg import _core

_FLUSH_SECONDS = 1.0
"""How long to wait at most for a handler that blocks, as at the interpreter's end."""

_lock = threading.Lock()
_thread: threading.Thread | None = None


def start() -> None:
    """Starts handing over records, with one thread for each process."""
    global _thread  # noqa: PLW0603 - one queue and one thread for each process
    with _lock:
        if _thread is None:
            _thread = threading.Thread(target=_drain, name="fusesg-log", daemon=True)
            _thread.start()


def flush() -> None:
    """Waits, a bounded time, until the logger has what was logged so far."""
    if _thread is not None:
        _core.flush_log_queue(_FLUSH_SECONDS)


def finish() -> None:
    """Hands over what is queued, and waits for that a bounded time."""
    _core.close_log_queue()
    if _thread is not None:
        _thread.join(_FLUSH_SECONDS)


def _drain() -> None:
    # None without a timeout means that the queue is closed and empty
    while (record := _core.next_log_record()) is not None:
        level, target, message = record
        # targets are the paths of Rust modules, which are nobody's business but for
        # the trace of operations
        logger = logging.getLogger(
            "fusesg.trace" if target == "fusesg::trace" else "fusesg"
        )
        try:
            logger.log(level, "%s", message)
        except Exception:  # noqa: BLE001 - a filter or handler of the application
            # not a reason to be silent for the rest of the process
            traceback.print_exc()


def _after_fork_in_child() -> None:
    # the child has these variables, but not the thread that they speak of
    global _thread, _lock  # noqa: PLW0603 - see start()
    _thread = None
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)
