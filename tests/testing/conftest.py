"""Runs of pytest in processes of their own, with the plugin and nothing of ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from fusesg.testing import Process

HEADER = """
import os, subprocess, sys, threading
from pathlib import Path
import pytest
import fusesg
from fusesg.examples.hello import Hello
from fusesg.testing import operation_counts, wait_until

class Broken(Hello):
    def read(self, inode, handle, offset, size, ctx):
        raise ValueError("broken")

class Slow(Hello):
    go_on = threading.Event()
    def read(self, inode, handle, offset, size, ctx):
        self.go_on.wait()
        return b""

kept = []
"""

SETTINGS = {"fuse_settle_time": 0.2}


class Outcome:
    """What one run of pytest said."""

    def __init__(self, result: subprocess.CompletedProcess[str]) -> None:
        self.output = result.stdout + result.stderr
        self.returncode = result.returncode

    def of(self, test: str) -> list[str]:
        """The outcomes of a test ("PASSED", "ERROR" …), by the summary."""
        pattern = rf"^(PASSED|FAILED|ERROR|SKIPPED)\b.*::{test}\b"
        return re.findall(pattern, self.output, re.MULTILINE)

    def report(self, test: str) -> str:
        """What is told of a test that did not pass."""
        heading = rf"^_+ (?:ERROR at \w+ of )?{test} _+$"
        parts = re.split(r"^(?=_+ .* _+$|=+ .* =+$)", self.output, flags=re.MULTILINE)
        found = [part for part in parts if re.match(heading, part, re.MULTILINE)]
        assert found, self.output
        return "".join(found)


@pytest.fixture
def start_pytest(
    start_python: Callable[..., Process], tmp_path: Path
) -> Callable[..., Process]:
    """Starts pytest on a file with these tests, after the header above."""

    def start(tests: str, *arguments: str, **settings: Any) -> Process:
        directory = tmp_path / "project"
        directory.mkdir(exist_ok=True)
        (directory / "test_them.py").write_text(HEADER + tests)
        options = [
            f"--override-ini={name}={value}"
            for name, value in {**SETTINGS, **settings}.items()
        ]
        return start_python(
            f"import sys, pytest; sys.exit(pytest.main({[*arguments]} + sys.argv[1:]))",
            *("-p", "pytest_fusesg", "-p", "no:cacheprovider", "-rA"),
            *("-c", "/dev/null", "--rootdir", directory, *options),
            *("--basetemp", tmp_path / "base", directory),
        )

    return start


@pytest.fixture
def run_pytest(start_pytest: Callable[..., Process]) -> Callable[..., Outcome]:
    """Runs it to its end."""

    def run(tests: str, *arguments: str, **settings: Any) -> Outcome:
        return Outcome(start_pytest(tests, *arguments, **settings).finish(50))

    return run
