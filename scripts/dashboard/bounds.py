"""Adds the 99 % confidence intervals that asv keeps to the graphs that it publishes.

asv's pages show values alone. With the interval of each value behind it, in the same
file, `page/bounds.js` draws it as a whisker. Values without samples, or with too few of
them, have none.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import results

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Interval = list[float] | None


def add(site: Path, gathered: Path) -> None:
    """Writes the graphs of a dashboard anew, with the intervals of its results."""
    from asv.results import Results  # noqa: PLC0415 - build says it first if it is missing

    index = results.read(site / "index.json")
    revisions = {commit: int(rev) for rev, commit in index["revision_to_hash"].items()}
    found: dict[Path, dict[int, list[Interval]]] = {}
    for path in results.result_files(gathered):
        measured = Results.load(str(path), machine_name=path.parent.name)
        revision = revisions[measured.commit_hash]
        for name in measured.get_result_keys(index["benchmarks"]):
            stats = measured.get_result_stats(name, index["benchmarks"][name]["params"])
            intervals = [_interval(each) for each in stats]
            if any(intervals):
                for graph in _graphs(site, index, measured, name):
                    found.setdefault(graph, {})[revision] = intervals
    for graph, by_revision in found.items():
        _append(graph, by_revision)


def _interval(stats: dict[str, float] | None) -> Interval:
    """Its ends, if it has any."""
    if not stats or "ci_99_a" not in stats:
        return None
    ends = [stats["ci_99_a"], stats["ci_99_b"]]
    return ends if all(map(math.isfinite, ends)) else None


def _graphs(site: Path, index: Any, measured: Any, name: str) -> Iterator[Path]:
    """The files with the values of one benchmark in one environment."""
    from asv.graph import Graph  # noqa: PLC0415

    own = measured.params | {f"env-{k}": v for k, v in measured.env_vars.items()}
    for parameters in index["graph_param_list"]:
        if all(parameters.get(key) == value for key, value in own.items()):
            path = site / f"{Graph.get_file_path(parameters, name)}.json"
            if path.is_file():
                yield path


def _append(graph: Path, by_revision: dict[int, list[Interval]]) -> None:
    """Puts the intervals behind the values, of which there may be one or many."""
    points = json.loads(graph.read_text("utf-8"))
    for point in points:
        if intervals := by_revision.get(point[0]):
            point.append(intervals if isinstance(point[1], list) else intervals[0])
    graph.write_text(json.dumps(points), encoding="utf-8")
