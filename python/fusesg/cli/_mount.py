"""`fusesg mount`."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING

import fusesg
from fusesg.cli import _background, _configuration, _memory, _notify, _source
from fusesg.cli._errors import CommandError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def run(options: argparse.Namespace) -> int:
    """Mounts and serves, in the background or in the foreground."""
    _configuration.take_own(options)
    own: list[str] = []
    if options.source == _memory.SOURCE:
        own, options.options = _memory.split(options.options)
        _memory.read(own)  # what is wrong is told at once, not by the server
    config = _config(options)
    if options.show_config:
        _configuration.show(config)
        return 0
    log = _open_log(options, config)
    _configure_logging(config, log)

    def serve(on_ready: Callable[[], None]) -> None:
        filesystem = _source.load(options.source, options.settings, own)
        fusesg.serve(
            filesystem, options.mountpoint, config, on_ready=lambda _: on_ready()
        )

    if not options.foreground:
        return _background.run(serve, _explain, log)
    if log is not None:
        os.dup2(log, sys.stderr.fileno())
    try:
        serve(lambda: _notify.ready(f"{options.source} is at {options.mountpoint}"))
    except Exception as error:  # noqa: BLE001 - told, and ends the command
        raise CommandError(_explain(error)) from None
    finally:
        _notify.stopping()
    return 0


def _config(options: argparse.Namespace) -> fusesg.Config:
    config = _configuration.load(options)
    if config.origins()["source"] != "default":
        return config
    # what `df` and `findmnt` show as the device
    is_path = os.path.exists(options.source)
    source = os.path.abspath(options.source) if is_path else options.source
    return config.replace(source=source.replace("\n", "?"))


def _open_log(options: argparse.Namespace, config: fusesg.Config) -> int | None:
    if options.log_file is None:
        if config.trace and not options.foreground:
            raise CommandError(
                "--trace in the background needs --log-file, else nobody sees it"
            )
        return None
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(options.log_file, flags, 0o644)
    except OSError as error:
        raise CommandError(f"--log-file {options.log_file}: {error.strerror}") from None


def _configure_logging(config: fusesg.Config, log: int | None) -> None:
    # stderr is the terminal until the mount is ready: of what is logged nothing goes
    # there if there is a file for it
    stream = sys.stderr
    if log is not None:
        stream = os.fdopen(os.dup(log), "a", errors="backslashreplace")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=stream)
    level = logging.DEBUG if config.trace else logging.INFO
    logging.getLogger("fusesg").setLevel(level)


def _explain(error: Exception) -> str:
    """What to tell whoever ran the command."""
    if isinstance(error, CommandError):
        return str(error)
    if isinstance(error, OSError):
        text = error.strerror or str(error)
        return f"{text}: {error.filename}" if error.filename else text
    # of the class that is being mounted: its author needs to see where
    theirs = _source.frames_of_the_author(error.__traceback__)
    if theirs is not None or isinstance(error, (SyntaxError, TypeError, ValueError)):
        error.__traceback__ = theirs
    return "".join(traceback.format_exception(error)).strip()
