"""`fusesg bench seeds`: before and after, of what the scatter-gather core does."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING

from fusesg.cli import _workspace
from fusesg.cli._errors import CommandError
from fusesg.cli._load import Load
from fusesg.cli.bench import (
    _completion,
    _machine,
    _measure,
    _packing_client,
    _packing_mount,
    _pipe_lists,
    _placement,
    _plot,
    _splice,
    _table,
    _verdicts,
)
from fusesg.cli.bench._setting import NotMountedError, Setting

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import TextIO

    from fusesg.cli.bench._group import Group
    from fusesg.cli.bench._rows import Row

_GROUPS = [
    _packing_mount.GROUP,
    _packing_client.GROUP,
    _splice.GROUP,
    _pipe_lists.GROUP,
    _completion.GROUP,
]
"""In the order in which they are shown."""

_PREFIX = "fusesg-bench-"


def run(options: argparse.Namespace) -> int:
    """Measures, and shows the result as asked for.

    Args:
        options: What the command line said.

    Returns:
        0; or 1 if a count is not as it must be, which is told on stderr.

    Raises:
        CommandError: It could not be measured, or bytes were wrong.
    """
    started, neighbours = time.monotonic(), _machine.Neighbours()
    groups = _chosen(options.only)
    if options.plot:
        _plot.check(options.plot)
    # with --json stdout is for a program
    progress = sys.stderr if options.json else sys.stdout
    try:
        with (
            _workspace.ended_by_sigterm(),
            _placement.on_cpu(options.cpu) as placement,
        ):
            rows, notes = _rows(groups, progress, quick=options.quick)
        if options.plot:
            _plot.save(options.plot, rows, groups)
    except NotMountedError as error:
        others = " ".join(
            f"--only {each.name}" for each in _GROUPS if not each.needs_mount
        )
        raise CommandError(f"{error}\nwhat needs no mount: {others}") from error
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise CommandError(f"{error.strerror or error}{where}") from error
    verdicts = _verdicts.verdicts(rows, quick=options.quick)
    notes = [placement, *neighbours.note(), *notes, *verdicts]
    if options.json:
        fields = [row.as_dict() for row in rows]
        date = time.strftime("%Y-%m-%d", time.gmtime())
        machine = {**_machine.describe(), "date": date}
        result = {"rows": fields, "notes": notes, "machine": machine}
        print(json.dumps(result, indent=2))
    else:
        _table.show(rows, groups)
        print()
        for note in notes:
            print(f"- {note}")
        seconds = time.monotonic() - started
        chart = f"; the chart is in {options.plot}" if options.plot else ""
        print(f"\n{len(rows)} rows, nothing is left mounted{chart} ({seconds:.0f} s).")
    problems = [problem for row in rows for problem in row.problems]
    for problem in problems:
        print(f"WRONG COUNT: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _chosen(names: Sequence[str] | None) -> list[Group]:
    known = [group.name for group in _GROUPS]
    for name in names or []:
        if name not in known:
            raise CommandError(f"--only {name}: the groups are {', '.join(known)}")
    return [group for group in _GROUPS if not names or group.name in names]


def _rows(
    groups: Sequence[Group], progress: TextIO, *, quick: bool
) -> tuple[list[Row], list[str]]:
    """Sets everything up, measures, and takes everything down."""
    with (
        _workspace.temporary_directory(_PREFIX) as directory,
        _workspace.temporary_directory_on_disk(_PREFIX) as disk,
        # what holds files of the mounts open ends before they are unmounted
        contextlib.ExitStack() as stack,
        Load() as load,
    ):
        setting = Setting(directory, disk, load, stack, quick)
        cases = [case for group in groups for case in group.cases(setting)]
        rows = _measure.measure(cases, quick=quick, progress=progress)
        return rows, setting.notes
