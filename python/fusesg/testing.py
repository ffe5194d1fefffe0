r"""Fixtures for pytest: file systems tested without a mount, and checked for leaks.

Enable them in a `conftest.py` at the top of your tests:

```python
pytest_plugins = ["fusesg.testing"]
```

and use a file system as a program would:

```python
def test_hello(fuse_client):
    client = fuse_client(Hello())
    assert client.listdir("/") == ["hello"]
    with client.open_file("/hello") as file:
        assert file.read() == b"Hello from Python\n"
```

- `fuse_client(filesystem, **options)` makes a `fusesg.Client`. At the end of the test
  each is closed, and a test fails that leaves a file open, a lookup that was not given
  back, a request without an answer, or a page that did not return to its pool.
- `fuse_log` has the warnings and errors of the `fusesg` logger. A test fails that logs
  one it does not `expect`: a traceback in there is a bug in the file system.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from fusesg import _core
from fusesg._client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fusesg._filesystem import Filesystem

__all__ = ["FuseLog", "MakeClient", "fuse_client", "fuse_log", "leaks"]

_LOG_SECONDS = 10.0
"""How long a message that is expected may take: it comes from another thread."""


class MakeClient(Protocol):
    """What the fixture `fuse_client` is."""

    def __call__(
        self,
        filesystem: Filesystem | object,
        **options: Any,  # noqa: ANN401 - those of Client
    ) -> Client:
        """Makes a client, closed at the end of the test.

        Args:
            filesystem: What to use.
            **options: As for `fusesg.Client`.
        """


class FuseLog(logging.Handler):
    """The warnings and errors of one test, and which of them are expected."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._messages: list[str] = []
        self._expected: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a record.

        Args:
            record: What was logged.
        """
        with self._changed:
            self._messages.append(record.getMessage())
            self._changed.notify_all()

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

    def check(self) -> None:
        """Fails unless what is expected was logged, and nothing else was."""
        for pattern in self._expected:
            with self._changed:
                self._changed.wait_for(lambda: self._has(pattern), _LOG_SECONDS)  # noqa: B023
                assert self._has(pattern), f"nothing like {pattern!r} in the log"
        stray = [
            message
            for message in self.messages
            if not any(re.search(pattern, message) for pattern in self._expected)
        ]
        assert not stray, f"in the log, and not expected: {stray}"

    def _has(self, pattern: str) -> bool:
        return any(re.search(pattern, message) for message in self._messages)


@pytest.fixture
def fuse_log() -> Iterator[FuseLog]:
    """The log of fusesg during this test; what is not expected in it fails the test."""
    log = FuseLog()
    logger = logging.getLogger("fusesg")
    logger.addHandler(log)
    try:
        yield log
        # what is still on its way belongs to this test
        while record := _core.next_log_record(0):
            level, _target, message = record
            logger.log(level, "%s", message)
        log.check()
    finally:
        logger.removeHandler(log)


@pytest.fixture
def fuse_client(fuse_log: FuseLog) -> Iterator[MakeClient]:
    """Makes clients that are checked for leaks and closed at the end of the test."""
    del fuse_log  # is checked after the clients are closed
    clients: list[Client] = []

    def make(filesystem: Filesystem | object, **options: Any) -> Client:  # noqa: ANN401
        client = Client(filesystem, **options)
        clients.append(client)
        return client

    yield make
    found = [leak for client in clients for leak in leaks(client)]
    for client in clients:
        client.close()
    assert not found, f"left behind: {found}"


def leaks(client: Client) -> list[str]:
    """What a client still holds; nothing, if all that was opened was closed.

    Args:
        client: An idle client. Of one that is closed nothing is known any more.

    Returns:
        A line for each kind of thing.
    """
    if client.closed:
        return []
    statistics = client.statistics()
    core = statistics["core"]
    held = {
        "open files": statistics["open_files"],
        "lookups not given back": statistics["lookups"],
        "handles of the file system": statistics["handles"],
        "requests without an answer": statistics["in_flight"],
        "requests": core["requests"]["outstanding"],
        "bytes of pages": core["pool"]["bytes_resident"] - core["pool"]["bytes_idle"],
    }
    return [f"{client!r}: {count} {what}" for what, count in held.items() if count]
