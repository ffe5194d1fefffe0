"""Looks through the files of a dashboard for what it would load from elsewhere.

Addresses in comments and the names of XML namespaces are never loaded, nor is anything
in the notices of the libraries.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAMESPACES = "http://www.w3.org/"
_REMOTE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CSS_ADDRESS = re.compile(r"""(?:url\(|@import)\s*['"]?([^'")\s;]+)""")
_JS_ADDRESS = re.compile(r"""['"`]((?:https?:)?//[\w.-]+[^'"`]*)['"`]""")


class _Addresses(HTMLParser):
    """All that a page loads or leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Looks at one element."""
        del tag
        self.addresses += [
            value for name, value in attrs if name in {"src", "href", "data"} and value
        ]


def findings(site: Path) -> Iterator[str]:
    """One line for each address elsewhere, and for each file that is not there."""
    for path in sorted(site.rglob("*")):
        place = path.relative_to(site)
        if path.suffix == ".html":
            addresses = _Addresses(path.read_text("utf-8")).addresses
        elif path.suffix == ".css":
            text = _CSS_COMMENT.sub("", path.read_text("utf-8"))
            addresses = _CSS_ADDRESS.findall(text)
        elif path.suffix == ".js":
            addresses = _JS_ADDRESS.findall(path.read_text("utf-8"))
            addresses = [a for a in addresses if not a.startswith(_NAMESPACES)]
        elif path.name == "index.json":
            index = json.loads(path.read_text("utf-8"))
            addresses = [index["project_url"], index["show_commit_url"]]
        else:
            continue
        for address in addresses:
            if _REMOTE.match(address):
                yield f"{place}: {address} is elsewhere"
            elif path.suffix != ".js" and not _is_there(path, address):
                yield f"{place}: no such file: {address}"


def _is_there(page: Path, address: str) -> bool:
    parts = urlsplit(address)
    if parts.scheme or not parts.path:  # data:, or a place in the page
        return parts.scheme in {"", "data"}
    return (page.parent / unquote(parts.path)).is_file()
