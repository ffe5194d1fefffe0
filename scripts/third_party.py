"""Write LICENSE-THIRD-PARTY: the notices of the crates that the wheel contains.

With `--check` only say whether it is up to date. All crates offer the MIT licence; it
asks for the notice and the text to go with every copy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FILE = Path("LICENSE-THIRD-PARTY")
HEAD = """\
The extension module of fusesg contains these Rust crates and parts of the Rust standard
library. They are used under the MIT licence, whose text follows the list.
"""
STANDARD_LIBRARY = (
    "Rust standard library",
    ["Copyright (c) The Rust Project Contributors"],
)
PERMISSION = "Permission is hereby granted"
STRAIGHT = {0x201C: '"', 0x201D: '"'}  # one crate's quotation marks are typographic


def cargo(*arguments: str) -> str:
    """Return what a cargo command prints."""
    command = ["cargo", *arguments, "--locked"]
    return subprocess.check_output(command, text=True)


def linked() -> set[tuple[str, str]]:
    """Name and version of each crate that ends up in the extension module."""
    options = ["--edges", "normal,no-proc-macro", "--prefix", "none"]
    tree = cargo("tree", "--package", "fusesg-python", *options, "--format", "{p}")
    return {
        (name, version.removeprefix("v"))
        for name, version, *_ in map(str.split, tree.splitlines())
    }


def licence(directory: Path) -> tuple[list[str], str]:
    """Copyright lines and text of the MIT licence in a crate."""
    files = sorted(directory.glob("LICENSE*"), key=lambda path: "MIT" not in path.name)
    for path in files:
        text = path.read_text().translate(STRAIGHT)
        head, found, text = text.partition(PERMISSION)
        if found:
            lines = [line.strip() for line in head.splitlines()]
            notices = [line for line in lines if line.lower().startswith("copyright")]
            return notices, " ".join((found + text).split())
    raise SystemExit(f"{directory}: no text of the MIT licence")


def notices() -> str:
    """Everything that the file has to say."""
    metadata = json.loads(cargo("metadata", "--format-version", "1"))
    wanted = linked()
    crates, texts = [STANDARD_LIBRARY], set()
    for package in metadata["packages"]:
        key = package["name"], package["version"]
        if key not in wanted or package["source"] is None:  # None: a crate of our own
            continue
        lines, text = licence(Path(package["manifest_path"]).parent)
        texts.add(text)
        crates.append((f"{key[0]} {key[1]}", lines))
    list_of_crates = "".join(
        f"\n{name}\n" + "".join(f"    {line}\n" for line in lines)
        for name, lines in sorted(crates)
    )
    own = Path("LICENSE").read_text()
    text = own[own.index(PERMISSION) :]
    if different := texts - {" ".join(text.split())}:
        raise SystemExit(f"not the usual text of the MIT licence: {different}")
    return f"{HEAD}{list_of_crates}\n{'-' * 72}\n\n{text}"


def main() -> int:
    """Write the file, or check it."""
    text = notices()
    if "--check" not in sys.argv:
        FILE.write_text(text)
    elif not FILE.exists() or FILE.read_text() != text:
        print(f"{FILE} is not up to date: run python {sys.argv[0]}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
