"""Finds the benchmarks as asv does, for running them without it."""

from __future__ import annotations

import importlib
import inspect
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

SUITES = tuple(
    f"benchmarks.{suite}"
    for suite in ("start_up", "dispatch", "memory", "metadata", "data_path")
)
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


def benchmarks(suites: Sequence[str] = SUITES) -> list[Benchmark]:
    """All of some modules, in their order.

    Args:
        suites: The names of the modules.
    """
    return [
        found
        for suite in suites
        for found in _of_module(importlib.import_module(suite))
    ]


def _of_module(module: ModuleType) -> Iterator[Benchmark]:
    suite = module.__name__.removeprefix("benchmarks.")
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
