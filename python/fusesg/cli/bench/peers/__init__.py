"""`fusesg bench peers`: the same I/O on fusesg and on others of its kind."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from typing import TYPE_CHECKING

from fusesg.cli import _workspace
from fusesg.cli._errors import CommandError
from fusesg.cli.bench import _machine, _placement, _plot
from fusesg.cli.bench.peers import _chart, _files, _result, _table
from fusesg.cli.bench.peers._measure import Measurement
from fusesg.cli.bench.peers._result import (
    MissingResult,
    Result,
    RowResult,
    SystemResult,
)
from fusesg.cli.bench.peers._rows import ROWS, BytesRow, NamesRow
from fusesg.cli.bench.peers._subject import Subject
from fusesg.cli.bench.peers._systems import (
    SYSTEMS,
    Installed,
    MissingError,
    Tools,
    is_of,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import TextIO

_ROUNDS, _ROUNDS_QUICK = 5, 1
_SECONDS, _SECONDS_QUICK = 0.2, 0.002
_NAMES, _NAMES_QUICK = 1000, 50
_SIZE, _SIZE_QUICK = 64 << 20, 4 << 20
_ANY = "whatever CPU the scheduler chooses"


def run(options: argparse.Namespace) -> int:
    """Measures, or reads what was measured, and shows it as asked for.

    Args:
        options: What the command line said.

    Returns:
        0; or 1 if a system did something wrong, which is told on stderr.

    Raises:
        CommandError: Nothing could be measured.
    """
    started = time.monotonic()
    rows = _chosen_rows(options.rows)
    known = [system.name for system in SYSTEMS]
    names = _chosen_systems(options.systems.split(",") if options.systems else known)
    if options.baseline:
        _named("--baseline", options.baseline)
    tools = Tools(options.python, options.libfuse)
    tools.check()
    if options.plot:
        _plot.check(options.plot)
    # with --json stdout is for a program
    progress = sys.stderr if options.json else sys.stdout
    if options.results:
        result = _result.merged([_result.load(path) for path in options.results])
        result = _only(result, rows, names)
    else:
        try:
            result = _measured(options, rows, names, tools, progress)
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise CommandError(f"{error.strerror or error}{where}") from error
    if options.plot:
        _chart.save(options.plot, result)
    if options.json:
        print(_result.as_json(result))
    else:
        print()
        print(*_table.lines(result, options.baseline), sep="\n")
        seconds = time.monotonic() - started
        chart = f"; the chart is in {options.plot}" if options.plot else ""
        print(f"\n{len(result.rows)} rows{chart} ({seconds:.0f} s).")
    for problem in result.problems:
        print(f"FAILED: {problem}", file=sys.stderr)
    return 1 if result.problems else 0


def _chosen_rows(texts: Sequence[str]) -> list[BytesRow | NamesRow]:
    """Those that are named, or have a text in their names; without any, all."""
    chosen = set()
    names = [row.name for row in ROWS]
    for text in texts or [""]:
        found = [text] if text in names else [name for name in names if text in name]
        if not found:
            known = "; ".join(names)
            raise CommandError(f"--rows {text}: no row has that in its name: {known}")
        chosen.update(found)
    return [row for row in ROWS if row.name in chosen]


def _chosen_systems(texts: Sequence[str]) -> list[str]:
    chosen = {name for text in texts for name in _named("--systems", text)}
    return [system.name for system in SYSTEMS if system.name in chosen]


def _named(option: str, text: str) -> list[str]:
    """The systems of a name, or of the library of that name."""
    known = [system.name for system in SYSTEMS]
    if found := [name for name in known if is_of(name, text)]:
        return found
    raise CommandError(f"{option} {text}: they are {', '.join(known)}")


def _only(
    result: Result, rows: Sequence[BytesRow | NamesRow], names: Sequence[str]
) -> Result:
    """What was chosen of it, in our order."""
    chosen = {row.name for row in rows}
    result.rows = [row for row in result.rows if row.name in chosen]
    result.systems = [
        system for name in names for system in result.systems if system.name == name
    ]
    result.missing = [each for each in result.missing if each.name in names]
    if not result.rows or not result.systems:
        raise CommandError("nothing of what was chosen is in the results")
    return result


def _measured(
    options: argparse.Namespace,
    rows: Sequence[BytesRow | NamesRow],
    names: Sequence[str],
    tools: Tools,
    progress: TextIO,
) -> Result:
    cpus, where = _placement.choose(options.cpu)
    for line in _files.remove_left():
        print(line, file=sys.stderr)
    systems, missing = _found(names, tools)
    for each in missing:
        print(f"{each.name} is missing: {each.reason}", file=progress)
    quick = options.quick
    seconds = options.seconds or (_SECONDS_QUICK if quick else _SECONDS)
    rounds = options.rounds or (_ROUNDS_QUICK if quick else _ROUNDS)
    neighbours = _machine.Neighbours()
    started = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    results = [
        RowResult(row.name, row.unit, row.size, _ANY if row.is_parallel else where)
        for row in rows
    ]
    with (
        _workspace.ended_by_sigterm(),
        _workspace.temporary_directory(_files.prefix()) as directory,
        contextlib.ExitStack() as stack,
    ):
        first = os.path.join(directory, "files")
        _files.make(first, _SIZE_QUICK if quick else _SIZE)
        subjects = []
        for system in systems:
            place = os.path.join(directory, system.name)
            os.mkdir(place)
            # an answer comes with the end of a sample
            subject = Subject(system, place, options.timeout + 4 * seconds)
            subjects.append(subject)
        _files.copy(first, [subject.source for subject in subjects])
        for subject in subjects:
            stack.enter_context(subject)
        measurement = Measurement(
            subjects,
            list(zip(rows, results, strict=True)),
            seconds=seconds,
            names=_NAMES_QUICK if quick else _NAMES,
            cpus=cpus,
            progress=progress,
        )
        measurement.run(rounds)
        if not any(result.samples for result in results):
            raise CommandError(
                "nothing was measured; does `fusesg doctor` know why?\n"
                + "\n".join(measurement.problems)
            )
        found = [
            SystemResult(each.system.name, each.system.title, each.version)
            for each in subjects
        ]
    return Result(
        machine=_machine.describe(),
        runs=[
            {
                "started": started,
                "command": shlex.join(["fusesg", *sys.argv[1:]]),
                "rounds": rounds,
                "seconds": seconds,
                "names": _NAMES_QUICK if quick else _NAMES,
            }
        ],
        systems=found,
        missing=missing,
        rows=results,
        notes=[
            *(["--quick: the times mean nothing"] if quick else []),
            *neighbours.note(),
        ],
        problems=measurement.problems,
    )


def _found(
    names: Sequence[str], tools: Tools
) -> tuple[list[Installed], list[MissingResult]]:
    systems, missing = [], []
    for system in SYSTEMS:
        if system.name in names:
            try:
                systems.append(system.find(tools))
            except MissingError as error:
                missing.append(MissingResult(system.name, error.reason, error.remedy))
    if not systems:
        raise CommandError(
            "nothing to measure: "
            + "; ".join(f"{each.reason} ({each.remedy})" for each in missing)
        )
    return systems, missing
