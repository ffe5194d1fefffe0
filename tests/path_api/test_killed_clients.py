"""A client that is killed while a method of a path file system runs."""

import signal
import subprocess
import threading

import pytest

from .conftest import UNCACHED, forgotten_but
from .memory import PathMemory

CLIENTS = {
    "getattr": ["stat", "d"],
    "create": ["touch", "new"],
    "mkdir": ["mkdir", "new"],
    "rename": ["mv", "-T", "d", "e"],
    "unlink": ["rm", "f"],
}


def slowed(operation):
    """A class of which one operation waits before it does what it is for."""

    class Slow(PathMemory):
        def __init__(self):
            super().__init__()
            self.slow = False
            self.begun, self.go_on, self.ended = (threading.Event() for _ in range(3))
            self.released = threading.Event()

        def release(self, path, handle, ctx):
            assert handle is not None
            self.released.set()

    method = getattr(PathMemory, operation)

    def waits(self, path, *rest):
        if not self.slow or path == "/":
            return method(self, path, *rest)
        self.begun.set()
        self.go_on.wait()
        try:
            return method(self, path, *rest)
        finally:
            self.ended.set()

    setattr(Slow, operation, waits)
    return Slow()


@pytest.mark.parametrize("operation", CLIENTS)
@pytest.mark.requires("root")
def test_what_was_done_for_it_is_known(mounted, mountpoint, operation):
    slow = slowed(operation)
    with mounted(slow, **UNCACHED) as mount:
        (mountpoint / "d").mkdir()
        (mountpoint / "f").touch()
        forgotten_but(mount, 1)
        slow.slow = True
        try:
            with subprocess.Popen(
                CLIENTS[operation], cwd=mountpoint, stderr=subprocess.DEVNULL
            ) as client:
                assert slow.begun.wait(10)
                client.send_signal(signal.SIGKILL)
                assert client.wait(10) == -signal.SIGKILL
        finally:
            slow.go_on.set()
        assert slow.ended.wait(10)
        if operation == "create":
            assert slow.released.wait(10)
        slow.slow = False
        forgotten_but(mount, 1)
        expected = {
            "create": {"d", "f", "new"},
            "mkdir": {"d", "f", "new"},
            "rename": {"e", "f"},
            "unlink": {"d"},
        }
        found = {entry.name for entry in mountpoint.iterdir()}
        assert found == expected.get(operation, {"d", "f"})
