"""SIGINT and SIGTERM while `serve` is in the foreground."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from fusesg._mount import Mount

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_LOOK_SECONDS = 1.0
"""How often the main thread, while it waits, looks whether unmounting was in vain."""


class Termination:
    """Turns signals into an end of the mount: the first unmounts, the second aborts.

    A handler runs on the main thread, between two steps of `Mount.wait`, and must come
    back soon, or the second signal would not be seen. So unmounting has a thread of its
    own, and the main thread goes on waiting until the mount has ended.
    """

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Any] = {}
        self._mount: Mount | None = None
        self._received = 0
        self._error: OSError | None = None
        self.has_unmounted = False
        """Whether a signal has had its effect, or as much of it as can be had."""

    def ends(self, mount: Mount) -> None:
        """From now on signals end `mount`; so does one that came already."""
        self._mount = mount
        if self._received:
            self._unmount()

    def wait(self, mount: Mount) -> None:
        """Waits until the mount has ended.

        Raises:
            OSError: It is unmounted upon a signal, but a callback does not return.
        """
        # a callback that never returns keeps the mount from ending, and must not keep
        # the process from doing so
        while not mount.wait(_LOOK_SECONDS) and not self.has_unmounted:
            pass
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        # Python allows handlers on the main thread only
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # None: installed from outside of Python, and cannot be put back
                if signal.getsignal(number) is not None:
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._received += 1
        if self._mount is None:
            return
        if self._received == 1:
            self._unmount()
        else:
            self._mount.abort()

    def _unmount(self) -> None:
        assert self._mount is not None
        mount = self._mount

        def unmount() -> None:
            try:
                mount.unmount()
            except OSError as error:
                self._error = error
            finally:
                self.has_unmounted = True

        threading.Thread(target=unmount, name="fusesg-unmount", daemon=True).start()
