"""The package of the benchmarks is not installed: it is found in the checkout."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Writes a module with a class of benchmarks, for workers to import."""
    monkeypatch.syspath_prepend(tmp_path)

    def suite(name, code):
        lines = [f"    {line}" for line in code.splitlines()]
        header = "import os, threading\n\n\nclass Some:\n    unit = 'seconds'\n"
        (tmp_path / f"{name}.py").write_text(header + "\n".join(lines) + "\n")
        return name

    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return suite
