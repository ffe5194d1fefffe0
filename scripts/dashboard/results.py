"""Brings together the results that one dashboard shows.

They come from two places: `.asv/results`, where asv writes on this machine, and
`benchmarks/history`, which is part of the repository, so that a fresh clone has a
history to look at. They differ in machine or in commit; where they do not, the ones
that were measured here are shown.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from errors import DashboardError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

MACHINE = "machine.json"
BENCHMARKS = "benchmarks.json"

Json = dict[str, Any]


def read(path: Path) -> Json:
    """A file that asv wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DashboardError(f"{path}: not readable as JSON: {error}") from None
    if not isinstance(content, dict):
        raise DashboardError(f"{path}: not a file of asv")
    return content


def result_files(directory: Path) -> Iterator[Path]:
    """The files of results, one for each commit and environment of a machine."""
    for machine in sorted(directory.glob(f"*/{MACHINE}")):
        for path in sorted(machine.parent.glob("*.json")):
            if path.name != MACHINE:
                yield path


def gather(
    places: Iterable[Path], into: Path, known: set[str], warn: Callable[[str], None]
) -> set[str]:
    """Copies results of known commits into one directory; says what it leaves out.

    Later places win where two have results of one machine, commit and environment.
    Benchmarks without a result are left out, too: their graphs would be missing.

    Returns:
        The commits that there are results of.
    """
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    benchmarks: Json = {}
    commits: set[str] = set()
    names: set[str] = {"version"}
    unknown: set[str] = set()
    for place in places:
        for path in result_files(place):
            try:
                content = read(path)
            except DashboardError as error:
                warn(f"left out {error}")
                continue
            commit = content.get("commit_hash")
            if commit not in known:
                unknown.add(str(commit)[:8])
                continue
            commits.add(commit)
            results = content.get("results", {})
            names.update(name for name in results if _has_value(results[name]))
            target = into / path.parent.name / path.name
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
            shutil.copy(path.with_name(MACHINE), target.with_name(MACHINE))
        if (path := place / BENCHMARKS).is_file():
            benchmarks |= read(path)
    shown = {name: value for name, value in benchmarks.items() if name in names}
    (into / BENCHMARKS).write_text(json.dumps(shown), encoding="utf-8")
    if unknown:
        warn(
            "left out results of commits that are not on a branch of the dashboard: "
            + ", ".join(sorted(unknown))
        )
    return commits


def _has_value(result: list[Any]) -> bool:
    """Whether a benchmark measured anything; what a commit cannot do is NaN."""
    values = result[0] if result else None
    return any(value is not None and value == value for value in values or ())  # noqa: PLR0124


def keep(own: Path, history: Path, known: set[str], name: str) -> int:
    """Copies results of known commits from where asv writes to where they are kept.

    Args:
        own: Where asv writes.
        history: Where they are kept.
        known: The commits of the project.
        name: What the machine is called there. That of its host may be somebody else's
            host's, too, and the dashboard would take both for one.

    Returns:
        Of how many commits there were any.
    """
    commits = set()
    names = {"version"}
    place = history / name
    for path in result_files(own):
        content = read(path)
        if content.get("commit_hash") not in known:
            continue
        commits.add(content["commit_hash"])
        names |= content["results"].keys()
        content["params"]["machine"] = name
        _write(place / path.name, content)
        _write(place / MACHINE, read(path.with_name(MACHINE)) | {"machine": name})
    if commits:
        kept = history / BENCHMARKS
        benchmarks = read(kept) if kept.exists() else {}
        measured = read(own / BENCHMARKS).items()
        benchmarks |= {key: value for key, value in measured if key in names}
        _write(kept, benchmarks, indent=1)
    return len(commits)


def _write(path: Path, content: Json, indent: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=indent, sort_keys=indent is not None)
    path.write_text(f"{text}\n", encoding="utf-8")
