"""The warnings and errors that fusesg logs during a test."""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING

from fusesg import _core

if TYPE_CHECKING:
    from collections.abc import Callable

_WAIT_SECONDS = 10.0
"""How long a message that is expected may take: it comes from another thread."""


class FuseLog(logging.Handler):
    """What the fixture `fuse_log` is: the log of one test, and what is expected in it.

    ```python
    def test_broken(fuse_mount, fuse_log):
        fuse_log.expect("ZeroDivisionError")
        mount = fuse_mount(Broken())
        with pytest.raises(OSError, match="Input/output error"):
            Path(mount.path, "file").read_bytes()
    ```

    A test fails that logs a warning or an error which it does not expect, or that
    expects one which does not come.

    Args:
        observer: Is called with each message, by the thread that hands it over.
    """

    def __init__(self, observer: Callable[[str], object] | None = None) -> None:
        super().__init__(logging.WARNING)
        self._observer = observer
        self._messages: list[str] = []
        self._expected: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a record.

        Args:
            record: What was logged.
        """
        message = record.getMessage()
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()
        if self._observer is not None:
            self._observer(message)

    @property
    def messages(self) -> list[str]:
        """What was logged so far."""
        with self._changed:
            return list(self._messages)

    def expect(self, pattern: str) -> None:
        """Allows, and demands, a message in which `pattern` is found.

        Args:
            pattern: A regular expression.
        """
        self._expected.append(pattern)

    def is_expected(self, message: str) -> bool:
        """Whether the test said that such a message is right.

        Args:
            message: A message of the log.
        """
        return any(re.search(pattern, message) for pattern in self._expected)

    def wait_for(self, pattern: str, timeout: float = _WAIT_SECONDS) -> str:
        """Expects a message, and waits for it.

        Args:
            pattern: A regular expression that is found in it.
            timeout: Seconds after which the test fails.

        Returns:
            The first such message.
        """
        self.expect(pattern)
        with self._changed:
            found = self._changed.wait_for(lambda: self._find(pattern), timeout)
            assert found, f"nothing like {pattern!r} in the log: {self._messages}"
            return found

    def collect(self) -> None:
        """Takes in what is still on its way, and belongs to this test."""
        while record := _core.next_log_record(0):
            level, _target, message = record
            logging.getLogger("fusesg").log(level, "%s", message)

    def wait_for_any(self, timeout: float) -> None:
        """Waits for a message, of a test that has failed: it may tell why.

        Args:
            timeout: Seconds to wait at most.
        """
        self.collect()
        with self._changed:
            # the thread that hands messages over may have one in its hands
            self._changed.wait_for(lambda: self._messages, timeout)

    def findings(self, timeout: float) -> list[str]:
        """What is wrong with the log now that the test is over.

        Args:
            timeout: Seconds to wait for what is expected.

        Returns:
            A line for each message that is missing, and for each that is too much.
        """
        self.collect()
        missing = []
        for pattern in self._expected:
            with self._changed:
                if not self._changed.wait_for(lambda: self._find(pattern), timeout):  # noqa: B023
                    missing.append(f"nothing like {pattern!r} in the log")
        return missing + [
            f"in the log, and not expected: {message}"
            for message in self.messages
            if not self.is_expected(message)
        ]

    def _find(self, pattern: str) -> str | None:
        return next((text for text in self._messages if re.search(pattern, text)), None)
