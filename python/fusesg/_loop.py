"""An asyncio event loop in a thread of its own, for what a mount has to await.

The core starts one when a mount first needs it (rust/python/src/threads/event_loop.rs)
and closes it with the mount. It knows nothing of file systems: awaitables go in, their
outcomes come out.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Outcome = Callable[[Any, BaseException | None], object]
    """Takes the result of an awaitable, or what it raised."""


class LoopThread:
    """A running event loop; uvloop's, if that is installed.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._runner = asyncio.Runner(loop_factory=_loop_factory())
        self.loop = self._runner.get_loop()
        self.closing = False
        # a daemon: others are joined by the interpreter before it unmounts
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def run(self, awaitable: Awaitable[Any], outcome: Outcome) -> Run:
        """Begins to await something.

        Args:
            awaitable: Anything that can be awaited on this loop.
            outcome: Called once, in the loop's thread, with the result and None or with
                None and an exception; not called if the loop is closed meanwhile.

        Returns:
            By what it may be cancelled.

        Raises:
            RuntimeError: The loop is closed.
        """
        run = Run(self, awaitable, outcome)
        self.loop.call_soon_threadsafe(run.start)
        return run

    def close(self, timeout: float) -> bool:
        """Cancels what runs, and ends the loop and its thread.

        Args:
            timeout: Seconds to wait for the end.

        Returns:
            False if something does not end; the thread is then left behind.
        """
        self.closing = True
        with contextlib.suppress(RuntimeError):  # it has been closed before
            self.loop.call_soon_threadsafe(self.loop.stop)
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        while not self.closing:
            # asyncio lets these two end the loop; here they are the outcome of one task
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                self.loop.run_forever()
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            self._runner.close()


class Run:
    """One awaitable on its way."""

    def __init__(
        self,
        thread: LoopThread,
        awaitable: Awaitable[Any],
        outcome: Outcome,
    ) -> None:
        self._thread = thread
        self._awaitable = awaitable
        self._outcome = outcome
        self._future: asyncio.Future[Any] | None = None

    def start(self) -> None:
        """Begins; in the loop's thread."""
        if self._thread.closing:
            if asyncio.iscoroutine(self._awaitable):
                self._awaitable.close()  # or it would complain that nobody awaited it
            return
        try:
            self._future = asyncio.ensure_future(
                self._awaitable, loop=self._thread.loop
            )
        except Exception as error:  # noqa: BLE001 - a future of another loop, for example
            self._outcome(None, error)
        else:
            self._future.add_done_callback(self._done)

    def cancel(self) -> None:
        """Cancels it; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and all cancelled
            self._thread.loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        # `start` was called before: the loop keeps the order
        if self._future is not None:
            self._future.cancel()

    def _done(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._outcome(None, asyncio.CancelledError())
        elif error := future.exception():
            self._outcome(None, error)
        else:
            self._outcome(future.result(), None)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        factory: Callable[[], asyncio.AbstractEventLoop]
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return factory
