"""Finds the benchmarks as asv does, for running them without it."""

from __future__ import annotations

import importlib
import inspect
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

SUITES = ("start_up", "dispatch", "memory", "metadata", "data_path")
"""The modules with benchmarks in Python; short ones come first.

`rust_micro` is not among them: its programs measure many at a time (`_criterion`).
"""

_PREFIX = "track_"
_TIMEOUT = 120.0


@dataclass(frozen=True)
class Benchmark:
    """One function, which is run for each combination of its parameters."""

    name: str
    """As asv calls it."""
    run: Callable[..., Any]
    parameters: tuple[tuple[Any, ...], ...]
    """The combinations."""
    unit: str
    timeout: float
    """Seconds of one combination."""

    def case_name(self, case: int) -> str:
        """The name with the values of its parameters."""
        values = ", ".join(map(str, self.parameters[case]))
        return f"{self.name}({values})" if values else self.name


def benchmarks() -> list[Benchmark]:
    """All of the suites, in their order."""
    return [
        found
        for suite in SUITES
        for found in _of_module(suite, importlib.import_module(f"benchmarks.{suite}"))
    ]


def _of_module(suite: str, module: ModuleType) -> Iterator[Benchmark]:
    for class_name, kind in vars(module).items():
        if not inspect.isclass(kind) or kind.__module__ != module.__name__:
            continue
        for name in vars(kind):
            if name.startswith(_PREFIX):
                yield Benchmark(
                    f"{suite}.{class_name}.{name}",
                    getattr(kind(), name),
                    tuple(itertools.product(*getattr(kind, "params", ()))),
                    kind.unit,
                    getattr(kind, "timeout", _TIMEOUT),
                )
