"""Fixtures of the command line's tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def fusesg_command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `fusesg ARGUMENTS` in the test's directory."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: PLW1510 - it is among the options
            [sys.executable, "-m", "fusesg", *map(str, arguments)],
            **{
                "cwd": tmp_path,
                "capture_output": True,
                "text": True,
                "timeout": 30,
                "check": False,
                **options,
            },
        )

    return run


@pytest.fixture
def examples() -> Path:
    """The directory of the examples."""
    return EXAMPLES
