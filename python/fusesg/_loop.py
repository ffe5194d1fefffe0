"""The event loops in which a mount awaits: one of its own, or the program's.

The core (rust/python/src/threads/event_loop/) adds the reader of a descriptor to the
loop, and signals that descriptor when there is something to await. It knows neither how
a loop is made nor how it ends; this module knows nothing of file systems.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import functools
import importlib
import signal
import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterator

    Reader = Callable[[], None]
    """Called in the loop when the descriptor has been signalled."""


T = TypeVar("T")


class LoopThread:
    """An event loop in a thread of its own; uvloop's, if that is installed.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._runner = asyncio.Runner(loop_factory=_loop_factory())
        self.loop = self._runner.get_loop()
        self._ends = False
        # a daemon: others are joined by the interpreter before it unmounts
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def attach(self, descriptor: int, reader: Reader) -> None:
        """Adds the reader, and begins to run."""
        self.loop.add_reader(descriptor, reader)
        self._thread.start()

    def detach(self, descriptor: int) -> None:
        """Removes the reader, and ends; called in the loop."""
        self.loop.remove_reader(descriptor)
        self._ends = True
        self.loop.stop()

    def discard(self) -> None:
        """Ends what has not been attached."""
        self._runner.close()

    def join(self, timeout: float) -> bool:
        """Waits for the end of the thread.

        Returns:
            False if `timeout` seconds passed first; the thread is then left behind.
        """
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        while not self._ends:
            # asyncio lets these two end the loop; here they are the outcome of one task
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                self.loop.run_forever()
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            self._runner.close()


class RunningLoop:
    """The loop that runs in this thread, and that others end.

    Raises:
        RuntimeError: None runs.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._reader: Callable[[], Any] = lambda: None

    def attach(self, descriptor: int, reader: Any) -> None:  # noqa: ANN401 - Rust's
        """Adds the reader; called in any thread."""
        # only the loop holds it: by its end the core sees that the loop was closed
        self._reader = weakref.ref(reader)
        self.loop.call_soon_threadsafe(self.loop.add_reader, descriptor, reader)

    def detach(self, descriptor: int) -> None:
        """Removes the reader; called in the loop."""
        self.loop.remove_reader(descriptor)

    def cancel(self) -> None:
        """Cancels what is awaited for the mount; called in the loop."""
        if (reader := self._reader()) is not None:
            reader.cancel()


async def in_thread(
    function: Callable[[], T],
    *,
    to_its_end: bool = False,
    on_cancel: Callable[[], None] | None = None,
    undo: Callable[[T], object] | None = None,
) -> T:
    """Calls something that blocks, without blocking the loop.

    In a thread of its own: those of the loop's executor may all be waiting for the very
    mount that is to be ended.

    Args:
        function: What to call.
        to_its_end: A task that is cancelled meanwhile waits for the end all the same.
        on_cancel: Called in that case; implies `to_its_end`.
        undo: Called in that case, in a thread, with what `function` has returned;
            implies `to_its_end`.
    """
    done = _begin_in_thread(function)
    if not (to_its_end or on_cancel or undo):
        return await done
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if on_cancel is not None:
            on_cancel()
        while not done.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([done])
        # whoever is cancelled learns of nothing else
        if done.exception() is None and undo is not None:
            await in_thread(functools.partial(undo, done.result()), to_its_end=True)
        raise


def _begin_in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            settle(done.set_exception, error)
        else:
            settle(done.set_result, result)

    def settle(setter: Callable[[Any], None], outcome: object) -> None:
        def set_if_wanted() -> None:
            if not done.cancelled():
                setter(outcome)

        with contextlib.suppress(RuntimeError):  # the loop is closed; nobody awaits it
            loop.call_soon_threadsafe(set_if_wanted)

    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(run,), name="fusesg-blocking", daemon=True
    ).start()
    return done


@contextlib.contextmanager
def sigterm() -> Iterator[asyncio.Future[None]]:
    """A future that is done upon SIGTERM, unless something else handles that.

    Signals are handled in the main thread; in another, it is never done.
    """
    loop = asyncio.get_running_loop()
    came: asyncio.Future[None] = loop.create_future()
    waiting = _AWAIT_SIGTERM.setdefault(loop, [])
    if not waiting and not _handle_sigterm(loop, waiting):
        yield came
        return
    waiting.append(came)
    try:
        yield came
    finally:
        waiting.remove(came)
        if not waiting:
            loop.remove_signal_handler(signal.SIGTERM)


_AWAIT_SIGTERM: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, list[asyncio.Future[None]]
] = weakref.WeakKeyDictionary()
"""A loop has one handler for all mounts that it serves."""


def _handle_sigterm(
    loop: asyncio.AbstractEventLoop, waiting: list[asyncio.Future[None]]
) -> bool:
    def handle() -> None:
        for came in waiting:
            if not came.done():
                came.set_result(None)

    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return False
    try:
        loop.add_signal_handler(signal.SIGTERM, handle)
    except (NotImplementedError, RuntimeError, ValueError):  # not the main thread
        return False
    return True


async def listed(
    entries: AsyncIterable[Any], most: int, most_with_positions: int
) -> list[Any]:
    """Collects what an asynchronous generator yields.

    Args:
        entries: The generator, or another asynchronous iterable.
        most: How many entries are enough.
        most_with_positions: The same of entries that have a `next_offset`: those that
            follow can be asked for again.
    """
    collected = []
    iterator = aiter(entries)
    try:
        async for entry in iterator:
            collected.append(entry)
            positioned = getattr(entry, "next_offset", None) is not None
            if len(collected) >= (most_with_positions if positioned else most):
                break
    finally:
        if (close := getattr(iterator, "aclose", None)) is not None:
            await close()
    return collected


async def otherwise(awaitable: Awaitable[T | None], known: T) -> T:
    """What `getattr` says of a file without a name, or what was known of it before.

    Raises:
        OSError: The file cannot be asked; not that the method needs a path.
    """
    try:
        result = await awaitable
    except OSError as error:
        if error.errno is not None and error.errno != errno.ENOENT:
            raise
        return known
    except Exception:  # noqa: BLE001 - what a method does that is given None for a path
        return known
    return known if result is None else result


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        factory: Callable[[], asyncio.AbstractEventLoop]
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return factory
