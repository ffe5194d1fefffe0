"""Part 2: a tree copied into writable file systems, and compared with the original."""

from __future__ import annotations

import dataclasses
import os

import fusesg
from fusesg.cli._progress import Progress
from fusesg.cli.demo import _tree
from fusesg.cli.demo._outcome import Outcome
from fusesg.examples.memory import MemoryFilesystem

_PACKAGES = ["asyncio", "email", "importlib", "json", "logging", "unittest"]


def run(directory: str, *, quick: bool) -> Outcome:
    """Makes a tree, copies it into each file system, compares.

    Args:
        directory: Where temporary files go.
        quick: A smaller tree.

    Returns:
        The entries that are different in a copy.
    """
    source = os.path.join(directory, "tree")
    behind = os.path.join(directory, "behind")
    mountpoint = os.path.join(directory, "writable")
    os.mkdir(behind)
    os.mkdir(mountpoint)
    _tree.make(source, _PACKAGES[:1] if quick else _PACKAGES)
    entries = _tree.describe(source, lambda: None)
    differences = []
    for label, filesystem in [
        ("examples/memory.py", MemoryFilesystem()),
        ("Passthrough", fusesg.Passthrough(behind)),
    ]:
        with fusesg.mount(filesystem, mountpoint):
            found = _copy_and_describe(label, source, entries, mountpoint)
        differences += [f"{label}: {each}" for each in _compare(entries, found)]
    return Outcome(f"2 x {len(entries)} copied entries", differences)


def _copy_and_describe(
    label: str, source: str, entries: dict[str, _tree.Entry], mountpoint: str
) -> dict[str, _tree.Entry]:
    with Progress(f"{label}: copying", len(entries), "entries") as progress:
        _tree.copy(source, entries, mountpoint, progress.advance)
    with Progress(f"{label}: comparing", len(entries), "entries") as progress:
        return _tree.describe(mountpoint, progress.advance)


def _compare(
    expected: dict[str, _tree.Entry], found: dict[str, _tree.Entry]
) -> list[str]:
    differences = [f"{name!r} is missing" for name in expected.keys() - found.keys()]
    differences += [f"{name!r} is too much" for name in found.keys() - expected.keys()]
    for name in expected.keys() & found.keys():
        want = dataclasses.asdict(expected[name])
        have = dataclasses.asdict(found[name])
        differences += [
            f"{name!r} has {field} {have[field]!r}, not {want[field]!r}"
            for field in want
            if want[field] != have[field]
        ]
    return sorted(differences)
