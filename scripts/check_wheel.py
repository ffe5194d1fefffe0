"""Check what is in a wheel and in a source distribution: check_wheel.py WHEEL SDIST.

Prints one line per finding and exits with status 1 if there is any. What the extension
module needs of the system is for auditwheel and abi3audit to check.
"""

from __future__ import annotations

import re
import sys
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parent.parent
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"][
    "version"
]
LICENCES = {"LICENSE", "LICENSE-THIRD-PARTY"}
EXTENSION = "fusesg/_core.abi3.so"
WHEEL_NAME = re.compile(
    rf"fusesg-{re.escape(VERSION)}-cp311-abi3"
    r"-manylinux2014_(\w+)\.manylinux_2_17_\1\.whl"
)

# What a source distribution consists of: what is built, what is tested, what is read.
SDIST_FILES = LICENCES | {
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "PKG-INFO",
    "README.md",
    "pyproject.toml",
}
SDIST_DIRECTORIES = {
    "benchmarks",
    "docs",
    "examples",
    "python",
    "rust/fs",
    "rust/oracle",
    "rust/python",
    "rust/serve",
    "rust/sg",
    "tests",
}
LEFT_OVERS = re.compile(r"__pycache__|\.py[cod]$|\.so$|~$|/\.|\.orig$|\.rej$")


def package_files() -> set[str]:
    """The files of the Python package as it is in the repository."""
    package = ROOT / "python"
    return {
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and not LEFT_OVERS.search(str(path.relative_to(package)))
    }


def difference(what: str, found: Iterable[str], wanted: Iterable[str]) -> Iterator[str]:
    """Say which names are missing and which are too many."""
    found, wanted = set(found), set(wanted)
    yield from (f"{what}: lacks {name}" for name in sorted(wanted - found))
    yield from (f"{what}: has {name}" for name in sorted(found - wanted))


def wheel_findings(path: Path) -> Iterator[str]:
    """Find what a wheel lacks, and what does not belong there."""
    if not WHEEL_NAME.fullmatch(path.name):
        yield f"{path.name}: not the name of an abi3 wheel for manylinux_2_17"
    info = f"fusesg-{VERSION}.dist-info/"
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        metadata = HeaderParser().parsestr(wheel.read(f"{info}METADATA").decode())
        extension = wheel.read(EXTENSION)
    package = [name for name in names if not name.startswith(info)]
    yield from difference(path.name, package, package_files() | {EXTENSION})
    licences = f"{info}licenses/"
    found = [name.removeprefix(licences) for name in names if name.startswith(licences)]
    yield from difference(path.name, found, LICENCES)
    if metadata["Version"] != VERSION:
        yield f"{path.name}: is version {metadata['Version']}, not {VERSION}"
    for requirement in metadata.get_all("Requires-Dist", []):
        if "extra ==" not in requirement:
            yield f"{path.name}: depends on {requirement}"
    for place in {str(ROOT), str(Path.home())} - {"/"}:
        if f"{place}/".encode() in extension:
            yield f"{path.name}: {EXTENSION} mentions {place}"


def sdist_findings(path: Path) -> Iterator[str]:
    """Find what a source distribution lacks, and what does not belong there."""
    with tarfile.open(path) as sdist:
        members = sdist.getmembers()
    top = f"fusesg-{VERSION}/"
    names = [member.name.removeprefix(top) for member in members]
    files = {name for name in names if "/" not in name}
    yield from difference(path.name, files, SDIST_FILES)
    directories = tuple(f"{directory}/" for directory in SDIST_DIRECTORIES)
    for name in set(names) - files:
        if not name.startswith(directories):
            yield f"{path.name}: has {name}"
    for directory in directories:
        if not any(name.startswith(directory) for name in names):
            yield f"{path.name}: lacks {directory}"
    sources = {f"python/{name}" for name in package_files()}
    yield from (f"{path.name}: lacks {name}" for name in sorted(sources - set(names)))
    for member in members:
        if not member.isreg() or LEFT_OVERS.search(member.name):
            yield f"{path.name}: {member.name} does not belong there"


def main() -> int:
    """Check both files."""
    wheel, sdist = map(Path, sys.argv[1:])
    findings = [*wheel_findings(wheel), *sdist_findings(sdist)]
    print("\n".join(findings) if findings else "contents: nothing to complain about")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
