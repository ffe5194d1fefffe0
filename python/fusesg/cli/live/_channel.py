"""Asking a mount for its numbers.

Each mount answers at an abstract Unix socket that is named by its device, `@fusesg/57`,
in a thread that needs neither the GIL nor the mount. Nothing here touches the mount
itself, which may hang.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from fusesg.cli import _mount_table
from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    from fusesg.cli._mount_table import MountEntry

PATIENCE = 5.0
"""Seconds that a server has for its answer, which takes it less than a millisecond."""

_NAMES = 8
"""As many as a server tries; see rust/serve/src/endpoint/listener.rs."""


class MountGoneError(CommandError):
    """Nobody answers for the mount, or not any more."""


class UnmountedError(MountGoneError):
    """The mount is not there any more."""


def find(path: str) -> MountEntry:
    """The mount of fusesg at a path.

    Raises:
        CommandError: There is none; the text says what is there.
    """
    entry = _mount_table.find(path)
    if entry is None:
        if not os.path.lexists(path):
            raise CommandError(f"{path} does not exist")
        raise CommandError(f"{path} is not a mount point; see `findmnt -t fuse.fusesg`")
    if not entry.is_fuse:
        raise CommandError(f"{path} is no mount of fusesg but of type {entry.type}")
    return entry


def find_all() -> list[MountEntry]:
    """All mounts of fusesg that can be seen, each once."""
    return list(
        {
            entry.device: entry for entry in _mount_table.read() if entry.is_fusesg
        }.values()
    )


def statistics(entry: MountEntry) -> dict[str, Any]:
    """The numbers of a mount, as `Mount.statistics` has them.

    Raises:
        CommandError: They cannot be had; the text says why.
    """
    numbers: dict[str, Any] = json.loads(_ask(entry, "/statistics"))
    return numbers


def metrics(entry: MountEntry) -> str:
    """The numbers of a mount, as Prometheus reads them.

    Raises:
        CommandError: They cannot be had; the text says why.
    """
    return _ask(entry, "/metrics").decode()


def is_mounted(entry: MountEntry) -> bool:
    """Whether the mount is still there."""
    known = (entry.device, entry.path)
    return any((other.device, other.path) == known for other in _mount_table.read())


def _ask(entry: MountEntry, path: str) -> bytes:
    minor = entry.device.partition(":")[2]
    for number in range(_NAMES):
        name = f"fusesg/{minor}" + (f".{number}" if number else "")
        connection = _connect(entry, name)
        if connection is None:
            continue
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read()
        except TimeoutError:
            raise CommandError(
                f"{entry.path}: process {connection.server} serves it, and has not "
                f"answered for {PATIENCE:.0f} s; is it stopped?"
            ) from None
        except (OSError, http.client.HTTPException):
            continue  # its end came in between
        finally:
            connection.close()
        match response.status:
            case http.client.OK if is_mounted(entry):
                return text
            case http.client.OK:
                break  # of another mount, which has the device by now
            case http.client.FORBIDDEN:
                reason = text.decode(errors="replace").strip()
                raise CommandError(f"{entry.path}: no permission: {reason}")
        # the socket of a mount that has ended, whose device is this one's now
    raise _unanswered(entry)


def _connect(entry: MountEntry, name: str) -> _Connection | None:
    connection = _Connection(name)
    try:
        connection.connect()
    except OSError:
        return None
    # the name of an abstract socket is anybody's to take
    if connection.owner in {0, entry.owner}:
        return connection
    connection.close()
    return None


def _unanswered(entry: MountEntry) -> CommandError:
    if not is_mounted(entry):
        return UnmountedError(f"{entry.path} has been unmounted")
    if not entry.is_fusesg:
        return CommandError(
            f"{entry.path} is no mount of fusesg but of type {entry.type}"
        )
    return MountGoneError(
        f"nobody answers for {entry.path}: its server has died (`fusesg umount --lazy "
        f"{entry.path}` takes the rest away), or runs in another network namespace"
    )


class _Connection(http.client.HTTPConnection):
    """HTTP through an abstract Unix socket."""

    def __init__(self, name: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._name = name
        self.server = 0
        """Process that listens."""
        self.owner = -1
        """Its user."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(PATIENCE)
            self.sock.connect(f"\0{self._name}")
            credentials = struct.Struct("3i")
            found = self.sock.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size
            )
            self.server, self.owner, _group = credentials.unpack(found)
        except BaseException:
            self.sock.close()
            raise
