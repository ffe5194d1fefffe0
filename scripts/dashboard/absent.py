"""Tells asv's pages which graphs there are none of.

asv publishes a graph of each benchmark on each machine that has run it, and its pages
ask for those of all machines. With the list, `page/absent.js` keeps them from asking.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import results

if TYPE_CHECKING:
    from pathlib import Path


def add(site: Path) -> None:
    """Writes the index of a dashboard anew, with the list."""
    from asv.graph import Graph  # noqa: PLC0415 - build says it first if it is missing

    path = site / "index.json"
    index = results.read(path)
    wanted = (
        f"{Graph.get_file_path(parameters, name)}.json"
        for name in index["benchmarks"]
        for parameters in index["graph_param_list"]
    )
    index["absent_graphs"] = [each for each in wanted if not (site / each).is_file()]
    path.write_text(json.dumps(index), encoding="utf-8")
