"""The criterion benchmarks of the Rust core: seconds per iteration.

Those of the commit that is measured, built from it (`builds`), or those of the working
tree where no commit is. criterion's samples become asv's, so that asv has their spread.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from benchmarks import _criterion, _sampling, builds
from benchmarks._processes import end_with_asv
from benchmarks._settings import ROOT, VERSION, Unsupported, on_one_cpu

if TYPE_CHECKING:
    from pathlib import Path


def setup_cache() -> dict[str, Path]:
    """Builds them; by name, the program that each is in."""
    end_with_asv()
    commit = os.environ.get("ASV_COMMIT")
    programs = (
        builds.Builds().criterion_programs(commit)
        if commit
        else builds.criterion_programs_of(ROOT)
    )
    return _criterion.names(programs)


setup_cache.timeout = 1800  # type: ignore[attr-defined]


def _benchmark(name: str) -> Any:
    def track(programs: dict[str, Path]) -> object:
        if name not in programs:
            raise Unsupported(f"the commit has no benchmark {name}")
        end_with_asv()
        with on_one_cpu():
            measured = _criterion.measured(
                [programs[name]], warm_up=0.3, seconds=1.0, only=f"^{re.escape(name)}$"
            )
        return _sampling.samples(measured[name])

    track.__name__ = "track_" + re.sub(r"\W+", "_", name)
    track.__doc__ = f"The criterion benchmark {name}."
    track.pretty_name = f"rust: {name}"  # type: ignore[attr-defined]
    track.unit = "seconds"  # type: ignore[attr-defined]
    track.version = VERSION  # type: ignore[attr-defined]
    return track


for _name in _criterion.known():
    _function = _benchmark(_name)
    globals()[_function.__name__] = _function
del _function
