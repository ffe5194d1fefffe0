"""Shows a dashboard to browsers on this machine.

Its pages load their data by requests, which browsers refuse to pages from a file.
"""

from __future__ import annotations

import errno
import functools
import http.server
from typing import TYPE_CHECKING, Any

from errors import DashboardError

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def end_headers(self) -> None:
        """A dashboard that was built again is seen at once."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing: the terminal belongs to whoever started it."""


def server(site: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server of the files of a dashboard; port 0 takes any that is free."""
    if not (site / "index.html").is_file():
        raise DashboardError(
            f"there is no dashboard in {site}; make dashboard makes it"
        )
    handler = functools.partial(_Handler, directory=str(site))
    try:
        made = http.server.ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise DashboardError(
                f"port {port} is in use; choose another one with PORT=…"
            ) from None
        raise DashboardError(f"port {port}: {error.strerror}") from None
    made.daemon_threads = True
    return made


def address(of: http.server.ThreadingHTTPServer) -> str:
    """Where a browser finds it."""
    return f"http://{HOST}:{of.server_address[1]}/"
