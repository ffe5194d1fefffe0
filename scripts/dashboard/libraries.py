"""Puts the libraries that asv's page wants beside it, in place of links to other hosts.

They are taken from installed Debian packages, in other versions than asv loads from
the network: jQuery is 3.6 in place of 3.3 and flot is 4.2 in place of 0.8, which the
scripts in `page/` make up for. orderBars, a plug-in of flot that is not packaged, is
replaced by one of them.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from errors import DashboardError

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARE = Path("/usr/share")
"""Where Debian packages put them."""

FOLDER = "libraries"
"""Where in the dashboard they are."""

_OWN = Path(__file__).parent / "page"
_SCRIPT = re.compile(r"<script\b[^>]*\bsrc=\"([^\"]+)\"[^>]*>\s*</script>")
_STYLE = re.compile(r"<link\b[^>]*\bhref=\"([^\"]+)\"[^>]*>")
_REMOTE = re.compile(r"(?:https?:)?//")
_SOURCE_MAP = re.compile(r"^\s*(?://|/\*)# sourceMappingURL=.*$", re.MULTILINE)
_ASV_LINK = re.compile(r"<a href=\"https://github\.com/[^\"]*\"[^>]*>(.*?)</a>")


@dataclass(frozen=True)
class Library:
    """A file that asv's page loads, and what stands in for it."""

    wanted: str
    """Last part of the address that asv knows it by."""
    package: str
    file: str
    """Below the place of installed files; empty: another file brings it."""
    companions: str = ""
    """Files that it loads by itself, as a pattern."""

    @property
    def target(self) -> str:
        """Where it is in the dashboard; style sheets have their fonts beside them."""
        return str(Path(FOLDER, *Path(self.file).parts[1:]))


_FLOT = "libjs-jquery-flot"
LIBRARIES = (
    Library("jquery-3.3.1.min.js", "libjs-jquery", "javascript/jquery/jquery.min.js"),
    Library("jquery.flot.min.js", _FLOT, "javascript/jquery-flot/jquery.flot.min.js"),
    # flot 4 is one file with all of these
    Library("jquery.flot.time.min.js", _FLOT, ""),
    Library("jquery.flot.selection.min.js", _FLOT, ""),
    Library("jquery.flot.categories.min.js", _FLOT, ""),
    Library("jquery.flot.axislabels.js", _FLOT, ""),
    Library(
        "stupidtable.min.js",
        "libjs-jquery-stupidtable",
        "javascript/jquery-stupidtable/stupidtable.min.js",
    ),
    Library("md5.min.js", "node-blueimp-md5", "javascript/blueimp-md5/md5.min.js"),
    Library(
        "bootstrap.min.js",
        "libjs-bootstrap",
        "javascript/bootstrap/js/bootstrap.min.js",
    ),
    Library(
        "bootstrap.min.css",
        "libjs-bootstrap",
        "javascript/bootstrap/css/bootstrap.min.css",
        companions="javascript/bootstrap/fonts/*",
    ),
)
OWN = {
    "jquery.flot.orderBars.js": (
        "jquery.js",
        "flot.js",
        "drag.js",
        "legend.js",
        "order_bars.js",
    )
}
"""What else is replaced: by files of ours."""
LAST = ("absent.js", "bounds.js")
"""Those that come behind asv's own scripts, and change them."""


def require(share: Path) -> None:
    """Fails with the packages to install, if one is missing."""
    missing = [
        library
        for library in LIBRARIES
        if library.file and not (share / library.file).is_file()
    ]
    if missing:
        packages = " ".join(sorted({library.package for library in missing}))
        files = ", ".join(str(share / library.file) for library in missing)
        raise DashboardError(
            f"missing {files}; to install on Debian or Ubuntu: "
            f"sudo apt-get install {packages}"
        )


def install(site: Path, share: Path) -> None:
    """Copies them into a published dashboard and makes its page load them."""
    for library in LIBRARIES:
        if library.file:
            _copy(share / library.file, site / library.target)
        for path in (
            sorted(share.glob(library.companions)) if library.companions else ()
        ):
            _copy(path, site / FOLDER / path.relative_to(share / "javascript"))
        # their authors ask for the notice to go with every copy
        notice = share / "doc" / library.package / "copyright"
        if notice.is_file():
            _copy(notice, site / FOLDER / f"{library.package}.copyright")
    for names in (*OWN.values(), LAST):
        for name in names:
            _copy(_OWN / name, site / FOLDER / name)
    index = site / "index.html"
    index.write_text(_rewritten(index.read_text("utf-8")), encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    if target.suffix in {".js", ".css"}:  # the maps stay behind
        text = target.read_text("utf-8")
        target.write_text(_SOURCE_MAP.sub("", text), encoding="utf-8")


def _rewritten(page: str) -> str:
    """The page with tags for local files only."""
    expected = {library.wanted for library in LIBRARIES} | set(OWN)
    found: set[str] = set()

    def tags(match: re.Match[str]) -> str:
        name = match[1].rpartition("/")[2]
        if name not in expected:
            return match[0]
        found.add(name)
        return "\n    ".join(_tags(name))

    page = _STYLE.sub(tags, _SCRIPT.sub(tags, page))
    page = _ASV_LINK.sub(r"\1", page)
    last = "\n    ".join(_tag(f"{FOLDER}/{name}") for name in LAST)
    page = page.replace("</head>", f"  {last}\n  </head>", 1)
    if missing := expected - found:
        raise DashboardError(
            f"asv's page does not load {', '.join(sorted(missing))} any more; its "
            "version is in requirements/bench.txt"
        )
    return page


def _tags(name: str) -> Iterator[str]:
    targets = [f"{FOLDER}/{own}" for own in OWN.get(name, ())]
    targets += [
        library.target
        for library in LIBRARIES
        if library.wanted == name and library.file
    ]
    yield from map(_tag, targets)


def _tag(target: str) -> str:
    if target.endswith(".css"):
        return f'<link rel="stylesheet" href="{target}">'
    return f'<script src="{target}" onerror="js_load_failure()"></script>'
