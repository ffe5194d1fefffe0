"""Check that a built site can be read offline: `check_site.py DIRECTORY`.

No page and no style sheet may load anything from elsewhere, and what they load from the
site must be there, and so must be the pages and sections that they lead to. (A link to
another site is no resource: it is followed by a reader, not by the browser.)

Prints one line per finding and exits with status 1 if there is any.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a browser fetches by itself, by element.
RESOURCES = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
    "link": "href",
}
NO_RESOURCE = {"canonical", "next", "prev", "index", "search", "help", "author"}
CSS_URL = re.compile(r"""(?:url\(|@import\s+)\s*['"]?([^'")\s;]+)""")


class Page(HTMLParser):
    """What a page loads, where it leads, and what in it can be led to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.resources: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self._in_style = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Looks at one element."""
        values = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        if "id" in values:
            self.anchors.add(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        is_resource = not set(values.get("rel", "").split()) & NO_RESOURCE
        if values.get(RESOURCES.get(tag, "")) and is_resource:
            self.resources.append(values[RESOURCES[tag]])
        self.resources += CSS_URL.findall(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        """Looks at a style sheet within the page."""
        if self._in_style:
            self.resources += CSS_URL.findall(data)


def findings(site: Path) -> Iterator[str]:
    """Everything that is wrong with a site."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site}: no page"
    for path, page in pages.items():
        for target in page.resources:
            yield from missing(path, target, pages)
        for target in page.links:
            if not urlsplit(target).scheme:
                yield from missing(path, target, pages)
    for path in sorted(site.rglob("*.css")):
        for target in CSS_URL.findall(path.read_text(encoding="utf-8")):
            yield from missing(path, target, pages)


def missing(path: Path, target: str, pages: dict[Path, Page]) -> Iterator[str]:
    """Finds out whether `target` is in the site."""
    parts = urlsplit(target)
    if parts.scheme == "data":
        return
    if parts.scheme or parts.netloc:
        yield f"{path}: loads {target}"
        return
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not file.is_file():
        yield f"{path}: no such file: {target}"
    elif (
        parts.fragment
        and file in pages
        and unquote(parts.fragment) not in pages[file].anchors
    ):
        yield f"{path}: no such section: {target}"


def main() -> int:
    """Check the site that the command line names."""
    site = Path(sys.argv[1]).resolve()
    found = list(dict.fromkeys(findings(site)))
    count = len(list(site.rglob("*.html")))
    print("\n".join(found) if found else f"site: {count} pages, complete by themselves")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
