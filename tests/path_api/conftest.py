"""Fixtures for the path API."""

from __future__ import annotations

import pytest

from .memory import PathMemory

UNCACHED = {"entry_timeout": 0, "attribute_timeout": 0}
"""With nothing cached every call arrives."""


@pytest.fixture(params=[True, False], ids=["numbered", "unnumbered"])
def memory(request):
    """A writable file system of paths, with inode numbers of its own and without."""
    return PathMemory(numbered=request.param)
