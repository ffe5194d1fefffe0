"""`fusesg statistics`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
from typing import TYPE_CHECKING

from fusesg.cli._errors import CommandError
from fusesg.cli.live import _channel, _screen, _view
from fusesg.cli.live._numbers import Interval

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from fusesg.cli._mount_table import MountEntry


def run(options: argparse.Namespace) -> int:
    """Tells the numbers of one mount, or of all."""
    if options.mountpoint is not None:
        text = _of_one(_channel.find(options.mountpoint), options)
        is_complete = True
    else:
        text, is_complete = _of_all(_channel.find_all(), options)
    if options.output is None:
        sys.stdout.write(text)
    else:
        _replace(options.output, text)
    return 0 if is_complete else 1


def _of_one(entry: MountEntry, options: argparse.Namespace) -> str:
    if options.prometheus:
        return _channel.metrics(entry)
    numbers = _channel.statistics(entry)
    if options.json:
        return json.dumps(numbers, indent=2) + "\n"
    columns = _screen.width() if options.output is None else None
    return "\n".join(_view.totals(Interval.between(None, numbers), columns)) + "\n"


def _of_all(
    entries: Sequence[MountEntry], options: argparse.Namespace
) -> tuple[str, bool]:
    """The text, and whether all mounts have answered; who has not is told on stderr."""
    if not entries and not (options.json or options.prometheus):
        return "nothing is mounted by fusesg\n", True
    texts: dict[str, str] = {}
    is_complete = True
    for entry in entries:
        try:
            texts[entry.path] = _of_one(entry, options)
        except _channel.UnmountedError:
            pass  # meanwhile: it is none of them any more
        except CommandError as error:
            is_complete = False
            print(f"fusesg statistics: {error}", file=sys.stderr)
    if options.prometheus:
        text = _merge(texts.values())
    elif options.json:
        found = {path: json.loads(text) for path, text in texts.items()}
        text = json.dumps(found, indent=2) + "\n"
    else:
        text = "\n".join(texts.values())
    return text, is_complete


def _merge(texts: Iterable[str]) -> str:
    """One text for Prometheus out of several: each family once."""
    families: dict[str, list[str]] = {}
    for text in texts:
        for head, samples in re.findall(
            r"(# HELP .*\n# TYPE .*\n)((?:[^#\n].*\n)*)", text
        ):
            families.setdefault(head, []).append(samples)
    return "".join(head + "".join(samples) for head, samples in families.items())


def _replace(path: str, text: str) -> None:
    """Writes a file so that whoever reads it sees the old text or the new one."""
    directory, name = os.path.split(os.path.abspath(path))
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
        try:
            with open(
                descriptor, "w", encoding="utf-8", errors="surrogateescape"
            ) as file:
                file.write(text)
                # a collector of metrics is another user as a rule
                os.fchmod(file.fileno(), 0o644)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise CommandError(f"--output {path}: {error.strerror}") from None
