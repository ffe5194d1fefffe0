"""Fixtures of the passthrough tests: a directory seen plainly and through mounts.

What a test claims of a mount it claims of the plain directory, too: that is the oracle.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import fusesg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VIEWS: dict[str, dict[str, Any] | None] = {
    "backing": None,
    "cached": {},
    "uncached": {"entry_timeout": 0, "attribute_timeout": 0},
    "by-kernel": {"kernel_passthrough": True},
}
"""How the directory is mounted, by the name of the view."""


@dataclass(frozen=True)
class View:
    """A directory, and what stands behind it."""

    path: Path
    backing: Path


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.requires("root", "linux 6.9"))
        if name == "by-kernel"
        else name
        for name in VIEWS
    ]
)
def view(
    request: pytest.FixtureRequest, source: Path, mountpoint: Path, mounted: Any
) -> Iterator[View]:
    """The directory `source`, plainly and through each kind of mount."""
    options = VIEWS[request.param]
    if options is None:
        yield View(source, source)
        return
    others = os.geteuid() == 0  # nobody else may let them in
    with mounted(fusesg.Passthrough(os.fspath(source)), allow_other=others, **options):
        yield View(mountpoint, source)


PRELUDE = """
import ctypes, errno, fcntl, json, mmap, os, socket, stat, subprocess, sys
directory, identity = sys.argv[1:3]
del sys.argv[1:3]
os.chdir(directory)  # where the user could not go alone
uid, gid, groups = json.loads(identity)
def become_user():
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
"""


@pytest.fixture
def as_user(run_python: Any) -> Callable[..., Any]:
    """Runs a program in a directory as another user; returns what it prints, as JSON.

    With `prepared` the program starts as root and calls `become_user()` itself.
    """

    def run(
        program: str,
        directory: Path,
        *,
        uid: int,
        gid: int,
        groups: tuple[int, ...] = (),
        prepared: bool = False,
    ) -> Any:
        start = PRELUDE if prepared else f"{PRELUDE}become_user()\n"
        child = run_python(start + program, directory, json.dumps([uid, gid, groups]))
        assert child.returncode == 0, child.stderr
        return json.loads(child.stdout) if child.stdout else None

    return run
