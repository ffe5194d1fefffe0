"""Telling the service manager how a server in the foreground is doing.

The protocol of sd_notify(3): datagrams of assignments to the socket that the variable
NOTIFY_SOCKET names. systemd starts what depends on a unit of `Type=notify` only when
that has said READY=1.
"""

from __future__ import annotations

import os
import socket
import sys

_VARIABLE = "NOTIFY_SOCKET"


def ready(status: str) -> None:
    """Says that the mount is usable."""
    # a newline would begin another assignment
    _send(f"READY=1\nSTATUS={' '.join(status.splitlines())}")


def stopping() -> None:
    """Says that the mount has ended."""
    _send("STOPPING=1")


def _send(message: str) -> None:
    """Sends, if somebody listens; who does not is no reason to fail."""
    address = os.environ.get(_VARIABLE)
    if not address:
        return
    if address.startswith("@"):  # a name that is no file
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
        try:
            end.sendto(message.encode(errors="surrogateescape"), address)
        except OSError as error:
            print(f"fusesg: {_VARIABLE}: {error.strerror}", file=sys.stderr)
