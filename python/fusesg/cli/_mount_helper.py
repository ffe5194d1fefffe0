"""What mount(8) runs for the types fuse.fusesg and fusesg, see mount(8) on helpers.

`mount.fuse.fusesg SOURCE MOUNTPOINT [-sfnv] [-N namespace] [-o options] [-t type]`; its
exit status is that of mount(8).
"""

from __future__ import annotations

import argparse
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, NoReturn

from fusesg._config_sources import split_options
from fusesg.cli import _configuration, _mount
from fusesg.cli._errors import CommandError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


_PROGRAM = "mount.fuse.fusesg"


class ExitStatus(IntEnum):
    """Of mount(8)."""

    SUCCESS = 0
    USAGE = 1
    SYSTEM = 2
    INTERRUPTED = 8
    FAILURE = 32


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(ExitStatus.USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Mounts as mount(8) asks for.

    Args:
        arguments: The command line without the program's name; None is `sys.argv`.

    Returns:
        The exit status.
    """
    asked = _parser().parse_args(arguments)
    try:
        return _run(asked)
    except UsageError as error:
        return _failed(str(error), ExitStatus.USAGE)
    except CommandError as error:
        return _failed(str(error), ExitStatus.FAILURE)
    except MemoryError:
        return _failed("out of memory", ExitStatus.SYSTEM)
    except KeyboardInterrupt:
        return _failed("interrupted", ExitStatus.INTERRUPTED)


def _run(asked: argparse.Namespace) -> int:
    if asked.namespace:
        raise UsageError("-N is not known; use nsenter --mount=... mount ...")
    # mount(8) adds rw where nothing else is said, which must not undo what a file says
    options = [
        option.replace(",", "\\,")
        for option in split_options(",".join(asked.options))
        if option != "rw"
    ]
    if "remount" in options:
        raise UsageError(
            "a server that runs cannot be given other options; unmount first. What the "
            "kernel decides can be changed: mount -i -o remount,ro MOUNTPOINT"
        )
    request = argparse.Namespace(
        source=asked.source,
        mountpoint=asked.mountpoint,
        options=options,
        settings=[],
        config=None,
        profile=None,
        foreground=False,
        trace=False,
        log_file=None,
        show_config=False,
    )
    if asked.fake:
        _configuration.take_own(request)
        return ExitStatus.SUCCESS
    return _mount.run(request)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM,
        description="Run by mount(8), for the types fuse.fusesg and fusesg.",
        epilog="The options of -o are those of `fusesg mount --help`.",
    )
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("mountpoint", metavar="MOUNTPOINT")
    parser.add_argument("-o", dest="options", action="append", default=[])
    parser.add_argument("-f", dest="fake", action="store_true", help="do not mount")
    for flag, meaning in [
        ("-n", "no entry in /etc/mtab"),
        ("-s", "tolerate options"),
        ("-v", "tell more"),
    ]:
        parser.add_argument(flag, action="store_true", help=f"{meaning}; no effect")
    parser.add_argument("-t", dest="type", help="the type; no effect")
    parser.add_argument("-N", dest="namespace", help="not supported")
    return parser


def _failed(reason: str, status: ExitStatus) -> int:
    print(f"{_PROGRAM}: {reason}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
