"""Runs one case in this process: run_case.py GROUP CASE DIRECTORY."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    _, group, name, directory = sys.argv
    getattr(importlib.import_module(f"cases.{group}"), name)(Path(directory))
