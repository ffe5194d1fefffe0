"""Check what no linter checks: file lengths, where `unsafe` sits, links in the docs.

Prints one line per finding and exits with status 1 if there is any.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_FILE = 800  # lines; above that a file holds more than one concept

# Where `unsafe` may be (matched from the right), and what needs it there.
UNSAFE_FILES = {
    "sys.rs": "system calls",
    "sys/*.rs": "system calls",
    "rust/python/src/data/buffers.rs": "memory that Python owns",
    "tests/*.rs": "tests make system calls that the crates do not need",
}

UNSAFE = re.compile(r"\bunsafe\b\s*(?:\{|impl\b|extern\b|fn\b)")
NOT_CODE = re.compile(r'//.*|"(?:\\.|[^"\\])*"')
LINK = re.compile(r"\]\(([^)#\s]+)")


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the tree that match and that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    output = subprocess.check_output([*command, "--", *patterns], text=True)
    paths = (Path(name) for name in output.split("\0") if name)
    return [path for path in paths if path.exists()]


def too_long(path: Path, lines: list[str]) -> Iterator[str]:
    """Find a file that is longer than a reader can keep in mind."""
    if len(lines) > LONGEST_FILE:
        yield f"{path}: {len(lines)} lines; split it, {LONGEST_FILE} are the limit"


def careless_unsafe(path: Path, lines: list[str]) -> Iterator[str]:
    """Find `unsafe` in the wrong file or without its reason just above."""
    allowed = any(path.match(pattern) for pattern in UNSAFE_FILES)
    for index, line in enumerate(lines):
        found = UNSAFE.search(NOT_CODE.sub("", line))
        if not found:
            continue
        if not allowed:
            yield f"{path}:{index + 1}: `unsafe` outside the files of {__file__}"
        wanted = "# Safety" if found[0].endswith("fn") else "SAFETY:"
        if wanted not in comment_above(lines, index):
            yield f"{path}:{index + 1}: no `{wanted}` note just above"


def comment_above(lines: list[str], index: int) -> str:
    """Return the comment above the statement or item that line `index` is part of."""
    # The statement may begin on an earlier line, and an item may have attributes.
    while index > 0:
        before = lines[index - 1].strip()
        if not before or before.startswith("//") or before.endswith(tuple(";{},(")):
            break
        index -= 1
    start = index
    while start > 0 and lines[start - 1].lstrip().startswith(("//", "#[")):
        start -= 1
    return "\n".join(lines[start:index])


def dead_links(path: Path, lines: list[str]) -> Iterator[str]:
    """Find relative links to files that do not exist."""
    for number, line in enumerate(lines, start=1):
        for target in LINK.findall(line):
            if "://" not in target and not (path.parent / target).exists():
                yield f"{path}:{number}: no such file: {target}"


def main() -> int:
    """Run every check over the files it applies to."""
    checks = {
        # a stub file is as long as its module's interface
        too_long: tracked("*.rs", "*.py", "*.sh"),
        careless_unsafe: tracked("*.rs"),
        dead_links: tracked("*.md"),
    }
    findings = [
        finding
        for check, paths in checks.items()
        for path in paths
        for finding in check(path, path.read_text().splitlines())
    ]
    print("\n".join(findings) if findings else "tree: nothing to complain about")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
