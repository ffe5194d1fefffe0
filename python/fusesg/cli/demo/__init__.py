"""`fusesg demo`: the main job on real input, compared and measured."""

from __future__ import annotations

import sys
import time

from fusesg.cli import _workspace
from fusesg.cli._errors import CommandError
from fusesg.cli.demo import _archive, _measure, _writable

_SHOWN = 20  # differences; more would hide the verdict


def run(*, quick: bool) -> int:
    """Runs all parts.

    Args:
        quick: Use a part of the files, and measure briefly.

    Returns:
        0 if everything compared equal, else 1.

    Raises:
        CommandError: A part could not be run.
    """
    started = time.monotonic()
    try:
        with (
            _workspace.ended_by_sigterm(),
            _workspace.temporary_directory("fusesg-demo-") as directory,
        ):
            print("1. The standard library as a tar, served by examples/tar.py")
            archive = _archive.run(directory, quick=quick)
            print("\n2. A tree copied into writable file systems, and back")
            writable = _writable.run(directory, quick=quick)
            print("\n3. 32 x 4 KiB with O_DIRECT: one readv or writev, or one by one")
            measured = _measure.run(directory, quick=quick)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise CommandError(f"{error.strerror or error}{where}") from error
    seconds = time.monotonic() - started
    parts = [archive, writable, measured]
    differences = [each for part in parts for each in part.differences]
    for difference in differences[:_SHOWN]:
        print(f"DIFFERENT: {difference}", file=sys.stderr)
    if differences:
        print(f"\nFAILED: {len(differences)} differences ({seconds:.0f} s).")
        return 1
    print(
        f"\nOK: {archive.summary} and {writable.summary} compared equal; "
        f"{measured.summary}; nothing is left mounted ({seconds:.0f} s)."
    )
    return 0
