"""The criterion benchmarks of the Rust core: seconds per iteration.

Those of the commit that is measured, built from it (`builds`), or those of the working
tree where no commit is. criterion's samples become asv's, so that asv has their spread.
"""

from __future__ import annotations

import os
import re
from typing import Any

from benchmarks import _criterion, _sampling, builds
from benchmarks._settings import ROOT, VERSION, Unsupported, on_one_cpu


def setup_cache() -> dict[str, list[float]]:
    """Runs all of them."""
    commit = os.environ.get("ASV_COMMIT")
    programs = (
        builds.Builds().criterion_programs(commit)
        if commit
        else builds.criterion_programs_of(ROOT)
    )
    with on_one_cpu():
        return _criterion.measured(programs, warm_up=0.3, seconds=1.0)


setup_cache.timeout = 1800  # type: ignore[attr-defined]


def _benchmark(name: str) -> Any:
    def track(measured: dict[str, list[float]]) -> object:
        if name not in measured:
            raise Unsupported(f"the commit has no benchmark {name}")
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
