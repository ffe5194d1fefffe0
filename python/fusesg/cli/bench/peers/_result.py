"""What was measured, as it is kept in JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from fusesg.cli._errors import CommandError
from fusesg.cli.bench.peers._rows import ROWS, rate

if TYPE_CHECKING:
    from collections.abc import Sequence

_ORDER = [row.name for row in ROWS]


@dataclass
class RowResult:
    """The times of a row."""

    name: str
    unit: str
    """`MB/s` or `k/s`; the samples are seconds all the same."""
    bytes: int
    """Of one operation; 0 where there are none to be counted."""
    placement: str
    """Where client and server ran."""
    samples: dict[str, list[float]] = field(default_factory=dict)
    """By the name of the system: seconds of one operation, for each round."""
    failures: dict[str, str] = field(default_factory=dict)
    """By the name of the system: in a word, what happened in place of the times."""

    def seconds(self, system: str) -> float | None:
        """The median; None if there is none."""
        found = self.samples.get(system)
        return median(found) if found else None

    def rate(self, system: str) -> float | None:
        """The same in the row's unit: higher is better."""
        seconds = self.seconds(system)
        return None if seconds is None else rate(self.unit, self.bytes, seconds)


@dataclass
class SystemResult:
    """What was measured."""

    name: str
    title: str
    version: str


@dataclass
class MissingResult:
    """What was not there to be measured."""

    name: str
    reason: str
    remedy: str


@dataclass
class Result:
    """Everything, of one run or of several on one machine."""

    machine: dict[str, object]
    runs: list[dict[str, object]]
    """When, by which command, and with what of the settings."""
    systems: list[SystemResult]
    missing: list[MissingResult]
    rows: list[RowResult]
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """A line for everything that a system did wrong."""


def as_json(result: Result) -> str:
    """As text, with the medians for whoever does not want to compute them."""
    fields = dataclasses.asdict(result)
    for row, written in zip(result.rows, fields["rows"], strict=True):
        written["medians"] = {name: row.seconds(name) for name in row.samples}
    return json.dumps(fields, indent=1)


def load(path: str) -> Result:
    """Reads what `as_json` has made of a result.

    Args:
        path: The file.

    Raises:
        CommandError: It cannot be read, or is something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            fields: dict[str, Any] = json.load(file)
        for row in fields["rows"]:
            del row["medians"]
        return Result(
            machine=fields["machine"],
            runs=fields["runs"],
            systems=[SystemResult(**each) for each in fields["systems"]],
            missing=[MissingResult(**each) for each in fields["missing"]],
            rows=[RowResult(**each) for each in fields["rows"]],
            notes=fields["notes"],
            problems=fields["problems"],
        )
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(
            f"{path} is no result of `fusesg bench peers --json` ({error!r})"
        ) from error


def merged(results: Sequence[Result]) -> Result:
    """One of several: samples of the same row and system are put together.

    Args:
        results: Of one machine, at least one.

    Raises:
        CommandError: They cannot be compared: another machine, another version.
    """
    first = results[0]
    whole = Result(dict(first.machine), [], [], [], [])
    systems: dict[str, SystemResult] = {}
    missing: dict[str, MissingResult] = {}
    rows: dict[str, RowResult] = {}
    for result in results:
        if result.machine != first.machine:
            different = ", ".join(
                f"{key}: {first.machine.get(key)} and {result.machine.get(key)}"
                for key in sorted({*first.machine, *result.machine})
                if first.machine.get(key) != result.machine.get(key)
            )
            raise CommandError(f"results of different machines: {different}")
        whole.runs += result.runs
        whole.notes += [note for note in result.notes if note not in whole.notes]
        whole.problems += result.problems
        for system in result.systems:
            known = systems.setdefault(system.name, dataclasses.replace(system))
            if known.version != system.version:
                raise CommandError(
                    f"results of {system.name} {known.version} and {system.version}"
                )
        missing |= {each.name: each for each in result.missing}
        for row in result.rows:
            _add(rows, row)
    whole.rows = sorted(rows.values(), key=lambda row: _ORDER.index(row.name))
    whole.systems = list(systems.values())
    whole.missing = [each for each in missing.values() if each.name not in systems]
    return whole


def _add(rows: dict[str, RowResult], row: RowResult) -> None:
    if row.name not in _ORDER:
        raise CommandError(f"{row.name}: no such row; is it of another version?")
    known = rows.setdefault(row.name, dataclasses.replace(row, samples={}, failures={}))
    if known.placement != row.placement:
        raise CommandError(
            f"{row.name} was measured on {known.placement} and on {row.placement}"
        )
    for name, samples in row.samples.items():
        known.samples.setdefault(name, []).extend(samples)
    known.failures |= row.failures
